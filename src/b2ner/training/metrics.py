"""What a run says of itself while it goes: the lines of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from b2ner import files
from b2ner.errors import DataError
from b2ner.training.batches import Row
from b2ner.training.checkpoints import Progress


@dataclass(frozen=True, slots=True)
class Metrics:
    """One line of `metrics.jsonl`: means since the line before, in nats a token and per second.

    `done` is the share of the run that is over; `data` the fingerprint of the rows so far.
    """

    step: int
    epoch: float
    done: float
    loss: float
    learning_rate: float
    gradient_norm: float
    samples: int
    samples_per_s: float
    tokens_per_s: float
    answer_tokens_per_s: float
    elapsed_s: float
    data: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    loss: float  # summed over the answer tokens
    answer_tokens: int
    gradient_norm: float
    learning_rate: float


class Window:
    """What happened since the last line."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._samples = 0
        self._tokens = 0

    def add(self, step: Step, rows: Iterable[Row | None]) -> None:
        """One more step, and the rows of all processes that it was made on."""
        self.steps.append(step)
        for row in rows:
            if row is not None:
                self._samples += row.samples
                self._tokens += row.size

    def line(
        self, progress: Progress, *, epoch: float, done: float, seconds: float, elapsed_s: float
    ) -> Metrics:
        """The line of this window, which took so many seconds; `elapsed_s` is of the whole run."""
        answered = sum(step.answer_tokens for step in self.steps)
        seconds = max(seconds, 1e-9)
        return Metrics(
            step=progress.step,
            epoch=round(epoch, 4),
            done=round(done, 4),
            loss=sum(step.loss for step in self.steps) / max(answered, 1),
            learning_rate=self.steps[-1].learning_rate,
            gradient_norm=sum(step.gradient_norm for step in self.steps) / len(self.steps),
            samples=progress.samples,
            samples_per_s=self._samples / seconds,
            tokens_per_s=self._tokens / seconds,
            answer_tokens_per_s=answered / seconds,
            elapsed_s=round(elapsed_s, 3),
            data=progress.data,
        )


def append(path: Path, line: Metrics) -> None:
    """Add a line to the file. Raises DataError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(files.encode(asdict(line)) + b"\n")
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror or problem}") from problem


def cut(path: Path, step: int) -> None:
    """Remove the lines of steps after this one, which were not saved."""
    if not path.is_file():
        return
    lines = [line.value for line in files.read_jsonl(path) if isinstance(line, files.JsonLine)]
    kept = [line for line in lines if isinstance(line, dict) and line.get("step", 0) <= step]
    files.write_atomic(path, [files.encode(line) + b"\n" for line in kept])
