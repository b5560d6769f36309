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

from b2ner.cli import data_files, data_sets
from b2ner.corpus.build import Built, build
from b2ner.corpus.data_sets import Names, Role
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected

SOURCE_VARIABLE = "B2NER_RAW"

app = typer.Typer(
    help="Data sets and folders: found, fetched, brought along, built.", no_args_is_help=True
)
data_sets.register(app)
data_files.register(app)

_ROLES = {"eval": Role.TEST, "dev": Role.DEV, "train": Role.TRAIN}


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
    typer.Option(
        "--limit", min=1, help="eval, dev, train: so many texts of each, chosen by a fixed seed."
    ),
]


@app.command("build")
def build_command(
    recipe: Annotated[
        str,
        typer.Argument(
            help="eval, dev or train: test, development and training sets by the names that scores"
            " and configs use. open, research or published-*: a release in three states. Or a"
            " recipe of your own, FILE.toml."
        ),
    ],
    output: _OUTPUT,
    source: _SOURCE = None,
    names: Annotated[
        Names,
        typer.Option("--names", help="eval: the data sets' own label names, or standard ones."),
    ] = Names.ORIGINAL,
    limit: _LIMIT = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help="train: folder in the published layout, such as `b2ner data build eval` writes:"
            " texts that stand in its sets, whole or in part, are left out. May be repeated.",
        ),
    ] = None,
    sheets: Annotated[
        Path | None,
        typer.Option("--sheets", help="Releases: our own texts; else corpus/sheets, if there."),
    ] = None,
    copies: Annotated[
        Path | None,
        typer.Option(
            "--copies",
            help="published-*: folder in the published layout with sets that you have a licence"
            " for.",
        ),
    ] = None,
) -> None:
    """Write a data folder: test sets, training sets, or a release of the open corpora."""
    raw = source or _default_source()
    if recipe in _ROLES:
        role = _ROLES[recipe]
        made = build(role, raw, output, names=names, limit=limit, against=against or ())
        _report(made)
    else:
        _release(recipe, raw, output, sheets=sheets, copies=copies)


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


def _release(
    name: str, source: Path, folder: Path, *, sheets: Path | None, copies: Path | None
) -> None:
    """Build a release, and end with its exit code."""
    from b2ner.corpus.recipes import read_recipe
    from b2ner.corpus.release import STATES, build_release

    recipe = read_recipe(name)
    if sheets is None and (Path("corpus") / "sheets").is_dir():
        sheets = Path("corpus") / "sheets"
    console = Console(stderr=True)
    with console.status("reading the test sets") as status:
        made = build_release(
            recipe,
            source,
            folder,
            sheets=sheets,
            copies=copies,
            on_set=lambda set_name: status.update(f"building {set_name}"),
        )
    table = Table()
    for heading in ("task", "data set"):
        table.add_column(heading, no_wrap=True)
    for heading in (*STATES, "types", "leaks", "other drops"):
        table.add_column(heading, justify="right")
    for part in made.parts:
        texts = [sum(part.texts[state].values()) for state in STATES]
        leaks = sum(part.leaks.values())
        drops = sum(part.rejected.values()) - leaks
        table.add_row(part.task, part.name, *map(str, (*texts, part.types["all"], leaks, drops)))
    Console().print(table)
    typer.echo(f"{len(made.left_out)} sets left out; {folder / 'README.md'} says what was made")
    for missing in made.missing:
        typer.echo(f"missing {missing}", err=True)
    raise typer.Exit(code=1 if made.missing else 0)


def _default_source() -> Path:
    """`shared/data/raw` in the current folder or beside it. Raises DataError without one."""
    for folder in (Path.cwd(), Path.cwd().parent):
        if (path := folder / "shared" / "data" / "raw").is_dir():
            return path
    raise DataError(f"name the folder with the raw corpora by --source, or in {SOURCE_VARIABLE}")
