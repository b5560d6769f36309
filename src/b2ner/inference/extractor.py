"""From a text and its labels to a `Document`: what every surface of the product calls.

The `Extractor` renders prompts, asks an engine, reads and grounds the answers and scores the
entities. It knows no model and no file; an engine made by `open_engine` or any other object that
keeps the `Engine` protocol will do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Literal

from b2ner import grounding, segments
from b2ner.errors import AdapterMismatch, InputError
from b2ner.inference.engine import Completion, Engine, Finish, Piece, Request
from b2ner.model.card import Card
from b2ner.prompting import answer as answers
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import (
    Example,
    Kind,
    Prompt,
    Template,
    check_labels,
    load_template,
    prompt_language,
)
from b2ner.records import Document, Fault, FaultKind, Prediction, Sample

Overlap = Literal["nested", "flat"]
Labels = Sequence[str] | Mapping[str, str]

MAX_ANSWER_TOKENS = 1024
LANGUAGE_SAMPLE = 2000  # characters that decide the prompt's language


@dataclass(frozen=True, slots=True)
class TokenDocument:
    """A document made of tokens; an entity's tokens are a half-open interval of token numbers."""

    tokens: tuple[str, ...]
    document: Document
    token_spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Options:
    labels: tuple[str, ...]
    descriptions: Mapping[str, str] | None
    examples: tuple[Example, ...]
    threshold: Mapping[str, float]
    overlap: Overlap
    language: str | None
    constrained: bool
    every_occurrence: bool
    max_answer_tokens: int


@dataclass(frozen=True, slots=True)
class _Task:
    """One text on its way through the engine."""

    text: str
    chunks: tuple[str, ...]  # of the part of the text that the model sees
    request: Request | None  # None: nothing to ask
    faults: tuple[Fault, ...]


def load(
    base: str | Path | None = None,
    *,
    adapter: str | Path | None = None,
    template: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
    threads: int | None = None,
    batch_size: int = 32,
) -> Extractor:
    """An extractor on a model: the embedded one without arguments, or any other.

    `base`: a folder or hub id of a transformers causal LM or encoder-decoder. `adapter`: a folder
    or hub id of a PEFT LoRA for it. `template`: the prompt's id; else the adapter's, else the
    published one. `device`, `dtype`: as torch names them; else the CPU or GPU at hand, and bf16
    where it is fast. `threads`: of torch, for the whole process. `batch_size`: texts in work at
    once.

    Raises ModelError and its kin: what is missing, unsafe, or made for something else.
    """
    from b2ner.model.weights import load_model

    model = load_model(
        base, adapter=adapter, device=device, dtype=dtype, trust_remote_code=trust_remote_code
    )
    chosen = _template(template, model.card)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if model.encoder_decoder:
        from b2ner.inference.seq2seq import Seq2SeqEngine

        return Extractor(Seq2SeqEngine(model, rows=batch_size), chosen)
    from b2ner.inference.local import LocalEngine

    return Extractor(LocalEngine(model, rows=batch_size), chosen)


def _template(template: str | None, card: Card | None) -> Template:
    """The template to use. Raises AdapterMismatch when the adapter was made for another."""
    if card is None:
        return load_template(template or "published")
    if template is not None and template != card.template.id:
        raise AdapterMismatch(
            f"this adapter was trained with the template {card.template.id!r}, not {template!r}: "
            "leave the template out"
        )
    chosen = load_template(card.template.id)
    if chosen.sha256 != card.template.sha256:
        raise AdapterMismatch(
            f"the template {chosen.id!r} is not as it was when this adapter was trained "
            f"({chosen.sha256[:12]} here, {card.template.sha256[:12]} there): use a matching version"
        )
    return chosen


