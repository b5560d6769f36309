"""`b2ner cache`: what the model cache holds, and clearing it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from b2ner.cli.render import megabytes
from b2ner.errors import InputError
from b2ner.model import cache

app = typer.Typer(help="Show or clear the model cache.", invoke_without_command=True)


@app.callback()
def cache_command(context: typer.Context) -> None:
    """Show where the model cache is and what it holds; `clear` empties it.

    The embedded model is converted once for this machine; the result lies here. B2NER_CACHE puts
    the cache elsewhere.
    """
    if context.invoked_subcommand is not None:
        return
    entries = cache.cache_entries()
    typer.echo(cache.cache_root())
    for entry in entries:
        state = "" if entry.complete else "  (left over from a build that did not end)"
        typer.echo(f"{megabytes(entry.bytes):>9}  {entry.name}{state}")
    if not entries:
        typer.echo("empty: the first extraction fills it")


@app.command("clear")
def clear_command(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove everything from the model cache; the next extraction makes it again."""
    entries = cache.cache_entries()
    if not entries:
        typer.echo(f"{cache.cache_root()} is empty")
        return
    size = megabytes(sum(entry.bytes for entry in entries))
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise InputError(f"nobody to ask here: --yes clears {cache.cache_root()} ({size})")
        if not typer.confirm(f"Remove {size} from {cache.cache_root()}?"):
            typer.echo("nothing was removed")
            return
    removed = cache.clear_cache()
    typer.echo(f"removed {megabytes(sum(entry.bytes for entry in removed))}")
