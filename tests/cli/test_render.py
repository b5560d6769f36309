"""What a terminal shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from b2ner import highlight
from tests.cli.test_main import PROGRAM, ROOT

pytestmark = pytest.mark.torchfree

pty = pytest.importorskip("pty", reason="this system has no terminals")

ANSWER = """
extractor.load = Command([answer({answer!r}, 0.9, 0.8)]).load
"""


def on_a_terminal(text: str, answer: str, *labels: str, **environment: str) -> tuple[str, int]:
    """What the command writes when its standard output is a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    options = [part for label in labels for part in ("-l", label)]
    program = PROGRAM.format(before=ANSWER.format(answer=answer))
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    running = subprocess.Popen(
        [sys.executable, "-c", program, "extract", text, *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env=inherited | {"TERM": "xterm-256color", "COLUMNS": "80", **environment},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not block:
            break
        written += block
    os.close(ours)
    return written.decode().replace("\r\n", "\n"), running.wait(timeout=60)


def without_colours(shown: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]


def test_entities_are_coloured_and_listed() -> None:
    text = "Ada Lovelace wrote to Babbage."
    shown, code = on_a_terminal(text, " person: Ada Lovelace; year: Babbage", "person", "year")
    assert code == 0
    assert without_colours(shown) == [
        "Ada Lovelace person wrote to Babbage year.",
        "",
        "label   text          place  score",
        "person  Ada Lovelace   0-12   0.90",
        "year    Babbage       22-29   0.80",
    ]
    red, green, blue = bytes.fromhex(highlight.colour("person")[1:])
    assert re.search(r"48;(5;\d+|2;\d+;\d+;\d+)m", shown)
    truecolour, _ = on_a_terminal(text, " person: Ada Lovelace", "person", COLORTERM="truecolor")
    assert f"48;2;{red};{green};{blue}m" in truecolour


def test_without_colours_brackets_say_it() -> None:
    text = "New York Times"
    answer = " paper: New York Times; place: New York"
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown, _ = on_a_terminal(text, answer, "paper", "place", **environment)
        assert "[[New York | place] Times | paper]" in without_colours(shown)
        assert "48;" not in shown


def test_no_entities_are_said() -> None:
    shown, code = on_a_terminal("no one came", " None", "person")
    assert (without_colours(shown), code) == (["no one came", "", "no entities"], 0)


def test_a_text_cannot_steer_the_terminal() -> None:
    shown, _ = on_a_terminal("a\x1b[2Jb\x07\r\x9b1mc [red]d[/red]", " x: d", "x")
    assert "a␛[2Jb␇␍\ufffd1mc [red]d x[/red]" in without_colours(shown)
    assert "\x1b[2J" not in shown


def test_chinese_on_a_terminal() -> None:
    shown, _ = on_a_terminal("李白来到长安。", " 人名: 李白; 地名: 长安", "人名", "地名")
    assert "李白 人名来到长安 地名。" in without_colours(shown)
