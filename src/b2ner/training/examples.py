"""From samples to token ids: what a prompt asks and shows, and what its answer is.

Everything that varies is drawn anew every epoch, from seeds made of the run's seed, the epoch and
the sample: an epoch can be had again at any time, on any machine. Texts that were annotated with
one label set are asked together, for one drawn part of it: a `Bundle` is one prompt head and the
texts behind it. Label sets vary for entities only; what the other tasks ask stays as it is, as in
the published loader. Knows no tensors and no rows.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from b2ner import segments
from b2ner.errors import DataError, LabelError, ModelError
from b2ner.model import tokens
from b2ner.prompting import answer, tasks
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.prompting.tasks import TaskQuestion
from b2ner.prompting.template import Example as Shot
from b2ner.prompting.template import Kind, Prompt, Template, check_labels
from b2ner.records import Reason, Rejected, Sample, Task
from b2ner.training.label_sets import (
    OWN_NAMES,
    LabelDraw,
    OtherNames,
    as_annotated,
    draw_labels,
    strangers_to,
)
from b2ner.training.settings import Regularisation
from b2ner.training.shown import Shown, shown_with
from b2ner.training.variants import varied

FALLBACK = "en"


@dataclass(frozen=True, slots=True)
class Example:
    """One text behind a prompt head. The answer's ids end with the token that ends answers."""

    sample: int  # its number among the admitted samples
    body: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A prompt head, the beginning-of-text token included, and the texts behind it."""

    head: tuple[int, ...]
    examples: tuple[Example, ...]
    progress: float  # the share of the epoch that is over with these texts


def admit(samples: Iterable[Sample]) -> tuple[list[Sample], list[Rejected]]:
    """The samples that can be learned from, in order, and those that cannot.

    Left out: no text, a label set that cannot be asked for, an entity outside the set or beside its
    words, a question about an event that is not there, and an answer that would not be read back
    the same.
    """
    kept: list[Sample] = []
    rejected: list[Rejected] = []
    for sample in samples:
        checked = _admitted(sample)
        if isinstance(checked, Sample):
            kept.append(checked)
        else:
            rejected.append(checked)
    return kept, rejected


def _admitted(sample: Sample) -> Sample | Rejected:
    if not sample.text or segments.is_space(sample.text):
        return Rejected(Reason.MALFORMED, sample.source, "there is no text")
    try:
        labels = check_labels(sample.labels)
    except LabelError as problem:
        return Rejected(Reason.MALFORMED, sample.source, str(problem))
    entities = tuple(replace(e, label=e.label.strip()) for e in sample.entities)
    for entity in entities:
        if entity.label not in labels:
            detail = f"{entity.label!r} is not in the sample's label set"
            return Rejected(Reason.UNKNOWN_LABEL, sample.source, detail)
        if sample.text[entity.start : entity.end] != entity.text:
            return Rejected(Reason.SPAN_MISMATCH, sample.source, repr(entity))
    sample = replace(sample, labels=labels, entities=entities)
    try:
        tasks.ask(sample)
        fine = _read_back(sample)
    except ValueError as problem:
        return Rejected(Reason.NOTHING_ASKED, sample.source, str(problem))
    if not fine:
        return Rejected(Reason.UNWRITABLE, sample.source, "its answer would be read as another")
    return sample


def _read_back(sample: Sample) -> bool:
    """Whether the sample's whole answer would be read back the same."""
    if sample.task is not Task.NER:
        return tasks.writable(sample)
    return writable(
        LABEL_FIRST, as_annotated(sample.labels).mentions(sample.entities), sample.labels
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """The samples that are asked one question in one language, with the same things shown."""

    language: str
    question: TaskQuestion
    shown: Shown
    members: tuple[int, ...]
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text to be shown, and the ids of its answer."""

    member: int
    text: str
    ids: tuple[int, ...]


class Examples:
    """The admitted samples of a run, and the prompts and answers that each epoch makes of them.

    `left_out` counts, over all epochs drawn so far, texts by why they were not shown.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        tokenizer: Any,
        template: Template,
        settings: Regularisation,
        *,
        seed: int,
        together: int,
        places: int | None = None,
        own_prompts: Sequence[str] = ("en", "zh"),
        names: OtherNames = OWN_NAMES,
    ) -> None:
        """`places` bounds a prompt that shows other texts, with the longest of its own.

        Raises DataError without samples.
        """
        if not samples:
            raise DataError("there is no sample to train on: each one was left out, or none came")
        self.left_out: Counter[str] = Counter()
        self._samples = samples
        self._encoder = _Encoder(tokenizer)
        self._template = template
        self._settings = settings
        self._seed = seed
        self._together = together
        self._places = places
        self._names = names
        self._groups = _groups(samples, own_prompts, names, settings)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def end(self) -> int:
        """The token that ends every answer."""
        return self._encoder.end

    def epoch(self, number: int) -> Iterator[Bundle]:
        """The bundles of an epoch, counted from 0, in the order in which they are learned."""
        plan = [(group, members) for group in self._groups for members in self._plan(group, number)]
        self._rng("order", number).shuffle(plan)
        seen = 0
        for group, members in plan:
            seen += len(members)
            yield self._bundle(group, members, number, seen / len(self._samples))

    def _plan(self, group: _Group, epoch: int) -> Iterator[list[int]]:
        """The group's samples, shuffled, in parts that are asked for one label set.

        A part's own labels stay within the limit, so that the cut of a large set spares them all.
        """
        members = list(group.members)
        self._rng("group", epoch, members[0]).shuffle(members)
        cut = _varies(group) and len(group.question.labels) > self._settings.label_limit
        part: list[int] = []
        own: set[str] = set()
        for member in members:
            wider = own | {entity.label for entity in self._samples[member].entities}
            over = cut and len(wider) > self._settings.label_limit
            if part and (over or len(part) == self._together):
                yield part
                part, wider = [], {entity.label for entity in self._samples[member].entities}
            part, own = [*part, member], wider
        yield part

    def _bundle(self, group: _Group, members: Sequence[int], epoch: int, progress: float) -> Bundle:
        draw = self._draw(group, members, epoch)
        texts = [text for member in members if (text := self._text(group, draw, member, epoch))]
        descriptions = group.shown.describe(
            draw.described, self._rng("described", epoch, members[0])
        )
        shots = self._shots(group, draw, members, epoch) if texts else []
        while True:
            render = self._renderer(group, draw, descriptions, shots, members[0], epoch)
            head = self._encoder.head(render("").head)
            bodies = [self._encoder.body(render(text.text).body) for text in texts]
            examples = tuple(
                Example(text.member, body, text.ids)
                for text, body in zip(texts, bodies, strict=True)
            )
            size = len(head) + max((len(e.body) + len(e.answer) - 1 for e in examples), default=0)
            if not shots or self._places is None or size <= self._places:
                return Bundle(head, examples, progress)
            shots = shots[:-1]

    def _draw(self, group: _Group, members: Sequence[int], epoch: int) -> LabelDraw:
        """The labels of one prompt."""
        if not _varies(group):
            return as_annotated(group.question.labels)
        own = {entity.label for member in members for entity in self._samples[member].entities}
        rng = self._rng("labels", epoch, members[0])
        return draw_labels(
            group.question.labels,
            own,
            group.strangers,
            self._settings,
            rng,
            names=self._names,
        )

    def _text(self, group: _Group, draw: LabelDraw, member: int, epoch: int) -> _Text | None:
        """A text behind a prompt, or None for one that is not shown, which is counted."""
        sample = self._variant(member, epoch)
        written = self._answer(group, draw, sample)
        if written is None:
            self.left_out["would be misread"] += 1
            return None
        share = self._settings.kept_without_entities
        empty = _varies(group) and written == answer.NONE
        if empty and self._rng("keep", epoch, member).random() >= share:
            self.left_out["without entities"] += 1
            return None
        ids = self._encoder.answer(written)
        if ids is None:
            self.left_out["cannot be spelled"] += 1
            return None
        return _Text(member, segments.shown(sample.text), ids)

    def _variant(self, member: int, epoch: int) -> Sample:
        """The sample as this epoch shows it."""
        sample = self._samples[member]
        if sample.task is not Task.NER:
            return sample
        return varied(sample, self._settings, self._rng("variant", epoch, member))

    def _answer(self, group: _Group, draw: LabelDraw, sample: Sample) -> str | None:
        """The answer to a prompt; None for one that would be misread with its labels."""
        if not _varies(group):
            return segments.shown(tasks.write(sample))
        mentions = draw.mentions(sample.entities)
        form = self._template.form
        return form.write(mentions) if writable(form, mentions, draw.asked) else None

    def _shots(
        self, group: _Group, draw: LabelDraw, members: Sequence[int], epoch: int
    ) -> list[Shot]:
        """Other texts of the group, with their answers to the same question.

        So a text is never its own example, and an answer holds what is asked for and no more:
        unlike the published ones, which are drawn once, from all texts, with all their entities.
        """
        wanted = group.shown.examples
        if not self._template.has(Kind.FEW_SHOT, group.question.task):
            wanted = 0
        seen = {self._samples[member].text for member in members}
        shots: list[Shot] = []
        # Enough to find as many beside the prompt's own texts, which may stand there several times.
        size = min(4 * (wanted + len(members)) if wanted else 0, len(group.members))
        for other in self._rng("shots", epoch, members[0]).sample(group.members, size):
            if len(shots) == wanted:
                break
            sample = self._variant(other, epoch)
            written = self._answer(group, draw, sample)
            if written is not None and self._samples[other].text not in seen:
                seen.add(self._samples[other].text)
                shots.append(Shot(segments.shown(sample.text), written))
        return shots

    def _renderer(
        self,
        group: _Group,
        draw: LabelDraw,
        descriptions: Mapping[str, str],
        shots: Sequence[Shot],
        member: int,
        epoch: int,
    ) -> Callable[[str], Prompt]:
        """What makes the prompt of each text of a bundle, of which one member is known."""
        question = group.question
        kind = Kind.of(descriptions, shots)
        wordings = self._template.wordings(group.language, kind, question.task)
        variation = group.shown.vary(self._rng("wording", epoch, member), wordings=wordings)
        return lambda text: self._template.render(
            draw.asked,
            text,
            language=group.language,
            task=question.task,
            descriptions=descriptions,
            examples=shots,
            event_type=segments.shown(question.event_type),
            event_trigger=segments.shown(question.event_trigger),
            variation=variation,
        )

    def _rng(self, purpose: str, *numbers: int) -> random.Random:
        return random.Random(":".join([purpose, *map(str, (self._seed, *numbers))]))


