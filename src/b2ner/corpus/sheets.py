"""Annotated sheets, read and written: plain text in blocks, mentions marked in place.

A sheet is a UTF-8 file; a block begins with its label set, then comes one text a line::

    ## labels: city; person; river
    ## language: de
    [[Ada|person]] schwamm in [[Wien|city]] durch die [[Donau|river]].

The line that names the language stands right below the labels; it may be left out where the file's
name says it (`en-film.txt`, `zh2-mixed.txt`). Marks do not nest. Blank lines are passed over.
Brackets in pairs and `|` are marks and nothing else, so a text with the marks put back is its line.
Knows how sheets are written, not whether they are good: that is `check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from b2ner.errors import DataError, LabelError
from b2ner.prompting.template import check_labels
from b2ner.records import Entity, Reason, Rejected, Sample, Span

SUFFIX = ".txt"

_HEADER = re.compile(r"## *(\w+) *: *(.*)")
_MARK = re.compile(r"\[\[([^\[\]|]*)\|([^\[\]|]*)\]\]")
_LEFT_OVER = re.compile(r"\[\[|\]\]|\|")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_NAMED = re.compile(r"(en|zh)[0-9]*-")  # what a file's name may say about its texts
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class SheetText:
    """One text of a sheet and where it stands: `sheet.txt:LINE`."""

    place: str
    sample: Sample


@dataclass(slots=True)
class _Block:
    """The block that is being read; `labels` is empty where its header cannot be used."""

    place: str
    number: int
    labels: tuple[str, ...]
    language: str | None
    texts: int = 0


def read_sheets(folder: Path) -> Iterator[SheetText | Rejected]:
    """Every text of every sheet in a folder, sheets by name. Raises DataError without a sheet."""
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        raise DataError(f"{folder}: holds no sheet (NAME{SUFFIX})")
    for path in paths:
        yield from read_sheet(path)


def read_sheet(path: Path) -> Iterator[SheetText | Rejected]:
    """Every text of one sheet, in order. Raises DataError when the file cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            yield from read_lines(file, path.name)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem


def read_lines(lines: Iterable[str], name: str) -> Iterator[SheetText | Rejected]:
    """One result a text and a Rejected for each fault of a header; `name` is the file's.

    A sample's source is `SHEET:BLOCK`, blocks counted from 1; its entities stand in text order. A
    text is Rejected when it stands in no block whose header can be used, when its markup is broken,
    when a mention is empty or has white space at an edge, or a label is not in the block's set.
    """
    block: _Block | None = None
    number = 0
    for line_number, raw in enumerate(lines, start=1):
        line = raw.removesuffix("\n").removesuffix("\r")
        place = f"{name}:{line_number}"
        if not line.strip():
            continue
        if not line.startswith("## "):
            if block is not None:
                block.texts += 1
            yield _read_text(line, block, place, name)
            continue
        header = _HEADER.fullmatch(line.rstrip())
        key, value = header.groups() if header else ("", "")
        match key:
            case "labels":
                yield from _without_texts(block)
                number += 1
                block = _Block(place, number, (), _language_of(name))
                try:
                    block.labels = _labels(value)
                except LabelError as problem:
                    yield Rejected(Reason.MALFORMED, place, str(problem))
            case "language" if block and not block.texts:
                block.language = value
                if not _LANGUAGE.fullmatch(value):
                    block.labels = ()
                    yield Rejected(Reason.MALFORMED, place, f"{value!r} is no language code")
            case _:
                detail = f"{line!r} is no header: `## labels:`, or `## language:` right below it"
                yield Rejected(Reason.MALFORMED, place, detail)
    yield from _without_texts(block)


def write_line(sample: Sample) -> str:
    """The text with its mentions marked, as a sheet holds it: what `read_lines` read.

    Entities must not overlap.
    """
    parts, done = [], 0
    for entity in sorted(sample.entities, key=lambda entity: entity.start):
        if entity.start < done:
            raise ValueError(f"{entity.text!r} overlaps the mention before it; marks do not nest")
        parts += [sample.text[done : entity.start], f"[[{entity.text}|{entity.label}]]"]
        done = entity.end
    return "".join([*parts, sample.text[done:]])


def _read_text(line: str, block: _Block | None, place: str, name: str) -> SheetText | Rejected:
    if block is None or not block.labels:
        detail = "stands in no block: no `## labels:` above it that can be used"
        return Rejected(Reason.MALFORMED, place, detail)
    if block.language is None:
        detail = f"{name} does not say its language: put `## language:` below the labels"
        return Rejected(Reason.MALFORMED, place, detail)
    if line != line.strip() or _UNDECODED.search(line):
        problem = "not UTF-8" if _UNDECODED.search(line) else "white space at an edge of the line"
        return Rejected(Reason.MALFORMED, place, problem)
    parts, entities, done, size = [], [], 0, 0
    for mark in _MARK.finditer(line):
        words, label = mark.groups()
        if not words or words != words.strip():
            return Rejected(Reason.MALFORMED, place, f"{mark[0]!r}: empty, or space at its edge")
        if label not in block.labels:
            detail = f"{label!r} is not in the label set of block {block.number}"
            return Rejected(Reason.UNKNOWN_LABEL, place, detail)
        size += mark.start() - done
        parts += [line[done : mark.start()], words]
        entities.append(Entity(Span(size, size + len(words)), label, words))
        size, done = size + len(words), mark.end()
    between = "\n".join([*parts[::2], line[done:]])
    if left_over := _LEFT_OVER.search(between):
        return Rejected(Reason.MALFORMED, place, f"broken markup: {left_over[0]!r} without a mark")
    text = "".join([*parts, line[done:]])
    source = f"{name.removesuffix(SUFFIX)}:{block.number}"
    sample = Sample(text, tuple(entities), block.labels, block.language, source)
    return SheetText(place, sample)


def _labels(value: str) -> tuple[str, ...]:
    """The labels of a header. Raises LabelError where they cannot be asked for, or marked."""
    labels = check_labels([label.strip() for label in value.split(";")])
    for label in labels:
        if set(label) & set("[]|"):
            raise LabelError(f"the label {label!r} holds [, ] or |, which are marks in a sheet")
    return labels


def _language_of(name: str) -> str | None:
    """The language that a file's name says."""
    named = _NAMED.match(name)
    return named[1] if named else None


def _without_texts(block: _Block | None) -> Iterator[Rejected]:
    if block is not None and not block.texts:
        yield Rejected(Reason.MALFORMED, block.place, "a block without texts")
