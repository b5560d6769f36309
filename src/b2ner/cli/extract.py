"""`b2ner extract`: entities of one text, or of many lines.

Reads flags and input, calls the extractor, prints. On a terminal the text is shown in colours;
elsewhere one line an entity, or JSON with `--json`. Only results go to standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import IO, Annotated, Literal

import typer

from b2ner import files
from b2ner.cli import labels, render
from b2ner.errors import DataError, InputError
from b2ner.records import Document, FaultKind
from b2ner.workflows.models import BATCH_SIZE

SCHEMA = "document-v1.json"
STDIN = "-"

# Headings of the help page.
LABELS, ANSWERS, IN_AND_OUT, MODEL = "Labels", "Answers", "Input and output", "Model"

# After one of these, a text has not been read or answered to its end: exit code 1.
INCOMPLETE = frozenset({FaultKind.ENGINE, FaultKind.TEXT_TRUNCATED, FaultKind.ANSWER_TRUNCATED})


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("extract")(extract_command)


def _print_schema(asked: bool) -> None:
    if asked:
        schema = resources.files("b2ner.cli").joinpath("schema", SCHEMA)
        typer.echo(schema.read_text(encoding="utf-8"), nl=False)
        raise typer.Exit


def extract_command(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="The text itself, never a file name; - reads it from standard input. Put -- "
            "before a text that begins with a dash.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            "-l",
            help="A label to look for, in your own words. Repeat it.",
            rich_help_panel=LABELS,
        ),
    ] = None,
    labels_file: Annotated[
        Path | None,
        typer.Option(
            help="Labels from a file, one a line; in a .json file, a list of labels or an object "
            "of labels and descriptions.",
            exists=True,
            dir_okay=False,
            rich_help_panel=LABELS,
        ),
    ] = None,
    describe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=TEXT",
            help="What a label means, shown to the model.",
            rich_help_panel=LABELS,
        ),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Read the text from a file.",
            exists=True,
            dir_okay=False,
            rich_help_panel=IN_AND_OUT,
        ),
    ] = None,
    lines: Annotated[
        bool,
        typer.Option(
            "--lines",
            help="Each line of the input is a text of its own; print one JSON object a line.",
            rich_help_panel=IN_AND_OUT,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object; --schema prints its schema.",
            rich_help_panel=IN_AND_OUT,
        ),
    ] = False,
    utf16: Annotated[
        bool,
        typer.Option(
            "--utf16",
            help="JSON offsets in UTF-16 code units, not in code points.",
            rich_help_panel=IN_AND_OUT,
        ),
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLOAT or LABEL=FLOAT",
            help="Leave out entities that score less; for all labels, or for one. Repeat it.",
            rich_help_panel=ANSWERS,
        ),
    ] = None,
    overlap: Annotated[
        Literal["nested", "flat"],
        typer.Option(
            help="Keep entities that share characters, or only the best of them.",
            rich_help_panel=ANSWERS,
        ),
    ] = "nested",
    every_occurrence: Annotated[
        bool,
        typer.Option(
            "--every-occurrence",
            help="Mark each place where the words of an entity stand.",
            rich_help_panel=ANSWERS,
        ),
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of the prompt: en, zh, ... By default the text decides.",
            rich_help_panel=ANSWERS,
        ),
    ] = None,
    unconstrained: Annotated[
        bool,
        typer.Option(
            "--unconstrained",
            help="Let the model write freely, and read what can be read.",
            rich_help_panel=ANSWERS,
        ),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base model: a folder or a hub id. By default the embedded one.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="LoRA adapter: a folder, a hub id or none. By default ours, on the embedded base.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Prompt template, where the adapter's card names none.", rich_help_panel=MODEL
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda, cuda:1, mps, ... By default the fastest.", rich_help_panel=MODEL
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="bf16, fp32 or fp16. By default what suits the device.", rich_help_panel=MODEL
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with.", rich_help_panel=MODEL)
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts in work at once.", rich_help_panel=MODEL)
    ] = BATCH_SIZE,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Run code that the base model's folder brings.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_print_schema,
            is_eager=True,
            help="Print the JSON schema of the results.",
            rich_help_panel=IN_AND_OUT,
        ),
    ] = False,
) -> None:
    """Find entities in a text.

    b2ner extract "Ada Lovelace wrote to Babbage." -l person -l organization

    Exit code 1: a text was not read or answered to its end; its faults say why.
    """
    if (text is None) == (input_file is None) and not (lines and text is None):
        raise InputError("give one text: TEXT, - for standard input, or --input FILE")
    if lines and text not in (None, STDIN):
        raise InputError("--lines reads standard input or --input FILE, not TEXT")
    if utf16 and not (as_json or lines):
        raise InputError("--utf16 is for JSON: add --json or --lines")
    asked = labels.label_set(label or (), file=labels_file, descriptions=describe or ())
    limits = labels.thresholds(threshold or (), tuple(asked))

    from b2ner.inference import extractor

    with ExitStack() as opened:
        source = _open(input_file, opened) if input_file or lines or text == STDIN else None
        ner = extractor.load(
            base,
            adapter=adapter,
            template=template,
            device=device,
            dtype=dtype,
            threads=threads,
            batch_size=batch_size,
            trust_remote_code=trust_remote_code,
        )
        if source is not None:
            texts = _lines(source) if lines else iter([_whole(source)])
        else:
            texts = iter([text or ""])
        incomplete = False
        for document in ner.extract_batch(
            texts,
            asked,
            threshold=limits,
            overlap=overlap,
            language=language,
            constrained=not unconstrained,
            every_occurrence=every_occurrence,
        ):
            _print(document, as_json=as_json or lines, utf16=utf16)
            incomplete |= any(fault.kind in INCOMPLETE for fault in document.faults)
    if incomplete:
        raise typer.Exit(1)


def _open(path: Path | None, opened: ExitStack) -> IO[bytes]:
    """The file, or standard input."""
    if path is not None:
        try:
            return opened.enter_context(path.open("rb"))
        except OSError as problem:
            raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    if sys.stdin is None:
        raise InputError("standard input is closed")
    if sys.stdin.isatty():
        typer.echo("reading from the terminal; end with Ctrl-D", err=True)
    return sys.stdin.buffer


def _whole(source: IO[bytes]) -> str:
    """All of the input as one text, without the line break at its end."""
    return _text(source.read())


def _lines(source: IO[bytes]) -> Iterator[str]:
    """Each line of the input as a text; only \\n and \\r\\n end a line."""
    return map(_text, source)


def _text(raw: bytes) -> str:
    # Bytes that are no UTF-8 become lone surrogates: no byte is lost, no other line is stopped.
    end = b"\r\n" if raw.endswith(b"\r\n") else b"\n"
    return raw.removesuffix(end).decode("utf-8", "surrogateescape")


def _print(document: Document, *, as_json: bool, utf16: bool) -> None:
    if as_json:
        row = render.json_object(document, utf16=utf16)
        sys.stdout.buffer.write(files.encode(row) + b"\n")
        sys.stdout.buffer.flush()
    elif sys.stdout.isatty():
        render.show(document, sys.stdout)
    else:
        for line in render.plain_lines(document):
            typer.echo(line)
        for fault in document.faults:
            typer.echo(f"b2ner extract: {render.fault_line(fault)}", err=True)
