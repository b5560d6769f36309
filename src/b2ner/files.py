"""Records from and to files: JSON streamed, writes atomic, contents hashed.

Knows bytes and JSON, not what a record means. Text stays readable UTF-8; a lone surrogate, which
UTF-8 cannot hold, survives as a JSON escape. A broken line is a value (`BrokenLine`), a file that
cannot be read or written at all is a DataError.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from b2ner.errors import DataError

_BLOCK = 1 << 20  # bytes or characters read at a time
_ELEMENT_LIMIT = 1 << 26  # characters of one element of a JSON array
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One line of a JSON Lines file, read. Lines are counted from 1."""

    number: int
    value: object


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """One line of a JSON Lines file that is no JSON, and what is wrong with it."""

    number: int
    problem: str


def encode(value: object) -> bytes:
    """The value as one line of UTF-8 JSON, without the line break.

    A value that holds a lone surrogate is written in ASCII escapes and reads back the same.
    """
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def read_jsonl(path: Path) -> Iterator[JsonLine | BrokenLine]:
    """One value a line, in order, without loading the file; blank lines count as broken.

    Raises DataError when the file cannot be opened or read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _parse(number, line.removeprefix(_BOM) if number == 1 else line)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem


def _parse(number: int, line: bytes) -> JsonLine | BrokenLine:
    if not line.strip():
        return BrokenLine(number, "a blank line")
    try:
        return JsonLine(number, json.loads(line.decode()))
    except UnicodeDecodeError as problem:
        return BrokenLine(number, f"not UTF-8: {problem.reason} at byte {problem.start}")
    except (ValueError, RecursionError) as problem:
        return BrokenLine(number, f"not JSON: {problem}")


def read_json(path: Path) -> object:
    """The one JSON value of a small file. Raises DataError when it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_bytes().removeprefix(_BOM).decode())
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path}: not JSON in UTF-8: {problem}") from problem


def read_json_array(path: Path) -> Iterator[object]:
    """The elements of a file that is one JSON array, one at a time, without loading the file.

    Raises DataError, with the number of the element, where the file stops being such an array.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _array_elements(iter(lambda: file.read(_BLOCK), ""), path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8: {problem}") from problem


def _array_elements(blocks: Iterator[str], path: Path) -> Iterator[object]:
    """The elements of the array whose text comes in blocks; a block may end inside an element."""
    decoder = json.JSONDecoder()
    buffer, at, number, expected, closed = "", 0, 0, "[", False
    for block in chain(blocks, [""]):  # the empty block says that no more will come
        buffer, at = buffer[at:] + block, 0
        while (at := _after_space(buffer, at)) < len(buffer):
            mark, next_at = buffer[at], _after_space(buffer, at + 1)
            if closed or mark not in (expected, "]" if expected == "," else expected):
                raise DataError(f"{path}: found {mark!r} after element {number} of a JSON array")
            if mark == "]":
                closed, at = True, at + 1
                continue
            if mark == "[" and buffer[next_at : next_at + 1] == "]":
                at, expected = next_at, ","
                continue
            try:
                value, end = decoder.raw_decode(buffer, next_at)
            except (ValueError, RecursionError) as problem:
                if block and len(buffer) < _ELEMENT_LIMIT:
                    break
                message = f"{path}: element {number + 1} of the array is no JSON: {problem}"
                raise DataError(message) from problem
            if end == len(buffer) and block:  # a number may go on in the next block
                break
            number, at, expected = number + 1, end, ","
            yield value
    if not closed:
        raise DataError(f"{path}: a JSON array should stand here; it ends after element {number}")


def _after_space(text: str, at: int) -> int:
    """The first place from `at` on that is no JSON white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def write_atomic(path: Path, parts: Iterable[bytes]) -> str:
    """The SHA-256 of the bytes written. The file is complete under its name, or not there at all.

    Folders above it are made. Raises DataError when it cannot be written; an old file then stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror or problem}") from problem
    finally:
        with contextlib.suppress(OSError):  # gone already, or never there
            temporary.unlink()
    return digest.hexdigest()


def write_json(path: Path, value: object) -> str:
    """The SHA-256 of the indented JSON file written, atomically."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2).encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2).encode()
    return write_atomic(path, [text, b"\n"])


def write_json_array(path: Path, values: Iterable[object]) -> str:
    """The SHA-256 of the file written, atomically: one JSON array, an element a line."""

    def parts() -> Iterator[bytes]:
        yield b"["
        separator = b"\n"
        for value in values:
            yield separator + encode(value)
            separator = b",\n"
        yield b"\n]\n"

    return write_atomic(path, parts())


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes. Raises DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
