"""The model cache: folders that are whole or not there, whoever writes, crashes or waits.

An entry is built in a folder of its own beside its place, hashed, forced to disk and moved into
place in one step, by one process at a time. Every use checks sizes and time stamps, and the
SHA-256 of what they do not vouch for. Knows nothing of what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b2ner.errors import CacheError

MANIFEST = "manifest.json"
FORMAT = 1

_PARTIAL = ".partial-"  # folders of builds that have not ended, or never will
_log = logging.getLogger(__name__)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One folder of the cache. `complete`: it has a manifest; else a build left it behind."""

    name: str
    path: Path
    bytes: int
    complete: bool


def tell(line: str) -> None:
    """A report to whoever waits at the terminal."""
    print(f"b2ner: {line}", file=sys.stderr, flush=True)


def cache_root() -> Path:
    """The cache's folder, which need not exist: B2NER_CACHE, else the user's cache folder."""
    if asked := os.environ.get("B2NER_CACHE"):
        return Path(asked).expanduser().absolute()
    try:
        home = Path.home()
    except RuntimeError as fault:
        raise CacheError("no home folder for the cache; set B2NER_CACHE to a folder") from fault
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "b2ner"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "b2ner"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "b2ner"


def cache_entries() -> list[CacheEntry]:
    """What the cache holds, by name. Raises CacheError when it cannot be read."""
    folder = _models()
    try:
        return [
            CacheEntry(
                path.name,
                path,
                sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
                _read_manifest(path) is not None,
            )
            for path in sorted(folder.iterdir() if folder.is_dir() else ())
            if path.is_dir() and (_PARTIAL in path.name or (path / MANIFEST).is_file())
        ]
    except OSError as fault:
        raise CacheError(f"the cache {folder} cannot be read: {fault}") from fault


def clear_cache() -> list[CacheEntry]:
    """What was removed: all entries and left-over builds; a build under way is waited for.

    Raises CacheError when something cannot be removed, such as a model in use on Windows.
    """
    folder = _models()
    if not folder.is_dir():
        return []
    try:
        with _locked(folder, _log.info):
            removed = cache_entries()
            for entry in removed:
                _discard(entry.path)
            return removed
    except OSError as fault:
        raise CacheError(f"the cache {folder} cannot be cleared: {fault}") from fault


def find(name: str, *, report: Report) -> Path | None:
    """The folder of a sound entry; None when there is none, or a damaged one, which is reported."""
    folder = _models() / name
    manifest = _read_manifest(folder)
    if manifest is None:
        return None
    stale = []
    for file, row in manifest["files"].items():
        path = folder / file
        try:
            stat = path.stat()
            if stat.st_size != row["size"]:
                report(f"{path} is damaged: {stat.st_size} bytes, expected {row['size']}")
                return None
            if _stamp(stat) != row["stamp"]:
                if _sha256(path) != row["sha256"]:
                    report(f"{path} is damaged: its SHA-256 is not the recorded one")
                    return None
                row["stamp"] = _stamp(stat)
                stale.append(file)
        except FileNotFoundError:
            report(f"{path} is missing")
            return None
        except OSError as fault:
            raise CacheError(f"{path} cannot be read: {fault}") from fault
    if stale:
        try:
            _write_manifest(folder, manifest)
        except OSError as fault:  # a cache that others own: it is hashed again next time
            _log.debug("manifest of %s not renewed: %s", folder, fault)
    return folder


def build(name: str, make: Callable[[Path], dict[str, Any]], *, needs: int, report: Report) -> Path:
    """The folder of an entry, made unless a sound one is there.

    `make` fills an empty folder and returns what the manifest shall say of its making. `needs`:
    bytes of disk. While another process builds the same entry, this one waits for its result.
    Raises CacheError when the disk is too full or the cache cannot be written.
    """
    models = _models()
    try:
        models.mkdir(parents=True, exist_ok=True)
        with _locked(models, report):
            if (found := find(name, report=report)) is not None:
                return found
            for left_over in models.glob(f"*{_PARTIAL}*"):
                _discard(left_over)
            _check_space(models, needs)
            partial = models / f"{name}{_PARTIAL}{os.getpid()}"
            partial.mkdir()
            try:
                facts = make(partial)
                _seal(partial, facts)
                _put(partial, models / name)
            finally:
                if partial.exists():
                    _discard(partial)
    except OSError as fault:
        if isinstance(fault, CacheError):
            raise
        raise CacheError(
            f"the model cache {models} cannot be written: {fault}; set B2NER_CACHE to a folder "
            f"that can"
        ) from fault
    return models / name


def _models() -> Path:
    return cache_root() / "models"


@contextmanager
def _locked(folder: Path, report: Report) -> Iterator[None]:
    """Alone with the folder. The system frees the lock of a process that ends, however it ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("another process is preparing the model; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_space(folder: Path, needs: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needs:
        raise CacheError(
            f"not enough disk for the model cache {folder}: {needs / 1e6:.0f} MB are needed and "
            f"{free / 1e6:.0f} MB are free; make room, or set B2NER_CACHE to a folder on another "
            f"disk"
        )


def _seal(folder: Path, facts: dict[str, Any]) -> None:
    """Force the folder's files to disk and write the manifest over them, last."""
    rows = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
        stat = path.stat()
        rows[path.name] = {"size": stat.st_size, "sha256": _sha256(path), "stamp": _stamp(stat)}
    _write_manifest(folder, {"format": FORMAT, **facts, "files": rows})


def _put(partial: Path, place: Path) -> None:
    """Move a sealed folder into its place; what was there before goes."""
    if place.exists():
        old = place.with_name(f"{place.name}{_PARTIAL}old-{os.getpid()}")
        place.rename(old)
        partial.rename(place)
        _discard(old)
    else:
        partial.rename(place)


def _discard(folder: Path) -> None:
    """Remove an entry, its manifest first: what is left of a removal cut short is no entry."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """A manifest of the right form; `None` for everything else, since a build mends it."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        rows = manifest["files"].values()
        good = manifest["format"] == FORMAT and len(rows) > 0
        good = good and all({"size", "sha256", "stamp"} <= row.keys() for row in rows)
        return manifest if good else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    path = folder / MANIFEST
    fresh = folder / f"{MANIFEST}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def _stamp(stat: os.stat_result) -> list[int]:
    """Changes with every write to a file; the second figure cannot be set back at will."""
    return [stat.st_mtime_ns, stat.st_ctime_ns]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
