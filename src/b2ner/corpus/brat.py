"""Brat standoff: a text, and beside it lines `T1<TAB>LABEL START END<TAB>words`.

Offsets are code points of the whole text, ends excluded. Long texts are cut, and every piece is a
sample of its own; a cut never goes through a mention. A mention in several parts is not contiguous:
it rejects its piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from b2ner.corpus.readers import Annotation, sample
from b2ner.records import Reason, Rejected, Sample, Span


class Cut(StrEnum):
    """Where a text may be cut."""

    LINES = "lines"  # at line breaks
    SENTENCES = "sentences"  # at line breaks and behind the ends of sentences


@dataclass(frozen=True, slots=True)
class _Mark:
    """A text-bound annotation: the span that covers it, its label, whether it has one part."""

    span: Span
    label: str
    contiguous: bool


_ENDS = {
    Cut.LINES: re.compile(r"\s*\n\s*"),
    # A full stop behind a single capital is that of an initial.
    Cut.SENTENCES: re.compile(
        r"\s*\n\s*|(?<=[.!?])(?<!\b[A-Z]\.)\s+(?=[\"“A-Z])|(?<=[。！？；])\s*"
    ),
}
_TEXT_BOUND = re.compile(r"(T[0-9]+)\t(\S+) ([0-9]+ [0-9]+(?:;[0-9]+ [0-9]+)*)\t(.*)")


def read_brat(
    text: str, annotations: str, cut: Cut, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a piece of the text; its place is the character at which it begins.

    An annotation line that cannot be read rejects the whole text.
    """
    marks = []
    for number, line in enumerate(annotations.splitlines(), start=1):
        if not line.startswith("T"):  # relations, attributes, notes
            continue
        mark = _mark(line, text)
        if isinstance(mark, str):
            reason = Reason.SPAN_MISMATCH if _TEXT_BOUND.fullmatch(line) else Reason.MALFORMED
            yield Rejected(reason, annotation.source, f"annotation line {number}: {mark}")
            return
        marks.append(mark)
    for piece in _pieces(text, [mark.span for mark in marks], _ENDS[cut]):
        inside = [m for m in marks if piece.start <= m.span.start and m.span.end <= piece.end]
        place = f"{annotation.source}:{piece.start}"
        broken = [mark for mark in inside if not mark.contiguous]
        if broken:
            words = broken[0].span.of(text)
            yield Rejected(Reason.DISCONTINUOUS, place, f"{broken[0].label} within {words!r}")
            continue
        entities = [
            (Span(mark.span.start - piece.start, mark.span.end - piece.start), mark.label)
            for mark in inside
        ]
        yield sample(piece.of(text), entities, annotation, place)


def _mark(line: str, text: str) -> _Mark | str:
    """The annotation of a line, or what is wrong with it."""
    match = _TEXT_BOUND.fullmatch(line)
    if match is None:
        return "no T<number>, label, offsets and words"
    parts = [tuple(map(int, part.split())) for part in match[3].split(";")]
    if not all(start < end <= len(text) for start, end in parts):
        return f"{match[3]} in a text of {len(text)} characters"
    found = " ".join(text[start:end] for start, end in parts)
    if found.split() != match[4].split():
        return f"{match[4]!r} does not stand at {match[3]}"
    span = Span(min(start for start, _ in parts), max(end for _, end in parts))
    return _Mark(span, match[2], len(parts) == 1)


def _pieces(text: str, mentions: Sequence[Span], ends: re.Pattern[str]) -> Iterator[Span]:
    """The pieces between the cuts, but for blank ones; a cut through a mention is none."""
    inner = bytearray(len(text) + 1)  # 1: a cut before this character goes through a mention
    for mention in mentions:
        inner[mention.start + 1 : mention.end] = b"\1" * (mention.end - mention.start - 1)
    start = 0
    for match in ends.finditer(text):
        if not (inner[match.start()] or inner[match.end()]):
            if text[start : match.start()].strip():
                yield Span(start, match.start())
            start = match.end()
    if text[start:].strip():
        yield Span(start, len(text))
