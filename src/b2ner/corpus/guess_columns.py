"""The layout of a column file, guessed from its lines: separators, the token, the tags.

A column is one of tags when nearly all of its cells are: BIO and its kin with `-` or `_` before the
label, prefixes alone, or bare labels among many `O`. Of several such columns that with the most
entities is taken, but phrase chunks only where there is nothing else. What was found is said in
words, for somebody to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from b2ner.corpus.languages import is_wide
from b2ner.corpus.readers import Conll, Join, Separator

LABEL = "entity"  # of tags that name none

_TYPED = re.compile(r"([BIESLUM])([-_])(\S.*)")
_BARE = re.compile(r"[BIESLUM]")
_OUTSIDE = ("O", "_", "-", "o", "OUT", "OTHER")  # the first that a column holds is its own
_CHUNKS = frozenset(
    ("NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP")
)
_HEADING = "-DOCSTART-"
_MOST = 0.9  # of the lines must have one number of columns, or all but one
_MOST_TAGS = 0.95  # of a column's cells must be tags
_BARE_LABELS = 60  # different ones, at most
_BARE_SHARE = 0.1  # of the cells of bare labels are outside, at least


@dataclass(frozen=True, slots=True)
class Columns:
    """A layout, and in words what it says."""

    layout: Conll
    what: str


@dataclass(frozen=True, slots=True)
class _Tags:
    """What the cells of one column are, if they are tags."""

    scheme: str
    mark: str = "-"
    outside: str = "O"
    bare: bool = False
    named: bool = True
    tokens: int = 0  # that are in an entity
    labels: frozenset[str] = frozenset()


def guess_columns(
    lines: Sequence[str], *, token_column: int | None = None, tag_column: int | None = None
) -> Columns | None:
    """The layout of a file that begins with these lines (without line breaks); None: no columns.

    Columns that are given, counted from 0, are not guessed.
    """
    filled = [line for line in lines if line.strip()]
    for separator in (Separator.TAB, Separator.BLANK, Separator.LAST_BLANK, Separator.LAST_COMMA):
        found = _with(separator, filled, token_column, tag_column)
        if found:
            return found
    return None


def _with(
    separator: Separator, lines: Sequence[str], token_column: int | None, tag_column: int | None
) -> Columns | None:
    rows = [_cells(line, separator) for line in lines]
    widths = Counter(len(cells) for cells in rows)
    if not widths:
        return None
    width = max(widths, key=lambda width: (widths[width], width))
    comment = _comment(lines, rows, width)
    heading = any(cells[0] == _HEADING for cells in rows)
    table = [
        (line, cells)
        for line, cells in zip(lines, rows, strict=True)
        if not (comment and line.startswith(comment)) and cells[0] != _HEADING
    ]
    fitting = [cells for _, cells in table if len(cells) == width]
    if width < 2 or len(table) - len(fitting) > max(1, (1 - _MOST) * len(table)):
        return None
    columns = [[cells[n] for cells in fitting] for n in range(width)]
    first = [table[0][0]] if len(fitting) > 1 and _is_header(columns) else []
    if first:
        columns = [column[1:] for column in columns]
    tags = {number: kind for number, column in enumerate(columns) if (kind := _tags(column))}
    if tag_column is None:
        tag_column = _best(tags)
    if tag_column is None or tag_column % width not in tags:
        return None
    tag_column %= width
    if token_column is None:
        token_column = _token_column(columns, tags, tag_column)
    kind = tags[tag_column]
    join = join_of(columns[token_column])
    layout = Conll(
        separator,
        columns=width,
        token_column=token_column,
        tag_column=tag_column,
        join=join,
        # such a line may stand right above a sentence, or alone
        comment=comment or (_HEADING if heading else ""),
        headings=(_HEADING,) if heading and comment else (),
        tag_mark=kind.mark,
        outside=(kind.outside,),
        label="" if kind.named else LABEL,
        bare=kind.bare,
        strays=tuple(first),
    )
    more = [number for number in tags if number != tag_column and tags[number].labels]
    return Columns(layout, _said(layout, kind, more))


def join_of(tokens: Sequence[str]) -> Join:
    """Blanks between words; none between characters; both where words stand among characters."""
    spoken = [token for token in tokens if token[:1].isalpha()]
    if 3 * sum(is_wide(token[0]) for token in spoken) < len(spoken) or not spoken:
        return Join.BLANK
    words = any(len(token) > 1 and token.isascii() for token in spoken)
    return Join.WORDS if words else Join.NOTHING


def _cells(line: str, separator: Separator) -> list[str]:
    match separator:
        case Separator.TAB:
            return line.split("\t")
        case Separator.BLANK:
            return re.split(" +", line.rstrip(" "))
        case Separator.LAST_BLANK:
            return line.rsplit(" ", 1)
        case Separator.LAST_COMMA:
            return line.rsplit(",", 1)


def _comment(lines: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """How lines begin that are no rows: with `#`, and with another number of columns.

    Where all other lines begin with a number, the number of columns does not matter.
    """
    others = [cells[0] for line, cells in zip(lines, rows, strict=True) if line[:1] != "#"]
    counted = bool(others) and all(cell.isdecimal() for cell in others)
    marked = [
        line
        for line, cells in zip(lines, rows, strict=True)
        if line.startswith("#") and (counted or len(cells) != width)
    ]
    return next((mark for mark in ("# ", "#\t", "#") if _all_begin(marked, mark)), "")


def _all_begin(lines: Sequence[str], mark: str) -> bool:
    return bool(lines) and all(line.startswith(mark) for line in lines)


def _is_header(columns: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: its cell is no tag where all that follow are."""
    kinds = [(column, _tags(column[1:])) for column in columns]
    return any(kind and not kind.bare and not _tags(column[:1]) for column, kind in kinds)


