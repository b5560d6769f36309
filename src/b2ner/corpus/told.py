"""One row as its source tells it, before it is a sample: what is placed, and what is only named.

Entities with places are kept where they stand; those that come as words alone are looked for in the
text. Words of relations and events have no places in a sample; they must stand in its text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from pydantic import BaseModel

from b2ner import grounding, segments
from b2ner.corpus.readers import Annotation, sample
from b2ner.records import Event, Mention, Reason, Rejected, Relation, Sample, Span, Task


@dataclass(frozen=True, slots=True)
class Told:
    """What a row says; `labels` is its own label set, for rows that were asked for fewer labels."""

    text: str
    placed: Sequence[tuple[Span, str]] = ()
    named: Sequence[Mention] = ()
    relations: Sequence[Relation] = ()
    events: Sequence[Event] = ()
    labels: Sequence[str] | None = None
    task: Task = Task.NER


class ToldRow(BaseModel, ABC):
    """The row of a source, validated; what it says is for each source's own rows to tell."""

    @abstractmethod
    def told(self) -> Told:
        """What the row says. Raises ValueError when it contradicts itself."""


def together(first: Told, other: Told) -> Told:
    """What two rows say of one text."""
    return replace(
        first,
        placed=_union(first.placed, other.placed),
        named=_union(first.named, other.named),
        relations=_union(first.relations, other.relations),
        events=_union(first.events, other.events),
        labels=None if first.labels is None else _union(first.labels, other.labels or ()),
    )


def told_sample(
    told: Told, annotation: Annotation, place: str, *, leave_out: bool = False
) -> Sample | Rejected:
    """The sample of a row. Named entities stand at every place that no longer mention covers.

    A row is rejected when something named does not stand in its text; with `leave_out` that
    entity, relation, event or argument is left out instead.
    """
    if not told.text.strip():
        return Rejected(Reason.MALFORMED, place, "no text")
    placed = list(told.placed)
    mentions = list(dict.fromkeys(told.named))
    relations, events = tuple(told.relations), tuple(told.events)
    if mentions:
        found = grounding.every_occurrence(segments.chunks(told.text), mentions)
        placed += [(span, mentions[index].label) for index, span in found]
        standing = {index for index, _ in found}
        if len(standing) < len(mentions) and not leave_out:
            missing = next(m for n, m in enumerate(mentions) if n not in standing)
            return _astray(missing.text, missing.label, place)
    if leave_out:
        relations, events = _standing(told)
    elif missing_words := next(_words_astray(told), None):
        return _astray(missing_words.text, missing_words.label, place)
    own = annotation if told.labels is None else replace(annotation, labels=tuple(told.labels))
    made = sample(told.text, list(dict.fromkeys(placed)), own, place)
    if isinstance(made, Rejected) or not (relations or events or told.task is not Task.NER):
        return made
    return replace(made, relations=relations, events=events, task=told.task)


def for_task(
    row: Sample, task: Task, labels: Sequence[str], roles: dict[str, tuple[str, ...]]
) -> Iterator[Sample]:
    """The samples of one task that a sample of several makes, as the published layout has them.

    `labels` are the task's: entity labels, relation labels or event types; `roles` those of each
    event type, for the tasks on arguments, which ask about one event (EEA) or about all of one
    type (newEEA) at a time. A row without relations makes no sample for RE.
    """
    bare = replace(row, entities=(), relations=(), events=(), labels=tuple(labels), task=task)
    match task:
        case Task.NER:
            yield replace(bare, entities=row.entities)
        case Task.RE:
            if row.relations:
                yield replace(bare, relations=row.relations)
        case Task.EET | Task.NEW_EET:
            yield replace(bare, events=row.events)
        case Task.EEA:
            for event in row.events:
                if roles.get(event.label):
                    yield replace(bare, events=(event,), labels=roles[event.label])
        case Task.NEW_EEA:
            for label in dict.fromkeys(event.label for event in row.events):
                if roles.get(label):
                    same = tuple(event for event in row.events if event.label == label)
                    yield replace(bare, events=same, labels=roles[label])
        case Task.SENTIMENT:
            yield replace(row, labels=tuple(labels))
        case _:
            assert_never(task)


def roles_of(rows: Iterable[Sample]) -> dict[str, tuple[str, ...]]:
    """The roles that the events of each type have, sorted: the label sets of arguments."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for event in row.events:
            found.setdefault(event.label, set()).update(a.label for a in event.arguments)
    return {label: tuple(sorted(found[label])) for label in sorted(found)}


_Told = TypeVar("_Told")


def _union(first: Sequence[_Told], other: Sequence[_Told]) -> tuple[_Told, ...]:
    return tuple(dict.fromkeys((*first, *other)))


def _words(told: Told) -> Iterator[Mention]:
    """All words of relations and events; a trigger under its event's label."""
    for relation in told.relations:
        yield replace(relation.head, label=relation.label)
        yield replace(relation.tail, label=relation.label)
    for event in told.events:
        if event.trigger:
            yield Mention(event.label, event.trigger)
        yield from event.arguments


def _words_astray(told: Told) -> Iterator[Mention]:
    return (words for words in _words(told) if words.text not in told.text)


def _standing(told: Told) -> tuple[tuple[Relation, ...], tuple[Event, ...]]:
    """Relations and events without what does not stand in the text."""
    text = told.text
    relations = [r for r in told.relations if r.head.text in text and r.tail.text in text]
    events = [
        replace(event, arguments=tuple(a for a in event.arguments if a.text in text))
        for event in told.events
        if event.trigger in text
    ]
    return tuple(relations), tuple(events)


def _astray(words: str, label: str, place: str) -> Rejected:
    return Rejected(Reason.NOT_IN_TEXT, place, f"{words!r} ({label}) does not stand in the text")
