"""A text with marked stretches as an HTML fragment: what a notebook shows of a document.

Knows texts and marks, nothing else of the house. Marks may nest and cross. Nested marks become
nested elements. Of two that cross, the one that ends later is split where the other ends, and a
dotted edge shows where it goes on; its label stands behind its last piece. `runs` says which marks
lie over which stretch; the terminal renderer uses it too.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

INK = "#1a1a1a"  # the colour of letters upon `colour(label)`


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch [start, end) of a text in code points, its label, and a score in [0, 1] if any."""

    start: int
    end: int
    label: str
    score: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a mark needs 0 <= start < end, got [{self.start}, {self.end})")


def html(text: str, marks: Iterable[Mark], *, notes: Sequence[str] = ()) -> str:
    """An HTML fragment, one `div`: the text with its marks, then the notes.

    Everything is escaped, line breaks and blanks are kept, each paragraph runs in its own
    direction, and what is copied from the page is the text without the labels. What HTML cannot
    hold (control characters, lone surrogates) is shown as U+FFFD. Raises ValueError when a mark
    ends after the text.
    """
    body = "".join(_pieces(text, marks))
    below = "".join(f'<li dir="auto">{_clean(note)}</li>' for note in notes)
    foot = f'<ul style="{_NOTES}">{below}</ul>' if below else ""
    return f'<div class="b2ner"><div dir="auto" style="{_TEXT}">{body}</div>{foot}</div>'


def runs(text_length: int, marks: Iterable[Mark]) -> list[tuple[int, int, tuple[Mark, ...]]]:
    """The text cut at every edge of a mark: (start, end, the marks over it), in order, gapless.

    The marks of a run stand from the outermost to the innermost: by start, then the longer first,
    then as given. Raises ValueError when a mark ends after the text.
    """
    waiting = sorted(marks, key=lambda mark: (mark.start, -mark.end))[::-1]  # the next one last
    for mark in waiting:
        if mark.end > text_length:
            raise ValueError(f"{mark} ends after a text of {text_length} characters")
    edges = sorted({0, text_length, *(m.start for m in waiting), *(m.end for m in waiting)})
    found: list[tuple[int, int, tuple[Mark, ...]]] = []
    over: list[Mark] = []
    for start, end in pairwise(edges):
        over = [mark for mark in over if mark.end > start]
        while waiting and waiting[-1].start == start:
            over.append(waiting.pop())
        found.append((start, end, tuple(over)))
    return found


def colour(label: str) -> str:
    """The label's colour as `#rrggbb`: the same in every text, light enough for letters in INK."""
    digest = hashlib.blake2s(label.encode("utf-8", "surrogatepass"), salt=_SALT).digest()
    hue, lightness = int.from_bytes(digest[:2]) / 65536, (0.80, 0.84, 0.88)[digest[2] % 3]
    channels = colorsys.hls_to_rgb(hue, lightness, 0.75)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _pieces(text: str, marks: Iterable[Mark]) -> Iterator[str]:
    """Text and tags in order; the open elements are always the marks over the text in turn."""
    opened: list[Mark] = []
    for start, end, over in runs(len(text), marks):
        kept = 0
        while kept < min(len(opened), len(over)) and opened[kept] is over[kept]:
            kept += 1
        yield from (_closing(mark, start) for mark in reversed(opened[kept:]))
        yield from (_opening(mark, start) for mark in over[kept:])
        opened = list(over)
        yield _clean(text[start:end])
    yield from (_closing(mark, len(text)) for mark in reversed(opened))


def _opening(mark: Mark, place: int) -> str:
    """The start tag of a mark, or of the piece of it that goes on at `place`."""
    score = "" if mark.score is None else f" {mark.score:.3f}"
    edge = f";border-inline-start:2px dotted {INK}" if place > mark.start else ""
    style = f"background:{colour(mark.label)};color:{INK};{_MARK}{edge}"
    return f'<mark title="{_clean(mark.label)}{score}" style="{style}">'


def _closing(mark: Mark, place: int) -> str:
    """The end tag of a mark, behind its label; or of a piece of it that ends at `place`."""
    if place < mark.end:
        return f'<span style="border-inline-end:2px dotted {INK}"></span></mark>'
    return f'<bdi style="{_LABEL}">{_clean(mark.label)}</bdi></mark>'


def _clean(words: str) -> str:
    """Words as HTML, safe between tags and inside quoted attributes."""
    return escape(_UNWRITABLE.sub("\ufffd", words))


_SALT = b">|"  # picked so that labels that often meet (person, location, 人名, 地名) look different
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TEXT = (
    "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start;"
    "line-height:2"
)
_MARK = "padding:.15em .3em;border-radius:.3em"
_LABEL = (
    "font-size:.7em;font-weight:600;margin-inline-start:.4em;white-space:nowrap;user-select:none"
)
_NOTES = "font-size:.85em;opacity:.75;margin:.5em 0 0"
