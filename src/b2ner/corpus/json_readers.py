"""Readers of JSON rows that a few paths describe: `Sample | Rejected` out, one a row, in order.

Three ways of saying where an entity stands: a place (`JsonSpans`), tags of tokens (`JsonTags`), and
only its words (`JsonValues`), which are looked for in the text. What the rows are called and where
in them things stand is data; a set that needs more than paths has a row of its own
(`json_families`). Which file it is and what its labels mean is said by whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from b2ner import grounding, segments
from b2ner.corpus.json_paths import Keys, each, one
from b2ner.corpus.json_rows import LINES, json_rows, string, strings
from b2ner.corpus.readers import Annotation, Join, is_utf8, joined, sample, tagged
from b2ner.records import Mention, Reason, Rejected, Sample, Span

Placed = list[tuple[Span, str]]


class Unit(StrEnum):
    """What offsets count."""

    CHARACTERS = "characters"  # code points
    TOKENS = "tokens"
    BYTES = "bytes"  # of UTF-8
    UTF16 = "utf-16"  # code units, as JavaScript and Java count


class Levels(StrEnum):
    """What a mention with a list of labels is."""

    EACH = "each"  # an entity a label
    DEEPEST = "deepest"  # one, of the label with most levels: `/person/artist` before `/person`


class Prefixes(StrEnum):
    """What tags are."""

    MARKED = "marked"  # BIO, BIOES, BILOU: `B-city`, or a bare `B` where the label is the list's
    RUNS = "runs"  # bare labels; neighbours of one label are one entity
    EACH = "each"  # bare labels; every tagged token is an entity


class Missing(StrEnum):
    """What becomes of a row when words do not stand in its text."""

    REJECT = "reject"
    LEAVE_OUT = "leave-out"  # the words are left out: they are normalised, or not of the text


@dataclass(frozen=True, slots=True)
class JsonSpans:
    """Rows with a text or tokens, and entities with places; paths are those of `json_paths`.

    Where both `text` and `tokens` are given, the tokens are looked for in the text, in order.
    """

    kind: Literal["json-spans"] = "json-spans"
    rows: str = LINES  # else the rows of one document: `*`, `data.*`, `$` for the document itself
    text: str = "text"
    tokens: str = ""
    token_ids: str = ""  # their numbers, if they are given: they must count the tokens
    join: Join = Join.BLANK
    blank: str = ""  # the token that stands for a blank
    entities: str = "entities.*"
    label: str = "label"  # from the entity, or `@1` for what the first `*` of `entities` stood for
    words: str = ""  # likewise; compared with the text
    start: str = "start"
    end: str = "end"
    numbers: str = ""  # in place of start and end: the list of the mention's tokens
    unit: Unit = Unit.CHARACTERS
    first: int = 0  # the number of the first character or token
    inclusive: bool = False  # whether `end` is the last one inside
    zero_omitted: bool = False  # whether a start that is not there is 0
    levels: Levels = Levels.EACH
    accepted: str = ""  # `path=value`: only rows where this stands are annotated
    own_labels: bool = False  # labels are free words: a row is asked for those that it uses
    joined_on: str = ""  # files come in pairs, texts and annotations, with this key in common
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class JsonTags:
    """Rows with tokens and as many tags."""

    kind: Literal["json-tags"] = "json-tags"
    rows: str = LINES
    tokens: str = "tokens"  # a list, or a string: its characters
    join: Join = Join.BLANK
    # label -> path of its tags; the label "" where tags name their labels
    tags: Mapping[str, str] = field(default_factory=lambda: {"": "tags"})
    prefixes: Prefixes = Prefixes.MARKED
    outside: str = "O"


@dataclass(frozen=True, slots=True)
class JsonValues:
    """Rows with a text and values that stand somewhere in it."""

    kind: Literal["json-values"] = "json-values"
    rows: str = LINES
    text: str = "text"
    # path of the values -> their label, or `@1`: what its first `*` stood for
    values: Mapping[str, str] = field(default_factory=lambda: {"slots.*": "@1"})
    none: tuple[str, ...] = ("",)  # values that say that there is none
    missing: Missing = Missing.REJECT


def read_json_spans(
    lines: Iterable[str], layout: JsonSpans, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a row; offsets become code points."""
    path, _, value = layout.accepted.partition("=")
    for row in json_rows(lines, layout.rows, annotation, encoding=layout.encoding):
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            if path and one(content, path) != value:
                yield Rejected(Reason.NOT_ACCEPTED, place, f"{path} is {one(content, path)!r}")
                continue
            text, tokens = _text(content, layout)
            placed = list(_placed(content, text, tokens, layout))
        except MismatchError as problem:
            yield Rejected(Reason.SPAN_MISMATCH, place, str(problem))
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))
        else:
            if layout.own_labels:
                labels = tuple(dict.fromkeys(label for _, label in placed))
                own = replace(annotation, labels=labels)
            else:
                own = annotation
            yield sample(text, once(placed), own, place)


