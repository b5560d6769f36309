"""A b2ner command whose model is a list of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from b2ner.cli.main import app
from b2ner.inference import extractor
from b2ner.inference.engine import Capabilities, Completion, Finish, Piece, ScriptedEngine

ADA = "Ada Lovelace wrote to Babbage."


class ObedientEngine(ScriptedEngine):
    """A scripted engine that says it can hold an answer to labels and text, and is sure of it."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(grammar=True, scores=True, prefix_cache=False)


def answer(text: str, *scores: float, finish: Finish = Finish.STOP) -> Completion:
    """An answer whose items have these scores, in their order; 1 where none is given."""
    ends = [place for place, c in enumerate(f"{text};") if c == ";"]
    pieces = tuple(
        Piece(end, end, logprob) for end, logprob in zip(ends, map(_log, scores), strict=False)
    )
    return Completion(text, finish=finish, pieces=pieces)


def _log(score: float) -> float:
    from math import log

    return log(score)


class Command:
    """Runs `b2ner`, and keeps what its model was loaded with and asked."""

    def __init__(self, answers: Sequence[str | Completion]) -> None:
        self.engine = ObedientEngine(answers)
        self.loaded: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load(self, *args: Any, **options: Any) -> extractor.Extractor:
        self.loaded.append((args, options))
        return extractor.Extractor(self.engine)

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, prog_name="b2ner")


def scripted(monkeypatch: pytest.MonkeyPatch, *answers: str | Completion) -> Command:
    """The command, with these answers in place of a model."""
    command = Command(answers)
    monkeypatch.setattr(extractor, "load", command.load, raising=False)
    return command
