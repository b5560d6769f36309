"""Texts with their entities marked in place: `<city>Turin</city>` in a line, or elements of XML.

XML is read without its DTD: a document that declares entities of its own, or refers to another
file, is refused (what a few lines of it can grow to has no bound). Nothing outside the text is
fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from xml.parsers import expat

from b2ner.corpus.readers import Annotation, is_utf8, numbered, sample
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample, Span


@dataclass(frozen=True, slots=True)
class InlineTags:
    """Lines with tags named after the labels; `columns` parted by tabs, counted from 0."""

    columns: int = 1
    marked: int = 0  # the column with the tags
    plain: int | None = None  # the column with the same text without tags, if there is one
    correction: str = ""  # within a mention: what was heard, this mark, what was meant
    kind: Literal["inline-tags"] = "inline-tags"


@dataclass(frozen=True, slots=True)
class XmlElements:
    """Elements of XML: which are texts, which are entities and where those have their label."""

    text: str = "p"
    entity: str = "EM"
    label: str = "CATEG"  # an attribute
    between: str = (
        "|"  # parts alternatives, of a label (the first counts) and inside `alternatives`
    )
    alternatives: str = "ALT"  # an element with several readings, of which the first counts
    unjudged: str = "OMITIDO"  # an element around what its annotators left out
    kind: Literal["xml-elements"] = "xml-elements"


_TAG = re.compile(r"<(/?)([^<>/\s]+)>")


def read_inline_tags(
    lines: Iterable[str], layout: InlineTags, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a line; blank lines part sessions and are no rows."""
    for number, line in numbered(lines):
        if not line.strip():
            continue
        place = f"{annotation.source}:{number}"
        cells = line.split("\t") if layout.columns > 1 else [line]
        if len(cells) != layout.columns or not is_utf8(line):
            detail = f"{len(cells)} columns, expected {layout.columns}"
            yield Rejected(Reason.MALFORMED, place, detail if is_utf8(line) else "not UTF-8")
            continue
        try:
            text, entities = without_tags(cells[layout.marked], layout.correction)
        except ValueError as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))
            continue
        if not text.strip():
            yield Rejected(Reason.MALFORMED, place, "no text")
        elif layout.plain is not None and text != cells[layout.plain]:
            detail = f"{text!r} and {cells[layout.plain]!r} differ"
            yield Rejected(Reason.SPAN_MISMATCH, place, detail)
        else:
            yield sample(text, entities, annotation, place)


def without_tags(marked: str, correction: str = "") -> tuple[str, list[tuple[Span, str]]]:
    """The text, and what its tags marked; tags may lie inside each other.

    Raises ValueError for tags that are not closed, cross each other or mark nothing.
    """
    text = ""
    at = 0
    open_tags: list[tuple[str, int]] = []
    found = []
    for tag in _TAG.finditer(marked):
        text += marked[at : tag.start()]
        at = tag.end()
        if not tag[1]:
            open_tags.append((tag[2], len(text)))
            continue
        if not open_tags or open_tags[-1][0] != tag[2]:
            raise ValueError(f"</{tag[2]}> closes nothing")
        label, start = open_tags.pop()
        if correction and correction in text[start:]:
            text = text[: text.index(correction, start)]
        found.append((Span(start, len(text)), label))
    if open_tags:
        raise ValueError(f"<{open_tags[-1][0]}> is not closed")
    return text + marked[at:], found


# -- XML -----------------------------------------------------------------------------------------


