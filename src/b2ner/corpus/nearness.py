"""Which texts stand near one another: runs shared with other collections, near duplicates.

Pure, and linear in the characters read: texts are cut into short pieces, pieces are looked up by
hash, and what is found is compared in full before it is reported. Case, punctuation and white space
do not count.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from b2ner.prompting.template import prompt_language

WORDS = 7  # a run of so many words is shared
CHARACTERS = 12  # or of so many characters, where words have no borders
ALIKE = 0.5  # near duplicates share so much of their pieces

_WORD = re.compile(r"\w+")
_PIECE = 5  # characters
_SLOTS = 32
_BAND = 2  # slots


@dataclass(frozen=True, slots=True)
class SharedRun:
    """The longest run of words that two texts share around one place, and both texts' ids."""

    own: str
    other: str
    run: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that are nearly the same; `share` is in [ALIKE, 1], 1 for the same pieces."""

    first: str
    second: str
    share: float


def shared_runs(
    own: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]
) -> Iterator[SharedRun]:
    """Every longest run of WORDS words, or CHARACTERS characters of Chinese, or more in common.

    Both are (id, text). `others` is read once, one text at a time.
    """
    units: dict[str, tuple[str, ...]] = {}
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, text in own:
        units[name], length = _units(text)
        for start in range(len(units[name]) - length + 1):
            places[units[name][start : start + length]].append((name, start))
    for other, text in others:
        theirs, length = _units(text)
        joiner = "" if length == CHARACTERS else " "
        done: dict[str, int] = {}  # by own text: up to here, their text is in a run reported for it
        for start in range(len(theirs) - length + 1):
            for name, place in places.get(theirs[start : start + length], ()):
                if start + length <= done.get(name, 0):
                    continue
                end = start + _common(theirs[start:], units[name][place:])
                done[name] = end
                yield SharedRun(name, other, joiner.join(theirs[start:end]))


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """How many items two sequences share from their beginnings on."""
    for number, (one, two) in enumerate(zip(left, right, strict=False)):
        if one != two:
            return number
    return min(len(left), len(right))


def near_duplicates(texts: Sequence[tuple[str, str]]) -> Iterator[Pair]:
    """Pairs of texts, (id, text), whose pieces of five characters overlap by ALIKE or more.

    Exact duplicates have share 1. Pairs come in the order of their second text. Of a hundred pairs
    that share half of their pieces, one may be missed; of those that share more, fewer.
    """
    pieces = [_pieces(text) for _, text in texts]
    seen: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, own in enumerate(pieces):
        slots = _sketch(own)
        near: set[int] = set()
        for first in range(0, _SLOTS, _BAND):
            bucket = seen[first, *slots[first : first + _BAND]]
            near.update(bucket)
            bucket.append(number)
        for other in sorted(near):
            share = len(own & pieces[other]) / len(own | pieces[other])
            if share >= ALIKE:
                yield Pair(texts[other][0], texts[number][0], share)


def words(text: str) -> list[str]:
    """The words of a text, in lower case; of Chinese, its characters."""
    return list(_units(text)[0])


def _units(text: str) -> tuple[tuple[str, ...], int]:
    """What runs of a text are counted in, and how many make a run."""
    found = _WORD.findall(text.casefold())
    if prompt_language(text) == "zh":
        return tuple("".join(found)), CHARACTERS
    return tuple(found), WORDS


def _pieces(text: str) -> frozenset[int]:
    """The hashes of all runs of `_PIECE` characters; at least one, however short the text."""
    bare = " ".join(_WORD.findall(text.casefold()))
    last = max(len(bare) - _PIECE, 0)
    return frozenset(crc32(bare[at : at + _PIECE].encode()) for at in range(last + 1))


def _sketch(pieces: frozenset[int]) -> list[int]:
    """Of the pieces that fall into each slot, the least; an empty slot takes its neighbour's.

    Two texts agree in a slot as often as they share pieces (one-permutation hashing, with the
    rotation of Shrivastava and Li, 2014).
    """
    least = [-1] * _SLOTS
    for piece in pieces:
        mixed = piece * 0x9E3779B1 & 0xFFFFFFFF
        slot, rank = mixed % _SLOTS, mixed // _SLOTS
        if least[slot] < 0 or rank < least[slot]:
            least[slot] = rank
    filled = list(least)
    for slot in range(_SLOTS):
        away = 0
        while least[(slot + away) % _SLOTS] < 0:
            away += 1
        filled[slot] = least[(slot + away) % _SLOTS] + away * (1 << 32)
    return filled
