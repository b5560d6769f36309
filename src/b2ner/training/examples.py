"""From samples to token ids: which labels a prompt asks for, and what its answer is.

Everything that varies is drawn anew every epoch, from seeds made of the run's seed, the epoch and
the sample: an epoch can be had again at any time, on any machine. Texts that were annotated with
one label set are asked together, for one drawn part of it: a `Bundle` is one prompt head and the
texts behind it. Knows no tensors and no rows.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from b2ner import segments
from b2ner.errors import DataError, LabelError, ModelError
from b2ner.model import tokens
from b2ner.prompting import answer
from b2ner.prompting.template import Template, check_labels
from b2ner.records import Entity, Mention, Reason, Rejected, Sample
from b2ner.training.settings import Regularisation

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


@dataclass(frozen=True, slots=True)
class LabelDraw:
    """The labels of one prompt, in its order.

    `names` says what each gold label that is asked for is called there; the rest of `asked` is
    borrowed and stands for nothing in the text.
    """

    asked: tuple[str, ...]
    names: Mapping[str, str]

    def mentions(self, entities: Iterable[Entity]) -> list[Mention]:
        """The answer of a text, in answer order: its mentions of what is asked."""
        kept = [replace(e, label=self.names[e.label]) for e in entities if e.label in self.names]
        ordered = answer.order(dict.fromkeys(kept), self.asked)
        return [Mention(entity.label, segments.shown(entity.text)) for entity in ordered]


def admit(samples: Iterable[Sample]) -> tuple[list[Sample], list[Rejected]]:
    """The samples that can be learned from, in order, and those that cannot.

    Left out: no text, a label set that cannot be asked for, an entity outside the set or beside its
    words, and an answer that would not be read back the same.
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
    whole = LabelDraw(labels, {label: label for label in labels})
    if not answer.writable(whole.mentions(entities), labels):
        return Rejected(Reason.UNWRITABLE, sample.source, "its answer would be read as another")
    return replace(sample, labels=labels, entities=entities)


def draw_labels(
    labels: Sequence[str],
    own: Iterable[str],
    strangers: Sequence[str],
    settings: Regularisation,
    rng: random.Random,
) -> LabelDraw:
    """The label set of one prompt, drawn from the annotated `labels`.

    `own` are the labels that stand in its texts: a set above the limit is cut to them and others
    up to the limit. `strangers` may be borrowed: labels that surely stand for nothing in the texts.
    Source of the first two steps: the published loader; unlike it, a label that left the prompt
    always leaves the answer.
    """
    chosen = list(labels)
    if len(labels) > settings.label_limit:
        present = set(own)
        needed = [label for label in labels if label in present]
        if len(needed) > settings.label_limit:
            needed = rng.sample(needed, settings.label_limit)
        asked = {*needed, *rng.sample(chosen, settings.label_limit - len(needed))}
        chosen = [label for label in labels if label in asked]
    if settings.fewest_labels:
        most = len(chosen)
        asked = set(rng.sample(chosen, rng.randint(min(settings.fewest_labels, most), most)))
        chosen = [label for label in chosen if label in asked]
    if settings.label_dropout:
        kept = [label for label in chosen if rng.random() >= settings.label_dropout]
        chosen = kept or [rng.choice(chosen)]
    borrowed: list[str] = []
    if settings.borrowed_labels and strangers:
        room = min(settings.borrowed_labels, settings.label_limit - len(chosen), len(strangers))
        borrowed = rng.sample(strangers, rng.randint(0, max(room, 0)))
    if settings.shuffle_labels:
        rng.shuffle(chosen)
    prompt = [*chosen]
    for label in borrowed:
        prompt.insert(rng.randint(0, len(prompt)), label)
    recase = rng.choice((str.lower, str.upper, str.title))
    if rng.random() < settings.recased_prompts:
        recased = {label: recase(label) for label in prompt}
        if len(set(recased.values())) == len(prompt):
            return LabelDraw(tuple(recased.values()), {label: recased[label] for label in chosen})
    return LabelDraw(tuple(prompt), {label: label for label in chosen})


def strangers_to(labels: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    """Those of the other labels that share no word with a label of the set and are in none.

    That is all that can be told from names; a label that is borrowed for texts it has mentions in
    teaches the wrong thing, which is why borrowing is off unless it is asked for.
    """
    known = {word for label in labels for word in _words(label)}
    names = [label.casefold() for label in labels]
    return tuple(
        other
        for other in dict.fromkeys(others)
        if known.isdisjoint(_words(other))
        and not any(other.casefold() in name or name in other.casefold() for name in names)
    )


def _words(label: str) -> list[str]:
    return re.findall(r"\w+", label.casefold())


@dataclass(frozen=True, slots=True)
class _Group:
    """The samples that were annotated with one label set, and are asked in one language."""

    language: str
    labels: tuple[str, ...]
    members: tuple[int, ...]
    strangers: tuple[str, ...]


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
        own_prompts: Sequence[str] = ("en", "zh"),
    ) -> None:
        """Raises DataError without samples."""
        if not samples:
            raise DataError("there is no sample to train on: each one was left out, or none came")
        self.left_out: Counter[str] = Counter()
        self._samples = samples
        self._encoder = _Encoder(tokenizer)
        self._template = template
        self._settings = settings
        self._seed = seed
        self._together = together
        self._groups = _groups(samples, own_prompts, borrowing=settings.borrowed_labels > 0)

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
        cut = len(group.labels) > self._settings.label_limit
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
        own = {entity.label for member in members for entity in self._samples[member].entities}
        rng = self._rng("labels", epoch, members[0])
        draw = draw_labels(group.labels, own, group.strangers, self._settings, rng)
        examples = [self._example(group, draw, member, epoch) for member in members]
        head = self._template.render(draw.asked, "", language=group.language).head
        kept = tuple(example for example in examples if example is not None)
        return Bundle(self._encoder.head(head), kept, progress)

    def _example(self, group: _Group, draw: LabelDraw, member: int, epoch: int) -> Example | None:
        sample = self._samples[member]
        mentions = draw.mentions(sample.entities)
        share = self._settings.kept_without_entities
        if not mentions and self._rng("keep", epoch, member).random() >= share:
            self.left_out["without entities"] += 1
            return None
        if not answer.writable(mentions, draw.asked):
            self.left_out["would be misread"] += 1
            return None
        text = segments.shown(sample.text)
        body = self._template.render(draw.asked, text, language=group.language).body
        written = self._encoder.answer(answer.write(mentions))
        if written is None:
            self.left_out["cannot be spelled"] += 1
            return None
        return Example(member, self._encoder.body(body), written)

    def _rng(self, purpose: str, *numbers: int) -> random.Random:
        return random.Random(":".join([purpose, *map(str, (self._seed, *numbers))]))


def _groups(
    samples: Sequence[Sample], own_prompts: Sequence[str], *, borrowing: bool
) -> list[_Group]:
    """The samples by prompt language and label set, in order of first appearance."""
    members: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for number, sample in enumerate(samples):
        language = re.split("[-_]", sample.language.strip().lower(), maxsplit=1)[0]
        language = language if language in own_prompts else FALLBACK
        members.setdefault((language, sample.labels), []).append(number)
    names: dict[str, dict[str, None]] = {}
    for language, labels in members:
        names.setdefault(language, {}).update(dict.fromkeys(labels))
    return [
        _Group(
            language,
            labels,
            tuple(numbers),
            strangers_to(labels, names[language]) if borrowing else (),
        )
        for (language, labels), numbers in members.items()
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
