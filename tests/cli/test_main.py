"""What holds for every command: exit codes, errors in one line, help."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import b2ner
from b2ner.errors import (
    AdapterMismatch,
    B2nerError,
    CacheError,
    DataError,
    EngineError,
    MissingExtra,
)
from b2ner.inference import extractor
from b2ner.records import FaultKind
from tests.cli.scripted import ADA, scripted

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).parents[2]

# A process of its own in which the model is a list of answers.
PROGRAM = """
import sys
from b2ner.cli.main import run
from b2ner.inference import extractor
from tests.cli.scripted import Command, answer
extractor.load = Command([answer(" person: Ada Lovelace", 0.9)]).load
{before}
run()
"""


def process(
    *arguments: str, before: str = "", stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    program = PROGRAM.format(before=before)
    return subprocess.Popen(
        [sys.executable, "-c", program, "extract", "-l", "person", *arguments],
        cwd=ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        pytest.param(DataError("a.json: no such file"), 2, id="input"),
        pytest.param(MissingExtra("install b2ner[embedded]"), 3, id="an extra is missing"),
        pytest.param(AdapterMismatch("another base"), 3, id="adapter"),
        pytest.param(CacheError("the disk is full"), 3, id="cache"),
        pytest.param(EngineError("gone"), 3, id="engine"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, problem: B2nerError, code: int
) -> None:
    command = scripted(monkeypatch, " None")

    def load(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(extractor, "load", load)
    monkeypatch.delenv("B2NER_DEBUG", raising=False)
    result = command.run("extract", ADA, "-l", "person")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"b2ner extract: {problem}\n"
    monkeypatch.setenv("B2NER_DEBUG", "1")
    assert command.run("extract", ADA, "-l", "person").exception is problem


def test_version_and_help(monkeypatch: pytest.MonkeyPatch) -> None:
    command = scripted(monkeypatch, " None")
    assert command.run("--version").stdout == f"b2ner {b2ner.__version__}\n"
    shown = command.run("--help")
    assert shown.exit_code == 0
    for name in ("extract", "doctor", "cache"):
        assert name in shown.stdout
    assert command.run("extract", "--help").exit_code == 0


@pytest.mark.parametrize("arguments", [["nothing"], ["--nothing"], ["extract", "--nothing"]])
def test_usage_errors(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    result = scripted(monkeypatch, " None").run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nothing" in result.stderr


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    before = "sys.stdin = type('Endless', (), {'buffer': iter(lambda: b'Ada Lovelace', b'')})"
    before += "; sys.stdin.isatty = lambda: False"
    running = process("--lines", before=before)
    assert running.stdout is not None
    assert running.stderr is not None
    assert "Ada Lovelace" in running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=60) == 141
    assert running.stderr.read() == ""
    running.stderr.close()


def test_an_interrupt_is_exit_code_130() -> None:
    running = process("--lines", stdin=subprocess.PIPE)
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write("Ada Lovelace\n")
    running.stdin.flush()
    assert "Ada Lovelace" in running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert (running.returncode, stderr) == (130, "b2ner extract: interrupted\n")


def test_a_closed_standard_input_is_said() -> None:
    running = process("-", before="sys.stdin = None")
    stdout, stderr = running.communicate(timeout=60)
    assert (running.returncode, stdout) == (2, "")
    assert stderr == "b2ner extract: standard input is closed\n"


def test_a_narrow_encoding_stops_nothing() -> None:
    command = "import sys; sys.stdout.reconfigure(encoding='ascii')"
    running = process("Ada Lovelace 李白", "-l", "人名", before=command)
    stdout, stderr = running.communicate(timeout=60)
    assert (running.returncode, stderr) == (0, "")
    assert stdout == "0\t12\tperson\tAda Lovelace\t0.9000\n"


def test_the_reference_lists_every_kind_of_fault() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    assert [kind.value for kind in FaultKind if f"`{kind.value}`" not in page] == []
