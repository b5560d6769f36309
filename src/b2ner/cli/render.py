"""A document as programs and people see it: JSON, plain lines, or colours on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from b2ner import highlight
from b2ner.records import Document, Fault

_C1 = range(0x80, 0xA0)
_SURROGATES = range(0xD800, 0xE000)
# In lines that programs read, what would break a line or steer a terminal is written as in C.
_ESCAPES = {c: f"\\x{c:02x}" for c in (*range(0x20), 0x7F, *_C1)} | {
    ord("\\"): "\\\\",
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
}
# On a terminal each control character is shown as one picture; line breaks and tabs do their work.
_PICTURES = (
    {c: chr(0x2400 + c) for c in range(0x20) if chr(c) not in "\t\n"}
    | {0x7F: "\u2421"}
    | dict.fromkeys((*_C1, *_SURROGATES), "\ufffd")
)


def json_object(document: Document, *, utf16: bool = False) -> dict[str, Any]:
    """The object of `b2ner extract --json`; its schema is schema/document-v1.json."""
    row = document.to_json()
    if not utf16:
        return row
    units = _utf16(document.text, (place for e in document.entities for place in (e.start, e.end)))
    for entity in row["entities"]:
        entity["start"], entity["end"] = units[entity["start"]], units[entity["end"]]
    return {"text": row["text"], "offsets": "utf-16", **row}


def plain_lines(document: Document) -> Iterator[str]:
    """One line an entity: start, end, label, text and score, between tabs.

    Backslashes and control characters, tabs and line breaks too, are written as in C.
    """
    for e in document.entities:
        label, text = e.label.translate(_ESCAPES), e.text.translate(_ESCAPES)
        yield f"{e.start}\t{e.end}\t{label}\t{text}\t{e.score:.4f}"


def fault_line(fault: Fault) -> str:
    """A fault in one line: what it is, and where."""
    return f"{fault.kind.value}: {fault.message.translate(_ESCAPES)} ({fault.place})"


def megabytes(size: int) -> str:
    """So many bytes, for people."""
    return f"{size / 1e6:.0f} MB"


def show(document: Document, file: IO[str]) -> None:
    """Print the text with its entities coloured, and a table of them, to a terminal."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    coloured = console.color_system is not None and not console.no_color
    console.print(marked(document, coloured=coloured), end="\n\n")
    if document.entities:
        console.print(_table(document))
    else:
        console.print("no entities", style="dim")
    for fault in document.faults:
        console.print(Text(fault_line(fault), style="yellow"))


def marked(document: Document, *, coloured: bool) -> Text:
    """The text with each entity followed by its label; without colours, between brackets."""
    marks = [highlight.Mark(e.start, e.end, e.label, e.score) for e in document.entities]
    text = Text(tab_size=4)
    for start, end, over in highlight.runs(len(document.text), marks):
        words = _pictured(document.text[start:end])
        if not coloured:
            words = "[" * sum(mark.start == start for mark in over) + words
        text.append(words, style=_style(over[-1].label) if over and coloured else "")
        for mark in reversed(over):
            if mark.end == end and coloured:
                text.append(f" {_pictured(mark.label)}", style=f"bold {_style(mark.label)}")
            elif mark.end == end:
                text.append(f" | {_pictured(mark.label)}]")
    return text


def _table(document: Document) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (
        ("label", "left"),
        ("text", "left"),
        ("place", "right"),
        ("score", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for e in document.entities:
        label = Text(_pictured(e.label), style=_style(e.label))
        words = Text(_pictured(e.text).translate(_ESCAPES))
        table.add_row(label, words, f"{e.start}-{e.end}", f"{e.score:.2f}")
    return table


def _style(label: str) -> str:
    return f"{highlight.INK} on {highlight.colour(label)}"


def _pictured(text: str) -> str:
    return text.translate(_PICTURES)


def _utf16(text: str, places: Iterable[int]) -> dict[int, int]:
    """For each place in code points, the same place in UTF-16 code units."""
    units: dict[int, int] = {}
    place = unit = 0
    for wanted in sorted(set(places)):
        unit += sum(2 if character > "\uffff" else 1 for character in text[place:wanted])
        place = wanted
        units[wanted] = unit
    return units
