"""What a model answers to the tasks other than NER: relations, events, sentiment.

A sample says what is asked (`tasks.ask`); what else it holds is not looked at. The answers of EET,
EEA and newEEA have the form of NER's: the same grammar holds them to labels and text, and what they
say is placed in the text. Those of RE, newEET and Sentiment are read freely, whatever the engine
can do, and say so in a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, tee
from typing import Protocol

from b2ner import segments
from b2ner.errors import EngineError, LabelError
from b2ner.inference import documents
from b2ner.inference.engine import Completion, Engine, Finish, Request
from b2ner.inference.extractor import fitting
from b2ner.inference.options import MAX_ANSWER_TOKENS, Question
from b2ner.prompting import answer, choices, relations, tasks
from b2ner.prompting.forms import LABEL_FIRST
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import Kind, Prompt, Template, check_labels
from b2ner.records import Event, Fault, FaultKind, Mention, Prediction, Relation, Sample, Span, Task

PLACED = frozenset({Task.EET, Task.EEA, Task.NEW_EEA})  # tasks answered in the form of NER


class Asks(Protocol):
    """What is needed of an extractor."""

    engine: Engine
    template: Template


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What was found in one text.

    `written` is an answer that says this and nothing else. `entities` are the triggers of EET and
    the arguments of EEA and newEEA, `relations` those of RE.
    """

    prompt: Prompt
    written: str
    entities: tuple[Prediction, ...] = ()
    relations: tuple[Relation, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """One sample on its way through the engine."""

    sample: Sample
    prompt: Prompt
    request: Request | None  # None: nothing to ask
    labels: tuple[str, ...]  # as answers spell them
    seen: tuple[str, ...]  # chunks of the part of the text that the model sees
    spelled: tuple[str, ...]  # these chunks, as answers spell them
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class _Found:
    """What is known of one answer while it is read."""

    faults: list[Fault] = field(default_factory=list)
    entities: tuple[Prediction, ...] = ()
    relations: tuple[Relation, ...] = ()
    labels: tuple[str, ...] = ()


def task_answers(
    extractor: Asks, samples: Iterable[Sample], *, constrained: bool = True
) -> Iterator[TaskAnswer]:
    """One answer a sample, lazily and in order. A text without words is not asked about.

    Raises LabelError for a label set that cannot be asked for, InputError where the template does
    not have the task, EngineError when the engine is gone.
    """
    # The engine draws requests ahead of the completions that it hands out; `tee` keeps the samples
    # that are on their way.
    asked, kept = tee(_asked(extractor, sample, constrained=constrained) for sample in samples)
    completions = extractor.engine.generate(one.request for one in asked if one.request is not None)
    scored = extractor.engine.capabilities.scores
    for one in kept:
        if one.request is None:
            yield _answer(one, _Found())
            continue
        completion = next(completions, None)
        if completion is None:
            raise EngineError("the engine gave fewer answers than it was asked for")
        yield _answer(one, _read(one, completion, scored=scored))


def _asked(extractor: Asks, sample: Sample, *, constrained: bool) -> _Asked:
    question = tasks.ask(sample)
    task, template = question.task, extractor.template

    def prompt(text: str) -> Prompt:
        return template.render(
            labels,
            text,
            language=sample.language,
            task=task,
            event_type=segments.shown(question.event_type),
            event_trigger=segments.shown(question.event_trigger),
        )

    try:
        labels = check_labels(question.labels)
        seen, faults = fitting(extractor.engine, prompt(""), segments.shown(sample.text))
    except LabelError as problem:
        raise LabelError(f"{sample.source}: {problem}") from problem
    _, another_language = template.language_for(sample.language, Kind.ZERO_SHOT, task)
    if another_language is not None:
        faults = (another_language, *faults)
    answered = tasks.escaped(labels) if task in (Task.EET, Task.NEW_EET) else labels
    spelled = tasks.escaped(seen) if task is Task.EET else seen
    asked = prompt("".join(seen))
    if all(map(segments.is_space, seen)):
        return _Asked(sample, asked, None, answered, seen, spelled, faults)
    unheld = _why_unheld(extractor.engine, task)
    if constrained and unheld:
        faults = (*faults, Fault(FaultKind.UNCONSTRAINED, unheld, "engine"))
    space = AnswerSpace(answered, spelled) if constrained and not unheld else None
    request = Request(asked, space, MAX_ANSWER_TOKENS)
    return _Asked(sample, asked, request, answered, seen, spelled, faults)


def _why_unheld(engine: Engine, task: Task) -> str:
    """Why answers cannot be held to labels and text; empty where they can."""
    if task not in PLACED:
        return f"answers to {task} are not held to labels and text; they were read freely"
    if not engine.capabilities.grammar:
        return "this engine cannot hold answers to labels and text; they were read freely"
    return ""


def _read(one: _Asked, completion: Completion, *, scored: bool) -> _Found:
    if one.sample.task in PLACED:
        return _read_placed(one, completion, scored=scored)
    if completion.finish is Finish.ERROR:
        return _Found([Fault(FaultKind.ENGINE, completion.error, "engine")])
    said, cut = _finished(completion)
    if cut and not said.strip():
        return _Found(cut)
    if one.sample.task is Task.RE:
        read = relations.read(said, one.labels, one.seen)
        return _Found([*read.faults, *cut], relations=read.relations)
    chosen = choices.read(said, one.labels)
    found = _Found([*chosen.faults, *cut], labels=chosen.labels)
    if one.sample.task is Task.SENTIMENT and len(chosen.labels) > 1:
        message = f"one label was asked for; the first of {len(chosen.labels)} is taken"
        found.faults.append(Fault(FaultKind.MALFORMED, message, f"answer:0-{len(said)}"))
        found.labels = chosen.labels[:1]
    return found


def _read_placed(one: _Asked, completion: Completion, *, scored: bool) -> _Found:
    """Read an answer as NER's, in its own spelling; then places and words are those of the text."""
    asked = documents.Task("".join(one.spelled), one.spelled, one.request)
    question = Question.of(one.labels)
    read = documents.document(asked, completion, question, LABEL_FIRST, scored=scored)
    begins = accumulate(map(len, one.spelled), initial=0)
    places = dict(zip(begins, accumulate(map(len, one.seen), initial=0), strict=True))
    entities = []
    for entity in read.entities:
        span = Span(places[entity.start], places[entity.end])
        label = tasks.unescape(entity.label) if one.sample.task is Task.EET else entity.label
        entities.append(Prediction(span, label, span.of(one.sample.text), entity.score))
    return _Found(list(read.faults), entities=tuple(entities))


def _finished(completion: Completion) -> tuple[str, list[Fault]]:
    """The answer without what was still being written when it was cut, and a fault if it was."""
    said = completion.answer
    if completion.finish is not Finish.LENGTH:
        return said, []
    end = max(said.rfind(mark) for mark in (";", "；", "\n"))
    end = max(end, 0)
    message = (
        f"the answer was cut at {completion.usage.answer_tokens} tokens; what stood behind its "
        "last `;` was left out"
    )
    return said[:end], [Fault(FaultKind.ANSWER_TRUNCATED, message, f"answer:{end}-{len(said)}")]


def _answer(one: _Asked, found: _Found) -> TaskAnswer:
    faults = (*one.faults, *found.faults)
    return TaskAnswer(one.prompt, _written(one, found), found.entities, found.relations, faults)


def _written(one: _Asked, found: _Found) -> str:
    """The answer that says what was found."""
    sample = one.sample
    match sample.task:
        case Task.SENTIMENT:
            return found.labels[0] if found.labels else answer.NONE
        case Task.NEW_EET:
            return choices.write(found.labels)
        case Task.EET:
            events = tuple(Event(e.label, e.text, ()) for e in found.entities)
            return tasks.write(replace(sample, events=events))
        case Task.EEA | Task.NEW_EEA:
            return answer.write([Mention(e.label, e.text) for e in found.entities])
        case _:
            return tasks.write(replace(sample, relations=found.relations))