def _varies(group: _Group) -> bool:
    """Whether the label set of the group's prompts is drawn."""
    return group.question.task is Task.NER


def _groups(
    samples: Sequence[Sample],
    own_prompts: Sequence[str],
    names: OtherNames,
    settings: Regularisation,
) -> list[_Group]:
    """The samples by prompt language, question and what is shown, in order of first appearance."""
    members: dict[tuple[str, TaskQuestion, Shown], list[int]] = {}
    for number, sample in enumerate(samples):
        language = re.split("[-_]", sample.language.strip().lower(), maxsplit=1)[0]
        language = language if language in own_prompts else FALLBACK
        members.setdefault((language, tasks.ask(sample), shown_with(sample)), []).append(number)
    labels: dict[str, dict[str, None]] = {}
    for language, question, _ in members:
        if question.task is Task.NER:
            labels.setdefault(language, {}).update(dict.fromkeys(question.labels))
    used = names if settings.renamed_labels else OWN_NAMES
    return [
        _Group(
            language,
            question,
            shown,
            tuple(numbers),
            strangers_to(question.labels, labels.get(language, ()), used)
            if settings.borrowed_labels
            else (),
        )
        for (language, question, shown), numbers in members.items()
    ]


class _Encoder:
    """Head, body and answer tokenised apart, as the engine does."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._begin = tuple(tokens.bos_ids(tokenizer))
        self.end = tokens.eos_ids(tokenizer)[0]

    def head(self, text: str) -> tuple[int, ...]:
        return (*self._begin, *tokens.encode(self._tokenizer, text))

    def body(self, text: str) -> tuple[int, ...]:
        return tuple(tokens.encode(self._tokenizer, text))

    def answer(self, text: str) -> tuple[int, ...] | None:
        """The answer's ids and the end; None when the tokenizer cannot write it, byte for byte.

        Some tokenizers put a blank of their own before every text: there the answer's own is left
        off. Others change characters (Unicode normalisation), which no answer under the grammar
        could do.
        """
        for written in (text, text.removeprefix(" ")):
            ids = tokens.encode(self._tokenizer, written)
            if self._bytes is None or b"".join(self._bytes[i] for i in ids) == text.encode():
                return (*ids, self.end)
        return None

    @cached_property
    def _bytes(self) -> list[bytes] | None:
        """What each id writes; None for tokenizers that do not say."""
        try:
            return tokens.token_bytes(self._tokenizer)
        except ModelError:
            return None
