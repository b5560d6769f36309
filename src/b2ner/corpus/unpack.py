"""A zip of strangers, unpacked member by member: only regular files, only below one folder.

Nothing is written before every member was looked at: its name (both kinds of slash, drives, `..`),
its kind (no links, nothing encrypted), its size and ratio, and how many there are. What is written
is counted again, since a header may lie, and complete under its name, or not there at all; so one
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from b2ner.errors import DataError
from b2ner.files import write_atomic

_BLOCK = 1 << 20
_DRIVE = re.compile("[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_REGULAR = (0, stat.S_IFREG)  # 0: the archive was not made on Unix and does not say
_LEFT_OVERS = re.compile(r"(?:^|/)(?:__MACOSX/|\.DS_Store$|\._[^/]*$)")  # of a Mac's own packing


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold. The published one: some 200 files, below 2 GB, ratio below 20."""

    members: int = 10_000
    bytes: int = 8 << 30  # of all members, inflated
    member_bytes: int = 2 << 30
    ratio: int = 200  # of a member's inflated to its packed size, above the first megabyte


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive, found harmless: its name there, and where it is written."""

    name: str
    path: str  # below the folder, `/` between its parts
    bytes: int
    crc: int


def members(archive: Path, limits: Limits = LIMITS) -> list[Member]:
    """All files of an archive, in its order, without what a Mac leaves there.

    Raises DataError when it is no zip, or when one member is not what may be unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            infos = zipped.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as problem:
        raise DataError(f"{archive}: no zip that can be read: {problem}") from problem
    if len(infos) > limits.members:
        raise DataError(f"{archive}: {len(infos)} members, more than {limits.members}")
    found: dict[str, Member] = {}
    folders: set[str] = set()
    total = 0
    for info in infos:
        path = _path(info)
        if wrong := path.wrong or _wrong(info, limits):
            raise DataError(f"{archive}: {info.orig_filename!r} is not unpacked: {wrong}")
        total += info.file_size
        if total > limits.bytes:
            raise DataError(f"{archive}: holds more than {limits.bytes} bytes")
        parts = path.value.split("/")
        # as file systems compare that do not tell capitals apart
        folders |= {"/".join(parts[:n]).casefold() for n in range(1, len(parts))}
        if path.folder:
            folders.add(path.value.casefold())
        elif _LEFT_OVERS.search(path.value):
            continue
        elif (same := path.value.casefold()) in found:
            raise DataError(f"{archive}: {path.value!r} stands there twice")
        else:
            found[same] = Member(info.orig_filename, path.value, info.file_size, info.CRC)
    if both := sorted(folders & found.keys()):
        raise DataError(f"{archive}: {both[0]!r} is a file and a folder")
    return list(found.values())


def unpack(
    archive: Path,
    folder: Path,
    *,
    wanted: Callable[[Member], bool] = lambda member: True,
    limits: Limits = LIMITS,
) -> Iterator[Path]:
    """Write the members that are wanted below the folder; each file's path, once it is there.

    A file that is there already with the same bytes is left as it is. Raises DataError for an
    archive that `members` refuses or that is damaged, and for a file with other bytes.
    """
    chosen = [member for member in members(archive, limits) if wanted(member)]
    try:
        with zipfile.ZipFile(archive) as zipped:
            infos = {info.orig_filename: info for info in zipped.infolist()}
            for member in chosen:
                path = folder / member.path
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise DataError(f"{path}: a link there leads out of {folder}")
                if path.exists():
                    if _crc(path) != (member.bytes, member.crc):
                        raise DataError(f"{path} is there already, and is another file")
                else:
                    write_atomic(path, _blocks(zipped, infos[member.name]))
                yield path
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{archive}: cannot be unpacked: {problem}") from problem


@dataclass(frozen=True, slots=True)
class _Path:
    value: str
    folder: bool
    wrong: str = ""


def _path(info: zipfile.ZipInfo) -> _Path:
    """Where a member would be written, or what is wrong with its name."""
    name = info.orig_filename.replace("\\", "/")  # what Windows takes for one
    value = name.removesuffix("/")
    folder = value != name
    parts = value.split("/")
    if _CONTROL.search(name):
        return _Path(value, folder, "its name holds a control character")
    if name.startswith("/") or _DRIVE.match(name):
        return _Path(value, folder, "its path is absolute")
    if ".." in parts:
        return _Path(value, folder, "its path leads out of the folder")
    if any(part.strip(" .") == "" or ":" in part for part in parts):
        return _Path(value, folder, "its path has a part that is no name")
    return _Path(value, folder)


def _wrong(info: zipfile.ZipInfo, limits: Limits) -> str:
    """Why a member is not unpacked; empty: nothing is wrong with it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a link"
    if kind not in (*_REGULAR, stat.S_IFDIR):
        return "it is neither a file nor a folder"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.file_size > limits.member_bytes:
        return f"it holds more than {limits.member_bytes} bytes"
    if info.file_size > _BLOCK and info.file_size > limits.ratio * info.compress_size:
        return f"it would inflate to more than {limits.ratio} times its size"
    return ""


def _blocks(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member; `zipfile` compares their checksum at the end."""
    size = 0
    with zipped.open(info) as file:
        while block := file.read(_BLOCK):
            size += len(block)
            if size > info.file_size:
                raise zipfile.BadZipFile(f"{info.filename!r} holds more than it says")
            yield block
    if size < info.file_size:
        raise zipfile.BadZipFile(f"{info.filename!r} holds less than it says")


def _crc(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file."""
    size = crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(block)
            crc = zlib.crc32(block, crc)
    return size, crc
