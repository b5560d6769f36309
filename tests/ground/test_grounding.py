"""Where mentions are put: decisions as tables, and the laws that hold for any answer."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.grounding import every_occurrence, ground
from b2ner.records import Mention, Span
from b2ner.segments import chunks, occurrences
from tests.ground.growth import grows_linearly

pytestmark = pytest.mark.torchfree

SENTENCES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "ground" / "sentences.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def of(answer: str) -> list[Mention]:
    """Mentions from `x: words; y: words`; without a label, the label is `-`."""
    items = [item.rpartition(": ") for item in answer.split("; ")] if answer else []
    return [Mention(label or "-", words) for label, _, words in items]


def laid(text: str, answer: str, places: list[int | None]) -> list[Span | None]:
    """The spans that begin at these places."""
    return [
        None if place is None else Span(place, place + len(mention.text))
        for mention, place in zip(of(answer), places, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "answer", "places"),
    [
        pytest.param("Ada met Ada", "", [], id="no mention, no place"),
        pytest.param("Ada met Ada", "Ada", [0], id="the first place is taken first"),
        pytest.param("Ada met Ada", "Ada; Ada", [0, 8], id="repeats take turns"),
        pytest.param("Ada met Ada", "Ada; Ada; Ada", [0, 8, None], id="one too many"),
        pytest.param("Ada met Ada", "a: Ada; b: Ada", [0, 0], id="labels do not compete"),
        pytest.param("Ada met Bob, Ada left", "Bob; Ada", [8, 13], id="forward from the last one"),
        pytest.param("Ada met Bob", "Bob; Ada", [8, 0], id="round to the beginning"),
        pytest.param(
            "Ada, Bob, Ada, Bob", "Bob; Ada; Ada; Bob", [5, 10, 0, 15], id="and on from there"
        ),
        pytest.param(
            "Ada met Bob, Ada left", "Bob; Eve; Ada", [8, None, 13], id="a stray does not move us"
        ),
        pytest.param("the party", "art", [None], id="never inside a word"),
        pytest.param("the party of art", "art", [13], id="but where it is a word"),
        pytest.param("I met Zoë", "Zoe", [None], id="never fuzzy"),
        pytest.param("I met Zoë", "zoë", [None], id="case matters"),
        pytest.param("New  York", "New York", [None], id="blanks matter"),
        pytest.param("a b", " b", [None], id="white space at an edge"),
        pytest.param("见Moon了", "Moon", [1], id="no spaces, code points"),
        pytest.param("哈哈哈", "哈哈; 哈哈; 哈哈", [0, 1, None], id="places may overlap"),
    ],
)
def test_ground(text: str, answer: str, places: list[int | None]) -> None:
    assert ground(chunks(text), of(answer)) == laid(text, answer, places)


@pytest.mark.parametrize(
    ("text", "answer", "places"),
    [
        pytest.param(
            "New York Times",
            "New York Times; New York",
            [0, 0],
            id="inside when there is nothing else",
        ),
        pytest.param(
            "New York Times of New York",
            "New York Times; New York",
            [0, 18],
            id="outside when it can",
        ),
        pytest.param(
            "New York Times of New York",
            "New York; New York Times",
            [18, 0],
            id="whatever the order",
        ),
        pytest.param(
            "New York Times of New York",
            "paper: New York Times; city: New York",
            [0, 18],
            id="whatever the labels",
        ),
        pytest.param(
            "New York Times of New York",
            "New York Times; New York; New York",
            [0, 0, 18],
            id="in the order of the text where every place is needed",
        ),
        pytest.param(
            "New York Times, New York Times",
            "New York Times; New York",
            [0, 16],
            id="a free inside",
        ),
        pytest.param(
            "New York Times, New York Times",
            "New York; New York Times",
            [16, 0],
            id="moved out of it",
        ),
        pytest.param(
            "New York Times, New York Times, New York",
            "New York Times; New York",
            [0, 32],
            id="outside before inside of a longer one that was not placed",
        ),
        pytest.param(
            "York, New York Times, New York, York",
            "York; New York; New York Times",
            [0, 22, 6],
            id="three deep",
        ),
        pytest.param(
            "New York Times, New York, New York Times",
            "York; New York; New York Times",
            [4, 16, 26],
            id="three deep, the shortest in the paper that was not named",
        ),
        pytest.param(
            "New York Times, New York, New York Times",
            "New York Times; York; New York",
            [0, 30, 16],
            id="three deep, the shortest moved there",
        ),
        pytest.param(
            "北京大学第三医院和北京大学",
            "医院: 北京大学第三医院; 学校: 北京大学",
            [0, 9],
            id="Chinese",
        ),
        pytest.param("a b c", "a b; b c", [0, 2], id="crossing is no nesting"),
        pytest.param("a b a", "x: a b; y: a b; a", [0, 0, 4], id="two labels on the longer one"),
    ],
)
def test_longer_mentions(text: str, answer: str, places: list[int | None]) -> None:
    assert ground(chunks(text), of(answer)) == laid(text, answer, places)


@pytest.mark.parametrize(
    "row", [pytest.param(r, id=f"{r['language']}-{i}") for i, r in enumerate(SENTENCES)]
)
def test_a_faithful_answer_goes_back_where_it_was_read(row: dict[str, Any]) -> None:
    gold = sorted(row["entities"], key=lambda e: (e["start"], -e["end"]))
    spans = ground(chunks(row["text"]), [Mention(e["label"], e["text"]) for e in gold])
    assert spans == [Span(e["start"], e["end"]) for e in gold]


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        pytest.param("Ada met Ada", "Ada", [(0, 0), (0, 8)], id="every place of a surface"),
        pytest.param(
            "Ada met Ada", "Ada; Ada", [(0, 0), (1, 8)], id="each has its own mention first"
        ),
        pytest.param(
            "Ada met Ada", "Ada; Ada; Ada", [(0, 0), (1, 8)], id="one too many is not there"
        ),
        pytest.param("x Ada", "Eve", [], id="nor what stands nowhere"),
        pytest.param(
            "Bob, Ada, Ada",
            "Bob; a: Ada; b: Ada",
            [(0, 0), (1, 5), (2, 5), (1, 10), (2, 10)],
            id="labels",
        ),
        pytest.param(
            "New York Times, New York, New York Times",
            "New York Times; New York",
            [(0, 0), (1, 16), (0, 26)],
            id="not inside a longer one",
        ),
        pytest.param(
            "New York Times, New York Times",
            "New York Times; New York",
            [(0, 0), (0, 16), (1, 16)],
            id="but where grounding had to put it",
        ),
        pytest.param("the art party, art", "art", [(0, 4), (0, 15)], id="at borders only"),
    ],
)
def test_every_occurrence(text: str, answer: str, expected: list[tuple[int, int]]) -> None:
    mentions = of(answer)
    found = every_occurrence(chunks(text), mentions)
    assert found == [(i, Span(start, start + len(mentions[i].text))) for i, start in expected]


# Short texts of few words, and answers that name pieces of them, or words that are not there.
@st.composite
def texts_and_answers(draw: st.DrawFn) -> tuple[tuple[str, ...], list[Mention]]:
    text = draw(st.one_of(st.text("ab c", max_size=14), st.text("哈呵。", max_size=10)))
    cut = chunks(text)
    edges = [0]
    for chunk in cut:
        edges.append(edges[-1] + len(chunk))
    piece = st.tuples(st.sampled_from(edges), st.sampled_from(edges)).map(
        lambda e: text[min(e) : max(e)]
    )
    words = st.one_of(piece, st.sampled_from(["a", "a b", "哈", "哈哈", "nowhere", "", " "]))
    return cut, draw(st.lists(st.builds(Mention, st.sampled_from(["x", "y"]), words), max_size=8))


@given(texts_and_answers())
def test_places_are_real(case: tuple[tuple[str, ...], list[Mention]]) -> None:
    cut, mentions = case
    spans = ground(cut, mentions)
    assert len(spans) == len(mentions)
    for mention, span in zip(mentions, spans, strict=True):
        assert span is None or span in occurrences(cut, mention.text)


@given(texts_and_answers())
def test_no_place_is_given_twice_and_none_is_wasted(
    case: tuple[tuple[str, ...], list[Mention]],
) -> None:
    cut, mentions = case
    spans = ground(cut, mentions)
    placed = [(m, span) for m, span in zip(mentions, spans, strict=True) if span is not None]
    assert len(set(placed)) == len(placed)
    counts = Counter(mention for mention, _ in placed)
    for mention, emitted in Counter(mentions).items():
        assert counts[mention] == min(emitted, len(occurrences(cut, mention.text)))


@given(texts_and_answers(), st.randoms(use_true_random=False))
def test_nothing_lies_inside_a_longer_mention_without_need(
    case: tuple[tuple[str, ...], list[Mention]], chance: random.Random
) -> None:
    cut, mentions = case
    chance.shuffle(mentions)
    spans = ground(cut, mentions)
    placed = [span for span in spans if span is not None]
    used = set(zip([mention.label for mention in mentions], spans, strict=True))
    for mention, span in zip(mentions, spans, strict=True):
        if span is not None and any(span.inside(longer) for longer in placed):
            for other in occurrences(cut, mention.text):
                free = (mention.label, other) not in used
                assert not free or any(other.inside(longer) for longer in placed)


@given(texts_and_answers())
def test_without_nesting_a_mention_takes_the_next_free_place(
    case: tuple[tuple[str, ...], list[Mention]],
) -> None:
    """The rule written out, for answers in which all surfaces are single chunks."""
    cut, mentions = case
    mentions = [mention for mention in mentions if len(chunks(mention.text)) == 1]
    expected: list[Span | None] = []
    used: set[tuple[str, Span]] = set()
    place = 0
    for mention in mentions:
        free = [o for o in occurrences(cut, mention.text) if (mention.label, o) not in used]
        taken = next((o for o in free if o.start >= place), free[0] if free else None)
        if taken is not None:
            used.add((mention.label, taken))
            place = taken.start
        expected.append(taken)
    assert ground(cut, mentions) == expected


@given(texts_and_answers())
def test_every_occurrence_adds_and_takes_nothing_away(
    case: tuple[tuple[str, ...], list[Mention]],
) -> None:
    cut, mentions = case
    found = every_occurrence(cut, mentions)
    assert found == sorted(found, key=lambda one: (one[1].start, -one[1].end, one[0]))
    marked = [(mentions[index].label, span) for index, span in found]
    assert len(set(marked)) == len(marked)
    for index, span in enumerate(ground(cut, mentions)):
        assert span is None or (index, span) in found
    everywhere = {m: occurrences(cut, m.text) for m in mentions}
    for mention in mentions:
        for place in everywhere[mention]:
            covered = any(
                place.inside(longer) for places in everywhere.values() for longer in places
            )
            assert covered or (mention.label, place) in marked
    for index, span in found:
        assert span in everywhere[mentions[index]]


def document(size: int) -> tuple[tuple[str, ...], list[Mention]]:
    """A text of some `size` words, a third of them names that nest and repeat, and its mentions."""
    chance = random.Random(7)
    names = [f"Name{i}" for i in range(size // 20)] + ["Name", "Name Name"]
    words = [chance.choice(names) if i % 3 else f"w{i}" for i in range(size)]
    text = " ".join(words)
    pairs = [" ".join(words[i : i + chance.choice((1, 2))]) for i in range(0, size, 4)]
    return chunks(text), [Mention(chance.choice("xyz"), pair) for pair in pairs]


def test_time_is_linear_where_one_name_fills_the_text() -> None:
    def same(size: int) -> tuple[tuple[str, ...], list[Mention]]:
        return chunks("哈" * size), [Mention("x", "哈")] * (size // 10)

    assert grows_linearly(same, lambda case: ground(*case), 2_000)
    assert grows_linearly(same, lambda case: every_occurrence(*case), 2_000)


def test_time_is_linear_in_the_mentions() -> None:
    """2,000 mentions in a text of 50,000 characters, and the first 200 of them."""
    cut, mentions = document(8_000)
    assert sum(map(len, cut)) >= 50_000
    assert len(mentions) == 2_000
    assert all(ground(cut, mentions))
    assert grows_linearly(lambda count: mentions[:count], lambda some: ground(cut, some), 200)
