"""From a text and its labels to a `Document`: what every surface of the product calls.

The `Extractor` renders prompts and asks an engine; `documents` makes of the answers what they are
worth. It knows no model and no file; an engine made by `load` or any other object that keeps the
`Engine` protocol will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Unpack

from b2ner import segments
from b2ner.errors import AdapterMismatch, EngineError, InputError
from b2ner.inference.documents import Task, document
from b2ner.inference.engine import Engine, Request
from b2ner.inference.options import Labels, Options, Question
from b2ner.model.card import Card
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import Kind, Prompt, Template, load_template, prompt_language
from b2ner.records import Document, Fault, FaultKind, Sample

LANGUAGE_SAMPLE = 2000  # characters that decide the prompt's language
LOOK_AHEAD = 64  # characters behind what fits that tell whether its last word ends there


@dataclass(frozen=True, slots=True)
class TokenDocument:
    """A document made of tokens; an entity's tokens are a half-open interval of token numbers."""

    tokens: tuple[str, ...]
    document: Document
    token_spans: tuple[tuple[int, int], ...]


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
    for name, number in (("threads", threads), ("batch_size", batch_size)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, got {number}")
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
    try:
        chosen = load_template(card.template.id)
    except InputError as fault:
        raise AdapterMismatch(
            f"this adapter was trained with a template that this version of b2ner lacks: {fault}"
        ) from fault
    if chosen.sha256 != card.template.sha256:
        raise AdapterMismatch(
            f"the template {chosen.id!r} is not as it was when this adapter was trained "
            f"({chosen.sha256[:12]} here, {card.template.sha256[:12]} there): use a matching "
            "version of b2ner"
        )
    return chosen


class Extractor:
    """Finds entities in texts. Safe to call from several threads: they take turns.

    `labels` are names, or names with a description each (the published description prompt; a line
    break in a description counts as a blank). `options`, with their defaults, are described in
    `Options`: threshold, overlap, examples, language, constrained, every_occurrence,
    max_answer_tokens.
    """

    def __init__(self, engine: Engine, template: Template | None = None) -> None:
        self.engine = engine
        self.template = load_template("published") if template is None else template

    def extract(self, text: str, labels: Labels, **options: Unpack[Options]) -> Document:
        """The entities of one text, by place, the longer first.

        Raises InputError for a text that is no string, else as `extract_batch`.
        """
        (found,) = self.extract_batch([_checked(text)], labels, **options)
        return found

    def extract_batch(
        self, texts: Iterable[str], labels: Labels, **options: Unpack[Options]
    ) -> Iterator[Document]:
        """One document a text, lazily and in order.

        What goes wrong with one text is a fault of its document; where a text is no string (None in
        a table's column), that document is empty and its fault names the row.

        Raises LabelError or InputError at once, before any text is read; EngineError, while
        documents are drawn, when the engine is gone.
        """
        question = self._question(labels, **options)
        if isinstance(texts, str):
            raise InputError("extract_batch takes a list of texts; for one text call extract")
        self._check_room(question)
        tasks = (self._task(number, text, question) for number, text in enumerate(texts))
        return self._documents(tasks, question)

    def extract_tokens(
        self,
        tokens: Sequence[str],
        labels: Labels,
        *,
        separator: str = " ",
        **options: Unpack[Options],
    ) -> TokenDocument:
        """The entities of a text that is already cut into tokens; none begins inside a token.

        Tokens are joined by `separator`, a blank or nothing (Chinese). White space at a token's
        edge is no part of an entity, and an empty token never is one.

        Raises InputError for a token that is no string, else as `extract_batch`.
        """
        question = self._question(labels, **options)
        if isinstance(tokens, str):
            raise InputError("extract_tokens takes a list of tokens; for a text call extract")
        if separator not in ("", " "):
            raise InputError(f"tokens are joined by a blank or by nothing, not by {separator!r}")
        self._check_room(question)
        chunks: list[str] = []
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        place = 0
        for number, token in enumerate(tokens):
            if not isinstance(token, str):
                raise InputError(f"token {number} is not a string: {token!r}")
            for part in (separator if number else "", *_parts(segments.shown(token))):
                if part:
                    chunks.append(part)
                    starts[place] = number
                    place += len(part)
                    ends[place] = number + 1
        task = self._task(0, separator.join(tokens), question, tuple(chunks))
        (found,) = self._documents(iter([task]), question)
        spans = tuple((starts[e.start], ends[e.end]) for e in found.entities)
        return TokenDocument(tuple(tokens), found, spans)

    def prompt(
        self,
        text: str,
        labels: Labels,
        *,
        language: str | None = None,
        examples: Sequence[Sample] = (),
    ) -> Prompt:
        """The prompt that the model sees for a text: to look at, and for prediction files.

        Raises LabelError or InputError as `extract` does.
        """
        question = self._question(labels, language=language, examples=examples)
        shown = segments.shown(_checked(text))
        prompt_in = _language(shown, question)
        seen, _ = self._fitting(shown, prompt_in, question)
        return self._render("".join(seen), prompt_in, question)[0]

    # -- the steps of one text -----------------------------------------------------------------

    def _question(self, labels: Labels, **options: Unpack[Options]) -> Question:
        """Raises LabelError or InputError for what cannot be asked of this model."""
        question = Question.of(labels, **options)
        self.template.form.check(question.labels)
        return question

    def _check_room(self, question: Question) -> None:
        """Raises LabelError when the question leaves no room for a text, in a language to come."""
        for language in [question.language] if question.language else ["zh", "en"]:
            self.engine.fit(self._render("", language, question)[0], "")

    def _task(
        self, number: int, text: object, question: Question, chunks: tuple[str, ...] | None = None
    ) -> Task:
        """What to ask about the text of that number; its chunks, where they are not ours to say."""
        if not isinstance(text, str):
            message = f"text {number} is not a string but {type(text).__name__}: it was not read"
            fault = Fault(FaultKind.MALFORMED, message, f"batch:{number}")
            return Task("", faults=(fault,))
        shown = segments.shown(text)
        if not shown or segments.is_space(shown):
            return Task(text)
        language = _language(shown, question)
        seen, faults = self._fitting(shown, language, question, chunks)
        if all(map(segments.is_space, seen)):
            return Task(text, faults=faults)
        prompt, another_language = self._render("".join(seen), language, question)
        if another_language is not None:
            faults = (another_language, *faults)
        form = self.template.form
        space = AnswerSpace(question.labels, seen, form) if question.constrained else None
        if space is not None and not self.engine.capabilities.grammar:
            space = None
            message = "this engine cannot hold answers to labels and text; they were read freely"
            faults = (*faults, Fault(FaultKind.UNCONSTRAINED, message, "engine"))
        if not self.engine.capabilities.scores and any(question.thresholds.values()):
            message = "this engine gives no scores, so no threshold was applied"
            faults = (*faults, Fault(FaultKind.UNSCORED, message, "engine"))
        return Task(text, seen, Request(prompt, space, question.max_answer_tokens), faults)

    def _fitting(
        self,
        shown: str,
        language: str,
        question: Question,
        chunks: tuple[str, ...] | None = None,
    ) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
        return fitting(self.engine, self._render("", language, question)[0], shown, chunks)

    def _render(self, shown: str, language: str, question: Question) -> tuple[Prompt, Fault | None]:
        """The prompt for a text as the model sees it, and a fault if it is in another language."""
        kind = Kind.of(question.descriptions, question.examples)
        _, fault = self.template.language_for(language, kind)
        prompt = self.template.render(
            question.labels,
            shown,
            language=language,
            descriptions=question.descriptions,
            examples=[self.template.example(sample) for sample in question.examples],
        )
        return prompt, fault

    def _documents(self, tasks: Iterator[Task], question: Question) -> Iterator[Document]:
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
                continue
            completion = next(completions, None)
            if completion is None:
                raise EngineError("the engine gave fewer answers than it was asked for")
            yield document(task, completion, question, self.template.form, scored=scored)


def fitting(
    engine: Engine, prompt: Prompt, shown: str, chunks: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """The chunks of a text that fit the context whole, and a fault if these are not all.

    `prompt` is that of an empty text. The text is cut first: only what the model will see is
    segmented, however long it is.
    """
    fits = engine.fit(prompt, shown)
    seen = segments.chunks(shown[: fits + LOOK_AHEAD]) if chunks is None else chunks
    if fits == len(shown):
        return seen, ()
    seen = _leading(seen, fits)
    read = sum(map(len, seen))
    message = f"only the first {read} of {len(shown)} characters fit the model's context"
    return seen, (Fault(FaultKind.TEXT_TRUNCATED, message, f"text:{read}"),)


def _checked(text: object) -> str:
    """A text. Raises InputError for anything else."""
    if not isinstance(text, str):
        raise InputError(f"a text is a string, not {type(text).__name__}: {text!r}")
    return text


def _language(shown: str, question: Question) -> str:
    return question.language or prompt_language(shown[:LANGUAGE_SAMPLE])


def _parts(token: str) -> tuple[str, str, str]:
    """A token in three: white space at its edges, and between them what an entity may hold."""
    chunks = segments.chunks(token)
    before = chunks[0] if chunks and segments.is_space(chunks[0]) else ""
    after = chunks[-1] if len(chunks) > 1 and segments.is_space(chunks[-1]) else ""
    return before, token[len(before) : len(token) - len(after)], after


def _leading(chunks: Sequence[str], characters: int) -> tuple[str, ...]:
    """The first chunks that lie whole within so many characters."""
    size = 0
    for number, chunk in enumerate(chunks):
        size += len(chunk)
        if size > characters:
            return tuple(chunks[:number])
    return tuple(chunks)
