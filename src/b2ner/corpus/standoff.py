"""Stand-off tables: a text, a table of its sentences, and a table of tagged tokens of sentences.

Tables are parted by tabs and have no header. A sentence is `number, ..., start, end` in characters
of the text, a token `sentence, number, start, end, tag, tag ...` in characters of its sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from b2ner.corpus.readers import Annotation, is_utf8, sample, tagged
from b2ner.records import Reason, Rejected, Sample, Span


@dataclass(frozen=True, slots=True)
class StandoffTables:
    """Where the tables of a text `FOLDER/NAME.txt` stand: `{name}` stands for its name.

    `layers` has a prefix for the labels of each column of tags; one that is "-" is not read.
    """

    sentences: str
    tokens: str
    layers: tuple[str, ...] = ("",)
    kind: Literal["standoff-tables"] = "standoff-tables"


def read_standoff(
    text: str, sentences: str, tokens: str, layout: StandoffTables, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a sentence that has tokens in the table; other sentences were not annotated."""
    rows: dict[str, list[list[str]]] = {}
    for line in tokens.splitlines():
        cells = line.split("\t")
        rows.setdefault(cells[0], []).append(cells)
    for line in sentences.splitlines():
        cells = line.split("\t")
        place = f"{annotation.source}:{cells[0]}"
        if cells[0] not in rows:
            continue
        tagged_tokens = rows.pop(cells[0])
        try:
            part = Span(int(cells[-2]), int(cells[-1])).of(text)
            entities = list(_entities(part, tagged_tokens, layout))
        except (ValueError, IndexError) as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))
            continue
        if is_utf8(part):
            yield sample(part, list(dict.fromkeys(entities)), annotation, place)
        else:
            yield Rejected(Reason.MALFORMED, place, "not UTF-8")
    for number in rows:
        detail = "tokens of a sentence that is not there"
        yield Rejected(Reason.MALFORMED, f"{annotation.source}:{number}", detail)


def _entities(
    text: str, rows: list[list[str]], layout: StandoffTables
) -> Iterator[tuple[Span, str]]:
    """What the tags of a sentence mark. Raises ValueError and IndexError for a broken table."""
    spans = [Span(int(cells[2]), int(cells[3])) for cells in rows]
    for span in spans:
        span.of(text)
    for column, prefix in enumerate(layout.layers, start=4):
        if prefix == "-":
            continue
        found = tagged([cells[column] for cells in rows])
        if isinstance(found, str):
            raise ValueError(f"{found!r} is no tag")
        for first, last, label in found:
            yield Span(spans[first].start, spans[last].end), prefix + label
