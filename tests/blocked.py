"""A process of its own that cannot reach any network: what it runs must get by without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLOCK = """
import socket

def _blocked(*args, **kwargs):
    raise AssertionError(f"a connection was asked for: {args[1:]}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = _blocked
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = _blocked
"""

# English and Chinese, with the embedded model; `found` is what it found, for the test to look at.
EXTRACT = """
import json
import b2ner

ner = b2ner.load()
found = {}
for text, labels in (
    ("Ada Lovelace wrote to Charles Babbage.", ["person", "location"]),
    ("李白来到长安。", ["人名", "地名"]),
):
    document = ner.extract(text, labels)
    for entity in document.entities:
        assert text[entity.start : entity.end] == entity.text, entity
        assert entity.label in labels and 0 <= entity.score <= 1, entity
    assert document.faults == (), document.faults
    found[text] = [entity.to_json() for entity in document.entities]
print(json.dumps({"file": b2ner.__file__, "found": found}))
"""


def run(code: str, *, python: str = sys.executable, folder: Path) -> str:
    """What the code prints, run without a network, and without its folder on its path."""
    done = subprocess.run(
        [python, "-I", "-c", BLOCK + code],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
