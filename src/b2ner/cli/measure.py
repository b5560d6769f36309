"""`b2ner predict` and `b2ner evaluate`: arguments in, tables, JSON and exit codes out.

Exit code 1: some lines or rows could not be used; each is named on stderr. What cannot be used at
all is an exception, and `main` gives it its exit code. Only results go to stdout.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from b2ner.errors import DataError
from b2ner.evaluation import report
from b2ner.evaluation.scores import Scores
from b2ner.records import FaultKind, Reason
from b2ner.workflows import evaluate as evaluation
from b2ner.workflows import predict as prediction
from b2ner.workflows.models import BATCH_SIZE, ModelChoice

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of data sets: DATA/<task key>/<data set>/test.json."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        help="Only so many texts of each data set: the first after a shuffle with a fixed seed.",
    ),
]
Base = Annotated[
    str | None, typer.Option("--base", help="Base model of an adapter that names none.")
]
Template = Annotated[str | None, typer.Option("--template", help="Prompt template, by id.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, ...")]
Dtype = Annotated[str | None, typer.Option("--dtype", help="float32, bfloat16, ...")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Texts in work at once.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
Unconstrained = Annotated[
    bool, typer.Option("--unconstrained", help="Let the model write freely; read what it says.")
]
Split = Annotated[str, typer.Option("--split", help="Which split file is read.")]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Throw away what an earlier run left in the output folder.")
]


def register(app: typer.Typer) -> None:
    """Add the commands `predict` and `evaluate`."""
    app.command("predict")(predict_command)
    app.command("evaluate")(evaluate_command)


def predict_command(
    model: Annotated[
        Path | None,
        typer.Argument(help="Folder of an adapter or a model; the default model without it."),
    ] = None,
    data: Data = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write into.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task key, such as NER_en.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="Only this set.")] = None,
    split: Split = "test",
    limit: Limit = None,
    base: Base = None,
    template: Template = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: BatchSize = BATCH_SIZE,
    threads: Threads = None,
    unconstrained: Unconstrained = False,
    fresh: Fresh = False,
) -> None:
    """Write the published predictions file for a folder of data sets.

    A run that was stopped goes on where it ended when it is started again
    in the same way.

    Exit codes: 0 done; 1 done, but rows could not be read or answered;
    2 unusable input; 3 the model cannot be loaded.
    """
    if data is None or output is None:
        raise DataError("name the data folder by --data and the folder to write into by -o")
    choice = ModelChoice(
        base=base,
        template=template,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        threads=threads,
    )
    if model is not None:
        choice = _named(evaluation.recognise(model), choice)
    predicted = _predict(
        choice,
        data,
        output,
        tasks=task,
        datasets=dataset,
        split=split,
        limit=limit,
        constrained=not unconstrained,
        fresh=fresh,
    )
    typer.echo(str(predicted.path))
    raise typer.Exit(code=1 if _is_incomplete(predicted) else 0)


def evaluate_command(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS.jsonl | MODEL_OR_ADAPTER",
            help="A predictions file, a folder with one, or the folder of a model or adapter.",
        ),
    ],
    data: Data = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="Only this task: a key such as NER_en; of a predictions file, its Task_Language.",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only this data set.")] = None,
    limit: Limit = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where a model's predictions go; else a new runs/ one."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, fractions unrounded.")
    ] = False,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Also show which label was taken for which.")
    ] = False,
    repair: Annotated[
        bool | None,
        typer.Option(
            "--repair/--no-repair",
            help="Read `label: a, b` as two entities; by the published rule, where the folder's"
            " path holds `gpt` or `eval+full`.",
        ),
    ] = None,
    clip: Annotated[
        bool, typer.Option("--clip", help="Leave long sentences out (published clip rule).")
    ] = False,
    split: Split = "test",
    base: Base = None,
    template: Template = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: BatchSize = BATCH_SIZE,
    threads: Threads = None,
    unconstrained: Unconstrained = False,
    fresh: Fresh = False,
) -> None:
    """Score predictions as the published scorer does, and by exact offsets.

    A model predicts first, into a folder that is named on stderr.
    Averages are means over data sets.

    Exit codes: 0 all scored; 1 some lines could not be scored or answered
    (they are listed); 2 unusable input; 3 the model cannot be loaded.
    """
    found = evaluation.recognise(target)
    incomplete = False
    if isinstance(found, evaluation.PredictionsFile):
        path = found.path
        scores = evaluation.score_predictions(
            path, group=task, dataset=dataset, limit=limit, repair=repair, clip=clip
        )
    else:
        if data is None:
            raise DataError(f"{target} is a model: name the data to test it on by --data")
        choice = ModelChoice(
            base=base,
            template=template,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            threads=threads,
        )
        predicted = _predict(
            _named(found, choice),
            data,
            output or _new_run(target),
            tasks=None if task is None else [task],
            datasets=None if dataset is None else [dataset],
            split=split,
            limit=limit,
            constrained=not unconstrained,
            fresh=fresh,
        )
        path, incomplete = predicted.path, _is_incomplete(predicted)
        scores = evaluation.score_predictions(path, repair=repair, clip=clip)
    shown = report.to_json(scores, confusion=confusion)
    _say(report.fault_lines(scores.faults))
    _say(scores.notes)
    if as_json:
        typer.echo(json.dumps({"predictions": str(path), **shown}, ensure_ascii=True))
    else:
        _print_tables(scores, confusion=confusion)
    raise typer.Exit(code=1 if scores.unscored or incomplete else 0)


def _named(target: evaluation.Target, choice: ModelChoice) -> ModelChoice:
    """The choice with the folder that the user named in its place."""
    match target:
        case evaluation.AdapterFolder(path):
            return replace(choice, adapter=path)
        case evaluation.ModelFolder(path):
            if choice.base is not None:
                raise DataError(f"{path} is a whole model: leave --base out")
            return replace(choice, base=str(path))
        case evaluation.PredictionsFile(path):
            raise DataError(f"{path} holds predictions, not a model")


def _new_run(target: Path) -> Path:
    """A folder for one evaluation, named after the model and the time."""
    name = target.resolve().name
    return Path("runs") / f"evaluate-{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def _predict(
    choice: ModelChoice,
    data: Path,
    output: Path,
    *,
    tasks: list[str] | None,
    datasets: list[str] | None,
    split: str,
    limit: int | None,
    constrained: bool,
    fresh: bool,
) -> prediction.Predicted:
    """Load, predict with a progress bar, and say on stderr what happened."""
    _say([f"predictions go to {output}"])
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task("loading", total=None)

        def show(at: prediction.Progress) -> None:
            bar.update(row, description=at.dataset, completed=at.done, total=at.total)

        predicted = prediction.predict(
            choice.open(),
            data,
            output,
            tasks=tasks,
            datasets=datasets,
            split=split,
            limit=limit,
            constrained=constrained,
            model=choice.describe(),
            fresh=fresh,
            progress=show,
        )
    _say(f"skipped {reason}" for reason in predicted.skipped)
    _say(f"rejected {row.place}: {row.reason.value}, {row.detail}" for row in predicted.rejected)
    if predicted.faults:
        counts = sorted(predicted.faults.items())
        _say([f"faults: {', '.join(f'{kind} {number}' for kind, number in counts)}"])
    _say([f"{predicted.written} texts predicted, {predicted.kept} kept from an earlier run"])
    return predicted


def _is_incomplete(predicted: prediction.Predicted) -> bool:
    """Whether some rows of the data have no answer, though they ask for one."""
    unread = [row for row in predicted.rejected if row.reason is not Reason.NOTHING_ASKED]
    return bool(unread) or FaultKind.ENGINE in predicted.faults


def _print_tables(scores: Scores, *, confusion: bool) -> None:
    console = Console()
    table = Table(title="percent; surface = sets of label and words, as published")
    table.add_column("data set", overflow="fold")
    for heading in ("texts", "P", "R", "F1", "span F1", "words F1"):
        table.add_column(heading, justify="right")
    for row in report.rows(scores):
        table.add_row(
            row.name,
            "" if row.texts is None else str(row.texts),
            *(
                "" if value is None else f"{100 * value:.2f}"
                for value in (row.precision, row.recall, row.f1, row.span_f1, row.surface_only_f1)
            ),
            end_section=row.texts is None,
            style="bold" if row.texts is None else None,
        )
    console.print(table)
    if not confusion:
        return
    for dataset in scores.datasets:
        table = Table(
            title=f"{dataset.group} {dataset.dataset}: same words, gold and predicted label"
        )
        table.add_column("gold")
        table.add_column("predicted")
        table.add_column("count", justify="right")
        for cell in report.confusion_cells(dataset):
            table.add_row(cell.gold or "-", cell.predicted or "-", str(cell.count))
        console.print(table)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)
