"""The published layout of a data set: `labels.json` beside split files, each one JSON array.

Rows come as they stand there (for predictions, which must answer every one) or as samples to learn
from. Rows of entities, which alone may have places, are `PublishedRow`s as they stand; those of the
other tasks are samples from the start, since nothing in them has a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from b2ner import grounding, segments
from b2ner.corpus.readers import Annotation, first_line, sample, stands
from b2ner.errors import DataError
from b2ner.files import read_json, read_json_array
from b2ner.prompting.tasks import NOT_ANNOTATED, annotated_events, annotated_relations
from b2ner.records import Event, Mention, Reason, Rejected, Relation, Sample, Span, Task

LABELS = "labels.json"


def task_of_key(key: str) -> tuple[Task, str] | None:
    """The task and the prompts' language of a task key, `NER_zh` or `EET`; None: it is no key.

    The language is the second part, or English where there is none: `NER_en_other` is English.
    """
    task = next((task for task in Task if key.startswith(task)), None)
    parts = key.split("_")
    language = parts[1] if len(parts) > 1 and parts[1] else "en"
    return None if task is None else (task, language)


def published_labels(folder: Path, task: Task = Task.NER) -> tuple[str, ...]:
    """The labels of a published data set, in prompt order; event types for all tasks on events.

    Raises DataError without them.
    """
    if task in (Task.EEA, Task.NEW_EEA):
        return tuple(published_roles(folder))
    path = folder / LABELS
    match read_json(path), task:
        case dict(types), Task.EET | Task.NEW_EET:
            return tuple(map(str, types))
        case _, Task.EET | Task.NEW_EET:
            raise DataError(f"{path}: expected an object whose keys are the event types")
        case [*labels], _ if _are_names(labels):
            return tuple(map(str, labels))
        case _:
            raise DataError(f"{path}: expected an array of label names")


def published_roles(folder: Path) -> dict[str, tuple[str, ...]]:
    """The roles of each event type (EEA, newEEA). Raises DataError without them."""
    path = folder / LABELS
    match read_json(path):
        case dict(types) if all(isinstance(r, list) and _are_names(r) for r in types.values()):
            return {str(name): tuple(map(str, roles)) for name, roles in types.items()}
        case _:
            raise DataError(f"{path}: expected an object from event types to arrays of roles")


def read_data_set(
    folder: Path, split: str, task: Task, *, language: str, source: str
) -> Iterator[Sample | Rejected]:
    """One result a row of `FOLDER/SPLIT.json`: samples whose labels are known and whose words stand
    in the text at chunk borders.

    Raises DataError when a file is not what it should be.
    """
    path = folder / f"{split}.json"
    if task is Task.NER:
        yield from read_published(path, Annotation(published_labels(folder), language, source))
        return
    for row in published_samples(path, task, language=language, source=source):
        yield _checked(row) if isinstance(row, Sample) else row


# -- entities ----------------------------------------------------------------------------------


class PublishedEntity(BaseModel):
    """An entity of a published split file; its place is optional there."""

    name: str
    type: str
    pos: list[int] | None = None

    def span(self, sentence: str) -> Span | None:
        """Its place, when one is given and the name stands there."""
        match self.pos:
            case [int(start), int(end)] if 0 <= start < end:
                span = Span(start, end)
                return span if stands(self.name, span, sentence) else None
            case _:
                return None


class PublishedRow(BaseModel):
    """A row of entities, as it stands in a published split file."""

    sentence: str
    entities: list[PublishedEntity]
    labels: list[str] | None = None

    @property
    def answered(self) -> list[PublishedEntity]:
        """The entities that reach the answer: those of type `NA` or none do not."""
        return [entity for entity in self.entities if entity.type not in NOT_ANNOTATED]


def published_rows(path: Path) -> Iterator[PublishedRow | Rejected]:
    """The rows of a published split file, one JSON array. Raises DataError when it is none."""
    for number, value in enumerate(read_json_array(path)):
        try:
            yield PublishedRow.model_validate(value)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, f"{path}:{number}", first_line(problem))


def read_published(path: Path, annotation: Annotation) -> Iterator[Sample | Rejected]:
    """One result a row of a published split file; entities without a place are looked for."""
    for number, row in enumerate(published_rows(path)):
        if isinstance(row, Rejected):
            yield row
            continue
        place = f"{annotation.source}:{number}"
        entities = row.answered
        spans: Sequence[Span | None] = [entity.span(row.sentence) for entity in entities]
        if None in spans:
            if any(entity.pos and not span for entity, span in zip(entities, spans, strict=True)):
                yield Rejected(Reason.SPAN_MISMATCH, place, "a name does not stand at its place")
                continue
            mentions = [Mention(entity.type, entity.name) for entity in entities]
            spans = grounding.ground(segments.chunks(row.sentence), mentions)
        found = [(span, entity.type) for span, entity in zip(spans, entities, strict=True) if span]
        if len(found) < len(entities):
            yield Rejected(Reason.NOT_IN_TEXT, place, "a name does not stand in the sentence")
            continue
        own = annotation if row.labels is None else _with_labels(annotation, row.labels)
        yield sample(row.sentence, found, own, place)


def _with_labels(annotation: Annotation, labels: Iterable[str]) -> Annotation:
    return Annotation(tuple(labels), annotation.language, annotation.source)


# -- relations, events, sentiment ----------------------------------------------------------------


class _Words(BaseModel):
    name: str


class _Relation(BaseModel):
    head: _Words
    type: str
    tail: _Words


class _Argument(BaseModel):
    name: str
    role: str


class _Event(BaseModel):
    """An event; which of its parts must be there is the task's to say."""

    type: str
    trigger: str | None = None
    arguments: list[_Argument] | None = None

    def lacks(self, task: Task) -> str | None:
        """The part that the task reads and that is missing."""
        if self.trigger is None and task is not Task.NEW_EEA:
            return "trigger"
        if self.arguments is None and task in (Task.EEA, Task.NEW_EEA):
            return "arguments"
        return None


