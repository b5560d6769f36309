"""One reader per format: lines in, `Sample | Rejected` out, one for each row and in order.

A reader knows how a format writes texts, places and labels; which file it is and what its labels
mean is said by whoever calls it (`catalog`). Labels stay as the source writes them. For every
entity kept, `text[start:end]` is its words. Rows are read one at a time; only one is held.

Here: tokens in columns, parallel files, and what the readers of all formats share. How tokens
become a text is stated (`Join`): the sources do not say where blanks stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate, zip_longest
from typing import Literal, assert_never

from pydantic import BaseModel, ValidationError

from b2ner.prompting import answer
from b2ner.records import Entity, Reason, Rejected, Sample, Span


class Join(StrEnum):
    """How the tokens of a sentence become its text."""

    BLANK = "blank"  # one blank between any two tokens, as the published English sets do
    NOTHING = "nothing"  # Chinese, one character a token
    WORDS = "words"  # mixed: a blank only between two tokens of an alphabetic script


class Separator(StrEnum):
    """What stands between the columns of a line."""

    TAB = "tab"
    BLANK = "blank"  # one or more; those at the end of a line do not count
    LAST_BLANK = "last-blank"  # two columns: a token, which may be or hold a blank, and its tag
    LAST_COMMA = "last-comma"  # likewise


@dataclass(frozen=True, slots=True)
class Conll:
    """How a column file is laid out; columns are counted from 0, negative ones from the end."""

    separator: Separator
    columns: int = 2
    token_column: int = 0
    tag_column: int = -1
    join: Join = Join.BLANK
    comment: str = ""  # a line that begins so is no row; "" means there are no such lines
    headings: tuple[str, ...] = ()  # a sentence that begins with one of these tokens is no text
    tag_mark: str = "-"  # what stands between a tag's prefix and its label: one of these characters
    position_digit: bool = False  # each token ends in its place within the word, one digit
    bracket_names: bool = False  # brackets are written as in the Penn Treebank, `-LRB-`
    outside: tuple[str, ...] = ("O",)  # tags of tokens outside any entity
    label: str = ""  # of tags that name none: B, I, O
    bare: bool = False  # tags are labels alone; neighbours of one label are one entity
    layers: tuple[int, ...] = ()  # further columns of tags, of nested or other entities
    more_layers: bool = False  # so are all columns behind those counted in `columns`
    stands_for: Mapping[str, str] = field(default_factory=dict)  # token -> the text that it is
    strays: tuple[str, ...] = ()  # lines that are no rows: they hold a tag and no token
    kind: Literal["conll"] = "conll"


@dataclass(frozen=True, slots=True)
class Parallel:
    """Pairs of files: tokens in the first, as many tags in the second, line by line."""

    kind: Literal["parallel"] = "parallel"


@dataclass(frozen=True, slots=True)
class BarLines:
    """Lines `text|||start    last    label|||...|||` (CMeEE)."""

    kind: Literal["bar-lines"] = "bar-lines"


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a reader must be told: the source's label set, the language, and the place to name.

    Where the label set is not known beforehand (`open_labels`), a row has those that it uses.
    """

    labels: tuple[str, ...]
    language: str
    source: str
    open_labels: bool = False


