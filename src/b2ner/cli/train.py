"""`b2ner train`: a TOML file in, progress on stderr, the last checkpoint on stdout.

On a terminal the progress is a bar; elsewhere, as in a job's log, it is a line now and then.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

if TYPE_CHECKING:
    from b2ner.training.metrics import Metrics
    from b2ner.workflows.checkpoint_scores import Scored
    from b2ner.workflows.predict import Progress as Predicting

LINES_APART_S = 30  # where there is no terminal


def register(app: typer.Typer) -> None:
    """Add the command `train`."""
    app.command("train")(train_command)


def train_command(
    config: Annotated[Path, typer.Argument(help="The run, as a TOML file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder; else `folder` of the file."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Another seed than the file's; the folder's name then ends in -seedN, unless -o"
            " gives one.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit", min=0, help="End with a checkpoint after so many minutes at most."
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
) -> None:
    """Train an adapter, or a whole model, on samples.

    The run's folder gets checkpoints, each an adapter that `b2ner extract --adapter` takes,
    metrics.jsonl, and run.json, which says what it was made from.
    """
    from b2ner.workflows import train as training

    plan = training.read_config(config, folder=output, seed=seed)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    with _Screen() as screen:
        done = training.run(
            plan,
            resume=resume,
            time_limit_s=None if time_limit is None else time_limit * 60,
            on_metrics=screen.metrics,
            on_scoring=screen.scoring,
            on_scores=screen.scores,
        )
    left_out = dict(done.left_out)
    for reason, count in {"rejected": len(done.rejected), **left_out}.items():
        if count:
            typer.echo(f"not shown, {reason}: {count} text{'s' * (count > 1)}", err=True)
    if not done.finished:
        typer.echo("stopped by the time limit; --resume goes on", err=True)
    typer.echo(done.checkpoint)


class _Screen:
    """What a run shows on stderr while it goes."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("loading", total=1.0, left="")
        self._first: tuple[float, float] | None = None  # share and seconds of the first line
        self._said = float("-inf")

    def __enter__(self) -> _Screen:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def metrics(self, line: Metrics) -> None:
        """Where the run is, how well and how fast it learns, and how long it still takes."""
        now = line.done, line.elapsed_s
        self._first = self._first or now
        words = f"step {line.step}  loss {line.loss:.3f}  {line.samples_per_s:.1f} samples/s"
        left = _left(self._first, now)
        self._bar.update(self._task, completed=line.done, description=words, left=left)
        if line.done == 1 or time.monotonic() - self._said >= LINES_APART_S:
            self._say(f"{words}  {line.done:.1%}  {left}")

    def scoring(self, at: Predicting) -> None:
        """How far the scoring of a checkpoint is."""
        words = f"scoring {at.dataset}, text {at.done} of {at.total}"
        self._bar.update(self._task, description=words, left="")

    def scores(self, scored: Scored) -> None:
        """What a checkpoint scored."""
        from b2ner.evaluation.scores import Measure

        names = {Measure.SURFACE_SET: "F1", Measure.SPAN: "spans", Measure.SURFACE_ONLY: "words"}
        means = {name: scored.scores.average(measure) for measure, name in names.items()}
        shown = [f"{name} {100 * mean:.1f}" for name, mean in means.items() if mean is not None]
        sets = len(scored.scores.datasets)
        words = f"{scored.checkpoint}  {'  '.join(shown)}  on {sets} data set{'s' * (sets > 1)}"
        self._console.print(
            f"{words}, {scored.seconds:.0f} s", soft_wrap=True, markup=False, highlight=False
        )

    def _say(self, words: str) -> None:
        """A line where there is no bar."""
        if not self._console.is_terminal:
            self._said = time.monotonic()
            typer.echo(words, err=True)


def _left(first: tuple[float, float], now: tuple[float, float]) -> str:
    """The time left, at the pace since the first line; nothing where that cannot be told."""
    done, seconds = now[0] - first[0], now[1] - first[1]
    if done <= 0 or now[0] >= 1:
        return ""
    minutes, rest = divmod(round(seconds / done * (1 - now[0])), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} left"
