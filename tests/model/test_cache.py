"""The cache: an entry is whole or not there, whoever crashes, waits or meddles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from b2ner.errors import CacheError
from b2ner.model import cache

NAME = "entry-1"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Fills a folder and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> dict[str, Any]:
        self.calls += 1
        (folder / "weights").write_bytes(bytes(range(256)) * 100)
        (folder / "config").write_text("{}")
        return {"source": "a test"}


def build(make: Any, lines: list[str] | None = None, needs: int = 1) -> Path:
    report = (lambda line: None) if lines is None else lines.append
    return cache.build(NAME, make, needs=needs, report=report)


def find(lines: list[str] | None = None) -> Path | None:
    return cache.find(NAME, report=(lambda line: None) if lines is None else lines.append)


def test_an_entry_is_built_once() -> None:
    make = Maker()
    assert find() is None
    folder = build(make)
    assert build(make) == folder == find()
    assert make.calls == 1
    assert sorted(path.name for path in folder.iterdir()) == ["config", cache.MANIFEST, "weights"]


def damage_bytes(folder: Path) -> None:
    """Other bytes, the same size, and the old time of writing."""
    path = folder / "weights"
    stat = path.stat()
    with path.open("rb+") as stream:
        stream.seek(1000)
        stream.write(b"!!!!")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(damage_bytes, "SHA-256", id="other bytes"),
        pytest.param(lambda f: os.truncate(f / "weights", 100), "100 bytes", id="cut short"),
        pytest.param(lambda f: (f / "config").unlink(), "is missing", id="a file is gone"),
        pytest.param(lambda f: (f / cache.MANIFEST).unlink(), None, id="no manifest"),
        pytest.param(lambda f: (f / cache.MANIFEST).write_text('{"form'), None, id="half of it"),
        pytest.param(lambda f: (f / cache.MANIFEST).write_text("[]"), None, id="no manifest form"),
        pytest.param(
            lambda f: (f / cache.MANIFEST).write_text('{"format": 1, "files": {}}'),
            None,
            id="empty",
        ),
    ],
)
def test_a_damaged_entry_is_built_again(damage: Any, said: str | None) -> None:
    make, lines = Maker(), []
    folder = build(make)
    damage(folder)
    assert find(lines) is None
    assert [said in line for line in lines] == ([True] if said else [])
    assert build(make) == folder == find()
    assert make.calls == 2
    assert list(folder.parent.glob("*.partial-*")) == []


def test_a_copied_entry_is_hashed_and_then_trusted(tmp_path: Path, monkeypatch: Any) -> None:
    folder = build(Maker())
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)
    hashed = []
    real = cache._sha256
    monkeypatch.setattr(cache, "_sha256", lambda path: hashed.append(path.name) or real(path))
    assert find() == folder
    assert find() == folder
    assert sorted(hashed) == ["config", "weights"]  # once each: the manifest keeps the new stamps


def test_a_build_that_fails_leaves_nothing_behind(root: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "weights").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(fail)
    assert [path.name for path in (root / "models").iterdir()] == ["lock"]
    assert find() is None


def test_what_a_killed_build_left_is_removed(root: Path) -> None:
    left = root / "models" / f"{NAME}.partial-99999"
    left.mkdir(parents=True)
    (left / "weights").write_bytes(b"half")
    assert [(e.name, e.bytes, e.complete) for e in cache.cache_entries()] == [(left.name, 4, False)]
    build(Maker())
    assert [e.name for e in cache.cache_entries()] == [NAME]


def test_no_disk_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 123_000_000))
    make = Maker()
    with pytest.raises(CacheError) as caught:
        build(make, needs=700_000_000)
    assert make.calls == 0
    for part in (str(root), "700 MB", "123 MB", "B2NER_CACHE"):
        assert part in str(caught.value)


def test_a_disk_that_fills_up_is_said(root: Path) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match=r"No space left on device.*B2NER_CACHE"):
        build(fill)
    assert list((root / "models").glob("*.partial-*")) == []


def test_a_cache_that_cannot_be_written_is_said(root: Path, monkeypatch: Any) -> None:
    root.parent.mkdir(exist_ok=True)
    root.write_text("a file where the folder should be")
    with pytest.raises(CacheError, match=r"cannot be written.*B2NER_CACHE"):
        build(Maker())
    assert cache.cache_entries() == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anyway")
def test_a_read_only_cache_is_said_if_empty_and_used_if_full(root: Path) -> None:
    folder = build(Maker())
    (folder / "config").touch()  # its time stamp can't be renewed below
    for path in (folder, folder.parent, root):
        path.chmod(0o555)
    try:
        assert find() == folder
        with pytest.raises(CacheError, match="cannot be written"):
            cache.build("other", Maker(), needs=1, report=print)
    finally:
        for path in (root, folder.parent, folder):
            path.chmod(0o755)


def test_a_manifest_that_cannot_be_renewed_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build(Maker())
    (folder / "config").touch()

    def refuse(*arguments: Any) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr(cache, "_write_manifest", refuse)
    assert find() == folder


def test_clearing_removes_what_is_ours_only(root: Path) -> None:
    build(Maker())
    other = root / "models" / "of somebody else"
    other.mkdir()
    (other / "diary").write_text("dear")
    assert [(e.name, e.complete) for e in cache.cache_entries()] == [(NAME, True)]
    assert [e.name for e in cache.clear_cache()] == [NAME]
    assert cache.cache_entries() == cache.clear_cache() == []
    assert (other / "diary").exists()


def test_clearing_where_there_is_no_cache_makes_none(root: Path) -> None:
    assert cache.clear_cache() == []
    assert not root.exists()


BUILDER = """
import sys, time
from pathlib import Path
from b2ner.model import cache

def make(folder):
    print("making", flush=True)
    (folder / "weights").write_bytes(b"x" * 1000)
    time.sleep(float(sys.argv[1]))
    return {}

print(cache.build("entry-1", make, needs=1, report=lambda line: print("said", line, flush=True)))
"""


def start(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUILDER), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_builds_and_the_other_waits() -> None:
    processes = [start(1.0) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("making" in output for output in outputs) == 1
    assert sum("another process" in output for output in outputs) == 1
    folder = find()
    assert all(output.splitlines()[-1] == str(folder) for output in outputs)


def test_a_killed_builder_does_not_lock_others_out() -> None:
    killed = start(600)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "making\n"
    killed.kill()
    killed.wait(timeout=60)
    killed.stdout.close()
    make = Maker()
    assert build(make) == find()
    assert make.calls == 1
    assert len(cache.cache_entries()) == 1  # what the killed one left is gone


@pytest.mark.parametrize(
    ("platform", "settings", "expected"),
    [
        pytest.param("linux", {"B2NER_CACHE": "~/x"}, "~/x", id="ours first"),
        pytest.param("linux", {"XDG_CACHE_HOME": "/c"}, "/c/b2ner", id="the XDG folder"),
        pytest.param("linux", {"B2NER_CACHE": ""}, "~/.cache/b2ner", id="empty is unset"),
        pytest.param("darwin", {}, "~/Library/Caches/b2ner", id="macOS"),
        pytest.param("win32", {"LOCALAPPDATA": "/l"}, "/l/b2ner", id="Windows"),
        pytest.param("win32", {}, "~/AppData/Local/b2ner", id="Windows without the variable"),
    ],
)
def test_where_the_cache_is(
    platform: str, settings: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("B2NER_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache.cache_root() == Path(expected).expanduser()
