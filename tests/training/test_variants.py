"""A text's variants: every entity is kept and stands where it says."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from b2ner.records import Entity, Sample, Span
from b2ner.training.settings import Regularisation
from b2ner.training.variants import lowercased, tokenised, unpunctuated, varied
from tests.training.runs import sample


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("In 1998, Page's firm (Google) grew.", "Page", "In 1998 , Page 's firm ( Google ) grew ."),
        ("“Yes”, said J. R. Hart!", "J. R. Hart", "“ Yes ” , said J. R. Hart !"),
        ("It cost 3.50, e.g. at Apple Inc.", "Apple Inc.", "It cost 3.50 , e.g. at Apple Inc."),
        ("A well-known O(1) trick...", "O(1)", "A well-known O(1) trick ..."),
    ],
)
def test_tokenised(text: str, found: str, expected: str) -> None:
    made = tokenised(sample(text, (found, "person")))
    assert made.text == expected
    assert [entity.text for entity in made.entities] == [found]


@pytest.mark.parametrize(
    ("text", "found", "expected", "words"),
    [
        ("Is it Who's Who?", "Who's Who?", "Is it Who's Who", "Who's Who"),
        ("So ( said Ann ), go!", "Ann", "So said Ann go", "Ann"),
        ("Ann's dog - a pug.", "Ann", "Ann's dog - a pug", "Ann"),
        ("Who sang '?' ?", "?", "Who sang '?' ?", "?"),  # nothing of it would be left
    ],
)
def test_unpunctuated(text: str, found: str, expected: str, words: str) -> None:
    made = unpunctuated(sample(text, (found, "person")))
    assert (made.text, made.entities[0].text) == (expected, words)


def test_lower_case_may_change_the_number_of_characters() -> None:
    assert lowercased(sample("Ada in LONDON", ("LONDON", "location"))).text == "ada in london"
    assert lowercased(sample("İzmir and ROME", ("ROME", "location"))).entities[0].text == "rome"


words = st.text(alphabet="aB3.,'!?()“”-sİ", min_size=1, max_size=6)


@given(st.lists(words, min_size=1, max_size=8), st.data())
def test_every_entity_stands_where_it_says(parts: list[str], data: st.DataObject) -> None:
    text = " ".join(parts)
    start = data.draw(st.integers(0, len(text) - 1))
    span = Span(start, data.draw(st.integers(start + 1, len(text))))
    given_words = span.of(text)
    assume(given_words == given_words.strip())
    one = Sample(text, (Entity(span, "person", given_words),), ("person",), "en", "made")
    for variant in (tokenised, unpunctuated, lowercased):
        made = variant(one)
        (entity,) = made.entities
        assert made.text[entity.start : entity.end] == entity.text == entity.text.strip()
        assert "  " not in made.text


def test_texts_without_blanks_between_words_stay() -> None:
    settings = Regularisation(tokenised_texts=1.0, lowercased_texts=1.0, unpunctuated_texts=1.0)
    one = sample("他在IBM。", ("IBM", "person"))
    chinese = Sample(one.text, one.entities, one.labels, "zh-CN", one.source)
    assert varied(chinese, settings, random.Random(1)) is chinese
    assert varied(one, settings, random.Random(1)).text != one.text


def test_shares_are_of_texts() -> None:
    settings = Regularisation(lowercased_texts=0.3)
    one = sample("Ada.", ("Ada", "person"))
    rng = random.Random(5)
    lower = sum(varied(one, settings, rng).text == "ada." for _ in range(1000))
    assert 250 < lower < 350
