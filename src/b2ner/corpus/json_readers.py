"""Readers of JSON formats: one value a row, `Sample | Rejected` out, in order.

Three ways of saying where an entity stands: character offsets, token numbers or tags, and only its
words. The last are looked for in the text (`grounding`). A format is a pydantic model of its row;
which file it is and what its labels mean is said by whoever calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Protocol, TypeVar, assert_never

from pydantic import AliasPath, BaseModel, Field, ValidationError

from b2ner import grounding, segments
from b2ner.corpus.readers import (
    Annotation,
    Join,
    checked_sample,
    first_line,
    is_utf8,
    joined,
    numbered,
    sample,
    tagged,
    tagged_sample,
)
from b2ner.errors import DataError
from b2ner.records import Mention, Reason, Rejected, Sample, Span


class JsonFormat(StrEnum):
    """Which rows a file holds, named after the first corpus that has them."""

    AGRINER = "agriner"  # lines: text, [[start, end, label, words]]
    STOCKMARK = "stockmark"  # an array: text, [{name, span, type}]
    RASA = "rasa"  # an object with common_examples: text, [{start, end, value, entity}]
    RESTAURANT8K = "restaurant8k"  # an array: userInput, labels with a valueSpan
    SLURP = "slurp"  # lines: tokens with ids, entities as lists of ids
    SKILLSPAN = "skillspan"  # lines: tokens, two lists of tags without a type
    FEWNERD = "fewnerd"  # lines: episodes, their sentences tagged for the types of the episode
    OA_MINE = "oa_mine"  # lines: a product's title, values of its category's attributes
    CROSSWOZ = "crosswoz"  # an object of dialogues: what is said, and slots with their values


Placed = tuple[Span, str, str]  # place, label, words
Row = TypeVar("Row", bound=BaseModel)


class _Spans(Protocol):
    """A row whose entities have places."""

    @property
    def text(self) -> str: ...

    def placed(self) -> list[Placed]:
        """Raises ValueError when a place is none."""


class _Agriner(BaseModel):
    text: str
    entities: list[tuple[int, int, str, str]]

    def placed(self) -> list[Placed]:
        return [(Span(start, end), label, words) for start, end, label, words in self.entities]


class _StockmarkEntity(BaseModel):
    name: str
    span: tuple[int, int]
    type: str


class _Stockmark(BaseModel):
    text: str
    entities: list[_StockmarkEntity]

    def placed(self) -> list[Placed]:
        return [(Span(*entity.span), entity.type, entity.name) for entity in self.entities]


class _RasaEntity(BaseModel):
    start: int
    end: int
    value: str
    entity: str


class _Rasa(BaseModel):
    text: str
    entities: list[_RasaEntity] = []

    def placed(self) -> list[Placed]:
        return [(Span(e.start, e.end), e.entity, e.value) for e in self.entities]


class _Restaurant8kLabel(BaseModel):
    slot: str
    start: Annotated[int, Field(validation_alias=AliasPath("valueSpan", "startIndex"))] = 0
    end: Annotated[int, Field(validation_alias=AliasPath("valueSpan", "endIndex"))]


class _Restaurant8k(BaseModel):
    text: Annotated[str, Field(validation_alias=AliasPath("userInput", "text"))]
    labels: list[_Restaurant8kLabel] = []

    def placed(self) -> list[Placed]:
        spans = [(Span(label.start, label.end), label.slot) for label in self.labels]
        return [(span, slot, span.of(self.text)) for span, slot in spans]


class _SlurpToken(BaseModel):
    surface: str
    id: int


class _SlurpEntity(BaseModel):
    span: list[int] = Field(min_length=1)
    type: str


class _Slurp(BaseModel):
    text: str = Field(validation_alias="sentence")
    tokens: list[_SlurpToken]
    entities: list[_SlurpEntity]

    def placed(self) -> list[Placed]:
        spans: list[Span] = []
        for number, token in enumerate(self.tokens):
            start = self.text.find(token.surface, spans[-1].end if spans else 0)
            if start < 0 or token.id != number:
                raise ValueError(f"token {token.surface!r} does not stand in the sentence")
            spans.append(Span(start, start + len(token.surface)))
        found = []
        for entity in self.entities:
            first, last = entity.span[0], entity.span[-1]
            if entity.span != list(range(first, last + 1)) or last >= len(spans):
                raise ValueError(f"{entity.span} is no run of tokens")
            span = Span(spans[first].start, spans[last].end)
            found.append((span, entity.type, span.of(self.text)))
        return found


class _Skillspan(BaseModel):
    tokens: list[str]
    tags_skill: list[str]
    tags_knowledge: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.tokens)

    def placed(self) -> list[Placed]:
        text, spans = joined(self.tokens, Join.BLANK)
        found = []
        for label, tags in (("SKILL", self.tags_skill), ("KNOWLEDGE", self.tags_knowledge)):
            if len(tags) != len(spans):
                raise ValueError(f"{len(spans)} tokens and {len(tags)} tags")
            runs = tagged([tag if tag == "O" else f"{tag}-{label}" for tag in tags])
            if isinstance(runs, str):
                raise ValueError(f"{runs!r} is no tag")
            for first, last, _ in runs:
                span = Span(spans[first].start, spans[last].end)
                found.append((span, label, span.of(text)))
        return found


class _Sentences(BaseModel):
    word: list[list[str]]
    label: list[list[str]]


class _Episode(BaseModel):
    types: list[str]
    support: _Sentences
    query: _Sentences


class _OaMine(BaseModel):
    text: str = Field(validation_alias="input")
    category: str
    target_scores: dict[str, dict[str, int]]


class _Message(BaseModel):
    content: str
    dialog_act: list[tuple[str, str, str, str]]  # intent, domain, slot, value


class _Dialogue(BaseModel):
    messages: list[_Message]


def read_json_format(
    lines: Iterable[str], kind: JsonFormat, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a row (of a dialogue a message, of episodes a sentence, when first met)."""
    match kind:
        case JsonFormat.AGRINER:
            return _read_spans(_rows(lines, _Agriner, annotation), annotation)
        case JsonFormat.SLURP:
            return _read_spans(_rows(lines, _Slurp, annotation), annotation)
        case JsonFormat.SKILLSPAN:
            return _read_spans(_rows(lines, _Skillspan, annotation), annotation)
        case JsonFormat.STOCKMARK:
            array = _document(lines, annotation)
            return _read_spans(_checked(array, _Stockmark, annotation), annotation)
        case JsonFormat.RESTAURANT8K:
            array = _document(lines, annotation)
            return _read_spans(_checked(array, _Restaurant8k, annotation), annotation)
        case JsonFormat.RASA:
            array = _document(lines, annotation, "rasa_nlu_data", "common_examples")
            return _read_spans(_checked(array, _Rasa, annotation), annotation)
        case JsonFormat.FEWNERD:
            return _read_episodes(_rows(lines, _Episode, annotation), annotation)
        case JsonFormat.OA_MINE:
            return _read_titles(_rows(lines, _OaMine, annotation), annotation)
        case JsonFormat.CROSSWOZ:
            dialogues = _document(lines, annotation)
            return _read_dialogues(_checked(dialogues, _Dialogue, annotation), annotation)
        case _:
            assert_never(kind)


