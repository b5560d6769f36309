"""`b2ner data download` and `b2ner data import`: data that comes from elsewhere.

Exit code 1: `import` met rows that it could not keep; each is named on stderr.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from b2ner.cli.render import marked
from b2ner.corpus.download import REPOSITORY, PublishedFile, download, find_release
from b2ner.corpus.guess import Form, Guess, Told, guess
from b2ner.corpus.imports import (
    UNKNOWN_LANGUAGE,
    Imported,
    import_corpus,
    jsonl_row,
    label_names,
    write_import,
)
from b2ner.corpus.json_readers import Unit
from b2ner.corpus.published_terms import Terms, published_terms
from b2ner.corpus.statistics import SPLITS
from b2ner.errors import InputError
from b2ner.records import Document, Prediction, Sample

_PREVIEW = 3  # texts that are shown
_SHOWN = 400  # characters of each
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `b2ner data`."""
    app.command("download")(download_command)
    app.command("import")(import_command)


def download_command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write into.")
    ] = None,
    data_set: Annotated[
        list[str] | None,
        typer.Option("--set", help="Only this data set, such as CrossNER_AI. Repeatable."),
    ] = None,
    edition: Annotated[
        list[str] | None,
        typer.Option(
            "--edition", help="Only this edition: B2NERD, B2NERD_all or B2NERD_raw. Repeatable."
        ),
    ] = None,
    accept_licences: Annotated[
        bool,
        typer.Option(
            "--accept-licences",
            help="Say yes: I may use the data sets whose sources are under no open licence.",
        ),
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option("--revision", help="A commit, tag or branch; else the newest."),
    ] = None,
    repository: Annotated[
        str, typer.Option("--repository", help="The dataset repository on the hub.")
    ] = REPOSITORY,
    file: Annotated[
        str | None, typer.Option("--file", help="Its zip, where the repository has several.")
    ] = None,
    terms_only: Annotated[
        bool, typer.Option("--terms", help="Show the terms, and fetch nothing.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Fetch the published B2NERD release from the Hugging Face hub, and unpack it.

    The terms of each set's source are shown first; sets under no open licence need your yes, at the
    prompt or by --accept-licences. A fetch that was cut off goes on where it stopped. What was
    written stands in download.json, with the commit and all hashes. Only the hub's copy is
    supported: the one on Google Drive can be neither pinned nor checked.
    """
    terms = _chosen(published_terms(), data_set)
    if terms_only:
        _show_terms(terms, as_json=as_json)
        return
    if output is None:
        raise InputError("name the folder to write into: -o DIR")
    if not as_json:
        _show_terms(terms, as_json=False)
    _agreed(terms, accepted=accept_licences)

    def wanted(place: PublishedFile) -> bool:
        return (not data_set or place.data_set in data_set) and (
            not edition or place.edition in edition
        )

    release = find_release(repository=repository, revision=revision, file=file)
    typer.echo(f"{release.file}, {release.bytes / 1e6:,.1f} MB, at {release.commit}", err=True)
    done = download(release, output, wanted=wanted)
    known = {one.name for one in terms}
    strangers = [name for name in done.data_sets if name not in known]
    if strangers:
        typer.echo(f"their terms are not known, ask their makers: {', '.join(strangers)}", err=True)
    if not done.data_sets:
        raise InputError(f"{release.file}: holds no such data set")
    if as_json:
        found = {
            "folder": str(output),
            "repository": release.repository,
            "commit": release.commit,
            "files": done.files,
            "left_out": done.left_out,
            "data_sets": list(done.data_sets),
            "terms": [one.to_json() for one in terms if one.name in done.data_sets],
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"{output}: data sets {len(done.data_sets)}, files {done.files}")


def import_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The corpus: a file or a folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write into.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="What the file is; else it is guessed.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", help="Of its texts: en, zh, ...; else what it or its script says."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Its labels, with new names where you want them: 'PER=person, LOC=place, date'."
            " A row with another is rejected. Else all labels, as they are.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the data set; else as the file.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="train, dev or test; else what the file's name says, or train."
        ),
    ] = None,
    offsets: Annotated[
        Unit | None,
        typer.Option("--offsets", help="What places of entities count; else it is guessed."),
    ] = None,
    token_column: Annotated[
        int | None, typer.Option("--token-column", help="Of column files, from 1.", min=1)
    ] = None,
    tag_column: Annotated[
        int | None, typer.Option("--tag-column", help="Of column files, from 1.", min=1)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would come of it, and write nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put a split in the place of one that is there.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Bring a corpus of your own into the published layout and our JSON lines.

    The format is guessed and shown, with the first texts and all labels: columns (CoNLL and its
    kin), our sheets and JSON lines, Label Studio, Prodigy, spaCy, brat, CSV, Parquet, Hugging Face
    datasets, the published layout. Places become code points. Written are
    DIR/NER_<language>/<name>/ with labels.json, SPLIT.json and SPLIT.jsonl, and DIR/rejected.jsonl.
    """
    if output is None and not dry_run:
        raise InputError("name the folder to write into: -o DIR; or only look: --dry-run")
    if split is not None and split not in SPLITS:
        raise InputError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    told = Told(form, offsets, _from_zero(token_column), _from_zero(tag_column))
    found = guess(path, told)
    if not as_json:
        typer.echo(f"{path} is {found.form.value}: {found.what}\n")
    imported = import_corpus(
        path,
        found,
        language=language,
        labels=None if labels is None else label_names(labels),
        name=name,
        split=split,
    )
    written: list[Path] = []
    if output is not None and not dry_run:
        written = write_import(imported, output, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(_import_json(found, imported, written), ensure_ascii=False))
    else:
        _show_import(imported, written)
    for row in imported.rejected:
        typer.echo(f"rejected {row.place}: {row.reason.value}, {row.detail}", err=True)
    for skipped in imported.skipped:
        typer.echo(f"left out {skipped}: no set of entities", err=True)
    if not imported.language_known:
        typer.echo(
            f"its language is not known, and taken for {UNKNOWN_LANGUAGE}: --language names it",
            err=True,
        )
    if imported.relations:
        typer.echo(f"left out {imported.relations} relations: only entities are taken", err=True)
    raise typer.Exit(code=1 if imported.rejected or not imported.sets else 0)


# -- download ------------------------------------------------------------------------------------


def _chosen(terms: Sequence[Terms], names: list[str] | None) -> list[Terms]:
    """The terms of the sets that are named, or of all. Raises InputError for an unknown name."""
    known = {one.name for one in terms}
    if unknown := [name for name in names or () if name not in known]:
        raise InputError(
            f"--set {unknown[0]!r}: not in the published release; `b2ner data download --terms`"
            " lists what is"
        )
    return [one for one in terms if not names or one.name in names]


def _show_terms(terms: Sequence[Terms], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in terms], ensure_ascii=False))
        return
    for heading, asked in (
        ("under an open licence", False),
        ("under no open licence: your yes is needed", True),
    ):
        chosen = [one for one in terms if one.needs_yes is asked]
        if not chosen:
            continue
        typer.echo(f"{len(chosen)} data sets {heading}")
        alike: dict[str, list[str]] = {}
        for one in chosen:
            licence = one.licence or "no terms could be established"
            note = f"; {one.note}" if one.note else ""
            alike.setdefault(f"{licence}{note} [{one.licence_class.value}]", []).append(one.name)
        for said, names in alike.items():
            typer.echo(f"  {', '.join(names)}: {said}")


