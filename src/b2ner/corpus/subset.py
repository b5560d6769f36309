"""Which of a data set's texts stand for it when only some are wanted: the same ones every time."""

from __future__ import annotations

import random

_SEED = 42


def subset(size: int, limit: int | None) -> frozenset[int]:
    """The positions, out of `size`, of the first `limit` after a seeded shuffle.

    Without a limit, all. A smaller limit gives a part of what a larger one gives. Whoever reads
    keeps the file's order.
    """
    if limit is None or limit >= size:
        return frozenset(range(size))
    if limit < 0:
        raise ValueError(f"a limit of texts cannot be negative, got {limit}")
    positions = list(range(size))
    random.Random(_SEED).shuffle(positions)
    return frozenset(positions[:limit])