def _rows(
    lines: Iterable[str], model: type[Row], annotation: Annotation
) -> Iterator[tuple[str, Row] | Rejected]:
    """(place, row) of each line."""
    for number, line in numbered(lines):
        place = f"{annotation.source}:{number}"
        if not is_utf8(line):
            yield Rejected(Reason.MALFORMED, place, "not UTF-8")
            continue
        try:
            yield place, model.model_validate_json(line)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, place, first_line(problem))


def _document(lines: Iterable[str], annotation: Annotation, *keys: str) -> Iterable[object]:
    """The elements of the array, or the values of the object, at `keys` of one JSON document.

    Raises DataError when the file is none. Such files are held whole.
    """
    try:
        value = json.loads("".join(lines).removeprefix("\ufeff"))
        for key in keys:
            value = value[key]
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{annotation.source}: not the JSON expected: {problem!r}") from problem
    match value:
        case list():
            return value
        case dict():
            return value.values()
        case _:
            raise DataError(f"{annotation.source}: holds no array or object of rows")


def _checked(
    values: Iterable[object], model: type[Row], annotation: Annotation
) -> Iterator[tuple[str, Row] | Rejected]:
    """(place, row) of each value; places are counted from 1."""
    for number, value in enumerate(values, start=1):
        place = f"{annotation.source}:{number}"
        try:
            yield place, model.model_validate(value)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, place, first_line(problem))


