"""Brat standoff: a text, and beside it lines `T1<TAB>LABEL START END<TAB>words`.

Offsets are code points of the whole text, ends excluded. Long texts are cut, and every piece is a
sample of its own; a cut never goes through a mention, nor between the ends of a relation where
relations are read. A mention in several parts is not contiguous: it rejects its piece, or becomes
the stretch that covers its parts, as the catalog says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate, compress, pairwise
from typing import Literal

from b2ner.corpus.readers import Annotation, sample
from b2ner.records import Mention, Reason, Rejected, Relation, Sample, Span


class Cut(StrEnum):
    """Where a text may be cut."""

    LINES = "lines"  # at line breaks
    SENTENCES = "sentences"  # at line breaks and behind the ends of sentences
    WRAPPED = (
        "wrapped"  # behind the ends of sentences and at blank lines: lines are broken anywhere
    )
    NOWHERE = "nowhere"  # a text is one sample


@dataclass(frozen=True, slots=True)
class BratFolder:
    """Texts `NAME.txt`, each with its annotations in `NAME.ann` beside it."""

    cut: Cut
    covering: bool = False  # a mention in several parts is the stretch that covers them
    relations: bool = False
    without: tuple[str, ...] = ()  # texts of other splits
    kind: Literal["brat"] = "brat"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A text-bound annotation: the span that covers it, its label, what is wrong with it."""

    id: str
    span: Span
    label: str
    parts: int
    mismatch: str = ""


_BEHIND_SENTENCES = (
    # A full stop behind a single capital is that of an initial.
    r"(?<=[.!?])(?<!\b[A-Z]\.)\s+(?=[\"“A-Z])|(?<=[。！？；])\s*"
)
_ENDS = {
    Cut.LINES: re.compile(r"\s*\n\s*"),
    Cut.SENTENCES: re.compile(r"\s*\n\s*|" + _BEHIND_SENTENCES),
    Cut.WRAPPED: re.compile(r"\s*\n\s*\n\s*|" + _BEHIND_SENTENCES),
    Cut.NOWHERE: re.compile(r"(?!)"),
}
_TEXT_BOUND = re.compile(r"(T[0-9]+)\t(\S+) ([0-9]+ [0-9]+(?:;[0-9]+ [0-9]+)*)\t(.*)")
_RELATION = re.compile(r"R[0-9]+\t(\S+) Arg1:(T[0-9]+) Arg2:(T[0-9]+)\s*")


def read_brat(
    text: str,
    annotations: str,
    cut: Cut,
    annotation: Annotation,
    *,
    covering: bool = False,
    relations: bool = False,
) -> Iterator[Sample | Rejected]:
    """One result a piece of the text; its place is the character at which it begins, counted where
    lines are broken anywhere in the text without these breaks.

    An annotation line that cannot be read rejects the whole text; words that do not stand at their
    place reject its piece. Parts with only white space between them are one.
    """
    marks: dict[str, _Mark] = {}
    pairs: list[tuple[str, str, str]] = []
    for number, line in enumerate(annotations.splitlines(), start=1):
        place = f"annotation line {number}"
        if line.startswith("T"):
            mark = _mark(line, text)
            if isinstance(mark, str):
                reason = Reason.SPAN_MISMATCH if _TEXT_BOUND.fullmatch(line) else Reason.MALFORMED
                yield Rejected(reason, annotation.source, f"{place}: {mark}")
                return
            if mark.id in marks:
                yield Rejected(Reason.MALFORMED, annotation.source, f"{place}: {mark.id} again")
                return
            marks[mark.id] = replace(mark, mismatch=mark.mismatch and f"{place}: {mark.mismatch}")
        elif relations and line.startswith("R"):
            match = _RELATION.fullmatch(line)
            if match is None:
                yield Rejected(Reason.MALFORMED, annotation.source, f"{place}: no relation")
                return
            pairs.append((match[1], match[2], match[3]))
    if dangling := [end for _, *ends in pairs for end in ends if end not in marks]:
        detail = f"a relation of {dangling[0]}, which is not annotated"
        yield Rejected(Reason.MALFORMED, annotation.source, detail)
        return
    if cut is Cut.WRAPPED:
        text, marks = _unwrapped(text, marks)
    whole = [mark.span for mark in marks.values()]
    whole += [_cover(marks[head].span, marks[tail].span) for _, head, tail in pairs]
    for piece in _pieces(text, whole, _ENDS[cut]):
        inside = {key: mark for key, mark in marks.items() if _holds(piece, mark.span)}
        place = f"{annotation.source}:{piece.start}"
        astray = [mark.mismatch for mark in inside.values() if mark.mismatch]
        broken = [mark for mark in inside.values() if mark.parts > 1 and not covering]
        if astray:
            yield Rejected(Reason.SPAN_MISMATCH, place, astray[0])
            continue
        if broken:
            words = broken[0].span.of(text)
            yield Rejected(Reason.DISCONTINUOUS, place, f"{broken[0].label} within {words!r}")
            continue
        entities = [
            (Span(mark.span.start - piece.start, mark.span.end - piece.start), mark.label)
            for mark in inside.values()
        ]
        made = sample(piece.of(text), list(dict.fromkeys(entities)), annotation, place)
        if relations and isinstance(made, Sample):
            related = [
                Relation(label, _mention(inside[head], text), _mention(inside[tail], text))
                for label, head, tail in pairs
                if head in inside and tail in inside
            ]
            made = replace(made, relations=tuple(related))
        yield made


def _mark(line: str, text: str) -> _Mark | str:
    """The annotation of a line, or why it has no place in the text."""
    match = _TEXT_BOUND.fullmatch(line)
    if match is None:
        return "no T<number>, label, offsets and words"
    parts = [tuple(map(int, part.split())) for part in match[3].split(";")]
    if not all(start < end <= len(text) for start, end in parts):
        return f"{match[3]} in a text of {len(text)} characters"
    found = " ".join(text[start:end] for start, end in parts)
    same = found.split() == match[4].split() or "".join(found.split()) == "".join(match[4].split())
    span = Span(min(start for start, _ in parts), max(end for _, end in parts))
    mismatch = "" if same else f"{match[4]!r} does not stand at {match[3]}"
    gaps = sum(not text[end:start].isspace() for (_, end), (start, _) in pairwise(parts))
    return _Mark(match[1], span, match[2], gaps + 1, mismatch)


def _unwrapped(text: str, marks: dict[str, _Mark]) -> tuple[str, dict[str, _Mark]]:
    """The text without its single line breaks, and the marks in it.

    Where a line broke between two words of an alphabetic script a blank stands.
    """
    kept = bytearray(b"\1" * len(text))  # 1: the character stays
    characters = list(text)
    for found in re.finditer(r"(?<=\S)\n(?=\S)", text):
        at = found.start()
        if all(side.isalnum() and side < "\u2e80" for side in (text[at - 1], text[at + 1])):
            characters[at] = " "
        else:
            kept[at] = 0
    before = list(accumulate(kept, initial=0))
    moved = {
        key: replace(mark, span=Span(before[mark.span.start], before[mark.span.end]))
        for key, mark in marks.items()
        if before[mark.span.start] < before[mark.span.end]
    }
    return "".join(compress(characters, kept)), moved


def _mention(mark: _Mark, text: str) -> Mention:
    return Mention(mark.label, mark.span.of(text))


def _cover(one: Span, other: Span) -> Span:
    return Span(min(one.start, other.start), max(one.end, other.end))


def _holds(piece: Span, span: Span) -> bool:
    return piece.start <= span.start and span.end <= piece.end


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
