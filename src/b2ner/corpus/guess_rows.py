"""What JSON rows hold, guessed from the first of them: texts with entities, or tokens with tags.

Names of keys differ from tool to tool; values tell more. Where entities come with their words, the
unit of their offsets is the one under which the words stand there. What was found is said in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from b2ner.corpus.exports import Export
from b2ner.corpus.guess_columns import join_of
from b2ner.corpus.json_paths import Keys, MissingError, each, one
from b2ner.corpus.json_readers import JsonSpans, JsonTags, Prefixes, Unit, unit_offsets
from b2ner.corpus.readers import tagged

Layout = Export | JsonSpans | JsonTags

_TEXTS = ("text", "sentence", "content", "full_text", "sent", "document")
_TOKENS = ("tokens", "words", "tokenized_text", "token")
_TAGS = ("ner_tags", "tags", "ner", "labels", "label", "bio_tags", "ner_labels")
_LISTS = ("entities", "spans", "ner", "annotations", "mentions", "label", "labels", "entity_list")
_LABELS = ("label", "type", "entity_type", "entity_group", "tag", "category", "entity")
_STARTS = ("start", "begin", "start_offset", "start_idx", "start_pos", "start_position", "from")
_ENDS = ("end", "stop", "end_offset", "end_idx", "end_pos", "end_position", "to")
_PLACES = ("pos", "span", "offsets", "position")
_WORDS = ("text", "name", "word", "words", "mention", "value", "surface", "entity", "entity_value")

_SAID = {
    Export.JSONL: "rows with a text and entities: start, end and label, or label and text",
    Export.LABEL_STUDIO: "Label Studio's export; its offsets count UTF-16 code units",
    Export.PRODIGY: "Prodigy's rows: text and spans; only accepted ones count",
    Export.SPACY: "spaCy's training data: texts with entities",
    Export.TABLE: "a table with the columns text and entities",
    Export.PARQUET: "Parquet with the columns text and entities",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows are read, and in words what they hold."""

    layout: Layout
    what: str


def guess_rows(
    rows: Sequence[object], *, unit: Unit | None = None, exports: bool = True
) -> Rows | None:
    """How rows like these are read; None: they hold no entities that we know of.

    A `unit` that is given is not guessed. `exports`: whether it may be by a tool's own reader.
    """
    export = _export(rows) if unit is None and exports else None
    objects = [row for row in rows if isinstance(row, dict)]
    if export is not None:
        if export is Export.JSONL and (counted := _spans(objects, None)):
            layout = counted.layout
            if isinstance(layout, JsonSpans) and (
                layout.unit is not Unit.CHARACTERS or layout.inclusive
            ):
                return counted
        return Rows(export, said_of(export))
    return _tagged(objects) or _spans(objects, unit)


def is_row(value: object) -> bool:
    """Whether this is a row itself, and not a document that holds rows."""
    return isinstance(value, dict) and (
        isinstance(value.get("data"), dict)
        or any(isinstance(value.get(key), str) for key in _TEXTS)
        or any(_are(str, value.get(key)) for key in _TOKENS)
    )


def said_of(export: Export) -> str:
    """What an export is, in words."""
    return _SAID[export]


def _export(rows: Sequence[object]) -> Export | None:
    """The tool that wrote the rows, if one did that has a reader of its own."""
    for row in rows:
        match row:
            case [str(), {"entities": list()}] | {"text": str(), "ents": list()}:
                return Export.SPACY
            case {"data": dict(), "annotations": list()}:
                return Export.LABEL_STUDIO
            case {"text": str(), "label": [{"start": int(), "labels": list()}, *_]}:
                return Export.LABEL_STUDIO
            case {"text": str(), "answer": str()}:
                return Export.PRODIGY
            case {"text": str(), "spans": [{"label": str(), "start": int(), "end": int()}, *_]}:
                return Export.PRODIGY
            case {"text": str(), "entities": [{"label": str()} as entity, *_]} if (
                "start" in entity or "text" in entity
            ):
                return Export.JSONL
    match rows:
        case [{"text": str(), "entities": []}, *_]:
            return Export.JSONL
        case _:
            return None


def _tagged(rows: Sequence[Mapping[str, Any]]) -> Rows | None:
    """Rows of tokens and as many tags."""
    for tokens in _TOKENS:
        for tags in _TAGS:
            both = [
                (row[tokens], row[tags])
                for row in rows
                if _are(str, row.get(tokens)) and _are(str, row.get(tags))
            ]
            if not both or any(len(words) != len(marks) for words, marks in both):
                continue
            marks = [mark for _, of_row in both for mark in of_row]
            words = [word for of_row, _ in both for word in of_row]
            prefixes = Prefixes.RUNS if isinstance(tagged(marks), str) else Prefixes.MARKED
            join = join_of(words)
            kind = "BIO or its kin" if prefixes is Prefixes.MARKED else "bare labels"
            layout = JsonTags(tokens=tokens, join=join, tags={"": tags}, prefixes=prefixes)
            return Rows(layout, f"rows of tokens ({tokens!r}) with tags ({tags!r}): {kind}")
    return None


