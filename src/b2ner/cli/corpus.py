"""`b2ner corpus`: our own annotated corpus. Arguments in, counts and exit codes out.

Exit code 1: more warnings of some kind than allowed; 2: a promise is broken, or the folder cannot
be used. Findings are named on stderr, one a line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from b2ner.corpus.check import Report, check, published_texts
from b2ner.corpus.sheets import read_sheets
from b2ner.errors import DataError

app = typer.Typer(help="Look after the annotated corpus.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `check` a command of its own while the group has only one."""


@app.command("check")
def check_command(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of sheets; else corpus/sheets of the checkout."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Folder in the published layout, such as `b2ner data build eval` writes: no text"
            " may share a run of 7 words, or of 12 characters of Chinese, with any text there.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all counts and findings as JSON, not a table.")
    ] = False,
) -> None:
    """Prove the corpus's promises: form, borders, label sets, repeats, duplicates, overlap."""
    report = check(
        read_sheets(folder or _default_folder()),
        others=None if against is None else published_texts(against),
    )
    for found in report.findings:
        typer.echo(f"{found.place}: {found.kind.value}: {found.detail}", err=True)
    for kind in report.over_limit:
        typer.echo(f"more findings than allowed: {kind.value}", err=True)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=True))
    else:
        _print(report)
    raise typer.Exit(code=2 if report.broken else 1 if report.over_limit else 0)


def _default_folder() -> Path:
    """`corpus/sheets` in the current folder, or in the checkout that this file lies in.

    Raises DataError without one.
    """
    for root in (Path.cwd(), Path(__file__).parents[3]):
        if (path := root / "corpus" / "sheets").is_dir():
            return path
    raise DataError("name the folder of sheets: there is no corpus/sheets here")


def _print(report: Report) -> None:
    table = Table()
    table.add_column("language")
    headings = ("texts", "mentions", "labels", "blocks", "no mention", "2-grams", "3-grams")
    for heading in headings:
        table.add_column(heading, justify="right")
    for language, counts in report.languages.items():
        table.add_row(
            language,
            str(counts.texts),
            str(counts.mentions),
            str(len(counts.labels)),
            str(counts.blocks),
            str(counts.without_mentions),
            f"{counts.distinct_bigrams:.0%}",
            f"{counts.distinct_trigrams:.0%}",
        )
    console = Console()
    console.print(table)
    if report.label_distance is not None:
        console.print(
            f"distance of a label set to the nearest other: {report.label_distance:.2f} on average,"
            f" {report.label_distance_least:.2f} at least"
        )
    if report.compared_with is not None:
        console.print(f"compared with {report.compared_with} texts")
    broken = len(report.broken)
    console.print(f"{broken} broken promises, {len(report.findings) - broken} warnings")
