"""`b2ner data list`, `show`, `stats`: what the catalog knows, and what a folder holds.

Exit code 1: `stats` met rows that are malformed; each is named on stderr.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from b2ner.corpus import catalog
from b2ner.corpus.catalog import Domain, Entry, LicenceClass, Role
from b2ner.corpus.statistics import (
    UNKNOWN,
    SetCounts,
    TableRow,
    count_sets,
    plot_types,
    published_table,
    types_by_domain,
)
from b2ner.errors import InputError

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_TASKS = ("NER", "RE", "EE")
_ROLES = {"training": Role.NONE} | {role.value: role for role in Role if role.value}
_MANY = 20  # labels that `show` lists
_WIDE = 120  # columns of a table that no terminal shows


def register(app: typer.Typer) -> None:
    """Add the commands to `b2ner data`."""
    app.command("list")(list_command)
    app.command("show")(show_command)
    app.command("stats")(stats_command)


def list_command(
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Sets in it: en, zh, ... Repeatable.")
    ] = None,
    licence: Annotated[
        list[LicenceClass] | None, typer.Option("--licence", help="Licence class. Repeatable.")
    ] = None,
    domain: Annotated[
        list[Domain] | None, typer.Option("--domain", help="Domain. Repeatable.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", help="What it is kept for: training, development, test. Repeatable."
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="NER, RE (relations) or EE (events). Repeatable."),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """List the data sets of the catalog, all or those that fit.

    Of one option given several times one must fit; of several options all. (SA): share alike.
    """
    entries = catalog.entries()
    languages = sorted({each for entry in entries for each in entry.languages})
    _check("--language", language, languages)
    _check("--role", role, list(_ROLES))
    _check("--task", task, _TASKS)
    roles = [_ROLES[name] for name in role or ()]
    found = [
        entry
        for entry in entries
        if (not language or set(language) & set(entry.languages))
        and (not licence or entry.licence_class in licence)
        and (not domain or entry.domain in domain)
        and (not roles or entry.role in roles)
        and (not task or set(task) & set(entry.tasks))
    ]
    if as_json:
        typer.echo(json.dumps([_summary(entry) for entry in found], ensure_ascii=False))
        return
    if not found:
        typer.echo("no data set fits")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "languages", "domain", "tasks", "licence", "role"):
        table.add_column(heading, no_wrap=heading == "name")
    for heading in ("labels", "mentions"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in found:
        row = _summary(entry)
        table.add_row(
            entry.name,
            ", ".join(entry.languages),
            entry.domain.value,
            ", ".join(entry.tasks),
            entry.licence_class.value + (" (SA)" if entry.share_alike else ""),
            entry.role.value,
            *map(_number, (row["labels"], row["mentions"])),
        )
    _console().print(table)
    typer.echo(f"{len(found)} of {len(entries)} data sets")


def show_command(
    name: Annotated[str, typer.Argument(help="Its name, as `b2ner data list` prints it.")],
    as_json: _JSON = False,
) -> None:
    """Show what is known of a data set: terms, source, splits, labels, leaks, oddities."""
    entry = catalog.entry(name)
    if as_json:
        typer.echo(json.dumps({**_summary(entry), **_jsonable(asdict(entry))}, ensure_ascii=False))
        return
    typer.echo(f"{entry.name}: {entry.title}\n")
    stated = f", stated for the {entry.stated_for}" if entry.stated_for else ""
    alike = "; what is made of it must be under the same terms" if entry.share_alike else ""
    about = f" ({entry.about})" if entry.about and entry.about != entry.domain.value else ""
    facts = {
        "languages": ", ".join(entry.languages),
        "domain": entry.domain.value + about,
        "tasks": ", ".join(entry.tasks),
        "licence": f"{entry.licence or 'none'} ({entry.licence_class.value}{stated}){alike}",
        "terms": entry.licence_note,
        "source": f"{entry.source.repository} at {entry.source.commit}",
        "citation": entry.citation,
        "format": entry.format.kind,
        "role": f"{entry.role.value}: in no training data" if entry.role.value else "",
        "published as": entry.published,
        "copy of": entry.copy_of,
        "part": "its counts are of a part of the source's files" if entry.part else "",
        "counts": entry.counts_note,
        "losses": entry.losses_note,
    }
    for title, fact in facts.items():
        if fact:
            typer.echo(f"{title}: {fact}")
    typer.echo("")
    for split, members in entry.files.items():
        counts = ", ".join(f"{n:,} {what}" for what, n in entry.counts.get(split, {}).items())
        typer.echo(f"{split}: {counts or 'not counted'}; {', '.join(members)}")
    for title, labels in (
        ("labels", entry.labels),
        ("relations", entry.relation_labels),
        ("events", entry.event_labels),
        ("roles", entry.role_labels),
    ):
        if labels:
            ordered = sorted(labels.items(), key=lambda item: -item[1])
            shown = ", ".join(f"{label} {count:,}" for label, count in ordered[:_MANY])
            more = f", and {len(labels) - _MANY} more (--json)" if len(labels) > _MANY else ""
            typer.echo(f"{len(labels)} {title}: {shown}{more}")
    for title, lines in (("leak", entry.leaks), ("oddity", entry.oddities)):
        for line in lines:
            typer.echo(f"{title}: {line}")


def stats_command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder in the published layout, or of a release with its editions: B2NERD and"
            " B2NERD_all, or pruned and all."
        ),
    ],
    raw: Annotated[
        Path | None,
        typer.Option("--raw", help="Folder of all texts, of which those were selected."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the types of each domain: FILE.svg or FILE.png."),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Print the published table of a folder, and a row for each data set.

    `types` are different label names; `labels` counts a name once for each data set that has it, as
    the published table does.
    """
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise InputError(f"{plot}: {plot.suffix!r} is not drawn: .svg or .png")
    sets = count_sets(folder, raw)
    rows = published_table(sets)
    domains = types_by_domain(sets)
    if plot is not None:
        plot_types(domains, plot)
    malformed = [row for one in sets for row in one.malformed]
    for row in malformed:
        typer.echo(f"{row.place}: {row.reason.value}: {row.detail}", err=True)
    if as_json:
        found = {
            "table": [row.to_json() for row in rows],
            "data_sets": [one.to_json() for one in sets],
            "types_by_domain": domains,
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print_statistics(rows, sets)
        unknown = sorted({one.name for one in sets if one.domain == UNKNOWN})
        if plot is not None and unknown:
            typer.echo(f"the catalog knows no domain of {', '.join(unknown)}", err=True)
    raise typer.Exit(code=1 if malformed else 0)


def _print_statistics(rows: list[TableRow], sets: list[SetCounts]) -> None:
    console = _console()
    table = Table()
    for heading in ("split", "language"):
        table.add_column(heading)
    for heading in ("data sets", "types", "labels", "texts", "raw texts"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (row.data_sets, row.types, row.labels, row.texts, row.raw)
        table.add_row(row.split, row.language or "all", *map(_number, numbers))
    console.print(table)
    table = Table()
    for heading in ("split", "task", "data set", "domain"):
        table.add_column(heading)
    for heading in ("labels", "texts", "annotations", "raw texts"):
        table.add_column(heading, justify="right")
    for one in sets:
        counts = (len(one.labels), one.texts, one.annotations, one.raw)
        table.add_row(one.split, one.task, one.name, one.domain, *map(_number, counts))
    console.print(table)


def _summary(entry: Entry) -> dict[str, object]:
    """One row of the list."""
    return {
        "name": entry.name,
        "languages": list(entry.languages),
        "domain": entry.domain.value,
        "tasks": list(entry.tasks),
        "licence": entry.licence,
        "licence_class": entry.licence_class.value,
        "share_alike": entry.share_alike,
        "role": entry.role.value or "training",
        "labels": len(entry.labels),
        "sentences": _total(entry, "sentences"),
        "mentions": sum(entry.labels.values()),
    }


def _total(entry: Entry, what: str) -> int | None:
    """So many in all splits; None where a split is not counted."""
    numbers = [entry.counts.get(split, {}).get(what) for split in entry.splits]
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """The record without what the summary says in its own form."""
    return {key: value for key, value in values.items() if key not in ("role", "labels")} | {
        "label_counts": values["labels"]
    }


def _check(option: str, given: list[str] | None, known: list[str] | tuple[str, ...]) -> None:
    """Raises InputError for a value that no data set has."""
    for value in given or ():
        if value not in known:
            raise InputError(f"{option} {value!r}: expected one of {', '.join(known)}")


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


def _number(value: object) -> str:
    return "-" if value is None else f"{value:,}"
