"""Rows of relation sets: pydantic at the door, `Told` inside. Named after their corpora.

Heads and tails are words, as the published layout has them. Where a source gives entities too, they
are kept beside the relations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field

from b2ner.corpus.readers import Join, joined, tagged
from b2ner.corpus.told import Told, ToldRow
from b2ner.records import Event, Mention, Relation, Span, Task


class _Conll04Relation(BaseModel):
    head: int
    tail: int
    type: str


class Conll04(ToldRow):
    """Tokens with BILOU tags; heads and tails are numbers of entities, in text order."""

    tokens: list[str] = Field(min_length=1)
    tags: list[str]
    relations: list[_Conll04Relation]

    def told(self) -> Told:
        if len(self.tokens) != len(self.tags):
            raise ValueError(f"{len(self.tokens)} tokens and {len(self.tags)} tags")
        text, spans = joined(self.tokens, Join.BLANK)
        found = tagged(self.tags)
        if isinstance(found, str):
            raise ValueError(f"{found!r} is no tag")
        placed = [(Span(spans[a].start, spans[b].end), label) for a, b, label in found]
        relations = []
        for relation in self.relations:
            if not (0 <= relation.head < len(placed) and 0 <= relation.tail < len(placed)):
                raise ValueError(f"a {relation.type} between entities that are not there")
            ends = [_mention(text, *placed[end]) for end in (relation.head, relation.tail)]
            relations.append(Relation(relation.type, *ends))
        return Told(text, placed, relations=relations)


class _Triple(BaseModel):
    predicate: str
    subject: str
    subject_type: str = ""
    object: str
    object_type: str = ""


class Duie(ToldRow):
    """A text and triples of words with their types."""

    text: str
    spo_list: list[_Triple]

    def told(self) -> Told:
        relations = [
            Relation(
                t.predicate,
                Mention(t.subject_type, t.subject.strip()),
                Mention(t.object_type, t.object.strip()),
            )
            for t in self.spo_list
        ]
        return Told(self.text, relations=list(dict.fromkeys(relations)), task=Task.RE)


class Webnlg(ToldRow):
    """A text and triples of words."""

    text: str
    triple_list: list[tuple[str, str, str]]

    def told(self) -> Told:
        relations = [
            Relation(label, Mention("", head), Mention("", tail))
            for head, label, tail in self.triple_list
        ]
        return Told(self.text, relations=list(dict.fromkeys(relations)), task=Task.RE)


class _Offset(BaseModel):
    text: str = ""
    offset: tuple[int, int]

    @property
    def empty(self) -> bool:
        """Some say by an empty place that there is no such mention."""
        return self.offset[0] == self.offset[1] and not self.text


class _FnedEntity(_Offset):
    entity_type: str


class _FnedRelation(BaseModel):
    head: _FnedEntity
    tail: _FnedEntity
    relation_type: str


class _FnedArgument(_Offset):
    role: str


class _FnedEvent(BaseModel):
    event_type: str = ""
    trigger: _Offset | None = None
    arguments: list[_FnedArgument] = []


class Fned(ToldRow):
    """Words of a segmented text; entities, relations and one event at most, all by their words."""

    tokens: list[str] = Field(min_length=1)
    entity_mention: list[_FnedEntity]
    relation_mention: list[_FnedRelation]
    event_mention: _FnedEvent

    def told(self) -> Told:
        text, spans = joined(self.tokens, Join.NOTHING)

        def place(at: _Offset) -> Span:
            first, last = at.offset
            if not 0 <= first < last <= len(spans):
                raise ValueError(f"words {first} to {last} of {len(spans)}")
            return Span(spans[first].start, spans[last - 1].end)

        def mention(label: str, at: _Offset) -> Mention:
            return Mention(label, place(at).of(text))

        event = self.event_mention
        events = []
        if event.event_type and event.trigger is not None:
            arguments = tuple(mention(a.role, a) for a in event.arguments if not a.empty)
            events.append(Event(event.event_type, mention("", event.trigger).text, arguments))
        return Told(
            text,
            [(place(e), e.entity_type) for e in self.entity_mention if not e.empty],
            relations=[
                Relation(
                    r.relation_type,
                    mention(r.head.entity_type, r.head),
                    mention(r.tail.entity_type, r.tail),
                )
                for r in self.relation_mention
                if not (r.head.empty or r.tail.empty)
            ],
            events=events,
        )


class Doping(ToldRow):
    """A sentence, host materials, dopants and results, each under an id, and what dopes what."""

    sentence_text: str
    basemats: dict[str, str]
    dopants: dict[str, str]
    results: dict[str, str]
    doping_modifiers: list[str]
    dopants2basemats: dict[str, list[str]]

    def told(self) -> Told:
        groups = {"basemats": self.basemats, "dopants": self.dopants, "results": self.results}
        named = [
            Mention(label, words.strip())
            for label, members in groups.items()
            for words in members.values()
        ]
        named += [Mention("doping_modifiers", words.strip()) for words in self.doping_modifiers]
        relations = [
            Relation(
                "dopants2basemats",
                Mention("dopants", self.dopants[dopant].strip()),
                Mention("basemats", self.basemats[host].strip()),
            )
            for dopant, hosts in self.dopants2basemats.items()
            for host in hosts
            if dopant in self.dopants and host in self.basemats
        ]
        return Told(self.sentence_text, named=named, relations=relations)


_PROMPT_END = "\n\n###\n\n"
_COMPLETION_END = "\n\nEND\n\n"


class Records(ToldRow):
    """A prompt that is the text, and a completion that is a JSON list of records in words.

    The first field that a record fills and that names a thing is the head of a relation to each
    word of its other fields, called after the field.
    """

    prompt: str
    completion: str

    def told(self) -> Told:
        text = self.prompt.removesuffix(_PROMPT_END)
        records = json.loads(self.completion.removesuffix(_COMPLETION_END))
        if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
            raise ValueError("the completion is no list of records")
        named = []
        relations = []
        for record in records:
            fields = {name: _filled(value) for name, value in record.items()}
            named += [Mention(name, words) for name in fields for words in fields[name]]
            heads = [name for name in _HEADS if fields.get(name)]
            if heads:
                head = Mention(heads[0], fields[heads[0]][0])
                relations += [
                    Relation(name, head, Mention(name, words))
                    for name, found in fields.items()
                    if name not in heads[:1]
                    for words in found
                ]
        return Told(text, named=named, relations=list(dict.fromkeys(relations)))


_HEADS = ("formula", "name", "acronym", "name_of_mof", "mof_formula")


def _filled(value: object) -> list[str]:
    """The words of a field, a string or a list; empty strings mean that there are none."""
    words = [str(word).strip() for word in (value if isinstance(value, list) else [value])]
    return [word for word in words if word]


_MARKS = re.compile(r"(<< | >>|\[\[ | \]\])")


class MarkedPair(ToldRow):
    """A text in which a head `<< head >>` and a tail `[[ tail ]]` are marked; one pair a row.

    The two may lie one inside the other.
    """

    text: str
    label: str

    def told(self) -> Told:
        plain = ""
        places: dict[str, int] = {}
        for part in _MARKS.split(self.text):
            mark = part.strip()
            closes = _OPENED_BY.get(mark)
            if not _MARKS.fullmatch(part) or (closes and (closes not in places or mark in places)):
                plain += part  # `>>` is a sign of the text too
            elif mark in places:
                raise ValueError(f"{mark} stands more than once")
            else:
                places[mark] = len(plain)
        if len(places) < 2 * len(_OPENED_BY):
            raise ValueError("no head or no tail is marked")
        head = plain[places["<<"] : places[">>"]]
        tail = plain[places["[["] : places["]]"]]
        if not head or not tail:
            raise ValueError("the marked head or tail is empty")
        relation = Relation(self.label, Mention("", head), Mention("", tail))
        return Told(plain, relations=(relation,), task=Task.RE)


_OPENED_BY = {">>": "<<", "]]": "[["}


def _mention(text: str, span: Span, label: str) -> Mention:
    return Mention(label, span.of(text))


class Iepile(ToldRow):
    """An instruction, JSON with the text as its `input`, and an answer that is JSON too.

    A row to train on answers in `output`, by type, what a part of the schema asks; one to test with
    answers in `label`, a list, all that the text holds.
    """

    instruction: str
    output: str = ""
    label: str = ""

    def told(self) -> Told:
        asked = json.loads(self.instruction)
        text = asked["input"]
        answer = json.loads(self.output or self.label)
        relations: list[Relation] = []
        events: list[Event] = []
        for kind, item in _items(answer):
            match item:
                case {"event_trigger": str(trigger), "event_type": str(label), "arguments": found}:
                    pairs = tuple(Mention(a["role"], a["argument"]) for a in found)
                    events.append(Event(label, trigger, pairs))
                case {"trigger": str(trigger)}:
                    arguments = _filled_roles(item.get("arguments", {}))
                    events.append(Event(kind, trigger, arguments))
                case {"head": str(head), "tail": str(tail)}:
                    label = item.get("relation", kind)
                    ends = (item.get("head_type", ""), item.get("tail_type", ""))
                    relations.append(
                        Relation(label, Mention(ends[0], head), Mention(ends[1], tail))
                    )
                case {"subject": str(head), "object": str(tail)}:
                    relations.append(Relation(kind, Mention("", head), Mention("", tail)))
                case str(trigger):
                    events.append(Event(kind, trigger, ()))
                case _:
                    raise ValueError(f"neither a triple nor an event: {item!r}")
        task = Task.EET if events else Task.RE
        return Told(text, relations=relations, events=events, task=task)


def _items(answer: object) -> Iterator[tuple[str, Any]]:
    """(type, item) of an answer: a list, lists by type, or attributes by entity by type."""
    match answer:
        case list():
            for item in answer:
                yield "", item
        case dict():
            for kind, found in answer.items():
                if isinstance(found, list):
                    for item in found:
                        yield kind, item
                elif isinstance(found, dict):
                    for head, attributes in found.items():
                        for name, value in attributes.items():
                            for tail in value if isinstance(value, list) else [value]:
                                yield name, {"head": head, "head_type": kind, "tail": tail}
        case _:
            raise ValueError(f"the answer is no list and no object: {answer!r}")


def _filled_roles(arguments: Mapping[str, object]) -> tuple[Mention, ...]:
    """The arguments that are there; `NAN` stands for none."""
    return tuple(
        Mention(role, str(words))
        for role, value in arguments.items()
        for words in (value if isinstance(value, list) else [value])
        if words != "NAN"
    )
