"""Rows of event sets: pydantic at the door, `Told` inside. Named after the corpora that have them.

An event is its type, the words of its trigger, and arguments in words with their roles. Where a
source types its arguments, or marks entities, these are entities beside the events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import AliasPath, BaseModel, Field

from b2ner.corpus.readers import Join, joined
from b2ner.corpus.told import Told, ToldRow
from b2ner.records import Event, Mention, Span, Task


class _Nugget(BaseModel):
    start: int = Field(validation_alias="startOffset")
    end: int = Field(validation_alias="endOffset")
    text: str


class _CasieArgument(_Nugget):
    type: str
    role: Annotated[str, Field(validation_alias=AliasPath("role", "type"))]


class _CasieEvent(BaseModel):
    type: str
    subtype: str
    nugget: _Nugget
    argument: list[_CasieArgument] = []


class _Hopper(BaseModel):
    events: list[_CasieEvent]


class _Cyberevent(BaseModel):
    hopper: list[_Hopper] = []


class Casie(ToldRow):
    """An article with events in groups of the same happening.

    The offsets of some articles are off by a character or more, since they counted characters that
    the text no longer has; words are taken where they stand nearest to their offset.
    """

    content: str
    cyberevent: _Cyberevent | None = None

    def told(self) -> Told:
        hoppers = self.cyberevent.hopper if self.cyberevent else []
        placed: list[tuple[Span, str]] = []
        events = []
        for event in (event for hopper in hoppers for event in hopper.events):
            arguments = []
            for argument in event.argument:
                span = self._place(argument)
                placed.append((span, argument.type))
                arguments.append(Mention(argument.role, span.of(self.content)))
            trigger = self._place(event.nugget).of(self.content)
            events.append(Event(f"{event.type}.{event.subtype}", trigger, tuple(arguments)))
        return Told(self.content, placed, events=events)

    def _place(self, words: _Nugget) -> Span:
        """Where the words stand nearest to their offset; quotes and spaces may differ."""
        if 0 <= words.start < words.end and self.content[words.start : words.end] == words.text:
            return Span(words.start, words.end)
        for text, wanted in (
            (self.content, words.text.strip()),
            (self.content.translate(_PLAIN), words.text.translate(_PLAIN).strip()),
        ):
            starts = [at for at in _starts(text, wanted) if abs(at - words.start) <= _NEAR]
            if wanted and starts:
                start = min(starts, key=lambda at: abs(at - words.start))
                return Span(start, start + len(wanted))
        raise ValueError(f"{words.text!r} does not stand near {words.start}")


_NEAR = 40  # characters; a mention further off is another one
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\xa0": " ", "\n": " ", "–": "-"})


def _starts(text: str, words: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)


class _Pieces(BaseModel, extra="allow"):
    """A trigger or argument in pieces, each a list of parts; further arguments may lie inside."""

    text: list[list[str]] = []
    start: list[list[int]] = []


class _PheeEvent(BaseModel, extra="allow"):
    event_type: str
    trigger: _Pieces = Field(validation_alias="Trigger")


class _PheeGroup(BaseModel):
    events: list[_PheeEvent]


class Phee(ToldRow):
    """A sentence with events; an argument inside another is called `Treatment.Drug`.

    An argument in several parts is given as its parts: the published layout knows words, no places.
    What is combined with what is not read: its drugs are those of the treatment around it.
    """

    context: str
    annotations: list[_PheeGroup]

    def told(self) -> Told:
        placed: list[tuple[Span, str]] = []
        events = []
        for event in (event for group in self.annotations for event in group.events):
            trigger = self._placed(event.trigger)
            placed += [(span, "Trigger") for span in trigger]
            arguments = list(self._arguments(event.model_extra or {}, ""))
            placed += [(span, label) for label, span in arguments]
            words = tuple(Mention(label, span.of(self.context)) for label, span in arguments)
            events.append(Event(event.event_type, self._words(trigger), words))
        return Told(self.context, placed, events=events)

    def _arguments(self, fields: dict[str, object], outer: str) -> Iterator[tuple[str, Span]]:
        for name, value in fields.items():
            label = f"{outer}.{name}" if outer else name
            for member in value if isinstance(value, list) else [value]:
                if isinstance(member, dict) and name != "Combination":
                    pieces = _Pieces.model_validate(member)
                    yield from ((label, span) for span in self._placed(pieces))
                    yield from self._arguments(pieces.model_extra or {}, label)

    def _placed(self, pieces: _Pieces) -> list[Span]:
        found = []
        for texts, starts in zip(pieces.text, pieces.start, strict=True):
            for text, start in zip(texts, starts, strict=True):
                span = Span(start, start + len(text))
                if span.end > len(self.context) or span.of(self.context) != text:
                    raise ValueError(f"{text!r} does not stand at {start}")
                found.append(span)
        return found

    def _words(self, trigger: Sequence[Span]) -> str:
        """The stretch of text that covers the trigger: some are in two parts."""
        if not trigger:
            raise ValueError("an event without a trigger")
        start, end = min(s.start for s in trigger), max(s.end for s in trigger)
        return self.context[start:end]


class _FewfcMention(BaseModel):
    word: str
    span: tuple[int, int]
    role: str


class _FewfcEvent(BaseModel):
    type: str
    mentions: list[_FewfcMention]


class Fewfc(ToldRow):
    """A text with events; the roles are entity labels too, triggers are `trigger:TYPE`."""

    content: str
    events: list[_FewfcEvent]

    def told(self) -> Told:
        placed = []
        events = []
        for event in self.events:
            triggers = [m.word for m in event.mentions if m.role == "trigger"]
            for mention in event.mentions:
                span = Span(*mention.span)
                if span.end > len(self.content) or span.of(self.content) != mention.word:
                    raise ValueError(f"{mention.word!r} does not stand at {span.start}")
                label = f"trigger:{event.type}" if mention.role == "trigger" else mention.role
                placed.append((span, label))
            arguments = tuple(
                Mention(m.role, m.word) for m in event.mentions if m.role != "trigger"
            )
            events.append(Event(event.type, triggers[0] if triggers else "", arguments))
        return Told(self.content, placed, events=events)


_NUMBERS = re.compile("evt[0-9]+arg[0-9]+")
_Labelled = tuple[int, int, list[tuple[str, float]]]


class Rams(ToldRow):
    """Sentences in tokens, triggers and spans by token numbers over all of them, ends included."""

    sentences: list[list[str]]
    evt_triggers: list[_Labelled]
    gold_evt_links: list[tuple[tuple[int, int], tuple[int, int], str]]

    def told(self) -> Told:
        text, spans = joined([token for sent in self.sentences for token in sent], Join.BLANK)

        def words(first: int, last: int) -> str:
            if not 0 <= first <= last < len(spans):
                raise ValueError(f"tokens {first} to {last} of {len(spans)}")
            return text[spans[first].start : spans[last].end]

        events = []
        for first, last, types in self.evt_triggers:
            arguments = tuple(
                Mention(_NUMBERS.sub("", role), words(*span))
                for trigger, span, role in self.gold_evt_links
                if trigger == (first, last)
            )
            events.append(Event(types[0][0], words(first, last), arguments))
        return Told(text, events=events, task=Task.EET)


class _WikiEntity(BaseModel):
    id: str
    start: int
    end: int
    entity_type: str


class _WikiTrigger(BaseModel):
    start: int
    end: int


class _WikiArgument(BaseModel):
    entity_id: str
    role: str


class _WikiEvent(BaseModel):
    event_type: str
    trigger: _WikiTrigger
    arguments: list[_WikiArgument]


class Wikievents(ToldRow):
    """A document in tokens that say where in their sentence they stand; places are token numbers.

    A document is told as its sentences joined by line breaks, so that its blanks are the source's.
    """

    sentences: list[tuple[list[tuple[str, int, int]], str]]
    entity_mentions: list[_WikiEntity]
    event_mentions: list[_WikiEvent]

    def told(self) -> Told:
        text = "\n".join(sentence for _, sentence in self.sentences)
        spans = []
        start = 0
        for tokens, sentence in self.sentences:
            base = tokens[0][1] if tokens else 0  # some count over the document, not the sentence
            spans += [Span(start + a - base, start + b - base) for _, a, b in tokens]
            start += len(sentence) + 1

        def place(at: _WikiEntity | _WikiTrigger) -> Span:
            if not 0 <= at.start < at.end <= len(spans):
                raise ValueError(f"tokens {at.start} to {at.end} of {len(spans)}")
            return Span(spans[at.start].start, spans[at.end - 1].end)

        entities = {entity.id: place(entity) for entity in self.entity_mentions}
        events = []
        for event in self.event_mentions:
            arguments = tuple(
                Mention(argument.role, entities[argument.entity_id].of(text))
                for argument in event.arguments
                if argument.entity_id in entities
            )
            events.append(Event(event.event_type, place(event.trigger).of(text), arguments))
        placed = [(entities[e.id], e.entity_type) for e in self.entity_mentions]
        return Told(text, placed, events=events)
