"""The `b2ner` command: joins the command groups, and turns errors into exit codes.

Exit codes: 0 all is well; 1 the work was done, but something in it failed; 2 the input or the
command line is unusable; 3 the model or the engine cannot be loaded or is gone; 130 interrupted;
141 whoever read our output went away. An error of ours is one line on stderr; B2NER_DEBUG=1 adds
the traceback.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import b2ner
from b2ner.cli import adapter, cache, corpus, data, doctor, extract, measure, taxonomy, train
from b2ner.errors import B2nerError, InputError


class _FrontDoor(TyperGroup):
    """The group of all commands: the one place that turns exceptions into exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except B2nerError as problem:
            if os.environ.get("B2NER_DEBUG"):
                raise
            typer.echo(f"b2ner {ctx.invoked_subcommand}: {problem}", err=True)
            raise typer.Exit(2 if isinstance(problem, InputError) else 3) from None
        except KeyboardInterrupt:
            typer.echo(f"b2ner {ctx.invoked_subcommand}: interrupted", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # What is still buffered cannot go anywhere; let the interpreter flush it into nothing.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None


app = typer.Typer(
    name="b2ner",
    cls=_FrontDoor,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback of ours shows no local variables: user text
    help="Find entities in texts: your labels in your own words, every entity a span of the text.",
    epilog="Nothing is sent anywhere: texts stay on this machine, and b2ner reports to nobody.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"b2ner {b2ner.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


extract.register(app)
measure.register(app)
train.register(app)
app.add_typer(adapter.app, name="adapter")
app.add_typer(data.app, name="data")
app.add_typer(corpus.app, name="corpus")
app.add_typer(taxonomy.app, name="taxonomy")
app.add_typer(taxonomy.labels_app, name="labels")
doctor.register(app)
app.add_typer(cache.app, name="cache")


def run() -> None:
    """The entry point of the `b2ner` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its code, not an exception.
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="b2ner")
