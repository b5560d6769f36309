"""What an engine is: prompts in, answers out. Knows no labels' meaning, no files and no network.

An engine gets `Request`s and gives one `Completion` each, in order. What it can promise stands in
its `Capabilities`; what it could not keep for one request is a fault of that completion. The same
contract tests (`tests/inference/contract.py`) run on every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import Prompt
from b2ner.records import Usage


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; the extractor says in the document's faults what it could not."""

    grammar: bool  # can keep an answer inside an AnswerSpace
    scores: bool  # reports log-probabilities
    prefix_cache: bool  # computes a shared head once


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, and the answers it may have (`None`: anything)."""

    prompt: Prompt
    space: AnswerSpace | None = None
    max_answer_tokens: int = 1024


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model ended it
    LENGTH = "length"  # it reached `max_answer_tokens` or the context's end
    ERROR = "error"  # the engine failed on this request alone; `Completion.error` says how


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch [start, end) of an answer and the log-probability of the choice that wrote it.

    Forced tokens need no piece. A piece of no length at the end of a mention is the decision to
    end it there, apart from what comes next; a second one there is the decision to end the answer,
    and belongs to no mention. Pieces stand in the order in which they were chosen.
    """

    start: int
    end: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model answered, untouched: no end-of-sequence token, leading blank included."""

    answer: str
    finish: Finish = Finish.STOP
    pieces: tuple[Piece, ...] = ()
    usage: Usage = field(default=Usage())
    error: str = ""


class Engine(Protocol):
    """Runs prompts on a model."""

    @property
    def capabilities(self) -> Capabilities: ...

    def fit(self, prompt: Prompt, text: str) -> int:
        """How many leading code points of `text` fit the context behind the prompt's head.

        Room for an answer is left. Raises LabelError when the head alone leaves no room.
        """
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """One completion a request, lazily, in request order, however they were batched.

        Raises EngineError when the engine is gone.
        """
        ...


def leading_within(text: str, room: int, count: Callable[[str], int]) -> int:
    """How many leading code points of `text` take at most `room` tokens, as `count` counts them.

    Never counts much more of the text than fits, however long it is.
    """
    if len(text) <= room and len(text.encode()) <= room:  # no token is shorter than a byte
        return len(text)
    fits = min(len(text), 4 * room)
    while (tokens := count(text[:fits])) <= room:
        if fits == len(text):
            return fits
        fits = min(len(text), 2 * fits)
    while tokens > room:
        fits = min(fits - 1, fits * room // tokens)
        tokens = count(text[:fits])
    return fits


class ScriptedEngine:
    """Answers from a list, for tests and for replaying recorded answers: no model.

    The answers are given out in request order and start again when they are used up.
    """

    def __init__(
        self, answers: Sequence[str | Completion], *, max_characters: int = 1 << 30
    ) -> None:
        if not answers:
            raise ValueError("a scripted engine needs at least one answer")
        self._answers = [a if isinstance(a, Completion) else Completion(a) for a in answers]
        self._max_characters = max_characters
        self._next = 0
        self.requests: list[Request] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(grammar=False, scores=False, prefix_cache=False)

    def fit(self, prompt: Prompt, text: str) -> int:
        return min(len(text), self._max_characters)

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        for request in requests:
            self.requests.append(request)
            completion = self._answers[self._next % len(self._answers)]
            self._next += 1
            yield completion
