"""HIPE's TSV of historical newspapers: named columns, flags that part sentences and join tokens.

The first line names the columns. Lines with `# ` describe a document. The last column holds flags,
`NoSpaceAfter` and `EndOfSentence` among them; a blank line ends a sentence too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from b2ner.corpus.readers import Annotation, is_utf8, numbered, sample, tagged
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample, Span

_TOKEN, _FLAGS = "TOKEN", "MISC"
_OUTSIDE = ("O", "_", "")  # the last two: not annotated


@dataclass(frozen=True, slots=True)
class Hipe:
    """Which columns of tags are read; an entity in two of them counts once."""

    layers: tuple[str, ...] = ("NE-COARSE-LIT",)
    kind: Literal["hipe"] = "hipe"


def read_hipe(
    lines: Iterable[str], layout: Hipe, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a sentence, its tokens joined as the page has them.

    Raises DataError when the first line lacks a column.
    """
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    ended = False  # whether the last row ends a sentence
    for number, line in numbered(lines):
        if number == 1:
            header = line.split("\t")
            if missing := [c for c in (_TOKEN, *layout.layers, _FLAGS) if c not in header]:
                raise DataError(f"{annotation.source}: no column {missing[0]!r} in its first line")
            continue
        breaks = not line.strip() or line.startswith("# ")
        cells = line.split("\t")
        if rows and (breaks or (ended and not _goes_on(cells, header, layout))):
            yield _sentence(rows, header, layout, annotation)
            rows = []
        if not breaks:
            rows.append((number, cells))
            ended = "EndOfSentence" in cells[-1].split("|")
    if rows:
        yield _sentence(rows, header, layout, annotation)


def _goes_on(cells: Sequence[str], header: Sequence[str], layout: Hipe) -> bool:
    """Whether the row is inside a mention: some sentences end within one, and are read as one."""
    return len(cells) == len(header) and any(
        cells[header.index(layer)].startswith("I-") for layer in layout.layers
    )


def _sentence(
    rows: Sequence[tuple[int, list[str]]],
    header: Sequence[str],
    layout: Hipe,
    annotation: Annotation,
) -> Sample | Rejected:
    place = f"{annotation.source}:{rows[0][0]}"
    token_column, flags_column = header.index(_TOKEN), header.index(_FLAGS)
    text = ""
    spans = []
    between = ""
    for number, cells in rows:
        if len(cells) != len(header):
            detail = f"line {number}: {len(cells)} columns, expected {len(header)}"
            return Rejected(Reason.MALFORMED, place, detail)
        token = cells[token_column]
        if not token.strip() or not is_utf8(token):
            wrong = "not UTF-8" if token.strip() else "an empty token"
            return Rejected(Reason.MALFORMED, place, f"line {number}: {wrong}")
        start = len(text) + len(between)
        text += between + token
        spans.append(Span(start, start + len(token)))
        between = "" if "NoSpaceAfter" in cells[flags_column].split("|") else " "
    entities = []
    for layer in layout.layers:
        column = header.index(layer)
        found = tagged(["O" if c[column] in _OUTSIDE else c[column] for _, c in rows])
        if isinstance(found, str):
            return Rejected(Reason.MALFORMED, place, f"{found!r} is no tag")
        entities += [(Span(spans[a].start, spans[b].end), label) for a, b, label in found]
    return sample(text, list(dict.fromkeys(entities)), annotation, place)