def _read_spans(
    rows: Iterable[tuple[str, _Spans] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        try:
            placed = value.placed()
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, first_line(problem))
            continue
        if not value.text or not is_utf8(value.text):
            yield Rejected(Reason.MALFORMED, place, "no text, or not UTF-8")
        else:
            yield checked_sample(value.text, placed, annotation, place)


def _read_episodes(
    rows: Iterable[tuple[str, _Episode] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """Each sentence once, with the tags of all its episodes; its labels are those they ask for.

    A token has one type in all of them: a sentence where that fails is rejected. The tags have no
    prefixes, so two neighbours of one type become one entity.
    """
    places: dict[tuple[str, ...], str] = {}
    types: dict[tuple[str, ...], set[str]] = {}
    tags: dict[tuple[str, ...], list[set[str]]] = {}
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, episode = row
        sentences = [*zip(episode.support.word, episode.support.label, strict=False)]
        sentences += zip(episode.query.word, episode.query.label, strict=False)
        for words, labels in sentences:
            key = tuple(words)
            if len(words) != len(labels) or not words:
                detail = f"{len(words)} words and {len(labels)} tags"
                yield Rejected(Reason.MALFORMED, place, detail)
                continue
            places.setdefault(key, place)
            types.setdefault(key, set()).update(episode.types)
            for seen, label in zip(
                tags.setdefault(key, [set() for _ in words]), labels, strict=True
            ):
                seen.update({label} - {"O"})
    for sentence, place in places.items():
        if any(len(seen) > 1 for seen in tags[sentence]):
            yield Rejected(
                Reason.MALFORMED, place, f"{' '.join(sentence)!r}: two types for one word"
            )
            continue
        joint = [f"I-{min(seen)}" if seen else "O" for seen in tags[sentence]]
        found = tagged_sample(sentence, joint, Join.BLANK, annotation, place)
        yield _with_labels(found, types[sentence])


def _read_titles(
    rows: Iterable[tuple[str, _OaMine] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """The attributes that stand at any title of a category are the labels of all its titles."""
    read = list(rows)
    attributes: dict[str, set[str]] = {}
    for row in read:
        if not isinstance(row, Rejected):
            attributes.setdefault(row[1].category, set()).update(row[1].target_scores)
    for row in read:
        if isinstance(row, Rejected):
            yield row
            continue
        place, title = row
        mentions = [
            Mention(attribute, value.strip())
            for attribute, values in title.target_scores.items()
            for value in values
            if value != "n/a"
        ]
        found = _grounded(title.text, mentions, annotation, place)
        yield _with_labels(found, attributes[title.category])


def _read_dialogues(
    rows: Iterable[tuple[str, _Dialogue] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """What is told in a message stands in it; what is asked for, yes, no and none do not."""
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, dialogue = row
        for number, message in enumerate(dialogue.messages, start=1):
            mentions = [
                Mention(f"{domain}-{slot}", value)
                for intent, domain, slot, value in message.dialog_act
                if intent in ("Inform", "Recommend") and value not in ("", "是", "否", "无")
            ]
            yield _grounded(message.content, mentions, annotation, f"{place}.{number}")


def _grounded(
    text: str, mentions: Sequence[Mention], annotation: Annotation, place: str
) -> Sample | Rejected:
    """The sample with every place of the mentions' words that no longer mention covers."""
    if not text or not is_utf8(text):
        return Rejected(Reason.MALFORMED, place, "no text, or not UTF-8")
    found = grounding.every_occurrence(segments.chunks(text), mentions)
    placed = {mentions[index] for index, _ in found}
    missing = [mention for mention in mentions if mention not in placed]
    if missing:
        detail = f"{missing[0].text!r} ({missing[0].label}) does not stand in the text"
        return Rejected(Reason.NOT_IN_TEXT, place, detail)
    entities = dict.fromkeys((span, mentions[index].label) for index, span in found)
    return sample(text, list(entities), annotation, place)


def _with_labels(read: Sample | Rejected, labels: set[str]) -> Sample | Rejected:
    """The sample with a label set of its own, in the order of its data set's."""
    if isinstance(read, Rejected):
        return read
    return replace(read, labels=tuple(label for label in read.labels if label in labels))
