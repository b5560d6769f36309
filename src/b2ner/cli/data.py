"""`b2ner data`: making data folders. Arguments in, a summary and exit codes out.

Exit code 1: rows were rejected or archives are missing; each is named on stderr. What cannot be
used at all is an exception, and `main` gives it its exit code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from b2ner.corpus.build import Built, build
from b2ner.corpus.data_sets import Names, Role
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected

SOURCE_VARIABLE = "B2NER_RAW"

app = typer.Typer(help="Make data folders in the published layout.", no_args_is_help=True)
builds = typer.Typer(help="Build a data folder from raw corpora.", no_args_is_help=True)
app.add_typer(builds, name="build")


_OUTPUT = Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")]
_SOURCE = Annotated[
    Path | None,
    typer.Option(
        "--source",
        envvar=SOURCE_VARIABLE,
        help="Folder with the raw corpora, NAME.zip or NAME/; else shared/data/raw, in the"
        " current folder or beside it.",
    ),
]
_LIMIT = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Only so many texts of each, chosen by a fixed seed."),
]


@builds.command("eval")
def build_eval_command(
    output: _OUTPUT,
    source: _SOURCE = None,
    names: Annotated[
        Names, typer.Option("--names", help="The data sets' own label names, or standard ones.")
    ] = Names.ORIGINAL,
    limit: _LIMIT = None,
) -> None:
    """Write the test sets: DIR/<task key>/<data set>/{labels,test}.json and manifest.json."""
    _report(build(Role.TEST, source or _default_source(), output, names=names, limit=limit))


@builds.command("train")
def build_train_command(
    output: _OUTPUT,
    source: _SOURCE = None,
    limit: _LIMIT = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help="Folder in the published layout, such as `b2ner data build eval` writes: texts"
            " that stand in its sets, whole or in part, are left out. May be repeated.",
        ),
    ] = None,
) -> None:
    """Write open training sets: DIR/<task key>/<data set>/{labels,train}.json, manifest.json."""
    folder = source or _default_source()
    _report(build(Role.TRAIN, folder, output, limit=limit, against=against or ()))


@builds.command("dev")
def build_dev_command(output: _OUTPUT, source: _SOURCE = None, limit: _LIMIT = None) -> None:
    """Write development sets: DIR/<task key>/<data set>/{labels,dev}.json and manifest.json."""
    _report(build(Role.DEV, source or _default_source(), output, limit=limit))


# What is left out of training sets though nothing is wrong with it, and its heading.
_LEFT_OUT = {Reason.REPEATED: "twice", Reason.SEEN_ELSEWHERE: "seen"}


def _report(built: Built) -> None:
    """Print what came of a build, and end with its exit code."""
    left_out = [r for r in _LEFT_OUT if any(made.count(r) for made in built.sets)]
    table = Table()
    for heading in ("task", "data set"):
        table.add_column(heading, no_wrap=True)
    for heading in ("texts", "mentions", *map(_LEFT_OUT.__getitem__, left_out), "rejected"):
        table.add_column(heading, justify="right")
    unusable: list[Rejected] = []
    for made in built.sets:
        others = [made.count(reason) for reason in left_out]
        wrong = [row for row in made.rejected if row.reason not in _LEFT_OUT]
        unusable += wrong
        counts = (made.texts, made.mentions, *others, len(wrong))
        table.add_row(made.task, made.name, *map(str, counts))
    Console().print(table)
    for row in unusable:
        typer.echo(f"rejected {row.place}: {row.reason.value}, {row.detail}", err=True)
    for name in built.missing:
        typer.echo(f"missing {name}.zip", err=True)
    raise typer.Exit(code=1 if unusable or built.missing else 0)


def _default_source() -> Path:
    """`shared/data/raw` in the current folder or beside it. Raises DataError without one."""
    for folder in (Path.cwd(), Path.cwd().parent):
        if (path := folder / "shared" / "data" / "raw").is_dir():
            return path
    raise DataError(f"name the folder with the raw corpora by --source, or in {SOURCE_VARIABLE}")
