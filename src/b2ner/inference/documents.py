"""What an answer is worth: read, grounded in the text, scored, filtered, and made a `Document`.

Pure: gets the text that was asked about and what the engine gave back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from b2ner import grounding
from b2ner.inference.engine import Completion, Finish, Piece, Request
from b2ner.inference.options import Question
from b2ner.prompting import answer as answers
from b2ner.prompting.answer import Answer
from b2ner.prompting.forms import AnswerForm
from b2ner.records import Document, Fault, FaultKind, Prediction


@dataclass(frozen=True, slots=True)
class Task:
    """One text on its way through the engine."""

    text: str
    chunks: tuple[str, ...] = ()  # of the part of the text that the model sees
    request: Request | None = None  # None: nothing to ask
    faults: tuple[Fault, ...] = ()


def document(
    task: Task, completion: Completion, question: Question, form: AnswerForm, *, scored: bool
) -> Document:
    """The document that an answer in that form makes.

    `scored`: whether the engine gives log-probabilities.
    """
    if completion.finish is Finish.ERROR:
        fault = Fault(FaultKind.ENGINE, completion.error, "engine")
        return Document(task.text, faults=(*task.faults, fault), usage=completion.usage)
    read = _read(task, completion, question.labels, form)
    faults = [*task.faults, *read.faults]
    mentions = read.mentions
    spans = grounding.ground(task.chunks, mentions)
    for item, span in zip(read.items, spans, strict=True):
        if span is None:
            words, label = item.mention.text, item.mention.label
            message = f"{words!r} is {label!r} more often than it stands in the text"
            faults.append(Fault(FaultKind.REPEATED, message, f"answer:{item.start}-{item.end}"))
    if question.every_occurrence:
        placed = grounding.every_occurrence(task.chunks, mentions)
    else:
        placed = [(number, span) for number, span in enumerate(spans) if span is not None]
    ends = [item.end for item in read.items]
    scores = _scores(completion.pieces, ends) if scored else [1.0] * len(ends)
    found = [
        Prediction(span, mentions[number].label, span.of(task.text), scores[number])
        for number, span in placed
    ]
    if scored:
        found = [e for e in found if e.score >= question.thresholds.get(e.label, 0.0)]
    if question.overlap == "flat":
        found = _flat(found, len(task.text))
    entities = tuple(answers.order(found, question.labels))
    return Document(task.text, entities, tuple(faults), completion.usage)


def _read(task: Task, completion: Completion, labels: Sequence[str], form: AnswerForm) -> Answer:
    """What the answer says; of one that was cut short, without what was still being written."""
    answer = completion.answer
    constrained = task.request is not None and task.request.space is not None
    read = form.read(answer, labels, task.chunks)
    if completion.finish is Finish.LENGTH:
        text = "".join(task.chunks)
        settled = not read.items or form.settled(read.items[-1], answer, labels, text)
        end = _sure_end(read, answer, settled=settled, constrained=constrained)
        rest = answer[end:].lstrip("; \n")
        message = f"the answer was cut at {completion.usage.answer_tokens} tokens"
        if rest:
            shortened = rest if len(rest) <= 60 else f"{rest[:57]}..."
            message += f"; its unfinished end was left out: {shortened!r}"
        cut = Fault(FaultKind.ANSWER_TRUNCATED, message, f"answer:{end}-{len(answer)}")
        sure = answer[:end].removesuffix(answers.BORDER)
        read = form.read(sure, labels, task.chunks) if sure.strip() else Answer(())
        read = Answer(read.items, (*read.faults, cut))
    if constrained:
        # The grammar allows such answers, and this one was written in just that way.
        faults = tuple(fault for fault in read.faults if fault.kind is not FaultKind.AMBIGUOUS)
        read = Answer(read.items, faults)
    return read


def _sure_end(read: Answer, answer: str, *, settled: bool, constrained: bool) -> int:
    """Where the last item ends that an answer had surely finished when it was cut short."""
    end = 0
    if read.items:
        last = read.items[-1]
        if not settled:
            return last.start
        end = last.end
    # Under the constraint, the rest is one item; else there may be more in it to speak of.
    return end if constrained else max(end, answer.rfind(";"), answer.rfind("\n"))


def _scores(pieces: Sequence[Piece], ends: Sequence[int]) -> list[float]:
    """The probability of each item given those before it, in the order of the answer.

    An item owns the choices made after the item before it ended, up to and with the choice to end
    it: so its score holds that there is another entity, its label, its words and its end.
    """
    scores: list[float] = []
    number = 0
    for end in ends:
        total = 0.0
        while number < len(pieces) and pieces[number].start < end:
            total += pieces[number].logprob
            number += 1
        if number < len(pieces) and pieces[number].end == end:  # the choice to end it
            total += pieces[number].logprob
            number += 1
        scores.append(math.exp(min(total, 0.0)))
    return scores


def _flat(found: Sequence[Prediction], length: int) -> list[Prediction]:
    """Of entities that share characters, the best score, then the longer, then the earlier."""
    taken = bytearray(length)
    kept: list[Prediction] = []
    for entity in sorted(found, key=lambda e: (-e.score, e.start - e.end, e.start)):
        if taken.find(1, entity.start, entity.end) < 0:
            taken[entity.start : entity.end] = b"\1" * (entity.end - entity.start)
            kept.append(entity)
    return kept
