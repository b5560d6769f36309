"""Sheets: what is read, what is refused and where, and that writing gives back the line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.sheets import SheetText, read_lines, read_sheet, read_sheets, write_line
from b2ner.errors import DataError
from b2ner.records import Entity, Reason, Rejected, Sample, Span

pytestmark = pytest.mark.torchfree

HEADER = "## labels: person; city; river"
ADA = "[[Ada|person]] swam in [[Turin|city]], not in the Po."


def read(*lines, name="en-own.txt"):
    return list(read_lines([f"{line}\n" for line in lines], name))


def sample(*lines, name="en-own.txt"):
    (row,) = read(*lines, name=name)
    assert isinstance(row, SheetText), row
    return row.sample


def rejected(*lines, name="en-own.txt"):
    rows = [row for row in read(*lines, name=name) if isinstance(row, Rejected)]
    (row,) = rows
    return row


def test_a_text_with_its_mentions():
    row = sample(HEADER, ADA)
    assert row.text == "Ada swam in Turin, not in the Po."
    assert row.entities == (
        Entity(Span(0, 3), "person", "Ada"),
        Entity(Span(12, 17), "city", "Turin"),
    )
    assert row.labels == ("person", "city", "river")
    assert (row.language, row.source) == ("en", "en-own:1")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("No mention at all.", [], id="none"),
        pytest.param("[[Ada|person]][[Po|river]]", ["Ada", "Po"], id="side by side"),
        pytest.param("😀 [[Zoë|person]] 👍🏽", ["Zoë"], id="code points"),
        pytest.param("小王在[[都灵|city]]。", ["都灵"], id="Chinese"),
        pytest.param("#[[Ada|person]] [1]", ["Ada"], id="a hash and single brackets"),
    ],
)
def test_words_stand_at_their_places(line, words):
    row = sample(HEADER, line)
    assert [entity.text for entity in row.entities] == words
    assert all(entity.span.of(row.text) == entity.text for entity in row.entities)
    assert write_line(row) == line


def test_places_blocks_and_blank_lines():
    rows = read("", HEADER, "", ADA, "", "## labels: river; lake", "the [[Po|river]]")
    assert [(row.place, row.sample.source) for row in rows] == [
        ("en-own.txt:4", "en-own:1"),
        ("en-own.txt:7", "en-own:2"),
    ]
    assert rows[1].sample.labels == ("river", "lake")


@pytest.mark.parametrize(
    ("name", "headers", "language"),
    [
        pytest.param("en-film.txt", [HEADER], "en", id="English by name"),
        pytest.param("zh12-news.txt", [HEADER], "zh", id="Chinese by name, numbered"),
        pytest.param("ml-world.txt", [HEADER, "## language: de"], "de", id="said by the block"),
        pytest.param("en-film.txt", [HEADER, "## language: nl"], "nl", id="the block knows better"),
    ],
)
def test_languages(name, headers, language):
    assert sample(*headers, ADA, name=name).language == language


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        pytest.param("[[Ada|person] swam.", Reason.MALFORMED, "broken markup", id="not closed"),
        pytest.param("Ada|person]] swam.", Reason.MALFORMED, "broken markup", id="not opened"),
        pytest.param("[[Ada]] swam.", Reason.MALFORMED, "broken markup", id="no label"),
        pytest.param("Ada | Po", Reason.MALFORMED, "broken markup", id="a bar"),
        pytest.param(
            "[[Ada of [[Turin|city]]|person]]", Reason.MALFORMED, "broken markup", id="nested"
        ),
        pytest.param("[[|city]] is far.", Reason.MALFORMED, "empty", id="an empty mention"),
        pytest.param("[[Ada |person]] swam.", Reason.MALFORMED, "space", id="a space at its end"),
        pytest.param("[[Ada|persons]] swam.", Reason.UNKNOWN_LABEL, "'persons'", id="a label"),
        pytest.param("[[Ada|]] swam.", Reason.UNKNOWN_LABEL, "''", id="an empty label"),
        pytest.param("Ada swam. ", Reason.MALFORMED, "white space", id="a blank at the end"),
        pytest.param("Ada \udcff swam.", Reason.MALFORMED, "UTF-8", id="not UTF-8"),
    ],
)
def test_a_text_that_cannot_be_kept(line, reason, detail):
    row = rejected(HEADER, ADA, line)
    assert (row.reason, row.place) == (reason, "en-own.txt:3")
    assert detail in row.detail


@pytest.mark.parametrize(
    ("lines", "place", "detail"),
    [
        pytest.param([ADA, HEADER, ADA], 1, "no block", id="a text before the first header"),
        pytest.param([HEADER, HEADER, ADA], 1, "without texts", id="a block without texts"),
        pytest.param([HEADER, ADA, HEADER], 3, "without texts", id="the last block without texts"),
        pytest.param([HEADER, ADA, "## label: x"], 3, "no header", id="a header of another name"),
        pytest.param([HEADER, ADA, "## language: de"], 3, "no header", id="a language too late"),
        pytest.param([HEADER, ADA, "## "], 3, "no header", id="an empty header"),
    ],
)
def test_headers_out_of_place(lines, place, detail):
    row = rejected(*lines)
    assert (row.reason, row.place) == (Reason.MALFORMED, f"en-own.txt:{place}")
    assert detail in row.detail


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        pytest.param("## labels:", "empty", id="no labels"),
        pytest.param("## labels: a; b; a", "twice", id="a label twice"),
        pytest.param("## labels: a; ; b", "empty", id="an empty label"),
        pytest.param("## labels: a; b|c", "marks", id="a label with a mark in it"),
    ],
)
def test_labels_that_cannot_be_asked_for_take_their_texts_along(header, detail):
    faults = read(header, "one", "two")
    assert [row.place for row in faults] == ["en-own.txt:1", "en-own.txt:2", "en-own.txt:3"]
    assert detail in faults[0].detail
    assert "no block" in faults[1].detail


def test_a_language_must_be_known():
    assert "## language:" in rejected(HEADER, ADA, name="ml-own.txt").detail
    first, second = read(HEADER, "## language: German", ADA, name="ml-own.txt")
    assert "'German' is no language code" in first.detail
    assert "no block" in second.detail


def test_what_overlaps_cannot_be_written():
    entities = (Entity(Span(0, 4), "a", "Turi"), Entity(Span(2, 5), "b", "rin"))
    with pytest.raises(ValueError, match="do not nest"):
        write_line(Sample("Turin", entities, ("a", "b"), "en", "own:1"))


def test_files(tmp_path):
    (tmp_path / "zh-b.txt").write_bytes(b"\xef\xbb\xbf## labels: x\r\n[[a|x]]\r\n\xff\r\n")
    (tmp_path / "en-a.txt").write_text(f"{HEADER}\n{ADA}", encoding="utf-8")
    (tmp_path / "notes.md").write_text("none of our business", encoding="utf-8")
    first, second, third = read_sheets(tmp_path)
    assert (first.place, first.sample.language) == ("en-a.txt:2", "en")
    assert (second.place, second.sample.text) == ("zh-b.txt:2", "a")
    assert (third.place, third.detail) == ("zh-b.txt:3", "not UTF-8")


def test_no_sheets(tmp_path):
    with pytest.raises(DataError, match="holds no sheet"):
        list(read_sheets(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_sheet(tmp_path / "en-none.txt"))


WORDS = st.text(
    st.characters(exclude_characters="[]|", exclude_categories=("Cs", "Zl", "Zp", "Cc"))
)


@given(st.lists(st.tuples(WORDS, WORDS.filter(lambda w: w and w == w.strip())), min_size=1))
def test_what_is_read_is_written_back(pieces):
    line = "So: " + "".join(f"{between}[[{words}|city]]" for between, words in pieces)
    (row,) = read(HEADER, line)
    assert write_line(row.sample) == line
    assert [entity.text for entity in row.sample.entities] == [words for _, words in pieces]
