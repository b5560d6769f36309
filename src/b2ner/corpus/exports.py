"""Corpora that users bring: exports of annotation tools, and plain files of texts with entities.

Their label sets are not known beforehand: `export_labels` goes through a file once, `read_export`
reads it. Offsets become code points. Label Studio counts UTF-16 code units, the others characters.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from b2ner.corpus import archive
from b2ner.corpus.arrow_tables import table_rows
from b2ner.corpus.json_readers import Unit, unit_offsets
from b2ner.corpus.json_rows import LINES, Rows, json_rows, string
from b2ner.corpus.readers import Annotation
from b2ner.corpus.tables import unmarked
from b2ner.corpus.told import Told, told_sample
from b2ner.errors import DataError
from b2ner.records import Mention, Reason, Rejected, Relation, Sample, Span


class Export(StrEnum):
    """What wrote a file."""

    JSONL = "jsonl"  # lines, or an array: text, entities with start, end, label, or text and label
    LABEL_STUDIO = "label-studio"  # JSON: tasks with annotations; JSON-MIN: text and labels
    PRODIGY = "prodigy"  # lines: text, spans, answer
    SPACY = "spacy"  # an array or lines: [text, {"entities": [[start, end, label]]}]; text, ents
    TABLE = "table"  # CSV with the columns text and entities, those as in JSONL
    PARQUET = "parquet"  # likewise; entities as JSON or as a list of structs


def export_labels(path: Path, kind: Export) -> tuple[str, ...]:
    """The labels that a file uses, sorted. Raises DataError when it is not what it should be."""
    found: set[str] = set()
    for row in _told(path, kind):
        if not isinstance(row, Rejected):
            found |= {label for _, label in row[1].placed}
            found |= {mention.label for mention in row[1].named}
    return tuple(sorted(found))


def read_export(path: Path, kind: Export, annotation: Annotation) -> Iterator[Sample | Rejected]:
    """One result a row: what was not annotated, or not accepted, is rejected.

    Entities without offsets stand at every place of their words. Raises DataError when the file is
    not what it should be, and MissingExtra when what reads Parquet is not installed.
    """
    for row in _told(path, kind):
        if isinstance(row, Rejected):
            yield row
        else:
            place, told = row
            yield told_sample(told, annotation, f"{annotation.source}:{place}")


def _told(path: Path, kind: Export) -> Iterator[tuple[str, Told] | Rejected]:
    """(number, what it says) of each row."""
    reader: Callable[[Mapping[str, Any]], Told]
    rows: Rows
    match kind:
        case Export.SPACY:
            rows, reader = _json(path), _spacy
        case Export.LABEL_STUDIO:
            rows, reader = _json(path), _label_studio
        case Export.PRODIGY:
            rows, reader = _json(path), _prodigy
        case Export.JSONL:
            rows, reader = _json(path), _plain
        case Export.TABLE:
            rows, reader = _table(path), _plain
        case Export.PARQUET:
            rows, reader = _parquet(path), _plain
        case _:
            assert_never(kind)
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            if isinstance(content, list) and kind is Export.SPACY:
                content = dict(zip(("text", "annotations"), content, strict=True))
            if not isinstance(content, dict):
                raise ValueError(f"expected an object, found {content!r}")
            yield place.rpartition(":")[2], reader(content)
        except _NotAnnotatedError as problem:
            yield Rejected(Reason.NOT_ACCEPTED, place, str(problem))
        except (ValueError, LookupError, TypeError) as problem:
            yield Rejected(Reason.MALFORMED, place, _said(problem))


class _NotAnnotatedError(Exception):
    """A row that nobody annotated, or that was not accepted."""


# -- rows ----------------------------------------------------------------------------------------


def _json(path: Path) -> Rows:
    """The rows of JSON lines, or of one array; which of them the first line says."""
    first = next(archive.lines(path.parent, path.name), "").removeprefix("\ufeff").lstrip()
    rows = "*" if first.startswith("[") and not _is_pair(first) else LINES
    return json_rows(archive.lines(path.parent, path.name), rows, Annotation((), "", path.name))


def _is_pair(line: str) -> bool:
    """Whether an array in one line is one of spaCy's rows, which hold their text first."""
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return bool(value) and isinstance(value[0], str)


def _table(path: Path) -> Rows:
    """The rows of CSV with a header, their entities decoded. Raises DataError."""
    rows = csv.DictReader(unmarked(archive.lines(path.parent, path.name)), strict=True)
    try:
        if absent := {"text", "entities"} - set(rows.fieldnames or ()):
            raise DataError(f"{path}: has no column {min(absent)!r}")
        for row in rows:
            yield from _decoded(row, f"{path.name}:{rows.line_num}")
    except csv.Error as problem:
        raise DataError(f"{path}:{rows.line_num}: not CSV: {problem}") from problem