class _RelationRow(BaseModel):
    sentence: str
    relations: list[_Relation]


class _EventRow(BaseModel):
    sentence: str
    events: list[_Event]


class _SentimentRow(BaseModel):
    text: str
    label: str = Field(min_length=1)


def published_samples(
    path: Path, task: Task, *, language: str, source: str
) -> Iterator[Sample | Rejected]:
    """The rows of another task than NER as they stand in a split file; labels come from beside it.

    Rejected is what is malformed, and what asks nothing: arguments of no event, or of a type that
    has no roles. Raises DataError when a file is not what it should be.
    """
    roles = published_roles(path.parent) if task in (Task.EEA, Task.NEW_EEA) else None
    labels = published_labels(path.parent, task)
    for number, value in enumerate(read_json_array(path)):
        place = f"{source}:{number}"
        try:
            row = _sample(value, task, labels, language, place)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, place, first_line(problem))
            continue
        if roles is not None and isinstance(row, Sample):
            row = _of_one_type(row, roles)
        yield row


def _sample(
    value: object, task: Task, labels: tuple[str, ...], language: str, place: str
) -> Sample | Rejected:
    """The row as a sample of all the data set's labels. Raises ValidationError."""
    match task:
        case Task.RE:
            row = _RelationRow.model_validate(value)
            relations = tuple(
                Relation(r.type, Mention("", r.head.name), Mention("", r.tail.name))
                for r in row.relations
            )
            return Sample(row.sentence, (), labels, language, place, relations=relations, task=task)
        case Task.SENTIMENT:
            rated = _SentimentRow.model_validate(value)
            return Sample(rated.text, (), labels, language, place, sentiment=rated.label, task=task)
        case _:
            told = _EventRow.model_validate(value)
            for number, event in enumerate(told.events):
                if part := event.lacks(task):
                    return Rejected(Reason.MALFORMED, place, f"events.{number}: no {part}")
            events = tuple(
                Event(
                    event.type,
                    event.trigger or "",
                    tuple(Mention(a.role, a.name) for a in event.arguments or ()),
                )
                for event in told.events
            )
            return Sample(told.sentence, (), labels, language, place, events=events, task=task)


def _of_one_type(row: Sample, roles: Mapping[str, tuple[str, ...]]) -> Sample | Rejected:
    """The sample with the roles of its event's type, the first event's, as its label set."""
    if not row.events:
        return Rejected(Reason.NOTHING_ASKED, row.source, "there is no event")
    if row.task is Task.EEA and len(row.events) > 1:
        detail = f"{Task.EEA} asks about one event, and here are {len(row.events)}"
        return Rejected(Reason.MALFORMED, row.source, detail)
    kind = row.events[0].label
    if kind not in roles:
        return Rejected(Reason.UNKNOWN_LABEL, row.source, repr(kind))
    if not roles[kind]:
        return Rejected(Reason.NOTHING_ASKED, row.source, f"events of type {kind!r} have no roles")
    return replace(row, labels=roles[kind])


def _checked(row: Sample) -> Sample | Rejected:
    """The sample, if its labels are in its set and its words stand in its text."""
    labels, words = _annotated(row)
    unknown = [label for label in labels if label not in row.labels]
    if unknown:
        return Rejected(Reason.UNKNOWN_LABEL, row.source, repr(unknown[0]))
    text = segments.segmented(segments.chunks(row.text))
    astray = [name for name in words if not text.starts(name)]
    if astray:
        return Rejected(Reason.NOT_IN_TEXT, row.source, repr(astray[0]))
    return row


def _annotated(row: Sample) -> tuple[list[str], list[str]]:
    """The labels and the words that a sample's answer is made of."""
    match row.task:
        case Task.RE:
            relations = annotated_relations(row)
            ends = chain(*((relation.head, relation.tail) for relation in relations))
            return [relation.label for relation in relations], [end.text for end in ends]
        case Task.EET:
            events = annotated_events(row)
            return [event.label for event in events], [event.trigger for event in events]
        case Task.NEW_EET:
            return [event.label for event in annotated_events(row)], []
        case Task.SENTIMENT:
            return [row.sentiment], []
        case _:
            arguments = list(chain(*(event.arguments for event in row.events)))
            return [mention.label for mention in arguments], [m.text for m in arguments]


def _are_names(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)
