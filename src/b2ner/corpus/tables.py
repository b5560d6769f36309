"""Texts with annotations in the columns of a table, or in what looks like one."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from b2ner.corpus.json_readers import Missing, grounded
from b2ner.corpus.readers import Annotation, checked_sample, is_utf8, numbered
from b2ner.errors import DataError
from b2ner.records import Mention, Reason, Rejected, Sample, Span


@dataclass(frozen=True, slots=True)
class CsvSpans:
    """CSV with a header: a text, and the words and place of an entity of each kind.

    Each of `spans` is a label with its columns for words, start and end (excluded), in characters.
    Rows with the same `id` are about one text; an empty start says that there is no such entity.
    """

    spans: tuple[tuple[str, str, str, str], ...]
    text: str = "text"
    id: str = "id"
    kind: Literal["csv-spans"] = "csv-spans"


@dataclass(frozen=True, slots=True)
class SessionLines:
    """`number,"said<TAB>time","said<TAB>time",...,{slot: value}`: slots of what was said last."""

    missing: Missing = Missing.REJECT
    kind: Literal["session-lines"] = "session-lines"


def read_csv_spans(
    lines: Iterable[str], layout: CsvSpans, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a text; its place is the line of its first row.

    Raises DataError when the file is no CSV or lacks a column.
    """
    try:
        rows = csv.DictReader(unmarked(lines), strict=True)
        wanted = {layout.text, layout.id}.union(*(columns[1:] for columns in layout.spans))
        if absent := sorted(wanted - set(rows.fieldnames or ())):
            raise DataError(f"{annotation.source}: has no column {absent[0]!r}")
        group: list[tuple[int, dict[str, str]]] = []
        for row in rows:
            if group and row[layout.id] != group[0][1][layout.id]:
                yield _joined(group, layout, annotation)
                group = []
            group.append((rows.line_num, row))
        if group:
            yield _joined(group, layout, annotation)
    except csv.Error as problem:
        raise DataError(f"{annotation.source}:{rows.line_num}: not CSV: {problem}") from problem


def _joined(
    group: list[tuple[int, dict[str, str]]], layout: CsvSpans, annotation: Annotation
) -> Sample | Rejected:
    """The text of some rows with the entities of all of them."""
    place = f"{annotation.source}:{group[0][0]}"
    text = group[0][1][layout.text]
    if not text or not is_utf8(text):
        return Rejected(Reason.MALFORMED, place, "no text, or not UTF-8")
    entities: dict[tuple[Span, str, str], None] = {}
    for number, row in group:
        if row[layout.text] != text:
            detail = f"line {number}: another text with the same {layout.id}"
            return Rejected(Reason.MALFORMED, place, detail)
        for label, words, start, end in layout.spans:
            if not (row[start] or "").strip():
                continue
            try:
                entities[Span(int(row[start]), int(row[end])), label, row[words]] = None
            except (ValueError, TypeError) as problem:
                return Rejected(Reason.MALFORMED, place, f"line {number}: {problem}")
    return checked_sample(text, list(entities), annotation, place)


def unmarked(lines: Iterable[str]) -> Iterator[str]:
    """The lines without a byte order mark at the head of the first."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


_SESSION = re.compile(r'[^,"]*(?:,"[^"\t]*\t[^"]*")*,"([^"\t]*)\t[^"]*",(\{.*\})')


def read_session_lines(
    lines: Iterable[str], layout: SessionLines, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a line: what was said last, with its slots."""
    for number, line in numbered(lines):
        if not line.strip():
            continue
        place = f"{annotation.source}:{number}"
        match = _SESSION.fullmatch(line.strip())
        try:
            slots = json.loads(match[2]) if match else None
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, f"its slots are no JSON: {problem}")
            continue
        if match is None or not isinstance(slots, dict):
            yield Rejected(Reason.MALFORMED, place, 'no number,"said<TAB>time",...,{slots}')
            continue
        mentions = [
            Mention(slot.strip(), value.strip())
            for slot, found in slots.items()
            for value in (found if isinstance(found, list) else [found])
            if isinstance(value, str) and value.strip()
        ]
        yield grounded(match[1], mentions, annotation, place, missing=layout.missing)
