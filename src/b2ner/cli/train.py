"""`b2ner train`: a TOML file in, a progress bar on stderr, the last checkpoint on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from b2ner.training.loop import Metrics


def register(app: typer.Typer) -> None:
    """Add the command `train`."""
    app.command("train")(train_command)


def train_command(
    config: Annotated[Path, typer.Argument(help="The run, as a TOML file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder; else `folder` of the file."),
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

    plan = training.read_config(config, folder=output)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=1.0)

        def show(line: Metrics) -> None:
            words = f"step {line.step}  loss {line.loss:.3f}  {line.samples_per_s:.1f} samples/s"
            bar.update(task, completed=line.done, description=words)

        done = training.run(
            plan,
            resume=resume,
            time_limit_s=None if time_limit is None else time_limit * 60,
            on_metrics=show,
        )
    left_out = dict(done.left_out)
    for reason, count in {"rejected": len(done.rejected), **left_out}.items():
        if count:
            typer.echo(f"not shown, {reason}: {count} texts", err=True)
    if not done.finished:
        typer.echo("stopped by the time limit; --resume goes on", err=True)
    typer.echo(done.checkpoint)
