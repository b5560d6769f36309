"""All formats whose rows are whole texts, not columns: their settings, and the reader of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import assert_never

from b2ner.corpus import archive as archives
from b2ner.corpus.brat import BratFolder, read_brat
from b2ner.corpus.inline import InlineTags, XmlElements, read_inline_tags, read_xml
from b2ner.corpus.json_families import JsonRows, read_json_format
from b2ner.corpus.json_readers import (
    JsonSpans,
    JsonTags,
    JsonValues,
    read_json_spans,
    read_json_tags,
    read_json_values,
)
from b2ner.corpus.json_rows import joined_lines
from b2ner.corpus.readers import Annotation
from b2ner.corpus.standoff import StandoffTables, read_standoff
from b2ner.corpus.tables import CsvSpans, SessionLines, read_csv_spans, read_session_lines
from b2ner.records import Rejected, Sample

FileFormat = (
    JsonSpans
    | JsonTags
    | JsonValues
    | JsonRows
    | InlineTags
    | XmlElements
    | CsvSpans
    | SessionLines
)
RowFormat = FileFormat | BratFolder | StandoffTables

_MAX_BYTES = 1 << 28  # of a file: most of them are held whole
_MANY = 8  # files; more are not opened one by one: the archive's index is read each time


def read_rows(
    layout: RowFormat,
    archive: Path,
    members: Sequence[str],
    annotation: Callable[[str], Annotation],
) -> Iterator[Sample | Rejected]:
    """The rows of some files of an archive, in order; `annotation` says what each file's is.

    Raises DataError when the archive, or a file that must be read whole, is not what it should be.
    """
    match layout:
        case BratFolder():
            names = [name for name in members if name not in layout.without]
            both = [part for name in names for part in (name, _beside(name, ".ann"))]
            contents = archives.texts(archive, both, max_bytes=_MAX_BYTES)
            for name, text, marks in zip(names, contents, contents, strict=True):
                yield from read_brat(
                    text,
                    marks,
                    layout.cut,
                    annotation(name),
                    covering=layout.covering,
                    relations=layout.relations,
                )
        case StandoffTables():
            paths = [
                path
                for name in members
                for path in (name, _of(layout.sentences, name), _of(layout.tokens, name))
            ]
            parts = archives.texts(archive, paths, max_bytes=_MAX_BYTES)
            for name, text, sentences, tokens in zip(members, parts, parts, parts, strict=True):
                yield from read_standoff(text, sentences, tokens, layout, annotation(name))
        case JsonSpans() if layout.joined_on:
            for name, other in zip(members[::2], members[1::2], strict=True):
                told = annotation(name)
                lines = archives.lines(archive, name, max_bytes=_MAX_BYTES)
                others = archives.lines(archive, other, max_bytes=_MAX_BYTES)
                both_lines = joined_lines(lines, others, layout.joined_on, told)
                yield from read_json_spans(both_lines, layout, told)
        case _:
            for name, file_lines in _files(archive, members):
                yield from read_file(layout, file_lines, annotation(name))


def read_file(
    layout: FileFormat, lines: Iterable[str], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """The rows of one file."""
    match layout:
        case JsonSpans():
            return read_json_spans(lines, layout, annotation)
        case JsonTags():
            return read_json_tags(lines, layout, annotation)
        case JsonValues():
            return read_json_values(lines, layout, annotation)
        case JsonRows():
            return read_json_format(lines, layout.rows, annotation, leave_out=layout.leave_out)
        case InlineTags():
            return read_inline_tags(lines, layout, annotation)
        case XmlElements():
            return read_xml(lines, layout, annotation)
        case CsvSpans():
            return read_csv_spans(lines, layout, annotation)
        case SessionLines():
            return read_session_lines(lines, layout, annotation)
        case _:
            assert_never(layout)


def _files(archive: Path, members: Sequence[str]) -> Iterator[tuple[str, Iterable[str]]]:
    """Each file with its lines; of a few they are streamed, of many each file is held whole."""
    if len(members) <= _MANY:
        for name in members:
            yield name, archives.lines(archive, name, max_bytes=_MAX_BYTES)
    else:
        texts = archives.texts(archive, members, max_bytes=_MAX_BYTES)
        for name, text in zip(members, texts, strict=True):
            yield name, StringIO(text, newline="\n")


def _beside(name: str, suffix: str) -> str:
    """The file of the same name with another suffix."""
    return PurePosixPath(name).with_suffix(suffix).as_posix()


def _of(pattern: str, name: str) -> str:
    """The table of a text."""
    return pattern.replace("{name}", PurePosixPath(name).stem)
