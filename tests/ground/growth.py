"""How the time of a piece of work grows with its input: a ratio on one machine, never seconds.

Processor time, since other processes share the machine; the best of some tries, since they also
share its caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def grows_linearly(make: Callable[[int], T], work: Callable[[T], object], size: int) -> bool:
    """Whether ten times the input takes at most fifteen times the time, best case."""
    small, large = make(size), make(10 * size)
    least_small = least_large = float("inf")
    for _ in range(20):
        least_small = min(least_small, _seconds(work, small))
        least_large = min(least_large, _seconds(work, large))
        if least_large <= 15 * least_small:
            return True
    return False


def _seconds(work: Callable[[T], object], value: T) -> float:
    begin = time.thread_time()
    work(value)
    return time.thread_time() - begin
