"""`b2ner cache`: shows and clears."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.scripted import Command, scripted

pytestmark = pytest.mark.torchfree


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command, with a cache of its own that holds an entry and a build that did not end."""
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    whole = tmp_path / "cache" / "models" / "gemma"
    whole.mkdir(parents=True)
    (whole / "weights").write_bytes(bytes(3_000_000))
    row = {"size": 3_000_000, "sha256": "", "stamp": [0, 0]}
    (whole / "manifest.json").write_text(json.dumps({"format": 1, "files": {"weights": row}}))
    half = tmp_path / "cache" / "models" / "gemma.partial-1"
    half.mkdir()
    (half / "weights").write_bytes(bytes(2_000_000))
    return scripted(monkeypatch, " None")


def test_it_is_shown(command: Command) -> None:
    result = command.run("cache")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        os.environ["B2NER_CACHE"],
        "     3 MB  gemma",
        "     2 MB  gemma.partial-1  (left over from a build that did not end)",
    ]


def test_it_is_cleared(command: Command) -> None:
    pytest.importorskip("filelock", reason="needs the extra `local`")
    cleared = command.run("cache", "clear", "--yes")
    assert (cleared.exit_code, cleared.stdout) == (0, "removed 5 MB\n")
    assert "empty" in command.run("cache").stdout
    again = command.run("cache", "clear")
    assert (again.exit_code, again.stdout) == (0, f"{os.environ['B2NER_CACHE']} is empty\n")


def test_nothing_is_cleared_where_nobody_can_be_asked(command: Command) -> None:
    result = command.run("cache", "clear")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--yes" in result.stderr
    assert "3 MB" in command.run("cache").stdout
