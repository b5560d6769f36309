"""What a user's file or folder is: the format, its layout, and in words what was seen.

The content decides, not the suffix. A guess is shown before anything is written; what could not be
guessed says what was seen there, and can be named instead.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path

from b2ner.corpus import archive, arrow_tables, sheets
from b2ner.corpus.brat import BratFolder, Cut
from b2ner.corpus.exports import Export
from b2ner.corpus.guess_columns import Columns, guess_columns
from b2ner.corpus.guess_rows import guess_rows, is_row, said_of
from b2ner.corpus.json_readers import JsonSpans, JsonTags, Unit
from b2ner.corpus.published import LABELS
from b2ner.corpus.readers import Conll, Separator, is_utf8
from b2ner.corpus.token_tables import CsvTokens
from b2ner.errors import DataError, InputError
from b2ner.files import BrokenLine, read_jsonl

LINES = ""  # rows: one a line

_HEAD = 5_000  # lines that are looked at
_ROWS = 200
_BROKEN = 0.05  # of the rows may be
_SHOWN = 60  # characters of a line in a message
_MAGIC = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"%PDF": "a PDF",
    b"\xff\xfe": "text in UTF-16; write it as UTF-8",
    b"\xfe\xff": "text in UTF-16; write it as UTF-8",
}
_WORD_HEADINGS = ("token", "tokens", "word", "words")
_TAG_HEADINGS = ("tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "entity", "bio")
_DOCUMENT_HEADINGS = ("sentence #", "sentence_id", "sent_id", "sentence", "document", "doc_id")


class Form(StrEnum):
    """The formats of users' corpora."""

    CONLL = "conll"
    CSV_TOKENS = "csv-tokens"
    SHEET = "sheet"
    JSONL = "jsonl"
    LABEL_STUDIO = "label-studio"
    PRODIGY = "prodigy"
    SPACY = "spacy"
    JSON = "json"  # rows under other names, or whose offsets count something else
    CSV = "csv"
    PARQUET = "parquet"
    DATASETS = "datasets"
    BRAT = "brat"
    PUBLISHED = "published"


Layout = Conll | CsvTokens | Export | JsonSpans | JsonTags | BratFolder


@dataclass(frozen=True, slots=True)
class Guess:
    """A format with its layout, and in words what it is; folders of our own need no layout."""

    form: Form
    what: str
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says of a file, so that it is not guessed; columns are counted from 0."""

    form: Form | None = None
    unit: Unit | None = None
    token_column: int | None = None
    tag_column: int | None = None


NOTHING_TOLD = Told()

_EXPORTS = {
    Form.JSONL: Export.JSONL,
    Form.LABEL_STUDIO: Export.LABEL_STUDIO,
    Form.PRODIGY: Export.PRODIGY,
    Form.SPACY: Export.SPACY,
}
_FORMS = {export: form for form, export in _EXPORTS.items()}


def guess(path: Path, told: Told = NOTHING_TOLD) -> Guess:
    """What the file or folder is. Raises DataError, with what was seen, where nothing fits."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    found = _folder(path, told) if path.is_dir() else _file(path, told)
    if found is None:
        wanted = f"it is no {told.form.value}" if told.form else "its format could not be guessed"
        raise DataError(
            f"{path}: {wanted}: {_seen(path)}. Known formats: {', '.join(Form)};"
            " `--format` names one"
        )
    return found


def rows_of(path: Path) -> str:
    """Where the rows of a JSON file stand: LINES, or a path of `json_paths`."""
    lines = archive.lines(path.parent, path.name)
    head = [line.strip().removeprefix("\ufeff") for line in islice(lines, 6)]
    filled = [line for line in head if line]
    if not filled:
        return LINES
    whole = _parsed(filled[0])
    if filled[0].startswith("{") and any(isinstance(_parsed(line), dict) for line in filled[1:]):
        return LINES
    match whole:
        case list() if len(filled) > 1 or (whole and isinstance(whole[0], str)):
            return LINES
        case list():
            return "*"
        case dict() if is_row(whole):
            return LINES
        case None if filled[0].startswith("["):
            return "*"
        case _:
            document = _parsed(path.read_bytes().decode("utf-8-sig", "replace"))
            match document:
                case dict():
                    lists = [key for key, value in document.items() if _are_rows(value)]
                    return f"{lists[0]}.*" if len(lists) == 1 else LINES
                case _:
                    return LINES