def _parquet(path: Path) -> Rows:
    """The rows of a Parquet file. Raises DataError, and MissingExtra without pyarrow."""
    for number, row in enumerate(table_rows(path), start=1):
        if absent := {"text", "entities"} - set(row):
            raise DataError(f"{path}: has no column {min(absent)!r}")
        yield from _decoded(row, f"{path.name}:{number}")


def _decoded(row: dict[str, Any], place: str) -> Rows:
    """The row with its entities, which may be written as JSON."""
    if isinstance(row["entities"], str):
        try:
            row = {**row, "entities": json.loads(row["entities"] or "[]")}
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, f"its entities are no JSON: {problem}")
            return
    yield place, row


# -- what rows say -------------------------------------------------------------------------------


def _plain(row: Mapping[str, Any]) -> Told:
    """Entities with a place, or with words alone; `labels` may say what the row was asked for."""
    text = string(row["text"], "text")
    placed = []
    named = []
    for entity in row["entities"]:
        label = string(entity["label"], "label")
        if entity.get("start") is None:
            named.append(Mention(label, string(entity["text"], "text")))
            continue
        span = _span(text, entity["start"], entity["end"])
        if entity.get("text") is not None and span.of(text) != entity["text"]:
            raise ValueError(f"{entity['text']!r} does not stand at {span.start}")
        placed.append((span, label))
    labels = row.get("labels")
    return Told(text, placed, named, labels=None if labels is None else tuple(labels))


def _prodigy(row: Mapping[str, Any]) -> Told:
    if row.get("answer", "accept") != "accept":
        raise _NotAnnotatedError(f"its answer is {row['answer']!r}")
    text = string(row["text"], "text")
    spans = row.get("spans") or []
    placed = [(_span(text, s["start"], s["end"]), string(s["label"], "label")) for s in spans]
    return Told(text, placed)


def _spacy(row: Mapping[str, Any]) -> Told:
    text = string(row["text"], "text")
    if "annotations" in row:
        found = [tuple(entity)[:3] for entity in row["annotations"]["entities"]]
    else:
        found = [(entity["start"], entity["end"], entity["label"]) for entity in row["ents"]]
    return Told(text, [(_span(text, a, b), string(label, "label")) for a, b, label in found])


def _label_studio(row: Mapping[str, Any]) -> Told:
    """Of several annotations of a task the one marked as ground truth counts, else the first."""
    if "data" not in row:
        return _label_studio_regions(string(row["text"], "text"), row.get("label") or [])
    given = [one for one in row.get("annotations") or [] if not one.get("was_cancelled")]
    if not given:
        raise _NotAnnotatedError("the task has no annotation")
    chosen = next((one for one in given if one.get("ground_truth")), given[0])
    texts = [value for value in row["data"].values() if isinstance(value, str)]
    text = row["data"].get("text", texts[0] if len(texts) == 1 else None)
    if text is None:
        raise ValueError("data: which of its strings is the text? name it `text`")
    regions = [
        {**region["value"], "id": region.get("id")}
        for region in chosen["result"]
        if "value" in region and "start" in region["value"]
    ]
    told = _label_studio_regions(string(text, "text"), regions)
    mentions = {
        region["id"]: Mention(label, span.of(told.text))
        for region, (span, label) in zip(regions, told.placed, strict=False)
    }
    relations = [
        Relation(label, mentions[region["from_id"]], mentions[region["to_id"]])
        for region in chosen["result"]
        if region.get("type") == "relation"
        for label in region.get("labels") or ["related"]
    ]
    return Told(told.text, told.placed, relations=relations)


def _label_studio_regions(text: str, regions: Iterable[Mapping[str, Any]]) -> Told:
    """Regions with the offsets of JavaScript; a region with several labels is as many entities."""
    starts = unit_offsets(text, Unit.UTF16) if not text.isascii() else None
    placed = []
    for region in regions:
        start, end = int(region["start"]), int(region["end"])
        if starts is not None:
            start, end = starts.get(start, -1), starts.get(end, -1)
        span = _span(text, start, end)
        words = region.get("text")
        if words is not None and span.of(text) != words:
            raise ValueError(f"{words!r} does not stand at {span.start}")
        labels = region.get("labels") or region.get("hypertextlabels")
        if not labels:
            raise ValueError(f"{span.of(text)!r} has no label")
        placed += [(span, string(label, "labels")) for label in labels]
    return Told(text, placed)


def _span(text: str, start: int, end: int) -> Span:
    """The place, if it is one of the text. Raises ValueError."""
    span = Span(start, end)
    span.of(text)
    return span


def _said(problem: Exception) -> str:
    return f"no {problem}" if isinstance(problem, KeyError) else str(problem)
