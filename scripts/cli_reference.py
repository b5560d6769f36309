"""Write docs/reference/cli.md: what every command prints for --help. With --check, only compare."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from b2ner.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
HEAD = """# Command line

What `--help` prints, for every command. This page is written by `make docs`.
"""


def page() -> str:
    """The whole page."""
    app.rich_markup_mode = None  # plain help: the same on every terminal
    return "\n".join([HEAD, *(_section(path) for path in _paths(get_command(app)))])


def _paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each command, groups before what is in them."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _paths(inner, (*path, name))


def _section(path: tuple[str, ...]) -> str:
    environment = {"COLUMNS": "100", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}
    result = CliRunner(env=environment).invoke(app, [*path, "--help"], prog_name="b2ner")
    assert result.exit_code == 0, result.output
    text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
    return f"## {' '.join(('b2ner', *path))}\n\n```\n{text}\n```\n"


def main() -> None:
    text = page()
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(
            "docs/reference/cli.md is not what the commands say: run make docs, look at the diff"
        )


if __name__ == "__main__":
    main()
