"""CSV whose rows are tokens, or texts with a tag for each character.

Quoting is that of CSV: a token may be a comma or a quotation mark. Sentences are parted by rows
without a token, or not at all; then a text ends where its document does, or behind a token that
ends sentences.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from b2ner.corpus.readers import Annotation, Conll, Join, Separator, is_utf8, layered_sample
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

_TAGS = Conll(Separator.TAB)
_CHARACTERS = Conll(Separator.TAB, join=Join.NOTHING)


@dataclass(frozen=True, slots=True)
class CsvTokens:
    """One token a row; columns are counted from 0."""

    columns: int = 2
    token_column: int = 0
    tag_column: int = 1
    document_column: int | None = None  # another value begins another document
    header: bool = False
    comment: str = ""  # a token that is none: it marks the beginning of a document
    codes: tuple[str, ...] = ()  # the tags that the numbers 0, 1, 2 ... stand for
    ends: tuple[str, ...] = ()  # tokens behind which a text may be cut, but not within a mention
    kind: Literal["csv-tokens"] = "csv-tokens"


@dataclass(frozen=True, slots=True)
class CsvTags:
    """CSV with a header: a text, and the tags of its characters with blanks between them."""

    text: str
    tags: str
    kind: Literal["csv-tags"] = "csv-tags"


def read_csv_tokens(
    lines: Iterable[str], layout: CsvTokens, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a sentence, or a document's piece; its place is the line of its first row.

    Raises DataError when the file is no CSV.
    """
    kept: list[tuple[int, list[str]]] = []
    document = None
    for number, cells in _rows(lines, annotation, skip=int(layout.header)):
        token = cells[layout.token_column] if len(cells) > layout.token_column else ""
        starts = False
        if layout.document_column is not None and len(cells) == layout.columns:
            starts = cells[layout.document_column] != document
            document = cells[layout.document_column]
        breaks = not any(cells) or (len(cells) == layout.columns and not token)
        if kept and (breaks or starts or token == layout.comment or _is_end(kept, cells, layout)):
            yield _sentence(kept, layout, annotation)
            kept = []
        if not breaks and not (layout.comment and token == layout.comment):
            kept.append((number, cells))
    if kept:
        yield _sentence(kept, layout, annotation)


def _is_end(
    kept: Sequence[tuple[int, list[str]]], following: Sequence[str], layout: CsvTokens
) -> bool:
    """Whether a sentence ends before the row that follows."""
    last = kept[-1][1]
    if not layout.ends or len(last) != layout.columns or len(following) != layout.columns:
        return False
    inside = _tag(following[layout.tag_column], layout).startswith("I")
    return last[layout.token_column] in layout.ends and not inside


def _sentence(
    kept: Sequence[tuple[int, list[str]]], layout: CsvTokens, annotation: Annotation
) -> Sample | Rejected:
    place = f"{annotation.source}:{kept[0][0]}"
    tokens, tags = [], []
    for number, cells in kept:
        if len(cells) != layout.columns:
            detail = f"line {number}: {len(cells)} columns, expected {layout.columns}"
            return Rejected(Reason.MALFORMED, place, detail)
        if not is_utf8(cells[layout.token_column]):
            return Rejected(Reason.MALFORMED, place, f"line {number}: not UTF-8")
        if not cells[layout.token_column].isspace():
            tokens.append(cells[layout.token_column])
            tags.append(_tag(cells[layout.tag_column], layout))
    if not tokens:
        return Rejected(Reason.MALFORMED, place, "white space only")
    return layered_sample(tokens, [tags], _TAGS, annotation, place)


def _tag(cell: str, layout: CsvTokens) -> str:
    """The tag of a cell; a number without a meaning stays, and is no tag."""
    if layout.codes and cell.isdecimal() and int(cell) < len(layout.codes):
        return layout.codes[int(cell)]
    return cell


def read_csv_tags(
    lines: Iterable[str], layout: CsvTags, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a row. Raises DataError when the file is no CSV or lacks a column."""
    rows = _rows(lines, annotation)
    _, header = next(rows, (1, list[str]()))
    if missing := {layout.text, layout.tags} - set(header):
        raise DataError(f"{annotation.source}: no column {sorted(missing)[0]!r} in its first line")
    text_column, tags_column = header.index(layout.text), header.index(layout.tags)
    for number, cells in rows:
        place = f"{annotation.source}:{number}"
        if len(cells) != len(header):
            detail = f"{len(cells)} columns, expected {len(header)}"
            yield Rejected(Reason.MALFORMED, place, detail)
            continue
        text, tags = cells[text_column], cells[tags_column].split()
        if not text or len(text) != len(tags) or not is_utf8(text):
            detail = f"{len(text)} characters and {len(tags)} tags"
            yield Rejected(Reason.MALFORMED, place, detail if is_utf8(text) else "not UTF-8")
            continue
        yield layered_sample(text, [tags], _CHARACTERS, annotation, place)


def _rows(
    lines: Iterable[str], annotation: Annotation, *, skip: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of each row behind the first `skip`."""
    rows = csv.reader(
        line.removeprefix("\ufeff") if number == 0 else line for number, line in enumerate(lines)
    )
    begins = 1
    try:
        for number, cells in enumerate(rows):
            if number >= skip:
                yield begins, cells
            begins = rows.line_num + 1
    except csv.Error as problem:
        raise DataError(f"{annotation.source}:{rows.line_num}: not CSV: {problem}") from problem
