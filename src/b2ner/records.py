"""The records that every room hands to the next: frozen, typed, standard library only.

Offsets are half-open intervals in Unicode code points of the text exactly as it was given. A
`Mention` has no place yet; an `Entity` has one; a `Prediction` is an entity with a score. What a
reader or a model could not deliver is a value too: `Rejected` and `Fault`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from b2ner import highlight


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Half-open interval [start, end) of a text, in code points: not bytes, not tokens."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got [{self.start}, {self.end})")

    def of(self, text: str) -> str:
        """The characters this span covers. Raises ValueError when the text ends before it."""
        if self.end > len(text):
            raise ValueError(f"{self} ends after a text of {len(text)} characters")
        return text[self.start : self.end]

    def inside(self, other: Span) -> bool:
        """Whether this span is a proper part of the other."""
        return other.start <= self.start and self.end <= other.end and self != other

    def overlaps(self, other: Span) -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Mention:
    """The words of an entity and its label, without a place."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a text, its label and its words."""

    span: Span
    label: str
    text: str

    @property
    def start(self) -> int:
        return self.span.start

    @property
    def end(self) -> int:
        return self.span.end

    def to_json(self) -> dict[str, Any]:
        """The flat form of files and of the wire: start, end, label, text."""
        return {"start": self.start, "end": self.end, "label": self.label, "text": self.text}


@dataclass(frozen=True, slots=True)
class Prediction(Entity):
    """An entity that a model found; `score` is in [0, 1]."""

    score: float

    def to_json(self) -> dict[str, Any]:
        """The flat form of files and of the wire: start, end, label, text, score."""
        # `super()` without arguments does not survive the second class that `slots` makes.
        return {**Entity.to_json(self), "score": self.score}


@dataclass(frozen=True, slots=True)
class Relation:
    """A labelled pair of mentions, head first, as the published relation sets hold it."""

    label: str
    head: Mention
    tail: Mention


@dataclass(frozen=True, slots=True)
class Event:
    """An event type, its trigger words and its arguments (a mention's label is its role)."""

    label: str
    trigger: str
    arguments: tuple[Mention, ...]


class Task(StrEnum):
    """What can be asked of a text; the values are the published names."""

    NER = "NER"  # entities
    RE = "RE"  # relations between two entities
    EET = "EET"  # events: type and trigger words
    EEA = "EEA"  # the arguments of one event, its type and trigger given
    NEW_EET = "newEET"  # events: types alone
    NEW_EEA = "newEEA"  # the arguments of events of one type, no trigger given
    SENTIMENT = "Sentiment"  # one label for the whole text


@dataclass(frozen=True, slots=True)
class Sample:
    """One text annotated for one task. `labels` is the task's label set, used or not.

    What the task is about stands in `entities`, `relations`, `events` or `sentiment`; relations and
    events as their source lists them, `NA` among them.
    """

    text: str
    entities: tuple[Entity, ...]
    labels: tuple[str, ...]
    language: str
    source: str
    relations: tuple[Relation, ...] = ()
    events: tuple[Event, ...] = ()
    sentiment: str = ""
    task: Task = Task.NER


class Reason(StrEnum):
    """Why a reader could not keep a row."""

    MALFORMED = "malformed"
    SPAN_MISMATCH = "span mismatch"
    NOT_IN_TEXT = "not in text"
    UNKNOWN_LABEL = "unknown label"
    UNWRITABLE = "unwritable answer"
    TOO_LONG = "too long"  # for a row of a training run
    NOTHING_ASKED = "nothing to ask"  # an event's arguments are asked for, and there is no event
    DISCONTINUOUS = "mention in several parts"
    REPEATED = "stands in its set already"
    SEEN_ELSEWHERE = "seen in a test set"
    NOT_ACCEPTED = "not accepted by its annotators"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that a reader could not keep: why, where (`file:line`) and what was found there."""

    reason: Reason
    place: str
    detail: str = ""


class FaultKind(StrEnum):
    """What went less than well with one text, without stopping the others."""

    MALFORMED = "malformed"  # a piece of the answer that is no `label: mention`
    UNKNOWN_LABEL = "unknown-label"  # the answer names a label that was not asked for
    NOT_IN_TEXT = "not-in-text"  # the mention does not stand in the text
    REPEATED = "repeated"  # mentioned more often than it stands in the text
    AMBIGUOUS = "ambiguous"  # the answer can be read in more than one way
    EMPTY_ANSWER = "empty-answer"  # neither a mention nor the answer for "none"
    TEXT_TRUNCATED = "text-truncated"  # only the beginning of the text was read
    ANSWER_TRUNCATED = "answer-truncated"  # the answer reached its token limit
    UNCONSTRAINED = "unconstrained"  # the engine could not enforce the answer's form
    UNSCORED = "unscored"  # a threshold was asked for and the engine gives no scores
    LANGUAGE = "language"  # no template in the language asked for
    ENGINE = "engine"  # the engine failed on this text; there is no answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind, a sentence, and where (`answer:12-20`, `text:4000`, `template`)."""

    kind: FaultKind
    message: str
    place: str

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind.value, "message": self.message, "place": self.place}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one text cost: tokens of the prompt and of the answer, steps of the network."""

    prompt_tokens: int = 0
    answer_tokens: int = 0
    model_steps: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What was found in one text. `usage` takes no part in comparison."""

    text: str
    entities: tuple[Prediction, ...] = ()
    faults: tuple[Fault, ...] = ()
    usage: Usage = field(default=Usage(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """The result row: text, entities, faults. Its schema is `b2ner extract --schema`."""
        return {
            "text": self.text,
            "entities": [entity.to_json() for entity in self.entities],
            "faults": [fault.to_json() for fault in self.faults],
        }

    def by_label(self) -> Mapping[str, tuple[Prediction, ...]]:
        """The entities grouped by label, in order of their first appearance."""
        groups: dict[str, list[Prediction]] = {}
        for entity in self.entities:
            groups.setdefault(entity.label, []).append(entity)
        return {label: tuple(found) for label, found in groups.items()}

    def _repr_html_(self) -> str:
        """The text with its entities highlighted: what a notebook shows."""
        marks = [highlight.Mark(e.start, e.end, e.label, e.score) for e in self.entities]
        return highlight.html(self.text, marks, notes=[fault.message for fault in self.faults])
