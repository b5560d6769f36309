"""One reader per format: lines in, `Sample | Rejected` out, one for each row and in order.

A reader knows how a format writes texts, places and labels; which file it is and what its labels
mean is said by whoever calls it (`data_sets`). Labels stay as the source writes them. For every
entity kept, `text[start:end]` is its words. Rows are read one at a time; only one is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

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
    BLANK = "blank"  # one or more


@dataclass(frozen=True, slots=True)
class Conll:
    """How a column file is laid out; columns are counted from 0."""

    separator: Separator
    columns: int = 2
    token_column: int = 0
    tag_column: int = -1
    join: Join = Join.BLANK
    comment: str = ""  # a line that begins so is no row; "" means there are no such lines
    headings: tuple[str, ...] = ()  # a sentence that begins with one of these tokens is no text
    tag_mark: str = "-"  # what stands between a tag's prefix and its label
    position_digit: bool = False  # each token ends in its place within the word, one digit
    bracket_names: bool = False  # brackets are written as in the Penn Treebank, `-LRB-`


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a reader must be told: the source's label set, the language, and the place to name."""

    labels: tuple[str, ...]
    language: str
    source: str


def read_conll(
    lines: Iterable[str], layout: Conll, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a sentence; sentences are divided by lines without characters.

    Tags may be BIO, IOB1, BIOES, BILOU or BMES: an inside or end tag with nothing of its label to
    continue begins an entity, as the CoNLL scorer reads it.
    """
    rows: list[tuple[int, str]] = []
    for number, line in numbered(lines):
        if not line.strip():
            if rows and not _is_heading(rows[0][1], layout):
                yield _sentence(rows, layout, annotation)
            rows = []
        elif not (layout.comment and line.startswith(layout.comment)):
            rows.append((number, line))
    if rows and not _is_heading(rows[0][1], layout):
        yield _sentence(rows, layout, annotation)


def _is_heading(line: str, layout: Conll) -> bool:
    """Whether a sentence with this first line is one of the file's own headings."""
    column = layout.token_column
    return any(token in layout.headings for token in _cells(line, layout)[column : column + 1])


def _cells(line: str, layout: Conll) -> list[str]:
    return line.split("\t") if layout.separator is Separator.TAB else re.split(" +", line)


def _sentence(
    rows: Sequence[tuple[int, str]], layout: Conll, annotation: Annotation
) -> Sample | Rejected:
    place = f"{annotation.source}:{rows[0][0]}"
    tokens, tags = [], []
    for number, line in rows:
        cells = _cells(line, layout)
        if len(cells) != layout.columns:
            detail = f"line {number}: {len(cells)} columns, expected {layout.columns}"
            return Rejected(Reason.MALFORMED, place, detail)
        token, tag = cells[layout.token_column], cells[layout.tag_column]
        if layout.position_digit:
            if not ("0" <= token[-1:] <= "9"):
                detail = f"line {number}: {token!r} does not end in a digit"
                return Rejected(Reason.MALFORMED, place, detail)
            token = token[:-1]
        if not token or not is_utf8(line):
            detail = f"line {number}: {'an empty token' if not token else 'not UTF-8'}"
            return Rejected(Reason.MALFORMED, place, detail)
        if layout.join is Join.BLANK and token.isspace():  # the blank between its neighbours
            continue
        tokens.append(_BRACKETS.get(token, token) if layout.bracket_names else token)
        tags.append(tag)
    if not tokens:
        return Rejected(Reason.MALFORMED, place, "white space only")
    return tagged_sample(tokens, tags, layout.join, annotation, place, mark=layout.tag_mark)


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
    text, spans = joined(tokens, join)
    entities = [(Span(spans[first].start, spans[last].end), label) for first, last, label in found]
    return sample(text, entities, annotation, place)


_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
_PREFIXES = frozenset("BIESLUM")
_UNDECODED = re.compile("[\udc80-\udcff]")


def tagged(tags: Sequence[str], mark: str = "-") -> list[tuple[int, int, str]] | str:
    """(first token, last token, label) of each entity, or the tag that is none."""
    found: list[tuple[int, int, str]] = []
    open_label = None  # of the last entity in `found`, while it may go on
    for number, tag in enumerate(tags):
        if tag == "O":
            open_label = None
            continue
        prefix, label = tag[:1], tag[1:].removeprefix(mark)
        if prefix not in _PREFIXES or not label or len(label) + 1 == len(tag):
            return tag
        if prefix in "IMEL" and label == open_label:
            found[-1] = (found[-1][0], number, label)
        else:
            found.append((number, number, label))
        open_label = None if prefix in "ELSU" else label
    return found


def joined(tokens: Sequence[str], join: Join) -> tuple[str, list[Span]]:
    """The text, and the place of each token in it."""
    parts: list[str] = []
    spans = []
    size = 0
    for number, token in enumerate(tokens):
        if number and (
            join is Join.BLANK
            or (
                join is Join.WORDS
                and _is_word_end(tokens[number - 1][-1])
                and _is_word_end(token[0])
            )
        ):
            parts.append(" ")
            size += 1
        spans.append(Span(size, size + len(token)))
        parts.append(token)
        size += len(token)
    return "".join(parts), spans


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
    unknown = [label for _, label in entities if label not in annotation.labels]
    if unknown:
        return Rejected(Reason.UNKNOWN_LABEL, place, repr(unknown[0]))
    placed = [Entity(span, label, span.of(text)) for span, label in entities]
    ordered = answer.order(placed, annotation.labels)
    return Sample(text, tuple(ordered), annotation.labels, annotation.language, place)


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