def read_conll(
    lines: Iterable[str], layout: Conll, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a sentence; sentences are divided by lines without characters.

    Tags may be BIO, IOB1, BIOES, BILOU or BMES: an inside or end tag with nothing of its label to
    continue begins an entity, as the CoNLL scorer reads it.
    """
    rows: list[tuple[int, str]] = []
    comment = layout.comment
    for number, line in numbered(lines):
        if not line or line.isspace():
            if rows and not _is_heading(rows[0][1], layout):
                yield _sentence(rows, layout, annotation)
            rows = []
        elif not (comment and line.startswith(comment)) and line not in layout.strays:
            rows.append((number, line))
    if rows and not _is_heading(rows[0][1], layout):
        yield _sentence(rows, layout, annotation)


def _is_heading(line: str, layout: Conll) -> bool:
    """Whether a sentence with this first line is one of the file's own headings."""
    if not layout.headings:
        return False
    column = layout.token_column
    return any(token in layout.headings for token in _cells(line, layout)[column : column + 1])


def _cells(line: str, layout: Conll) -> list[str]:
    match layout.separator:
        case Separator.TAB:
            return line.split("\t")
        case Separator.BLANK:
            cells = line.split(" ")
            return cells if "" not in cells else re.split(" +", line.rstrip(" "))
        case Separator.LAST_BLANK:
            return line.rsplit(" ", 1)
        case Separator.LAST_COMMA:
            return line.rsplit(",", 1)
        case _:
            assert_never(layout.separator)


def _sentence(
    rows: Sequence[tuple[int, str]], layout: Conll, annotation: Annotation
) -> Sample | Rejected:
    place = f"{annotation.source}:{rows[0][0]}"
    table = [_cells(line, layout) for _, line in rows]
    width = len(table[0]) if layout.more_layers else layout.columns
    decoded = is_utf8("".join([line for _, line in rows]))
    for cells, (number, line) in zip(table, rows, strict=True):
        if len(cells) != width or width < layout.columns:
            detail = f"line {number}: {len(cells)} columns, expected {max(width, layout.columns)}"
            return Rejected(Reason.MALFORMED, place, detail)
        if layout.position_digit:
            token = cells[layout.token_column]
            if not ("0" <= token[-1:] <= "9"):
                detail = f"line {number}: {token!r} does not end in a digit"
                return Rejected(Reason.MALFORMED, place, detail)
            cells[layout.token_column] = token[:-1]
        if not cells[layout.token_column] or not (decoded or is_utf8(line)):
            wrong = "not UTF-8" if cells[layout.token_column] else "an empty token"
            return Rejected(Reason.MALFORMED, place, f"line {number}: {wrong}")
    if layout.join is Join.BLANK:  # a token of white space is the blank between its neighbours
        table = [cells for cells in table if not cells[layout.token_column].isspace()]
        if not table:
            return Rejected(Reason.MALFORMED, place, "white space only")
    tokens = [cells[layout.token_column] for cells in table]
    if layout.bracket_names:
        tokens = [_BRACKETS.get(token, token) for token in tokens]
    if layout.stands_for:
        tokens = [layout.stands_for.get(token, token) for token in tokens]
    columns = [layout.tag_column, *layout.layers, *range(layout.columns, width)]
    layers = [[cells[column] for cells in table] for column in columns]
    return layered_sample(tokens, layers, layout, annotation, place)


def read_parallel(
    tokens: Iterable[str], tags: Iterable[str], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a pair of lines: words divided by blanks, and as many tags."""
    pairs = zip_longest(numbered(tokens), numbered(tags))
    for number, (words, marks) in enumerate(pairs, start=1):
        place = f"{annotation.source}:{number}"
        if words is None or marks is None:
            missing = "words" if words is None else "tags"
            yield Rejected(Reason.MALFORMED, place, f"the file with the {missing} ends before it")
            continue
        line, line_tags = words[1].split(), marks[1].split()
        if not line or len(line) != len(line_tags) or not is_utf8(words[1]):
            detail = f"{len(line)} words and {len(line_tags)} tags"
            yield Rejected(Reason.MALFORMED, place, detail if is_utf8(words[1]) else "not UTF-8")
            continue
        yield tagged_sample(line, line_tags, Join.BLANK, annotation, place)


def tagged_sample(
    tokens: Sequence[str],
    tags: Sequence[str],
    join: Join,
    annotation: Annotation,
    place: str,
    *,
    mark: str = "-",
) -> Sample | Rejected:
    """The sample of a sentence in tokens, each with its tag; `mark` divides prefix and label."""
    found = tagged(tags, mark)
    if isinstance(found, str):
        return Rejected(Reason.MALFORMED, place, f"{found!r} is no tag")
    return _placed_sample(tokens, found, join, annotation, place)


def layered_sample(
    tokens: Sequence[str],
    layers: Iterable[Sequence[str]],
    layout: Conll,
    annotation: Annotation,
    place: str,
) -> Sample | Rejected:
    """The sample of a sentence whose tokens have a tag in each layer; an entity in two counts once.

    Of the layout, what is said of tags and of joining counts.
    """
    found: list[tuple[int, int, str]] = []
    for tags in layers:
        if layout.outside != _OUTSIDE:
            tags = ["O" if tag in layout.outside else tag for tag in tags]
        if layout.bare:
            tags = [tag if tag == "O" else f"I{layout.tag_mark[0]}{tag}" for tag in tags]
        in_layer = tagged(tags, layout.tag_mark, label=layout.label)
        if isinstance(in_layer, str):
            return Rejected(Reason.MALFORMED, place, f"{in_layer!r} is no tag")
        found += in_layer
    return _placed_sample(tokens, dict.fromkeys(found), layout.join, annotation, place)


def _placed_sample(
    tokens: Sequence[str],
    found: Iterable[tuple[int, int, str]],
    join: Join,
    annotation: Annotation,
    place: str,
) -> Sample | Rejected:
    """The sample of tokens with entities among them, which begin and end without white space."""
    text, starts = _joined(tokens, join)
    if text.isspace():
        return Rejected(Reason.MALFORMED, place, "white space only")
    entities = []
    for first, last, label in found:
        start, end = starts[first], starts[last] + len(tokens[last])
        words = text[start:end]
        if words[0].isspace() or words[-1].isspace():
            if words.isspace():
                return Rejected(Reason.MALFORMED, place, f"white space is no {label}")
            start += len(words) - len(words.lstrip())
            end -= len(words) - len(words.rstrip())
        entities.append((Span(start, end), label))
    return sample(text, entities, annotation, place)


_OUTSIDE = ("O",)
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
_PREFIXES = frozenset("BIESLUM")
_UNDECODED = re.compile("[\udc80-\udcff]")


def tagged(
    tags: Sequence[str], mark: str = "-", *, label: str = ""
) -> list[tuple[int, int, str]] | str:
    """(first token, last token, label) of each entity, or the tag that is none.

    One of the characters of `mark` divides prefix and label; `label` is that of tags without one.
    """
    found: list[tuple[int, int, str]] = []
    open_label = None  # of the last entity in `found`, while it may go on
    for number, tag in enumerate(tags):
        if tag == "O":
            open_label = None
            continue
        parts = _parts(tag, mark, label)
        if parts is None:
            return tag
        prefix, tag_label = parts
        if prefix in "IMEL" and tag_label == open_label:
            found[-1] = (found[-1][0], number, tag_label)
        else:
            found.append((number, number, tag_label))
        open_label = None if prefix in "ELSU" else tag_label
    return found


@lru_cache(maxsize=1 << 14)
def _parts(tag: str, mark: str, label: str) -> tuple[str, str] | None:
    """Prefix and label of a tag; None for what is none."""
    if tag[:1] not in _PREFIXES:
        return None
    if len(tag) == 1:
        return (tag, label) if label else None
    return (tag[0], tag[2:]) if tag[1] in mark and len(tag) > 2 else None


def joined(tokens: Sequence[str], join: Join) -> tuple[str, list[Span]]:
    """The text, and the place of each token in it."""
    text, starts = _joined(tokens, join)
    return text, [
        Span(start, start + len(token)) for start, token in zip(starts, tokens, strict=False)
    ]


def _joined(tokens: Sequence[str], join: Join) -> tuple[str, list[int]]:
    """The text, and where each token begins in it; the last number is no token's."""
    match join:
        case Join.BLANK:
            return " ".join(tokens), [0, *accumulate(len(token) + 1 for token in tokens)]
        case Join.NOTHING:
            return "".join(tokens), [0, *accumulate(map(len, tokens))]
        case Join.WORDS:
            parts = [
                f"{token} " if _is_word_end(token[-1:]) and _is_word_end(following[:1]) else token
                for token, following in zip(tokens, [*tokens[1:], ""], strict=True)
            ]
            return "".join(parts), [0, *accumulate(map(len, parts))]
        case _:
            assert_never(join)


def _is_word_end(character: str) -> bool:
    """A letter or digit of a script that divides words by blanks (all below the CJK blocks)."""
    return character.isalnum() and character < "\u2e80"


class _CluenerRow(BaseModel):
    text: str
    label: dict[str, dict[str, list[tuple[int, int]]]]


def read_cluener(lines: Iterable[str], annotation: Annotation) -> Iterator[Sample | Rejected]:
    """One result a line of CLUENER's JSON: label -> words -> [start, last], last included."""
    for number, line in numbered(lines):
        place = f"{annotation.source}:{number}"
        if not is_utf8(line):
            yield Rejected(Reason.MALFORMED, place, "not UTF-8")
            continue
        try:
            row = _CluenerRow.model_validate_json(line)
            entities = [
                (Span(start, last + 1), label, words)
                for label, places in row.label.items()
                for words, spans in places.items()
                for start, last in spans
            ]
        except ValueError as problem:  # of the row's form, or of a Span
            yield Rejected(Reason.MALFORMED, place, first_line(problem))
            continue
        yield checked_sample(row.text, entities, annotation, place)


_CMEEE_FIELD = re.compile(r"([0-9]+) +([0-9]+) +(\S+)")


def read_cmeee(lines: Iterable[str], annotation: Annotation) -> Iterator[Sample | Rejected]:
    """One result a line `text|||start    last    label|||...|||`, the last character included."""
    for number, line in numbered(lines):
        place = f"{annotation.source}:{number}"
        text, *fields = line.split("|||")
        matches = [_CMEEE_FIELD.fullmatch(field) for field in fields if field]
        if not text or not fields or fields[-1] or not all(matches) or not is_utf8(line):
            yield Rejected(Reason.MALFORMED, place, "no text|||start    end    label|||")
            continue
        entities = []
        for match in filter(None, matches):
            start, last, label = int(match[1]), int(match[2]), match[3]
            if not start <= last < len(text):
                detail = f"[{start}, {last}] in a text of {len(text)} characters"
                yield Rejected(Reason.SPAN_MISMATCH, place, detail)
                break
            entities.append((Span(start, last + 1), label))
        else:
            yield sample(text, entities, annotation, place)


def sample(
    text: str, entities: Sequence[tuple[Span, str]], annotation: Annotation, place: str
) -> Sample | Rejected:
    """The sample, its entities in the order of an answer."""
    labels = annotation.labels
    unknown = [label for _, label in entities if label not in labels]
    if unknown and annotation.open_labels:
        labels = tuple(dict.fromkeys((*labels, *unknown)))
    elif unknown:
        return Rejected(Reason.UNKNOWN_LABEL, place, repr(unknown[0]))
    placed = [Entity(span, label, span.of(text)) for span, label in entities]
    ordered = answer.order(placed, labels)
    return Sample(text, tuple(ordered), labels, annotation.language, place)


def checked_sample(
    text: str, entities: Sequence[tuple[Span, str, str]], annotation: Annotation, place: str
) -> Sample | Rejected:
    """The sample, when the words of each (place, label, words) stand at their place."""
    wrong = [words for span, _, words in entities if not stands(words, span, text)]
    if wrong:
        return Rejected(Reason.SPAN_MISMATCH, place, f"{wrong[0]!r} does not stand there")
    return sample(text, [(span, label) for span, label, _ in entities], annotation, place)


def stands(words: str, span: Span, text: str) -> bool:
    """Whether the words stand at that place; a place beyond the text's end is none."""
    return span.end <= len(text) and span.of(text) == words


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines from 1, without line breaks and without a byte order mark."""
    for number, line in enumerate(lines, start=1):
        bare = line.removesuffix("\n").removesuffix("\r")
        yield number, bare.removeprefix("\ufeff") if number == 1 else bare


def is_utf8(line: str) -> bool:
    """False for a line with bytes that could not be decoded (they stand there as surrogates)."""
    return _UNDECODED.search(line) is None


def first_line(problem: ValueError) -> str:
    if isinstance(problem, ValidationError):
        first = problem.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    return str(problem)