def read_json_tags(
    lines: Iterable[str], layout: JsonTags, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a row; lists of tags may overlap each other."""
    for row in json_rows(lines, layout.rows, annotation):
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            tokens = strings(content, layout.tokens)
            text, spans = joined(tokens, layout.join)
            if not text or not is_utf8(text):
                raise ValueError("no text, or not UTF-8")
            placed: Placed = []
            for label, path in layout.tags.items():
                tags = strings(content, path)
                if len(tags) != len(tokens):
                    raise ValueError(f"{len(tokens)} tokens and {len(tags)} tags")
                for first, last, found in runs(tags, label, layout.prefixes, layout.outside):
                    placed.append((Span(spans[first].start, spans[last].end), found))
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))
        else:
            yield sample(text, placed, annotation, place)


def read_json_values(
    lines: Iterable[str], layout: JsonValues, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a row."""
    for row in json_rows(lines, layout.rows, annotation):
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            text = string(one(content, layout.text), layout.text)
            mentions = [
                Mention(_key(label, keys) or label, string(found, path).strip())
                for path, label in layout.values.items()
                for found, keys in each(content, path)
                if found not in layout.none
            ]
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))
        else:
            yield grounded(text, mentions, annotation, place, missing=layout.missing)


# -- for all JSON readers ------------------------------------------------------------------------


class MismatchError(ValueError):
    """Words do not stand where their place says, or a place is outside the text."""


def runs(
    tags: Sequence[str], label: str, prefixes: Prefixes, outside: str = "O"
) -> list[tuple[int, int, str]]:
    """(first token, last token, label) of each entity; `label` is that of tags without one.

    Raises ValueError for what is no tag.
    """
    match prefixes:
        case Prefixes.EACH:
            return [(n, n, label or tag) for n, tag in enumerate(tags) if tag != outside]
        case Prefixes.RUNS:
            marked = ["O" if tag == outside else f"I-{label or tag}" for tag in tags]
        case Prefixes.MARKED:
            marked = ["O" if tag == outside else f"{tag}-{label}" if label else tag for tag in tags]
    found = tagged(marked)
    if isinstance(found, str):
        raise ValueError(f"{found!r} is no tag")
    return found


def once(placed: Placed) -> Placed:
    """Each place and label once, in order."""
    return list(dict.fromkeys(placed))


def grounded(
    text: str,
    mentions: Sequence[Mention],
    annotation: Annotation,
    place: str,
    *,
    missing: Missing = Missing.REJECT,
) -> Sample | Rejected:
    """The sample with every place of the mentions' words that no longer mention covers."""
    if not text or not is_utf8(text):
        return Rejected(Reason.MALFORMED, place, "no text, or not UTF-8")
    mentions = list(dict.fromkeys(mentions))
    found = grounding.every_occurrence(segments.chunks(text), mentions) if mentions else []
    if missing is Missing.REJECT:
        placed = {index for index, _ in found}
        for index, mention in enumerate(mentions):
            if index not in placed:
                detail = f"{mention.text!r} ({mention.label}) does not stand in the text"
                return Rejected(Reason.NOT_IN_TEXT, place, detail)
    entities = [(span, mentions[index].label) for index, span in found]
    return sample(text, once(entities), annotation, place)


# -- places --------------------------------------------------------------------------------------


