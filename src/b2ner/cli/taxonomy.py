"""`b2ner taxonomy` and `b2ner labels`: what types there are, and what to call a label.

Exit code 1: `labels lint` has a remark that asks for a change; 2: `check` found a broken promise,
or the command line names what is not there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.tree import Tree as RichTree

from b2ner.corpus.catalog import entries
from b2ner.corpus.coverage import coverage
from b2ner.errors import InputError
from b2ner.files import write_atomic
from b2ner.taxonomy.check import check_mappings, check_tree, targets
from b2ner.taxonomy.lint import HINTS, lint
from b2ner.taxonomy.mappings import mappings
from b2ner.taxonomy.page import render_page
from b2ner.taxonomy.suggest import suggest
from b2ner.taxonomy.tree import EntityType, Tree, taxonomy
from b2ner.taxonomy.usage import usage

app = typer.Typer(help="The taxonomy of entity types.", no_args_is_help=True)
labels_app = typer.Typer(help="Look at a label set before it is used.", no_args_is_help=True)

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@labels_app.callback()
def _group() -> None:
    """Keeps `lint` a command of its own while the group has only one."""


@app.command("show")
def show_command(
    name: Annotated[
        str, typer.Argument(help="A name or an alias of a type; without it, the whole tree.")
    ] = "",
    as_json: _JSON = False,
) -> None:
    """Show a type with its definition, names and examples, or the tree."""
    tree = taxonomy()
    if not name:
        if as_json:
            typer.echo(json.dumps([_row(tree, kind) for kind in tree.types], ensure_ascii=False))
            return
        console = Console()
        for root in tree.roots():
            console.print(_branch(tree, root))
        return
    kind = tree.find(name) or tree.type(name)
    if as_json:
        typer.echo(json.dumps(_row(tree, kind), ensure_ascii=False))
        return
    typer.echo(f"{tree.path(kind)}\n{tree.path_zh(kind)}\n\n{kind.definition}\n")
    for title, values in (
        ("also called", (*kind.aliases, *kind.zh_aliases)),
        ("narrower", tuple(child.name for child in tree.children(kind))),
    ):
        if values:
            typer.echo(f"{title}: {', '.join(values)}")
    for sentence in kind.examples:
        typer.echo(f"example: {sentence}")
    typer.echo(f"near miss ({kind.near_miss_is or 'no type'}): {kind.near_miss}")


@app.command("search")
def search_command(
    words: Annotated[list[str], typer.Argument(help="Words of names, aliases, definitions.")],
    as_json: _JSON = False,
) -> None:
    """List the types that hold all the words, those that hold them in their names first."""
    tree = taxonomy()
    wanted = [word.casefold() for word in words]
    found = [kind for kind in tree.types if _holds(kind, wanted)]
    found.sort(key=lambda kind: not all(word in " ".join(kind.names) for word in wanted))
    if as_json:
        typer.echo(json.dumps([_row(tree, kind) for kind in found], ensure_ascii=False))
        return
    for kind in found:
        typer.echo(f"{tree.path(kind)} ({kind.zh}): {kind.definition}")
    if not found:
        raise InputError(f"no type holds {' '.join(words)!r}; try `b2ner taxonomy suggest`")


@app.command("check")
def check_command() -> None:
    """Prove the taxonomy's promises: names, parents, definitions, examples, mappings."""
    tree, maps = taxonomy(), mappings()
    sets = coverage(entries(), maps)
    faults = [
        f"{found.place}: {found.detail}"
        for found in (*check_tree(tree), *check_mappings(tree, maps))
    ]
    faults += [f"mappings/{found.name}: {fault}" for found in sets for fault in found.faults]
    for fault in faults:
        typer.echo(fault, err=True)
    reached = targets(maps.values()) & {kind.name for kind in tree.types}
    mentions = sum(found.mentions for found in sets)
    mapped, dropped = (sum(f.mapped for f in sets), sum(f.dropped for f in sets))
    typer.echo(
        f"{len(tree)} types, {len(reached)} of them meant by labels of {len(maps)} mappings;"
        f" of {mentions:,} mentions in {len(sets)} sets {mapped / mentions:.1%} mapped,"
        f" {dropped / mentions:.1%} dropped; {len(faults)} broken promises"
    )
    raise typer.Exit(code=2 if faults else 0)


