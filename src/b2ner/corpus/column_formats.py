"""The formats of tokens in columns and of marked lines, and which reader each has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from b2ner.corpus.bracketed import Brackets, SlashChunks, read_brackets, read_slash_chunks
from b2ner.corpus.hipe import Hipe, read_hipe
from b2ner.corpus.readers import Annotation, BarLines, Conll, Parallel, read_cmeee, read_conll
from b2ner.corpus.token_tables import CsvTags, CsvTokens, read_csv_tags, read_csv_tokens
from b2ner.records import Rejected, Sample

LineFormat = Conll | BarLines | CsvTokens | CsvTags | Hipe | Brackets | SlashChunks
ColumnFormat = LineFormat | Parallel


def read_columns(
    lines: Iterable[str], layout: LineFormat, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """The rows of one file."""
    match layout:
        case Conll():
            return read_conll(lines, layout, annotation)
        case BarLines():
            return read_cmeee(lines, annotation)
        case CsvTokens():
            return read_csv_tokens(lines, layout, annotation)
        case CsvTags():
            return read_csv_tags(lines, layout, annotation)
        case Hipe():
            return read_hipe(lines, layout, annotation)
        case Brackets():
            return read_brackets(lines, layout, annotation)
        case SlashChunks():
            return read_slash_chunks(lines, layout, annotation)
        case _:
            assert_never(layout)