def csv_lines(path: Path) -> Iterator[str]:
    """The rows of a CSV file with a header, as JSON lines; cells that hold JSON are read.

    Raises DataError when it is no CSV.
    """
    lines = archive.lines(path.parent, path.name)
    bare = (line.removeprefix("\ufeff") if n == 0 else line for n, line in enumerate(lines))
    rows = csv.DictReader(bare, strict=True)
    try:
        for row in rows:
            cells = {
                key: _parsed(cell) if isinstance(cell, str) and cell[:1] == "[" else cell
                for key, cell in row.items()
                if key is not None
            }
            yield json.dumps(cells)
    except csv.Error as problem:
        raise DataError(f"{path}:{rows.line_num}: not CSV: {problem}") from problem


# -- folders -------------------------------------------------------------------------------------


def _folder(path: Path, told: Told) -> Guess | None:
    tries = {
        Form.PUBLISHED: _published,
        Form.DATASETS: _datasets,
        Form.BRAT: _brat,
        Form.SHEET: _sheets,
    }
    if told.form is not None:
        tries = {form: attempt for form, attempt in tries.items() if form is told.form}
    return next((found for attempt in tries.values() if (found := attempt(path, told))), None)


def _published(path: Path, told: Told) -> Guess | None:
    sets = [path] if (path / LABELS).is_file() else [p.parent for p in path.glob(f"*/*/{LABELS}")]
    if not sets:
        return None
    return Guess(Form.PUBLISHED, f"the published layout, data sets: {len(sets)}")


def _datasets(path: Path, told: Told) -> Guess | None:
    if not arrow_tables.is_datasets_folder(path):
        return None
    files = arrow_tables.table_files(path)
    first = next(paths for paths in files.values() if paths)
    found = _table(arrow_tables.json_lines(first[:1]), told, Form.DATASETS)
    if found is None:
        return None
    return replace(found, what=f"Hugging Face datasets, {', '.join(files)}: {found.what}")


def _brat(path: Path, told: Told) -> Guess | None:
    pairs = [p for p in path.rglob("*.ann") if p.with_suffix(".txt").is_file()]
    if not pairs:
        return None
    what = f"brat: {len(pairs)} texts, cut at line breaks and behind the ends of sentences"
    return Guess(Form.BRAT, what, BratFolder(Cut.SENTENCES))


def _sheets(path: Path, told: Told) -> Guess | None:
    found = [p for p in path.glob(f"*{sheets.SUFFIX}") if _is_sheet(_head(p))]
    return Guess(Form.SHEET, f"{len(found)} annotated sheets") if found else None


# -- files ---------------------------------------------------------------------------------------


def _file(path: Path, told: Told) -> Guess | None:
    form = told.form
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    if magic == b"PAR1" or form is Form.PARQUET:
        return _table(arrow_tables.json_lines((path,)), told, Form.PARQUET)
    if any(magic.startswith(known) for known in _MAGIC) or b"\0" in magic:
        return None
    if form is Form.BRAT and path.suffix == ".txt":
        raise InputError(f"{path}: name the folder of the texts and their .ann files")
    head = _head(path)
    if form in (None, Form.SHEET) and _is_sheet(head):
        return Guess(Form.SHEET, "an annotated sheet")
    first = next((line.strip() for line in head if line.strip()), "")
    json_forms = (None, Form.JSON, Form.PUBLISHED, *_EXPORTS)
    if form in json_forms and first[:1] in ("{", "[") and (found := _json(path, told)):
        return found
    if form in (None, Form.CSV, Form.CSV_TOKENS) and (found := _csv(path, head, told)):
        return found
    if form in (None, Form.CONLL):
        columns = guess_columns(head, token_column=told.token_column, tag_column=told.tag_column)
        if columns:
            commas = columns.layout.separator is Separator.LAST_COMMA
            found = _quoted(head, columns) if commas else None
            return found or Guess(Form.CONLL, columns.what, columns.layout)
    return None


def _json(path: Path, told: Told) -> Guess | None:
    if told.form in _EXPORTS and told.unit is None:
        export = _EXPORTS[told.form]
        return Guess(told.form, said_of(export), export)
    place = rows_of(path)
    rows = _first_rows(path, place)
    if told.form in (None, Form.PUBLISHED) and place == "*" and _is_published(rows):
        return Guess(Form.PUBLISHED, "a split file of the published layout")
    found = guess_rows(rows, unit=told.unit)
    if found is None:
        return None
    match found.layout:
        case Export() as export:
            return Guess(_FORMS[export], found.what, export)
        case layout:
            return Guess(Form.JSON, found.what, replace(layout, rows=place))


def _first_rows(path: Path, place: str) -> list[object]:
    """The first rows that are JSON."""
    if place == LINES:
        lines = islice(read_jsonl(path), _ROWS)
        return [line.value for line in lines if not isinstance(line, BrokenLine)]
    document = _parsed(path.read_bytes().decode("utf-8-sig", "replace"))
    if isinstance(document, dict):
        document = document[place.removesuffix(".*")]
    return list(document[:_ROWS]) if isinstance(document, list) else []