@app.command("export")
def export_command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="FILE.json, FILE.jsonl, or FILE.html: a page."),
    ],
) -> None:
    """Write the whole taxonomy: JSON, JSON lines, or a page to browse and search."""
    tree = taxonomy()
    rows = [_row(tree, kind) for kind in tree.types]
    match output.suffix:
        case ".json":
            text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
        case ".jsonl":
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case ".html":
            text = render_page(tree, mappings())
        case suffix:
            raise InputError(f"{output}: {suffix!r} is not written: .json, .jsonl or .html")
    write_atomic(output, [text.encode()])


@app.command("suggest")
def suggest_command(
    label: Annotated[str, typer.Argument(help="The label that you have in mind.")],
    description: Annotated[
        str, typer.Option("--description", "-d", help="What you mean by it, in a sentence.")
    ] = "",
    as_json: _JSON = False,
) -> None:
    """Guide a new label: close types, what it is taken for, what to call it."""
    tree = taxonomy()
    found = suggest(tree, usage(mappings().values()), label, description)
    if as_json:
        row = {
            "label": label,
            "type": found.exact.name if found.exact else None,
            "closest": [
                {"type": close.type.name, "score": round(close.score, 2)} for close in found.closest
            ],
            "near_misses": [kind.name for kind in found.near_misses],
            "meanings": found.meanings,
            "name": found.name,
        }
        typer.echo(json.dumps(row, ensure_ascii=False))
        return
    if found.exact:
        typer.echo(f"{label!r} is a name of {tree.path(found.exact)}: {found.exact.definition}")
    for close in found.closest:
        typer.echo(f"close ({close.score:.2f}): {tree.path(close.type)}: {close.type.definition}")
    if found.near_misses:
        typer.echo(f"taken for: {', '.join(kind.name for kind in found.near_misses)}")
    if len(found.meanings) > 1:
        shown = ", ".join(f"{name} ({count})" for name, count in found.meanings.items())
        typer.echo(f"data sets mean different things by it: {shown}")
    typer.echo(f"write: {found.name}")


@labels_app.command("lint")
def lint_command(
    labels: Annotated[list[str], typer.Argument(help="Labels, also divided by commas.")],
    as_json: _JSON = False,
) -> None:
    """Say which labels are ambiguous, overlap or are badly named, and what to write instead."""
    given = [name.strip() for part in labels for name in part.split(",") if name.strip()]
    if not given:
        raise InputError("no labels: write them as in `b2ner labels lint 'person, city'`")
    findings = lint(taxonomy(), usage(mappings().values()), given)
    if as_json:
        rows = [
            {"label": f.label, "remark": f.remark.value, "detail": f.detail, "instead": f.instead}
            for f in findings
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
    elif findings:
        table = Table()
        for heading in ("label", "remark", "why", "write instead"):
            table.add_column(heading)
        for found in findings:
            table.add_row(found.label, found.remark.value, found.detail, found.instead)
        Console().print(table)
    else:
        typer.echo("nothing to remark")
    asks = [found for found in findings if found.remark not in HINTS]
    raise typer.Exit(code=1 if asks else 0)


def _branch(tree: Tree, kind: EntityType) -> RichTree:
    node = RichTree(f"{kind.name} {kind.zh}")
    for child in tree.children(kind):
        node.add(_branch(tree, child))
    return node


def _row(tree: Tree, kind: EntityType) -> dict[str, object]:
    return {**kind.to_json(), "path": tree.path(kind), "path_zh": tree.path_zh(kind)}


def _holds(kind: EntityType, words: list[str]) -> bool:
    text = "\n".join((*kind.names, kind.definition)).casefold()
    return all(word in text for word in words)