def read_xml(
    lines: Iterable[str], layout: XmlElements, annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """One result a text element; runs of white space are one blank, and none before `.,;:!?)`.

    A text with an entity without a label, or with a part that was left out of the annotation, is
    rejected. Raises DataError when the file is no XML, or
    more than XML without a DTD.
    """
    texts = _Texts(layout)
    # The lines came as UTF-8; the declaration of the document says what its bytes are.
    for line in lines:
        texts.feed(line.encode("utf-8", "surrogateescape"), annotation.source)
        yield from _results(texts, annotation)
    texts.feed(b"", annotation.source, last=True)
    yield from _results(texts, annotation)


def _results(texts: _Texts, annotation: Annotation) -> Iterator[Sample | Rejected]:
    for done in texts.done:
        place = f"{annotation.source}:{done.line}"
        if not done.text:
            continue
        if done.unjudged:
            yield Rejected(Reason.NOT_ACCEPTED, place, "holds a part that was not annotated")
        elif not all(label for _, label in done.entities):
            yield Rejected(Reason.UNKNOWN_LABEL, place, "an entity without a label")
        else:
            yield sample(done.text, list(dict.fromkeys(done.entities)), annotation, place)
    texts.done.clear()


@dataclass(slots=True)
class _Text:
    """The text of an element as far as it has been read."""

    line: int
    text: str = ""
    blank: bool = False  # white space was read behind it
    unjudged: bool = False
    skipping: bool = False  # inside the second and further readings of an alternative
    starts: list[tuple[int, str]] = field(default_factory=list)
    entities: list[tuple[Span, str]] = field(default_factory=list)

    def add(self, data: str) -> None:
        for part in re.split(r"(\s+)", data):
            if not part:
                continue
            if part.isspace():
                self.blank = bool(self.text)
                continue
            if self.blank and part[0] not in ".,;:!?)»]" and self.text[-1] not in "(«[":
                self.text += " "
            self.blank = False
            self.text += part

    def end_entity(self) -> None:
        start, label = self.starts.pop()
        while start < len(self.text) and self.text[start].isspace():
            start += 1
        if start < len(self.text):
            self.entities.append((Span(start, len(self.text)), label))


class _Texts:
    """A parser that collects the texts of a document, with the lines at which they begin."""

    def __init__(self, layout: XmlElements) -> None:
        self._layout = layout
        self._now: _Text | None = None
        self._alternatives = 0  # how many such elements are open
        self._unjudged = 0  # likewise
        self.done: list[_Text] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = _refuse_entity
        self._parser.StartDoctypeDeclHandler = _refuse_other_files
        self._parser.ExternalEntityRefHandler = _refuse_reference

    def feed(self, data: bytes, source: str, *, last: bool = False) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as problem:
            raise DataError(f"{source}: not well-formed XML: {problem}") from problem
        except _RefusedError as problem:
            raise DataError(f"{source}:{self._parser.CurrentLineNumber}: {problem}") from problem

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == self._layout.unjudged:
            self._unjudged += 1
            if self._now is not None:
                self._now.unjudged = True
        if name == self._layout.text:
            self._now = _Text(self._parser.CurrentLineNumber, unjudged=self._unjudged > 0)
        elif self._now is None:
            return
        elif name == self._layout.alternatives:
            self._alternatives += 1
        elif name == self._layout.entity and not self._now.skipping:
            label = attributes.get(self._layout.label, "").partition(self._layout.between)[0]
            self._now.starts.append((len(self._now.text), label))

    def _end(self, name: str) -> None:
        if name == self._layout.unjudged:
            self._unjudged -= 1
        if self._now is None:
            return
        if name == self._layout.text:
            self.done.append(self._now)
            self._now = None
        elif name == self._layout.alternatives:
            self._alternatives -= 1
            self._now.skipping = False
        elif name == self._layout.entity and not self._now.skipping:
            self._now.end_entity()

    def _characters(self, data: str) -> None:
        if self._now is None or self._now.skipping:
            return
        if self._alternatives and not self._now.starts and self._layout.between in data:
            self._now.add(data.partition(self._layout.between)[0])
            self._now.skipping = True
        else:
            self._now.add(data)


class _RefusedError(Exception):
    """What a document declares and we do not follow."""


def _refuse_entity(*_declared: Any) -> None:
    raise _RefusedError("declares an entity of its own, which is refused")


def _refuse_reference(
    _context: str, _base: str | None, _system: str | None, _public: str | None
) -> int:
    return 0  # expat then says that the document is not well-formed


def _refuse_other_files(
    _name: str, system: str | None, public: str | None, _internal: bool
) -> None:
    if system or public:
        raise _RefusedError("its DTD is another file, which is refused")