def _agreed(terms: Sequence[Terms], *, accepted: bool) -> None:
    """Raises InputError without a yes to all terms that need one."""
    asked = [one.name for one in terms if one.needs_yes]
    if not asked or accepted:
        return
    if not _is_asked():
        raise InputError(
            f"{len(asked)} data sets are under no open licence: --accept-licences says that you may"
            " use them, and --set names others"
        )
    if not typer.confirm(f"May you use these {len(asked)} data sets under their terms?"):
        raise InputError("nothing was fetched; --set names the data sets that you may use")


def _is_asked() -> bool:
    """Whether there is somebody who can answer."""
    return sys.stdin is not None and sys.stdin.isatty()


# -- import --------------------------------------------------------------------------------------


def _from_zero(column: int | None) -> int | None:
    return None if column is None else column - 1


def _show_import(imported: Imported, written: Sequence[Path]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    coloured = console.color_system is not None and not console.no_color
    for row in _first(imported):
        console.print(marked(_beginning(row), coloured=coloured), end="\n\n")
    table = Table()
    table.add_column("label")
    table.add_column("mentions", justify="right")
    for label, count in imported.label_counts.items():
        table.add_row(label, f"{count:,}")
    console.print(table)
    for one in imported.sets:
        mentions = sum(len(row.entities) for row in one.samples)
        labels = len(one.labels)
        console.print(
            f"{one.place} {one.split}: {len(one.samples):,} texts, {mentions:,} mentions,"
            f" {labels} labels"
        )
    if imported.own_label_sets:
        console.print(f"{imported.own_label_sets:,} texts have label sets of their own")
    if imported.rejected:
        reasons = Counter(row.reason.value for row in imported.rejected)
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        console.print(f"rejected {len(imported.rejected):,}: {listed}")
    for path in written:
        console.print(f"wrote {path}")


def _beginning(row: Sample) -> Document:
    """A text with its entities; of a long one the beginning, to the end of a mention it cuts."""
    ends = [e.end for e in row.entities if e.start < _SHOWN]
    size = max([_SHOWN, *ends])
    found = [Prediction(e.span, e.label, e.text, 1.0) for e in row.entities if e.end <= size]
    text = row.text if len(row.text) <= size else f"{row.text[:size]} ..."
    return Document(text, tuple(found))


def _import_json(found: Guess, imported: Imported, written: Sequence[Path]) -> dict[str, Any]:
    return {
        "format": found.form.value,
        "what": found.what,
        "sets": [
            {
                "place": one.place,
                "split": one.split,
                "language": one.language,
                "texts": len(one.samples),
                "mentions": sum(len(row.entities) for row in one.samples),
                "labels": list(one.labels),
            }
            for one in imported.sets
        ],
        "labels": imported.label_counts,
        "own_label_sets": imported.own_label_sets,
        "preview": [jsonl_row(row) for row in _first(imported)],
        "rejected": [
            {"reason": row.reason.value, "place": row.place, "detail": row.detail}
            for row in imported.rejected
        ],
        "relations_left_out": imported.relations,
        "skipped": list(imported.skipped),
        "language_known": imported.language_known,
        "written": [str(path) for path in written],
    }


def _first(imported: Imported) -> list[Sample]:
    return list(islice(chain(*(one.samples for one in imported.sets)), _PREVIEW))
