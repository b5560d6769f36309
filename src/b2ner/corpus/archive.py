"""Named files of a corpus, by line or whole, from its zip archive or from an unpacked folder.

Nothing is unpacked: only the member that is asked for is read, as a stream, up to a size limit, so
other members, their names and what they would inflate to do not matter. A member whose name ends in
`.gz` is read as what it holds; the limit is on that.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, cast

from b2ner.errors import DataError

MAX_BYTES = 1 << 30  # of one member, inflated
_BUFFER = 1 << 16


def find(source: Path, name: str) -> Path | None:
    """`source/name.zip`, else the folder `source/name`, else None."""
    for path in (source / f"{name}.zip", source / name):
        if path.exists():
            return path
    return None


def lines(archive: Path, member: str, *, max_bytes: int = MAX_BYTES) -> Iterator[str]:
    """The lines of one member with their line breaks; bytes that are not UTF-8 become surrogates.

    Lines end at LF only, so a Unicode line separator stays inside its line. Readers reject the rows
    with such surrogates. Raises DataError when the member is not there, is encrypted or damaged, or
    holds more than `max_bytes`.
    """
    place = f"{archive.name}/{member}"
    try:
        if archive.is_dir():
            with (archive / member).open("rb") as file:
                yield from _decoded(file, place, max_bytes)
        else:
            with zipfile.ZipFile(archive) as zipped, zipped.open(member) as file:
                yield from _decoded(file, place, max_bytes)
    except KeyError:
        raise DataError(f"{archive}: has no member {member!r}") from None
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{archive}: {member} cannot be read: {problem}") from problem


def members(archive: Path, pattern: str) -> list[str]:
    """The members whose path fits the pattern (`*` does not stop at `/`), numbers in their order.

    Raises DataError when the archive cannot be read or no member fits.
    """
    try:
        if archive.is_dir():
            files = (path for path in archive.rglob("*") if path.is_file())
            names = [path.relative_to(archive).as_posix() for path in files]
        else:
            with zipfile.ZipFile(archive) as zipped:
                names = zipped.namelist()
    except (OSError, zipfile.BadZipFile) as problem:
        raise DataError(f"{archive}: cannot be read: {problem}") from problem
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise DataError(f"{archive}: has no member that fits {pattern!r}")
    return sorted(found, key=_natural)


def texts(archive: Path, names: Iterable[str], *, max_bytes: int = MAX_BYTES) -> Iterator[str]:
    """The whole text of each member, as `lines` decodes it; the archive is opened once.

    Raises DataError as `lines` does.
    """
    if archive.is_dir():
        for name in names:
            yield "".join(lines(archive, name, max_bytes=max_bytes))
        return
    name = ""
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name in names:
                with zipped.open(name) as file:
                    yield "".join(_decoded(file, f"{archive.name}/{name}", max_bytes))
    except KeyError:
        raise DataError(f"{archive}: has no member {name!r}") from None
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{archive}: {name} cannot be read: {problem}") from problem


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts `9.txt` before `10.txt`."""
    parts = re.split("([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _decoded(file: IO[bytes], place: str, max_bytes: int) -> Iterator[str]:
    inflated = gzip.GzipFile(fileobj=file) if place.endswith(".gz") else file
    # zipfile looks for the ends of lines in Python: a buffer around it is several times as fast
    buffered = io.BufferedReader(cast(io.RawIOBase, inflated), _BUFFER)
    size = 0
    while line := buffered.readline(max_bytes - size + 1):
        size += len(line)
        if size > max_bytes:
            raise DataError(f"{place}: holds more than {max_bytes} bytes")
        yield line.decode("utf-8", errors="surrogateescape")
