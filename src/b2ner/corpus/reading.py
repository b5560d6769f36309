"""A data set of the catalog, read: from its archive to samples and rejected rows.

Readers know how lines are written; the catalog knows which files and labels; archives are opened
here and in `row_formats`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from b2ner.corpus import archive as archives
from b2ner.corpus.bracketed import Brackets, SlashChunks
from b2ner.corpus.catalog import Entry
from b2ner.corpus.column_formats import read_columns
from b2ner.corpus.hipe import Hipe
from b2ner.corpus.readers import Annotation, BarLines, Conll, Parallel, read_parallel
from b2ner.corpus.row_formats import read_rows
from b2ner.corpus.token_tables import CsvTags, CsvTokens
from b2ner.errors import DataError
from b2ner.records import Rejected, Sample


def read(entry: Entry, split: str, archive: Path) -> Iterator[Sample | Rejected]:
    """The rows of one split with the source's own labels, file by file, in order.

    `archive` is the data set's zip or the folder of its files (`archive.find`). Raises DataError
    when the data set has no such split, or the archive is not what it should be.
    """
    if split not in entry.files:
        raise DataError(f"{entry.name}: has no split {split!r}, but {', '.join(entry.splits)}")
    members = list(_members(entry, split, archive))
    layout = entry.split_formats.get(split, entry.format)
    match layout:
        case Parallel():
            for tokens, tags in zip(members[::2], members[1::2], strict=True):
                both = (archives.lines(archive, tokens), archives.lines(archive, tags))
                yield from read_parallel(*both, annotation(entry, tokens))
        case Conll() | BarLines() | CsvTokens() | CsvTags() | Hipe() | Brackets() | SlashChunks():
            for member in members:
                lines = archives.lines(archive, member)
                yield from read_columns(lines, layout, annotation(entry, member))
        case _:
            yield from read_rows(layout, archive, members, lambda name: annotation(entry, name))


def annotation(entry: Entry, member: str) -> Annotation:
    """What the reader of one file must be told."""
    return Annotation(tuple(entry.labels), entry.language, f"{entry.name}/{member}")


def _members(entry: Entry, split: str, archive: Path) -> Iterator[str]:
    """The files of a split, in the catalog's order; a pattern stands for all that fit it."""
    for name in entry.files[split]:
        if "*" in name:
            yield from archives.members(archive, name)
        else:
            yield name
