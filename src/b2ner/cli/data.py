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

from b2ner.corpus.build_eval import build_eval
from b2ner.corpus.eval_sets import Names
from b2ner.errors import DataError

SOURCE_VARIABLE = "B2NER_RAW"

app = typer.Typer(help="Make data folders in the published layout.", no_args_is_help=True)
build = typer.Typer(help="Build a data folder from raw corpora.", no_args_is_help=True)
app.add_typer(build, name="build")


@build.command("eval")
def build_eval_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--source",
            envvar=SOURCE_VARIABLE,
            help="Folder with the raw corpora, NAME.zip or NAME/; else shared/data/raw, in the"
            " current folder or beside it.",
        ),
    ] = None,
    names: Annotated[
        Names, typer.Option("--names", help="The data sets' own label names, or standard ones.")
    ] = Names.ORIGINAL,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only so many texts of each, chosen by a fixed seed."),
    ] = None,
) -> None:
    """Write the test sets: DIR/<task key>/<data set>/{labels,test}.json and manifest.json."""
    built = build_eval(source or _default_source(), output, names=names, limit=limit)
    table = Table()
    for heading in ("task", "data set"):
        table.add_column(heading)
    for heading in ("texts", "mentions", "rejected"):
        table.add_column(heading, justify="right")
    for made in built.sets:
        counts = (made.texts, made.mentions, len(made.rejected))
        table.add_row(made.task, made.name, *map(str, counts))
    Console().print(table)
    rejected = [row for made in built.sets for row in made.rejected]
    for row in rejected:
        typer.echo(f"rejected {row.place}: {row.reason.value}, {row.detail}", err=True)
    for name in built.missing:
        typer.echo(f"missing {name}.zip", err=True)
    raise typer.Exit(code=1 if rejected or built.missing else 0)


def _default_source() -> Path:
    """`shared/data/raw` in the current folder or beside it. Raises DataError without one."""
    for folder in (Path.cwd(), Path.cwd().parent):
        if (path := folder / "shared" / "data" / "raw").is_dir():
            return path
    raise DataError(f"name the folder with the raw corpora by --source, or in {SOURCE_VARIABLE}")
