"""Laws of counting: nothing is invented, nothing is lost, and perfect is 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.evaluation.match import MISSED, Counts, confusions, count_items, count_sets

pytestmark = pytest.mark.torchfree

words = st.sampled_from("abcde")
sets = st.frozensets(words)
pairs = st.frozensets(st.tuples(words, st.sampled_from(["person", "place", "work"])))


@given(sets, sets)
def test_sets_add_up(gold, predicted):
    counts = count_sets(gold, predicted)
    assert counts.tp + counts.fn == len(gold)
    assert counts.tp + counts.fp == len(predicted)


@given(st.lists(words), st.lists(words))
def test_items_add_up_and_a_repeat_counts(gold, predicted):
    counts = count_items(gold, predicted)
    assert counts.tp + counts.fn == len(gold)
    assert counts.tp + counts.fp == len(predicted)
    # The oracle: cross off one gold item for each prediction.
    left = list(gold)
    right = 0
    for item in predicted:
        if item in left:
            left.remove(item)
            right += 1
    assert counts.tp == right


@given(st.lists(words, min_size=1))
def test_perfect_is_one(gold):
    counts = count_items(gold, gold)
    assert (counts.precision, counts.recall, counts.f1) == (1.0, 1.0, 1.0)


@given(st.lists(st.builds(Counts, *[st.integers(0, 9)] * 3)))
def test_counts_of_texts_add_up(texts):
    total = sum(texts, Counts())
    assert total.tp == sum(counts.tp for counts in texts)
    assert 0 <= min(total.precision, total.recall) <= total.f1 + 1e-12
    assert total.f1 <= max(total.precision, total.recall) + 1e-12 <= 1 + 1e-12


def test_nothing_at_all_is_zero():
    assert (Counts().precision, Counts().recall, Counts().f1) == (0, 0, 0)


@given(pairs, pairs)
def test_each_item_stands_in_one_confusion(gold, predicted):
    cells = confusions(gold, predicted)
    assert sum(n for (label, _), n in cells.items() if label != MISSED) == len(gold)
    assert sum(n for (_, label), n in cells.items() if label != MISSED) == len(predicted)
    right = sum(n for (wanted, found), n in cells.items() if wanted == found)
    assert right == len(gold & predicted)
    assert (MISSED, MISSED) not in cells


def test_confusions_pair_what_is_left():
    gold = {("Ada", "writer"), ("Ada", "person"), ("Paris", "city")}
    predicted = {("Ada", "person"), ("Ada", "scientist"), ("Rome", "city")}
    assert confusions(gold, predicted) == {
        ("person", "person"): 1,
        ("writer", "scientist"): 1,
        ("city", MISSED): 1,
        (MISSED, "city"): 1,
    }