def _tags(cells: Sequence[str]) -> _Tags | None:
    """What tags the cells of a column are; None: they are none."""
    counts = Counter(cells)
    outside = next((mark for mark in _OUTSIDE if counts[mark]), "O")
    others = {cell: count for cell, count in counts.items() if cell != outside}
    inside = sum(others.values())
    most = _MOST_TAGS * len(cells) - counts[outside]
    typed = {cell: match for cell in others if (match := _TYPED.fullmatch(cell))}
    if not others:
        return _Tags("tags of no entity", outside=outside) if counts[outside] else None
    if typed and sum(others[cell] for cell in typed) >= most:
        mark = "".join(sorted({match[2] for match in typed.values()}))
        labels = frozenset(match[3] for match in typed.values())
        scheme = _scheme({match[1] for match in typed.values()})
        return _Tags(scheme, mark=mark, outside=outside, tokens=inside, labels=labels)
    bare = {cell for cell in others if _BARE.fullmatch(cell)}
    if bare and sum(others[cell] for cell in bare) >= most:
        scheme = f"{_scheme(bare)} tags without labels"
        return _Tags(scheme, outside=outside, named=False, tokens=inside)
    if len(others) <= _BARE_LABELS and _BARE_SHARE * len(cells) <= counts[outside]:
        labels = frozenset(others)
        return _Tags("bare labels", outside=outside, bare=True, tokens=inside, labels=labels)
    return None


def _scheme(prefixes: set[str]) -> str:
    for marks, name in (("M", "BMES"), ("LU", "BILOU"), ("ES", "BIOES"), ("B", "BIO")):
        if prefixes & set(marks):
            return name
    return "IO"


def _best(tags: dict[int, _Tags]) -> int | None:
    """The column of tags that is taken: entities before chunks, marked before bare, the fullest."""
    if not tags:
        return None

    def rank(number: int) -> tuple[bool, bool, bool, int, int]:
        kind = tags[number]
        marked = bool(kind.labels) and not kind.bare
        chunks = bool(kind.labels) and kind.labels <= _CHUNKS
        return not chunks, marked, bool(kind.labels) or not kind.named, kind.tokens, -number

    return max(tags, key=rank)


def _token_column(columns: Sequence[Sequence[str]], tags: dict[int, _Tags], tag_column: int) -> int:
    """The first column of words: not that of the tags, nor one that counts."""
    others = [number for number in range(len(columns)) if number != tag_column]
    words = [n for n in others if not all(re.fullmatch("[0-9.-]+", cell) for cell in columns[n])]
    return next(iter(words), others[0])


_SEPARATORS = {
    Separator.TAB: "tabs",
    Separator.BLANK: "blanks",
    Separator.LAST_BLANK: "the last blank of a line",
    Separator.LAST_COMMA: "the last comma of a line",
}
_JOINS = {
    Join.BLANK: "with a blank between tokens",
    Join.NOTHING: "without blanks",
    Join.WORDS: "with blanks between alphabetic words only",
}


def _said(layout: Conll, kind: _Tags, more: Sequence[int]) -> str:
    parts = [
        f"{layout.columns} columns divided by {_SEPARATORS[layout.separator]}",
        f"tokens in column {layout.token_column + 1}, joined {_JOINS[layout.join]}",
        f"{kind.scheme} in column {layout.tag_column + 1}",
    ]
    if more:
        columns = ", ".join(str(number + 1) for number in more)
        parts.append(f"further tags, not read, in column {columns}")
    if layout.comment:
        parts.append(f"lines that begin with {layout.comment!r} are left out")
    if layout.strays:
        parts.append("the first line names the columns")
    return "; ".join(parts)
