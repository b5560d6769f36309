"""Which names look like a given one: shared words first, then shared letters."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_LEAST = 0.5
_LETTERS_LEAST = 0.65  # names without a word in common look alike by chance below it


def nearest(name: str, names: Iterable[str], *, limit: int = 5) -> list[str]:
    """At most `limit` of the names that look like `name`, the likest first."""
    scored = sorted((-likeness(name, other), other) for other in names)
    return [other for score, other in scored[:limit] if -score >= _LEAST]


def likeness(one: str, other: str) -> float:
    """How much two names look alike, in [0, 1]; 1 only for the same words in the same order."""
    one, other = one.casefold(), other.casefold()
    if one == other:
        return 1.0
    words, others = set(one.split()), set(other.split())
    shared = len(words & others) / len(words | others) if words | others else 0.0
    by_words = 0.4 + 0.6 * shared if shared else 0.0
    letters = SequenceMatcher(None, one, other)
    if letters.quick_ratio() < _LETTERS_LEAST:
        return min(0.99, by_words)
    ratio = letters.ratio()
    return min(0.99, max(by_words, ratio if ratio >= _LETTERS_LEAST else 0.0))
