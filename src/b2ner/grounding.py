"""Places for mentions: which stretch of the text each emitted surface means. Exact, never fuzzy.

Knows chunks and mentions, not where they came from. A surface stands only where its very characters
do, from chunk border to chunk border. Where it stands more often than it was emitted, the answer's
order and the longer mentions decide; see `ground`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby

from b2ner.records import Mention, Span
from b2ner.segments import segmented


def ground(chunks: Sequence[str], mentions: Sequence[Mention]) -> list[Span | None]:
    """One place per mention, in the given order; None where no place is left.

    A mention takes the next place of its surface that its label has not taken yet, searched forward
    from the start of the mention before it and, when none is left ahead, from the beginning of the
    text. Places strictly inside a longer emitted surface are open to a label and surface only as
    often as it was emitted beyond the places outside, and those first where the longer mention
    itself was not placed. So, whatever the order of the answer, a mention lies strictly inside a
    longer one only when no place outside all of them is left over, and a label and surface emitted
    n times gets min(n, occurrences) places.
    """
    return _ground(_Places(chunks, mentions), mentions)


def every_occurrence(chunks: Sequence[str], mentions: Sequence[Mention]) -> list[tuple[int, Span]]:
    """All places of all emitted surfaces, as (index of the mention, place), by place.

    What `ground` places stays, under the index of its own mention. Each label and surface also gets
    every other place of the surface that is not strictly inside a longer emitted surface, under the
    index of the first mention with that label and surface: its score is the one to carry over. The
    index of a mention that stands nowhere does not occur. Order: by start, the longer first, then
    by index.
    """
    places = _Places(chunks, mentions)
    found: dict[tuple[str, Span], int] = {}
    for index, (mention, span) in enumerate(zip(mentions, _ground(places, mentions), strict=True)):
        if span is not None:
            found[mention.label, span] = index
    first = {mention: index for index, mention in reversed(list(enumerate(mentions)))}
    for mention, index in first.items():
        for start in places.sorted_out(mention.text)[0]:
            found.setdefault((mention.label, Span(start, start + len(mention.text))), index)
    marked = [(index, span) for (_, span), index in found.items()]
    return sorted(marked, key=lambda one: (one[1].start, -one[1].end, one[0]))


def _ground(places: _Places, mentions: Sequence[Mention]) -> list[Span | None]:
    """The walk along the answer; after it, what had to go inside a longer mention may move."""
    free = {
        mention: _Free(*places.sorted_out(mention.text), emitted)
        for mention, emitted in Counter(mentions).items()
    }
    spans: list[Span | None] = []
    place = 0
    for mention in mentions:
        taken = free[mention].take(place)
        if taken is None:
            spans.append(None)
        else:
            place = taken
            spans.append(Span(place, place + len(mention.text)))
    left = {mention: pool.inside for mention, pool in free.items() if pool.inside}
    return _settle(mentions, spans, left) if left else spans


def _settle(
    mentions: Sequence[Mention], spans: Sequence[Span | None], left: Mapping[Mention, list[int]]
) -> list[Span | None]:
    """The spans, but a mention inside a placed longer one moves to a place that is left and better.

    Better is what lies outside all longer mentions. The longest settle first: nothing is undone.
    """
    settled = list(spans)

    def length_of(index: int) -> int:
        return len(mentions[index].text)

    placed = [index for index, span in enumerate(spans) if span is not None]
    for length, group in groupby(sorted(placed, key=length_of, reverse=True), length_of):
        movable = [index for index in group if mentions[index] in left]
        if not movable:
            continue
        longer = _Cover(
            (span.start, span.end) for span in settled if span and span.end - span.start > length
        )
        better = {
            mention: [start for start in left[mention] if not longer.holds(start, start + length)]
            for mention in {mentions[index] for index in movable}
        }
        for index in movable:
            span = settled[index]
            if span is None or not longer.holds(span.start, span.end):
                continue
            free = better[mentions[index]]
            if free:
                start = free.pop(_next(free, span.start))
                settled[index] = Span(start, start + length)
    return settled


class _Places:
    """Where the emitted surfaces stand, and which of these places lie inside a longer one."""

    def __init__(self, chunks: Sequence[str], mentions: Iterable[Mention]) -> None:
        text = segmented(chunks)
        self._starts = {
            surface: text.starts(surface) for surface in {mention.text for mention in mentions}
        }
        self._cover = _Cover(
            (start, start + len(surface))
            for surface, starts in self._starts.items()
            for start in starts
        )

    def sorted_out(self, surface: str) -> tuple[list[int], list[int]]:
        """The surface's starts: those outside all longer emitted surfaces, those inside one."""
        outside: list[int] = []
        inside: list[int] = []
        for start in self._starts[surface]:
            covered = self._cover.holds(start, start + len(surface))
            (inside if covered else outside).append(start)
        return outside, inside


class _Cover:
    """A set of stretches that can say whether a stretch is a proper part of one of them."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        longest: dict[int, int] = {}
        for start, end in stretches:
            longest[start] = max(end, longest.get(start, 0))
        self._starts = sorted(longest)
        self._reach = list(accumulate((longest[start] for start in self._starts), max, initial=0))
        self._longest = longest

    def holds(self, start: int, end: int) -> bool:
        """Whether [start, end) is a proper part of a stretch."""
        before = bisect_left(self._starts, start)
        return self._reach[before] >= end or self._longest.get(start, 0) > end


class _Free:
    """The starts that one label and surface may still take."""

    def __init__(self, outside: list[int], inside: list[int], emitted: int) -> None:
        self.outside = outside
        self.inside = inside  # of a longer emitted surface
        self._inside_due = emitted - len(outside)  # how many must go inside

    def take(self, place: int) -> int | None:
        """Remove and return the next start at or after a place, else the first; None: none left."""
        pools = [pool for pool in (self.outside, self._open_inside()) if pool]
        if not pools:
            return None
        heads = [(pool[_next(pool, place)], pool) for pool in pools]
        start, pool = min(heads, key=lambda head: (head[0] < place, head[0]))
        pool.pop(bisect_left(pool, start))
        self._inside_due -= pool is self.inside
        return start

    def _open_inside(self) -> list[int]:
        return self.inside if self._inside_due > 0 else []


def _next(starts: list[int], place: int) -> int:
    """Index of the first start at or after a place; 0 when there is none."""
    index = bisect_left(starts, place)
    return index if index < len(starts) else 0