class Extractor:
    """Finds entities in texts. Safe to call from several threads: they take turns."""

    def __init__(self, engine: Engine, template: Template | None = None) -> None:
        self.engine = engine
        self.template = load_template("published") if template is None else template

    def extract(
        self,
        text: str,
        labels: Labels,
        *,
        threshold: float | Mapping[str, float] | None = None,
        overlap: Overlap = "nested",
        examples: Sequence[Sample] = (),
        language: str | None = None,
        constrained: bool = True,
        every_occurrence: bool = False,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> Document:
        """The entities of one text, longer first; options as in `extract_batch`."""
        (document,) = self.extract_batch(
            [text],
            labels,
            threshold=threshold,
            overlap=overlap,
            examples=examples,
            language=language,
            constrained=constrained,
            every_occurrence=every_occurrence,
            max_answer_tokens=max_answer_tokens,
        )
        return document

    def extract_batch(
        self,
        texts: Iterable[str],
        labels: Labels,
        *,
        threshold: float | Mapping[str, float] | None = None,
        overlap: Overlap = "nested",
        examples: Sequence[Sample] = (),
        language: str | None = None,
        constrained: bool = True,
        every_occurrence: bool = False,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> Iterator[Document]:
        """One document a text, lazily and in order.

        `labels`: names, or names with a description each (the published description prompt).
        `threshold`: entities that score less are left out; one figure, or one a label.
        `overlap`: "nested" keeps all; "flat" keeps, of entities that share characters, the best
        score. `examples`: annotated samples shown in the prompt (the published few-shot prompt).
        `language`: of the prompt; else Chinese where the text is mostly Han, else English.
        `constrained`: False lets the model write freely; what cannot be read is a fault.
        `every_occurrence`: mark all places where the words of a found entity stand.

        Raises LabelError or InputError at once, before any text is read.
        """
        options = _options(
            labels,
            threshold=threshold,
            overlap=overlap,
            examples=examples,
            language=language,
            constrained=constrained,
            every_occurrence=every_occurrence,
            max_answer_tokens=max_answer_tokens,
        )
        if isinstance(texts, str):
            raise InputError("extract_batch takes a list of texts; for one text call extract")
        return self._documents((self._task(text, options) for text in texts), options)

    def extract_tokens(
        self,
        tokens: Sequence[str],
        labels: Labels,
        *,
        separator: str = " ",
        threshold: float | Mapping[str, float] | None = None,
        overlap: Overlap = "nested",
        examples: Sequence[Sample] = (),
        language: str | None = None,
        constrained: bool = True,
        every_occurrence: bool = False,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> TokenDocument:
        """The entities of a text that is already cut into tokens; none begins inside a token.

        Tokens are joined by `separator`, a blank or nothing (Chinese). Raises InputError for an
        empty token, or one with white space at its edge.
        """
        options = _options(
            labels,
            threshold=threshold,
            overlap=overlap,
            examples=examples,
            language=language,
            constrained=constrained,
            every_occurrence=every_occurrence,
            max_answer_tokens=max_answer_tokens,
        )
        if separator not in ("", " "):
            raise InputError(f"tokens are joined by a blank or by nothing, not by {separator!r}")
        chunks: list[str] = []
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        place = 0
        for number, token in enumerate(tokens):
            if not token or token != token.strip() or segments.is_space(token):
                raise InputError(f"token {number} is {token!r}: empty, or white space at its edge")
            if number and separator:
                chunks.append(separator)
                place += len(separator)
            starts[place] = number
            chunks.append(segments.shown(token))
            place += len(token)
            ends[place] = number + 1
        task = self._task(separator.join(tokens), options, tuple(chunks))
        (document,) = self._documents(iter([task]), options)
        spans = tuple((starts[e.start], ends[e.end]) for e in document.entities)
        return TokenDocument(tuple(tokens), document, spans)

    # -- the steps of one text -----------------------------------------------------------------

    def prompt(
        self,
        text: str,
        labels: Labels,
        *,
        language: str | None = None,
        examples: Sequence[Sample] = (),
    ) -> Prompt:
        """The prompt that the model sees for a text: to look at, and for prediction files."""
        options = _options(
            labels,
            threshold=None,
            overlap="nested",
            examples=examples,
            language=language,
            constrained=True,
            every_occurrence=False,
            max_answer_tokens=MAX_ANSWER_TOKENS,
        )
        shown = segments.shown(text)
        return self._render(shown, language or prompt_language(shown[:LANGUAGE_SAMPLE]), options)[0]

    def _task(self, text: str, options: _Options, chunks: tuple[str, ...] | None = None) -> _Task:
        shown = segments.shown(text)
        if not shown or segments.is_space(shown):
            return _Task(text, (), None, ())
        language = options.language or prompt_language(shown[:LANGUAGE_SAMPLE])
        # Cut first: only what the model will see is segmented and compiled, however long the text.
        prompt, faults = self._render("", language, options)
        fits = self.engine.fit(prompt, shown)
        seen = segments.chunks(shown[:fits]) if chunks is None else chunks
        if fits < len(shown):
            seen = _leading(seen, fits)
            read = sum(map(len, seen))
            message = f"only the first {read} of {len(shown)} characters fit the model's context"
            faults = (*faults, Fault(FaultKind.TEXT_TRUNCATED, message, f"text:{read}"))
        if all(segments.is_space(chunk) for chunk in seen):
            return _Task(text, (), None, faults)
        prompt, _ = self._render("".join(seen), language, options)
        space = AnswerSpace(options.labels, seen) if options.constrained else None
        if space is not None and not self.engine.capabilities.grammar:
            space = None
            message = "this engine cannot hold answers to labels and text; they were read freely"
            faults = (*faults, Fault(FaultKind.UNCONSTRAINED, message, "engine"))
        if not self.engine.capabilities.scores and options.threshold:
            message = "this engine gives no scores, so no threshold was applied"
            faults = (*faults, Fault(FaultKind.UNSCORED, message, "engine"))
        return _Task(text, seen, Request(prompt, space, options.max_answer_tokens), faults)

    def _render(
        self, shown: str, language: str, options: _Options
    ) -> tuple[Prompt, tuple[Fault, ...]]:
        """The prompt for a text as the model sees it, and a fault if it is in another language."""
        kind = Kind.of(options.descriptions, options.examples)
        _, fault = self.template.language_for(language, kind)
        prompt = self.template.render(
            options.labels,
            shown,
            language=language,
            descriptions=options.descriptions,
            examples=options.examples,
        )
        return prompt, (fault,) if fault else ()

    def _documents(self, tasks: Iterator[_Task], options: _Options) -> Iterator[Document]:
        # The engine draws requests ahead of the completions that it hands out; `tee` keeps the
        # tasks that are on their way.
        asked, kept = tee(tasks)
        completions = self.engine.generate(
            task.request for task in asked if task.request is not None
        )
        scored = self.engine.capabilities.scores
        for task in kept:
            if task.request is None:
                yield Document(task.text, faults=task.faults)
            else:
                yield _document(task, next(completions), options, scored=scored)


def _options(
    labels: Labels,
    *,
    threshold: float | Mapping[str, float] | None,
    overlap: Overlap,
    examples: Sequence[Sample],
    language: str | None,
    constrained: bool,
    every_occurrence: bool,
    max_answer_tokens: int,
) -> _Options:
    if isinstance(labels, str):
        raise InputError(f"labels are a list of names, not one string: [{labels!r}]")
    names = check_labels(tuple(labels))
    descriptions = None
    if isinstance(labels, Mapping):
        descriptions = dict(zip(names, labels.values(), strict=True))
    if overlap not in ("nested", "flat"):
        raise InputError(f'overlap is "nested" or "flat", not {overlap!r}')
    if max_answer_tokens < 1:
        raise InputError(f"max_answer_tokens must be at least 1, got {max_answer_tokens}")
    match threshold:
        case None:
            thresholds: dict[str, float] = {}
        case Mapping():
            thresholds = {str(label).strip(): float(value) for label, value in threshold.items()}
        case _:
            thresholds = dict.fromkeys(names, float(threshold))
    for label, value in thresholds.items():
        if label not in names:
            raise InputError(f"there is a threshold for {label!r}, which is not among the labels")
        if not 0 <= value <= 1:
            raise InputError(f"a threshold lies between 0 and 1; that of {label!r} is {value}")
    return _Options(
        names,
        descriptions,
        tuple(map(Example.of, examples)),
        thresholds,
        overlap,
        language,
        constrained,
        every_occurrence,
        max_answer_tokens,
    )


def _leading(chunks: Sequence[str], characters: int) -> tuple[str, ...]:
    """The first chunks that lie whole within so many characters; at least one."""
    size = 0
    for number, chunk in enumerate(chunks):
        size += len(chunk)
        if size > characters:
            return tuple(chunks[: max(number, 1)])
    return tuple(chunks)


def _document(task: _Task, completion: Completion, options: _Options, *, scored: bool) -> Document:
    """Read, ground, score and filter one answer."""
    if completion.finish is Finish.ERROR:
        fault = Fault(FaultKind.ENGINE, completion.error, "engine")
        return Document(task.text, faults=(*task.faults, fault), usage=completion.usage)
    read = answers.read(completion.answer, options.labels, task.chunks)
    faults = [*task.faults, *read.faults]
    items = list(read.items)
    if completion.finish is Finish.LENGTH:
        message = f"the answer was cut at {completion.usage.answer_tokens} tokens"
        if items and items[-1].end == len(completion.answer.rstrip()):
            cut = items.pop()
            message += (
                f"; its unfinished last item was left out: {completion.answer[cut.start :]!r}"
            )
        place = f"answer:{len(completion.answer)}"
        faults.append(Fault(FaultKind.ANSWER_TRUNCATED, message, place))
    scores = _scores(completion.pieces, [item.end for item in items]) if scored else None
    mentions = [item.mention for item in items]
    spans = grounding.ground(task.chunks, mentions)
    for item, span in zip(items, spans, strict=True):
        if span is None:
            words, label = item.mention.text, item.mention.label
            message = f"{words!r} is {label!r} more often than it stands in the text"
            faults.append(Fault(FaultKind.REPEATED, message, f"answer:{item.start}-{item.end}"))
    if options.every_occurrence:
        placed = grounding.every_occurrence(task.chunks, mentions)
    else:
        placed = [(number, span) for number, span in enumerate(spans) if span is not None]
    found = [
        Prediction(
            span, mentions[n].label, span.of(task.text), 1.0 if scores is None else scores[n]
        )
        for n, span in placed
    ]
    if scored:
        found = [e for e in found if e.score >= options.threshold.get(e.label, 0.0)]
    if options.overlap == "flat":
        found = _flat(found)
    entities = tuple(answers.order(found, options.labels))
    return Document(task.text, entities, tuple(faults), completion.usage)


def _scores(pieces: Sequence[Piece], ends: Sequence[int]) -> list[float]:
    """The probability of each item given those before it.

    An item owns the choices made after the item before it ended, up to and with the choice to end
    it: so its score holds that there is another entity, its label, its words and its end.
    """
    scores: list[float] = []
    begin = -1
    for end in ends:
        total = sum(piece.logprob for piece in pieces if begin < piece.end <= end)
        scores.append(math.exp(min(total, 0.0)))
        begin = end
    return scores


def _flat(found: Sequence[Prediction]) -> list[Prediction]:
    """Of entities that share characters, the best score, then the longer, then the earlier."""
    kept: list[Prediction] = []
    for entity in sorted(found, key=lambda e: (-e.score, e.start - e.end, e.start)):
        if not any(entity.span.overlaps(other.span) for other in kept):
            kept.append(entity)
    return kept