def _text(content: object, layout: JsonSpans) -> tuple[str, list[Span]]:
    """The text of a row, and the places of its tokens, where it has some."""
    spans: list[Span] = []
    if not layout.tokens:
        text = string(one(content, layout.text), layout.text)
    elif layout.text:
        text = string(one(content, layout.text), layout.text)
        spans = aligned(strings(content, layout.tokens), text)
    else:
        tokens = strings(content, layout.tokens)
        if layout.blank:
            tokens = [" " if token == layout.blank else token for token in tokens]
        text, spans = joined(tokens, layout.join)
    if not text:
        raise ValueError("no text")
    if layout.token_ids:
        ids = [number for number, _ in each(content, layout.token_ids)]
        if ids != list(range(layout.first, layout.first + len(spans))):
            raise ValueError(f"{layout.token_ids}: these numbers do not count the tokens")
    return text, spans


def aligned(tokens: Iterable[str], text: str) -> list[Span]:
    """The place of each token, in order, in a text that has white space between some of them.

    Case may differ. Raises ValueError when a token does not stand in what is left of the text.
    """
    spans: list[Span] = []
    end = 0
    lower = text.lower() if len(text.lower()) == len(text) else text
    for token in tokens:
        start = text.find(token, end)
        if start < 0:
            start = lower.find(token.lower(), end)
        if start < 0 or not token:
            raise ValueError(f"token {token!r} does not stand in the text")
        end = start + len(token)
        spans.append(Span(start, end))
    return spans


def _placed(
    content: object, text: str, tokens: Sequence[Span], layout: JsonSpans
) -> Iterator[tuple[Span, str]]:
    starts = _offsets(text, layout.unit)
    for entity, keys in each(content, layout.entities):
        if layout.numbers:
            start, end = _run(one(entity, layout.numbers), layout)
        else:
            start = _number(entity, layout.start, omitted=layout.zero_omitted) - layout.first
            end = _number(entity, layout.end) - layout.first + layout.inclusive
        if layout.unit is Unit.TOKENS:
            if not 0 <= start < end <= len(tokens):
                raise MismatchError(f"tokens {start} to {end} of {len(tokens)}")
            span = Span(tokens[start].start, tokens[end - 1].end)
        else:
            if starts is not None:
                start, end = starts.get(start, -1), starts.get(end, -1)
            if not 0 <= start < end <= len(text):
                raise MismatchError(f"[{start}, {end}) in a text of {len(text)} characters")
            span = Span(start, end)
        if layout.words:
            words = _key(layout.words, keys) or string(one(entity, layout.words), layout.words)
            if span.of(text) != words:
                raise MismatchError(f"{words!r} does not stand at {span.start}")
        for label in _labels(layout, keys, entity):
            yield span, label


def _run(numbers: object, layout: JsonSpans) -> tuple[int, int]:
    """First token and the one behind the last of a list of token numbers without a gap."""
    match numbers:
        case [int(first), *_] if numbers == list(range(first, first + len(numbers))):
            return first - layout.first, first - layout.first + len(numbers)
        case _:
            raise MismatchError(f"{numbers!r} is no run of tokens")


def _number(entity: object, path: str, *, omitted: bool = False) -> int:
    """An offset; some files hold them as text. Raises ValueError."""
    value = one(entity, f"{path}?" if omitted else path)
    if value is None and omitted:
        return 0
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if not isinstance(value, int):
        raise ValueError(f"{path}: expected a number, found {value!r}")
    return value


def _offsets(text: str, unit: Unit) -> dict[int, int] | None:
    """The characters that begin at each byte or code unit; None where units are characters."""
    if unit in (Unit.CHARACTERS, Unit.TOKENS) or text.isascii():
        return None
    return unit_offsets(text, unit)


def unit_offsets(text: str, unit: Unit) -> dict[int, int]:
    """Bytes of UTF-8, or code units of UTF-16, before each character and the end -> characters."""
    at = 0
    starts = {}
    for number, character in enumerate(text):
        starts[at] = number
        at += len(character.encode()) if unit is Unit.BYTES else 1 + (character > "\uffff")
    starts[at] = len(text)
    return starts


def _labels(layout: JsonSpans, keys: Keys, entity: object) -> list[str]:
    if key := _key(layout.label, keys):
        return [key]
    match one(entity, layout.label):
        case list(found):
            labels = [string(label, layout.label) for label in found]
            if layout.levels is Levels.EACH or not labels:
                return labels
            return [max(labels, key=lambda label: label.count("/"))]
        case found:
            return [string(found, layout.label)]


def _key(name: str, keys: Keys) -> str | None:
    """What the `*` stood for that `@1`, `@2` ... names; None for a name that is no such number."""
    return str(keys[int(name[1:]) - 1]) if name.startswith("@") else None
