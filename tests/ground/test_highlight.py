"""The fragment is well formed, holds the text and nothing but it, and can be read on any page."""

from __future__ import annotations

import colorsys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.highlight import INK, Mark, colour, html, runs

pytestmark = pytest.mark.torchfree

HOSTILE = "<script>alert('x')</script> & \"quoted\" &amp; é 在 😀"


class Page(HTMLParser):
    """Reads a fragment: its text without labels and notes, and its elements, inside out."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.text = ""
        self.labels: list[str] = []
        self.notes: list[str] = []
        self.titles: list[str] = []
        self.marked: list[str] = []  # the words of each mark element, in the order they end
        self._open: list[tuple[str, str]] = []
        self.feed(fragment)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "mark", "bdi", "span", "ul", "li"}
        assert {name for name, _ in attrs} <= {"class", "style", "title", "dir"}
        self._open.append((tag, ""))
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        opened, words = self._open.pop()
        assert opened == tag, "elements nest"
        if tag == "bdi":
            self.labels.append(words)
        elif tag == "li":
            self.notes.append(words)
        elif tag == "mark":
            self.marked.append(words)
            parent, before = self._open[-1]
            self._open[-1] = (parent, before + words)

    def handle_data(self, data: str) -> None:
        tag, words = self._open[-1]
        self._open[-1] = (tag, words + data)
        if not any(tag in ("bdi", "li") for tag, _ in self._open):
            self.text += data


def test_the_text_is_kept_and_escaped() -> None:
    page = Page(html(HOSTILE, [Mark(0, 8, HOSTILE, 0.5)], notes=[HOSTILE]))
    assert page.text == HOSTILE
    assert page.labels == page.notes == [HOSTILE]
    assert page.titles == [f"{HOSTILE} 0.500"]


@pytest.mark.parametrize(
    ("text", "marks", "marked", "labels"),
    [
        pytest.param("Ada", [], [], [], id="nothing marked"),
        pytest.param("", [], [], [], id="nothing at all"),
        pytest.param("I, Ada", [(3, 6, "x")], ["Ada"], ["x"], id="one mark, to the end"),
        pytest.param("ab", [(0, 1, "x"), (1, 2, "y")], ["a", "b"], ["x", "y"], id="side by side"),
        pytest.param(
            "New York Times",
            [(4, 8, "city"), (0, 14, "paper")],
            ["York", "New York Times"],
            ["city", "paper"],
            id="nested, in any order",
        ),
        pytest.param(
            "Ada",
            [(0, 3, "x"), (0, 3, "y")],
            ["Ada", "Ada"],
            ["y", "x"],
            id="two labels in one place",
        ),
        pytest.param(
            "a b c",
            [(0, 3, "x"), (2, 5, "y")],
            ["b", "a b", " c"],
            ["x", "y"],
            id="crossing: the second is split, its label comes last",
        ),
        pytest.param(
            "a b c d",
            [(0, 3, "x"), (2, 7, "y"), (2, 5, "z")],
            ["b", "b", "a b", " c", " c d"],
            ["x", "z", "y"],
            id="crossing and nested",
        ),
    ],
)
def test_marks(
    text: str, marks: list[tuple[int, int, str]], marked: list[str], labels: list[str]
) -> None:
    page = Page(html(text, [Mark(start, end, label) for start, end, label in marks]))
    assert (page.text, page.marked, page.labels) == (text, marked, labels)


def test_a_split_mark_shows_where_it_goes_on() -> None:
    whole = html("a b c", [Mark(0, 3, "x"), Mark(4, 5, "y")])
    split = html("a b c", [Mark(0, 3, "x"), Mark(2, 5, "y")])
    assert "dotted" not in whole
    assert split.count("border-inline-end:2px dotted") == 1
    assert split.count("border-inline-start:2px dotted") == 1


def test_a_mark_without_a_score_has_its_label_as_tooltip() -> None:
    assert Page(html("Ada", [Mark(0, 3, "x"), Mark(0, 3, "y", 0.98765)])).titles == ["x", "y 0.988"]


def test_line_breaks_blanks_and_directions_are_kept() -> None:
    text = "  كتب\n\nنجيب  محفوظ\tAda"
    fragment = html(text, [Mark(7, 11, "كاتب")])
    assert Page(fragment).text == text
    for part in ("white-space:pre-wrap", 'dir="auto"', "unicode-bidi:plaintext", "<bdi"):
        assert part in fragment


def test_what_html_cannot_hold_has_a_stand_in() -> None:
    fragment = html("a\x00\ud800\x1b\x9bb\n", [Mark(0, 1, "x\ud800")], notes=["\ud800"])
    assert Page(fragment).text == "a\ufffd\ufffd\ufffd\ufffdb\n"
    fragment.encode("utf-8")


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2)])
def test_a_mark_is_a_stretch(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"0 <= start < end"):
        Mark(start, end, "x")


@pytest.mark.parametrize("call", [lambda m: runs(3, m), lambda m: html("Ada", m)])
def test_a_mark_may_not_end_after_the_text(call) -> None:
    with pytest.raises(ValueError, match="after a text of 3"):
        call([Mark(1, 4, "x")])


marks_in_twelve = st.lists(
    st.tuples(st.integers(0, 11), st.integers(1, 12), st.sampled_from(["x", "y"]))
    .filter(lambda mark: mark[0] < mark[1])
    .map(lambda mark: Mark(*mark)),
    max_size=8,
)


@given(marks_in_twelve)
def test_runs_cover_the_text_and_name_the_marks_over_it(marks: list[Mark]) -> None:
    found = runs(12, marks)
    assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
    assert found[-1][1] == 12
    for start, end, over in found:
        for place in range(start, end):
            assert sorted(over, key=marks.index) == sorted(
                (mark for mark in marks if mark.start <= place < mark.end), key=marks.index
            )
        assert list(over) == sorted(over, key=lambda mark: (mark.start, -mark.end))
    edges = {0, 12, *(mark.start for mark in marks), *(mark.end for mark in marks)}
    assert {start for start, _, _ in found} | {12} == edges


def test_an_empty_text_has_no_runs() -> None:
    assert runs(0, []) == []


@given(marks_in_twelve, st.text(st.characters(), min_size=12, max_size=12))
def test_any_fragment_is_well_formed(marks: list[Mark], text: str) -> None:
    fragment = html(text, marks)
    page = Page(fragment)
    assert len(page.text) == 12
    assert len(page.labels) == len(marks)
    crossing = any(a.start < b.start < a.end < b.end for a in marks for b in marks)
    assert (len(page.marked) > len(marks)) == crossing
    fragment.encode("utf-8")


def luminance(hexadecimal: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(st.text(st.characters()))
def test_letters_can_be_read_upon_every_colour(label: str) -> None:
    ratio = (luminance(colour(label)) + 0.05) / (luminance(INK) + 0.05)
    assert ratio >= 7, "the contrast that WCAG 2 asks for at its highest level"


def test_a_colour_is_the_same_in_every_process() -> None:
    assert colour("person") == "#a6f2b5"


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["person", "location", "organization", "date", "product"], id="English"),
        pytest.param(["人名", "地名", "组织机构名", "作品名", "时间"], id="Chinese"),
    ],
)
def test_labels_that_often_meet_have_colours_far_apart(labels: list[str]) -> None:
    hues = sorted(hue(colour(label)) for label in labels)
    assert min(b - a for a, b in pairwise([*hues, hues[0] + 360])) >= 15


def hue(hexadecimal: str) -> float:
    """The hue in degrees."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 360 * colorsys.rgb_to_hls(red, green, blue)[0]


def test_a_long_text_with_many_marks() -> None:
    text = "Ada met Bob. " * 20_000
    marks = [Mark(place, place + 3, "person", 0.9) for place in range(0, len(text), 13)]
    assert Page(html(text, marks)).text == text
