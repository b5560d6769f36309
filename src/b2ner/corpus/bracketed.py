"""Lines of text with marks inside: `<P<pf Ada> <ps Smith>>`, or chunks `Ada/nr went/o `.

The text is what is left without the marks. Other marks, of elements that are named again where they
end, are read in `inline`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from b2ner.corpus.readers import Annotation, is_utf8, numbered, sample
from b2ner.records import Reason, Rejected, Sample, Span


@dataclass(frozen=True, slots=True)
class Brackets:
    """`<label words>`, which may hold further ones, the first of them without a blank before it."""

    left_out: tuple[str, ...] = ()  # labels of marks that are no entities
    kind: Literal["brackets"] = "brackets"


@dataclass(frozen=True, slots=True)
class SlashChunks:
    """Chunks `words/label` with one blank behind each; a chunk may itself hold a slash."""

    outside: str = "o"
    kind: Literal["slash-chunks"] = "slash-chunks"


_OPENS = re.compile(r"<([A-Za-z]+_?|[?!])(?: |(?=<))")


def read_brackets(
    lines: Iterable[str], layout: Brackets, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a line that is not blank."""
    for number, line in numbered(lines):
        if not line.strip():
            continue
        place = f"{annotation.source}:{number}"
        if not is_utf8(line):
            yield Rejected(Reason.MALFORMED, place, "not UTF-8")
            continue
        read = _without_brackets(line)
        if isinstance(read, str):
            yield Rejected(Reason.MALFORMED, place, read)
            continue
        text, marks = read
        entities = [(span, label) for span, label in marks if label not in layout.left_out]
        yield sample(text, list(dict.fromkeys(entities)), annotation, place)


def _without_brackets(line: str) -> tuple[str, list[tuple[Span, str]]] | str:
    """The text and its marks, without white space at their ends; or what is wrong."""
    parts: list[str] = []
    size = 0
    marks = []
    opened: list[tuple[int, str]] = []
    at = 0
    while at < len(line):
        match = _OPENS.match(line, at)
        if match:
            opened.append((size, match[1]))
            at = match.end()
            continue
        if line[at] == ">" and opened:
            start, label = opened.pop()
            words = "".join(parts)[start:]
            if not words.strip():
                return f"<{label}> holds no words"
            start += len(words) - len(words.lstrip())
            marks.append((Span(start, start + len(words.strip())), label))
        else:
            parts.append(line[at])
            size += 1
        at += 1
    if opened:
        return f"<{opened[-1][1]} is not closed"
    return "".join(parts), marks


def read_slash_chunks(
    lines: Iterable[str], layout: SlashChunks, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a line that is not blank; the chunks are joined by nothing."""
    for number, line in numbered(lines):
        if not line.strip():
            continue
        place = f"{annotation.source}:{number}"
        if not is_utf8(line):
            yield Rejected(Reason.MALFORMED, place, "not UTF-8")
            continue
        text = ""
        entities = []
        for chunk in line.rstrip(" ").split(" "):
            words, slash, label = chunk.rpartition("/")
            if not (words and slash and label):
                yield Rejected(Reason.MALFORMED, place, f"{chunk!r} is no words/label")
                break
            if label != layout.outside:
                entities.append((Span(len(text), len(text) + len(words)), label))
            text += words
        else:
            yield sample(text, entities, annotation, place)