def _spans(rows: Sequence[Mapping[str, Any]], unit: Unit | None) -> Rows | None:
    """Rows of texts, or of tokens, with entities that have a place."""
    text = next((key for key in _TEXTS if any(isinstance(r.get(key), str) for r in rows)), "")
    tokens = next((key for key in _TOKENS if any(_are(str, r.get(key)) for r in rows)), "")
    if not (text or tokens):
        return None
    for key in _LISTS:
        values = [row[key] for row in rows if row.get(key)]
        layout = _entity([e for value in values if isinstance(value, list) for e in value])
        if layout is not None:
            layout = replace(layout, text=text, entities=f"{key}?.*")
        elif any(map(_is_nested, values)):
            layout = replace(_NESTED, text=text, entities=f"{key}?.*.*.*")
        else:
            continue
        by_token = unit is Unit.TOKENS or (unit is None and not text)
        if by_token and not tokens:
            return None
        if by_token:
            words = [word for row in rows if _are(str, row.get(tokens)) for word in row[tokens]]
            included = _is_inclusive(rows, layout, tokens)
            layout = replace(
                layout, tokens=tokens, unit=Unit.TOKENS, join=join_of(words), inclusive=included
            )
        elif layout.words:
            layout = _fitting(rows, layout, unit)
        else:
            layout = replace(
                layout,
                unit=unit or Unit.CHARACTERS,
                inclusive=_is_inclusive(rows, layout, ""),
            )
        return Rows(layout, _said(layout, key))
    return None


_NESTED = JsonSpans(label="@1", words="@2", start="0", end="1")  # label -> words -> places


def _is_nested(value: object) -> bool:
    """Whether entities stand there as label -> words -> places."""
    match value:
        case dict():
            return all(
                isinstance(words, dict) and all(isinstance(p, list) for p in words.values())
                for words in value.values()
            )
        case _:
            return False


def _entity(entities: Sequence[object]) -> JsonSpans | None:
    """Where an entity says its label, its place and its words."""
    if not entities:
        return None
    match entities[0]:
        case [int(), int(), str(), *_]:
            return JsonSpans(label="2", start="0", end="1")
        case [str(), int(), int(), *_]:
            return JsonSpans(label="0", start="1", end="2")
        case dict(entity):
            label = _first(entity, _LABELS, str)
            words = _first({k: v for k, v in entity.items() if k != label}, _WORDS, str)
            start, end = _first(entity, _STARTS, int), _first(entity, _ENDS, int)
            place = next((key for key in _PLACES if _are(int, entity.get(key))), "")
            if place and len(entity[place]) == 2:
                start, end = f"{place}.0", f"{place}.1"
            for key, value in entity.items():
                if isinstance(value, dict) and not (start and end):
                    inside = _first(value, _STARTS, int), _first(value, _ENDS, int)
                    start, end = (f"{key}.{name}" if name else "" for name in inside)
            if not (label and start and end):
                return None
            return JsonSpans(label=label, start=start, end=end, words=words)
        case _:
            return None


def _fitting(rows: Sequence[Mapping[str, Any]], layout: JsonSpans, unit: Unit | None) -> JsonSpans:
    """The layout with the unit, and the kind of end, under which most words stand at their place.

    Of several that fit as well the first is taken: characters, ends excluded.
    """
    units = (Unit.CHARACTERS, Unit.UTF16, Unit.BYTES) if unit is None else (unit,)
    candidates = [
        replace(layout, unit=unit, inclusive=inclusive)
        for inclusive in (False, True)
        for unit in units
    ]
    return max(candidates, key=lambda candidate: sum(_standing(rows, candidate)))


def _standing(rows: Sequence[Mapping[str, Any]], layout: JsonSpans) -> Iterator[bool]:
    """For each entity, whether its words stand at its place."""
    for row in rows:
        text = row.get(layout.text)
        if not isinstance(text, str):
            continue
        starts = None if layout.unit is Unit.CHARACTERS else unit_offsets(text, layout.unit)
        for entity, keys in _entities(row, layout):
            try:
                start, end = one(entity, layout.start), one(entity, layout.end)
                words = keys[1] if layout.words == "@2" else one(entity, layout.words)
            except MissingError:
                continue
            if isinstance(start, int) and isinstance(end, int):
                end += layout.inclusive
                if starts is not None:
                    start, end = starts.get(start, -1), starts.get(end, -1)
                yield 0 <= start < end and text[start:end] == words


def _is_inclusive(rows: Sequence[Mapping[str, Any]], layout: JsonSpans, tokens: str) -> bool:
    """Whether an end must be the last one inside: somewhere it is the start, and never too far."""
    same = False
    for row in rows:
        size = len(row.get(tokens or layout.text) or "")
        for entity, _ in _entities(row, layout):
            try:
                start, end = one(entity, layout.start), one(entity, layout.end)
            except MissingError:
                continue
            if not (isinstance(start, int) and isinstance(end, int)):
                continue
            if end == size:
                return False
            same = same or start == end
    return same


def _entities(row: Mapping[str, Any], layout: JsonSpans) -> Iterator[tuple[object, Keys]]:
    try:
        yield from each(row, layout.entities)
    except MissingError:
        return


def _first(entity: Mapping[str, Any], keys: Sequence[str], kind: type) -> str:
    return next((key for key in keys if isinstance(entity.get(key), kind)), "")


def _are(kind: type, values: object) -> bool:
    """Whether this is a list of such values, and not an empty one."""
    return isinstance(values, list) and bool(values) and all(isinstance(v, kind) for v in values)


def _said(layout: JsonSpans, key: str) -> str:
    end = "the end included" if layout.inclusive else "the end excluded"
    words = f", its words in {layout.words!r}" if layout.words else ""
    return (
        f"rows with {layout.tokens or layout.text!r} and {key!r}: a label in {layout.label!r}, its"
        f" place in {layout.start!r} and {layout.end!r}{words}; offsets count"
        f" {layout.unit.value}, {end}"
    )
