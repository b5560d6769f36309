"""The rows of JSON files: one a line, or what stands at a path of one document.

A row that cannot be read is rejected in its place; a document that cannot be read is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from b2ner.corpus.json_paths import each, one
from b2ner.corpus.readers import Annotation, is_utf8, numbered
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected

LINES = ""  # the path of rows that stand one a line

Rows = Iterator[tuple[str, object] | Rejected]


def json_rows(
    lines: Iterable[str], path: str, annotation: Annotation, *, encoding: str = "utf-8"
) -> Rows:
    """(place, row) of each line, or of all that stands at `path` of one document, held whole.

    Raises DataError when the document is none, or has nothing at the path; a document that is one
    row itself (`$`) is rejected instead.
    """
    if path == LINES:
        yield from _row_a_line(lines, annotation, encoding)
        return
    try:
        whole = "".join(_decoded(line, encoding) for line in lines).removeprefix("\ufeff")
        document = json.loads(whole)
        found = list(each(document, path))
    except (ValueError, RecursionError) as problem:
        if path != "$":
            raise DataError(f"{annotation.source}: not the JSON expected: {problem}") from problem
        yield Rejected(Reason.MALFORMED, annotation.source, f"not JSON: {problem}")
        return
    for row, keys in found:
        numbers = ".".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        yield f"{annotation.source}:{numbers or 1}", row


def _row_a_line(lines: Iterable[str], annotation: Annotation, encoding: str) -> Rows:
    for number, line in numbered(lines):
        if not line.strip():
            continue
        place = f"{annotation.source}:{number}"
        try:
            yield place, json.loads(_decoded(line, encoding))
        except (ValueError, RecursionError) as problem:
            yield Rejected(Reason.MALFORMED, place, f"not JSON: {problem}")


def _decoded(line: str, encoding: str) -> str:
    """The line in its own encoding; it came as UTF-8, other bytes as surrogates.

    Raises ValueError when its bytes are not of that encoding.
    """
    if encoding != "utf-8":
        return line.encode("utf-8", "surrogateescape").decode(encoding)
    if not is_utf8(line):
        raise ValueError("not UTF-8")
    return line


def joined_lines(
    lines: Iterable[str], others: Iterable[str], key: str, annotation: Annotation
) -> Iterator[str]:
    """The rows of two files that have one value of `key` in common, each pair as one row of both.

    In the order of the first file; `others` is held whole. Raises DataError for a row without a
    counterpart: one of the two files is another one, or cut.
    """
    found = {row[key]: row for row in _keyed(others, key, annotation)}
    for row in _keyed(lines, key, annotation):
        if row[key] not in found:
            raise DataError(f"{annotation.source}: no counterpart for {key} {row[key]!r}")
        yield json.dumps({**row, **found[row[key]]})


def _keyed(lines: Iterable[str], key: str, annotation: Annotation) -> Iterator[dict[str, object]]:
    """The rows, objects that hold a string or number under `key`. Raises DataError."""
    for row in json_rows(lines, LINES, annotation):
        match row:
            case Rejected():
                raise DataError(f"{row.place}: {row.detail}")
            case (_, dict(content)) if isinstance(content.get(key), str | int):
                yield content
            case (place, _):
                raise DataError(f"{place}: no {key!r}, by which two files are joined")


def string(value: object, path: str) -> str:
    """The value, if it is a text that can be written. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{path}: expected a string, found {value!r}")
    value.encode()  # raises for half a pair of surrogates, which JSON can spell
    return value


def strings(content: object, path: str) -> Sequence[str]:
    """The strings at a path: a list, all that its `*` stands for, or a string's characters."""
    if "*" in path:
        return [string(value, path) for value, _ in each(content, path)]
    match one(content, path):
        case str(characters):
            return characters
        case list(values):
            return [string(value, path) for value in values]
        case other:
            raise ValueError(f"{path}: expected a list of strings, found {other!r}")
