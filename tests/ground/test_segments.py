"""Where a mention may begin and end: decisions as a table, laws, and brute force as an oracle."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b2ner.records import Span
from b2ner.segments import chunks, is_space, occurrences, segmented, shown
from tests.ground.growth import grows_linearly

pytestmark = pytest.mark.torchfree

SENTENCES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "ground" / "sentences.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]

# Characters that the rules single out, and a lone surrogate: much denser than in `st.text()`.
TRICKY = st.text(
    st.sampled_from(
        "aßЖαא一の서ก1٣²½.'- \n\t\x00\x0c\x1c\x7f\x85\u00a0\u00ad\u0301\u0e33\u0e40\u1100"
        "\u1161\u11a8\u17d2\u1780\u180e\u200b\u200c\u200d\u200e\u2060\u2581\u3000\ufe0f\u20e3\ufeff\ufffd\ud800❤☕"
        "\U0001f469\U0001f3fd\U0001f1e9\U0001f1ea\U000e0067ʻµª",
    ),
    max_size=24,
)
ANY_TEXT = st.one_of(st.text(st.characters()), TRICKY)


# A bar stands at each border.
@pytest.mark.parametrize(
    "cut",
    [
        pytest.param("party", id="no border inside a word"),
        pytest.param("iPhone", id="case is no border"),
        pytest.param("Straße", id="letters beyond ASCII belong to the word"),
        pytest.param("New| |York", id="a blank between words is a chunk"),
        pytest.param("a|\r\n\t \u3000|b", id="a run of white space is one chunk"),
        pytest.param("a|\u200b\ufeff\u200e\u2060|b", id="invisible separators are white space"),
        pytest.param("Moon|在|星|际|争|霸|2|中", id="Han characters one by one between scripts"),
        pytest.param("ス|タ|ー|バ|ッ|ク|ス|の|ﾎﾟ|ﾁ", id="kana too"),
        pytest.param("佐|々|木", id="iteration marks are as good as Han"),
        pytest.param("二|〇|一|九|年", id="the Han zero as well"),
        pytest.param("葛\U000e0100|城", id="a variation selector stays with its Han character"),
        pytest.param("U|.|S|.|-|based", id="an abbreviation in a compound"),
        pytest.param("Inc|.|,", id="each punctuation mark alone"),
        pytest.param("O|'|Brien|’|s", id="both kinds of apostrophe"),
        pytest.param("“|Doctor| |Who|”", id="quotes can be left off"),
        pytest.param("my|_|var", id="the underscore is punctuation"),
        pytest.param("1990|s", id="a decade's year"),
        pytest.param("3|rd", id="an ordinal"),
        pytest.param("COVID|19", id="letters, then digits"),
        pytest.param("GPT|-|4", id="a model's name"),
        pytest.param("5|kg", id="a number and its unit"),
        pytest.param("i|7|-|8700|K", id="a processor"),
        pytest.param("H|2|O", id="a formula"),
        pytest.param("H|₂|O", id="a subscript stands alone"),
        pytest.param("1990|²", id="so does a footnote's number"),
        pytest.param("①|②|③", id="and numbers in circles"),
        pytest.param("1|,|000|.|5", id="separators of a number"),
        pytest.param("€|3|.|5|m", id="currency signs"),
        pytest.param("١٩٥٩", id="digits of other scripts are digits"),
        pytest.param("HP|шный", id="a change of script is a border"),
        pytest.param("TNF|-|α", id="Greek in Latin company"),
        pytest.param("Ｔｏｋｙｏ", id="full-width letters are Latin"),
        pytest.param("𝓜𝓪𝓻𝓵𝓸𝔀", id="fancy letters make a word"),
        pytest.param("Hawaiʻi", id="a modifier letter stays in the word"),
        pytest.param("Zoe\u0308", id="a combining mark stays with its letter"),
        pytest.param("שָׁלוֹם", id="Hebrew points"),
        pytest.param("צה|״|ל", id="Hebrew abbreviation"),
        pytest.param("كَتَبَ", id="Arabic vowel marks"),
        pytest.param("می\u200cنوشت", id="a non-joiner does not cut a Persian word"),
        pytest.param("under\u00adground", id="nor a soft hyphen"),
        pytest.param("हिन्दी| |में", id="Devanagari words"),
        pytest.param("서|울|에|서", id="Hangul by syllable, so that particles come off"),
        pytest.param("\u1109\u1165|\u110b\u116e\u11af", id="the same when spelt in parts"),
        pytest.param("ㅋ|ㅋ|ㅋ", id="loose Hangul letters"),
        pytest.param("\u110f|\u110f|스", id="loose parts do not stick to a syllable"),
        pytest.param("เมื|อ|ง|ไท|ย", id="Thai clusters with their vowels"),
        pytest.param("น้ำ", id="a Thai consonant, its tone and its vowel"),
        pytest.param("ភ្នំ|ពេ|ញ", id="Khmer stacks"),
        pytest.param("မ|န္တ|လေး", id="Burmese stacks"),
        pytest.param("👍🏽|👎", id="a skin tone stays with its hand"),
        pytest.param("👩‍👩‍👧‍👦|👩‍🚀", id="joined emoji are one"),
        pytest.param("❤️‍🔥|☕", id="variation selector and joiner"),
        pytest.param("🇩🇪|🇫🇷|🇨", id="flags by two letters"),
        pytest.param("🏴\U000e0067\U000e0062\U000e007f|🏴", id="a flag spelt in tags"),
        pytest.param("1️⃣|2️⃣|3|#️⃣", id="keycaps"),
        pytest.param("12|3️⃣", id="a keycap after a number"),
        pytest.param("a|\ud83d|\ude00", id="lone surrogates"),
        pytest.param("\x00|\x7f|a", id="control characters that get a stand-in"),
        pytest.param("\x0c\x1f |a", id="control characters that are white space"),
        pytest.param(" |\u0301|a", id="a mark after a blank is no part of it"),
    ],
)
def test_chunks(cut: str) -> None:
    assert list(chunks(cut.replace("|", ""))) == cut.split("|")


def test_an_empty_text_has_no_chunks() -> None:
    assert chunks("") == ()


@given(ANY_TEXT)
def test_joined_chunks_are_the_text(text: str) -> None:
    assert "".join(chunks(text)) == text
    assert all(chunks(text))


@given(ANY_TEXT)
def test_white_space_keeps_to_itself(text: str) -> None:
    cut = chunks(text)
    for chunk in cut:
        assert is_space(chunk) or not any(character.isspace() for character in chunk)
    for before, after in pairwise(cut):
        assert not (is_space(before) and is_space(after))


@given(ANY_TEXT)
def test_letters_of_one_word_stay_together(text: str) -> None:
    for before, after in pairwise(chunks(text)):
        assert not (
            before[-1].isascii() and after[0].isascii() and (before[-1] + after[0]).isalpha()
        )
        if not is_space(before) and not is_space(after):
            assert not unicodedata.combining(after[0])


@given(st.one_of(TRICKY, st.sampled_from([row["text"] for row in SENTENCES])), st.data())
def test_a_piece_is_cut_the_same_alone_as_in_its_place(text: str, data: st.DataObject) -> None:
    cut = chunks(text)
    first = data.draw(st.integers(0, len(cut)))
    last = data.draw(st.integers(first, len(cut)))
    assert chunks("".join(cut[first:last])) == cut[first:last]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a\x00b\x1b\x7f", "a\ufffdb\ufffd\ufffd", id="NUL, escape, delete"),
        pytest.param("a\t\r\nb", "a\t\r\nb", id="tabs and line ends stay"),
        pytest.param("a\x0b\x0c\x1c\x1fb", "a    b", id="other white-space controls are blanks"),
        pytest.param("\ud83d\ude00😀", "\ufffd\ufffd😀", id="lone surrogates, no pair"),
        pytest.param("▁a", "\ufffda", id="the blank of SentencePiece"),
        pytest.param("é 在 ▂", "é 在 ▂", id="everything else stays"),
    ],
)
def test_shown(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(ANY_TEXT)
def test_what_is_shown_has_the_same_places(text: str) -> None:
    given_lengths = [len(chunk) for chunk in chunks(text)]
    assert [len(chunk) for chunk in chunks(shown(text))] == given_lengths
    assert shown(shown(text)) == shown(text)
    shown(text).encode("utf-8")


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        pytest.param("", False, id="nothing is no white space"),
        pytest.param(" \n\u3000\u00a0", True, id="blanks of all widths"),
        pytest.param("\u200b\ufeff\u2060\u200e\u200f\u202e", True, id="invisible separators"),
        pytest.param("\u180e\u200d\u00ad\ufe0f\u3164", True, id="joiners with nothing to join"),
        pytest.param(" a", False, id="a letter among blanks"),
        pytest.param("\u0301", False, id="a mark without a base can be seen"),
        pytest.param("\ufffd", False, id="a stand-in can be seen"),
    ],
)
def test_is_space(chunk: str, expected: bool) -> None:
    assert is_space(chunk) is expected


@given(st.characters())
def test_all_white_space_of_python_is_white_space(character: str) -> None:
    assert is_space(character) or not character.isspace()


@pytest.mark.parametrize(
    ("text", "surface", "starts"),
    [
        pytest.param("Ada met Ada", "Ada", [0, 8], id="every place"),
        pytest.param("the art of the party", "art", [4], id="never inside a word"),
        pytest.param("Art art", "art", [4], id="case matters"),
        pytest.param("哈哈哈", "哈哈", [0, 1], id="overlapping places"),
        pytest.param("New York Times", "York Times", [4], id="blanks inside are fine"),
        pytest.param("a b", " b", [], id="white space at the start"),
        pytest.param("a b", "a ", [], id="white space at the end"),
        pytest.param("a\u200bb", "a\u200b", [], id="invisible space at the end"),
        pytest.param("a b", " ", [], id="white space only"),
        pytest.param("a b", "", [], id="empty"),
        pytest.param("Zoe\u0308 Zoe", "Zoe", [5], id="not without its mark"),
        pytest.param("👩‍🚀👩", "👩", [3], id="not a part of an emoji"),
        pytest.param("🇩🇪🇫🇷", "🇪🇫", [], id="not across two flags"),
        pytest.param("见Moon了", "Moon", [1], id="offsets are code points"),
        pytest.param("😀 Ada", "Ada", [2], id="an emoji is one code point"),
    ],
)
def test_occurrences(text: str, surface: str, starts: list[int]) -> None:
    found = occurrences(chunks(text), surface)
    assert found == [Span(start, start + len(surface)) for start in starts]


def brute_force(pieces: Sequence[str], surface: str) -> list[Span]:
    """All runs of chunks that spell the surface and have no white space at an edge."""
    found = []
    for first in range(len(pieces)):
        for last in range(first + 1, len(pieces) + 1):
            run = pieces[first:last]
            if "".join(run) == surface and run[0] and run[-1]:
                start = sum(map(len, pieces[:first]))
                if not is_space(run[0]) and not is_space(run[-1]):
                    found.append(Span(start, start + len(surface)))
    return found


@given(
    st.lists(st.sampled_from(["a", "ab", "ba", " ", "", "aa", "的", "\u200b"]), max_size=9),
    st.data(),
)
def test_occurrences_are_what_brute_force_finds(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    start = data.draw(st.integers(0, len(text)))
    surface = data.draw(
        st.sampled_from([text[start : start + n] for n in range(5)] + ["ab", "a a"])
    )
    assert occurrences(pieces, surface) == brute_force(pieces, surface)


@given(
    st.text("ab", min_size=1, max_size=4), st.integers(30, 60), st.text("ab", max_size=3), st.data()
)
def test_long_surfaces_are_found_as_well(
    unit: str, times: int, end: str, data: st.DataObject
) -> None:
    text = (unit * times + end) * 3
    start = data.draw(st.integers(0, len(unit)))
    surface = text[start : start + data.draw(st.integers(95, 110))]
    places = [place for place in range(len(text)) if text.startswith(surface, place)]
    assert segmented(list(text)).starts(surface) == places


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row['language']}-{i}") for i, row in enumerate(SENTENCES)]
)
def test_every_gold_mention_can_be_given(row: dict[str, Any]) -> None:
    text = row["text"]
    cut = chunks(shown(text))
    assert row["entities"], "a sentence without a mention proves nothing"
    for entity in row["entities"]:
        span = Span(entity["start"], entity["end"])
        assert span.of(text) == entity["text"]
        assert span in occurrences(cut, shown(entity["text"]))


def test_the_sentences_are_many_and_varied() -> None:
    assert len(SENTENCES) >= 60
    assert len({row["language"] for row in SENTENCES}) >= 20
    chinese = [row["text"] for row in SENTENCES if row["language"] == "zh"]
    mixed = [text for text in chinese if any(c.isascii() and c.isalpha() for c in text)]
    assert len(mixed) >= 10
    assert len(chinese) - len(mixed) >= 10


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("a", id="one letter"),
        pytest.param("a.", id="letters and dots"),
        pytest.param("哈", id="one Han character"),
        pytest.param("\u0301", id="combining marks"),
        pytest.param("a\u0301\u0301", id="letters with marks"),
        pytest.param("1\ufe0f\u20e3", id="keycaps"),
        pytest.param("👩\u200d", id="one endless joined emoji"),
        pytest.param("🇩", id="flag letters"),
        pytest.param("เ", id="vowels that wait for a consonant"),
        pytest.param("\u1780\u17d2", id="one endless stack"),
        pytest.param("\u1100", id="leading Hangul parts"),
        pytest.param(" \u200d", id="white space"),
        pytest.param("\ud800", id="lone surrogates"),
    ],
)
def test_time_is_linear_in_the_text(unit: str) -> None:
    assert grows_linearly(lambda size: unit * size, chunks, 20_000)


@pytest.mark.parametrize("share", [100, 2])
def test_a_lookup_is_linear_in_the_text(share: int) -> None:
    """A text of one character, and a surface that is a hundredth, then half of it."""
    assert grows_linearly(
        lambda size: ["哈"] * size, lambda cut: occurrences(cut, "哈" * (len(cut) // share)), 4_000
    )


@example("\u200d")
@given(ANY_TEXT)
def test_no_mention_is_invisible(text: str) -> None:
    places = segmented(chunks(text))
    starts = [place for place, begins in enumerate(places.begins) if begins]
    for start in starts:
        assert not is_space(text[start : places.ends.index(1, start + 1)])