def _is_published(rows: Sequence[object]) -> bool:
    match rows:
        case [{"sentence": str(), "entities": []}, *rest]:
            return not rest or _is_published(rest)
        case [{"sentence": str(), "entities": [{"name": str(), "type": str()}, *_]}, *_]:
            return True
        case _:
            return False


def _csv(path: Path, head: Sequence[str], told: Told) -> Guess | None:
    header = next(csv.reader(head[:1]), [])
    names = [name.strip().lower() for name in header]
    if told.form is not Form.CSV_TOKENS and {"text", "entities"} <= set(names):
        found = _table(csv_lines(path), told, Form.CSV)
        return found or Guess(Form.CSV, said_of(Export.TABLE), Export.TABLE)
    word = next((names.index(name) for name in _WORD_HEADINGS if name in names), None)
    tag = next((names.index(name) for name in _TAG_HEADINGS if name in names), None)
    if told.form is Form.CSV or word is None or tag is None:
        return None
    document = next((names.index(name) for name in _DOCUMENT_HEADINGS if name in names), None)
    filled = [row for row in csv.reader(head[1:]) if len(row) == len(header)]
    if document is not None and any(not row[document] for row in filled):
        document = None  # it is named in the first row of a sentence only
    ends = () if document is not None else (".", "!", "?", "。", "！", "？")
    layout = CsvTokens(
        columns=len(header),
        token_column=word,
        tag_column=tag,
        document_column=document,
        header=True,
        ends=ends,
    )
    parted = f"parted by {header[document]!r}" if document is not None else "cut behind their ends"
    what = f"CSV with a token a row: {header[word]!r}, tags in {header[tag]!r}, sentences {parted}"
    return Guess(Form.CSV_TOKENS, what, layout)


def _quoted(head: Sequence[str], columns: Columns) -> Guess | None:
    """A file with a token and its tag a line, between them a comma, if it is quoted as CSV is."""
    rows = [cells for cells in csv.reader(head) if cells]
    if sum(len(cells) != columns.layout.columns for cells in rows) > _BROKEN * len(rows):
        return None
    layout = CsvTokens(comment=columns.layout.comment)
    return Guess(Form.CSV_TOKENS, f"CSV with a token a row: {columns.what}", layout)


def _table(lines: Iterator[str], told: Told, form: Form) -> Guess | None:
    """A table whose rows are like those of a JSON file."""
    rows = [json.loads(line) for line in islice(lines, _ROWS)]
    found = guess_rows(rows, unit=told.unit, exports=False)
    if found is not None:
        match found.layout:
            case JsonSpans() | JsonTags() as layout:
                return Guess(form, found.what, layout)
            case _:
                return None
    plain = all(isinstance(row.get("text"), str) and "entities" in row for row in rows)
    if form is Form.PARQUET and rows and plain:
        return Guess(form, said_of(Export.PARQUET), Export.PARQUET)
    return None


# -- what both share -----------------------------------------------------------------------------


def _head(path: Path) -> list[str]:
    """The first lines without their ends, and without a byte order mark."""
    lines = islice(archive.lines(path.parent, path.name), _HEAD)
    bare = [line.removesuffix("\n").removesuffix("\r") for line in lines]
    return [line.removeprefix("\ufeff") if n == 0 else line for n, line in enumerate(bare)]


def _is_sheet(head: Sequence[str]) -> bool:
    first = next((line for line in head if line.strip()), "")
    return first.startswith("## labels:")


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _parsed(text: str) -> object:
    """The JSON value of a text; None where it is none (or is null, which holds no rows either)."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _seen(path: Path) -> str:
    """What stands there, for somebody who has to say what it is."""
    if path.is_dir():
        kinds = Counter(p.suffix or "without a suffix" for p in path.rglob("*") if p.is_file())
        files = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        return f"a folder with the files {files}" if files else "an empty folder"
    with path.open("rb") as file:
        start = file.read(1 << 12)
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return name
    if not start:
        return "an empty file"
    if b"\0" in start:
        return "bytes that are no text"
    head = [line for line in _head(path) if line.strip()]
    first = head[0] if head else ""
    if not is_utf8(first):
        return "text that is not UTF-8"
    if first.lstrip()[:1] in ("{", "["):
        rows = _first_rows(path, rows_of(path))
        keys = dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row)
        if keys:
            return f"JSON rows with the keys {', '.join(list(keys)[:12])}"
        return "JSON without rows, or that is broken"
    widths = Counter(len(line.split()) for line in head)
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    return (
        f"text whose first line is {first[:_SHOWN]!r}; {count} of {len(head)} lines have"
        f" {width} columns, and none holds tags"
    )
