"""Rows: every text once, whole, behind its head; and what makes a batch's numbers."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.training.batches import (
    IGNORED,
    SCORED_STEP,
    Overlong,
    Row,
    answer_tokens,
    chain,
    collate,
    draw_candidates,
    pack,
)
from b2ner.training.examples import Bundle, Example

PLACES = 40


@st.composite
def bundle_lists(draw: Any) -> list[Bundle]:
    sizes = draw(
        st.lists(
            st.tuples(
                st.integers(1, 30),
                st.lists(st.tuples(st.integers(1, 30), st.integers(1, 12)), max_size=6),
            ),
            max_size=30,
        )
    )
    bundles, number = [], 0
    for place, (head, texts) in enumerate(sizes):
        made = []
        for body, answer in texts:
            made.append(Example(number, (number + 2,) * body, (1,) * answer))
            number += 1
        bundles.append(Bundle((place,) * head, tuple(made), (place + 1) / len(sizes)))
    return bundles


def shown(rows: list[Row]) -> list[tuple[tuple[int, ...], Example]]:
    return [(b.head, example) for row in rows for b in row.bundles for example in b.examples]


@given(bundle_lists())
def test_packing_loses_nothing_and_cuts_nothing(bundles: list[Bundle]) -> None:
    packed = list(pack(bundles, PLACES))
    rows = [item for item in packed if isinstance(item, Row)]
    overlong = [item for item in packed if isinstance(item, Overlong)]
    given_pairs = [(b.head, example) for b in bundles for example in b.examples]
    fits = [
        (head, example)
        for head, example in given_pairs
        if len(head) + len(example.body) + len(example.answer) - 1 <= PLACES
    ]
    assert Counter(shown(rows)) == Counter(fits)
    assert {item.sample for item in overlong} == {e.sample for _, e in given_pairs} - {
        e.sample for _, e in fits
    }
    assert all(item.places > PLACES for item in overlong)
    assert all(row.size <= PLACES and row.samples for row in rows)
    assert packed == list(pack(bundles, PLACES))
    if rows:
        assert all(0 < row.progress <= 1 for row in rows)
        last = max(n for n, b in enumerate(bundles) if b.examples) + 1
        assert rows[-1].progress >= last / len(bundles) or not overlong


@given(bundle_lists())
def test_a_batch_holds_each_text_behind_its_head(bundles: list[Bundle]) -> None:
    rows = [item for item in pack(bundles, PLACES) if isinstance(item, Row)][:4]
    batch = collate([*rows, None], PLACES)
    assert batch.tokens == sum(row.size for row in rows)
    assert batch.answer_tokens == answer_tokens(rows)
    assert len(batch.targets) % SCORED_STEP == 0
    assert (batch.targets[batch.answer_tokens :] == IGNORED).all()
    scored = list(batch.scored.tolist())
    targets = list(batch.targets.tolist())
    for number, row in enumerate(rows):
        ids, positions = batch.input_ids[number].tolist(), batch.positions[number].tolist()
        segments, parents = batch.segments[number].tolist(), batch.parents[number].tolist()
        place = segment = 0
        for bundle in row.bundles:
            head = segment
            for part in (bundle.head, *bundle.examples):
                if isinstance(part, Example):
                    words = (*part.body, *part.answer[:-1])
                    begin = len(bundle.head)
                    end = number * PLACES + place + len(words)
                    count = len(part.answer)
                    assert scored[:count] == list(range(end - count, end))
                    assert targets[:count] == [*part.answer]
                    del scored[:count], targets[:count]
                else:
                    words, begin = part, 0
                reach = slice(place, place + len(words))
                assert ids[reach] == [*words]
                assert positions[reach] == list(range(begin, begin + len(words)))
                assert segments[reach] == [segment] * len(words)
                assert parents[reach] == [head] * len(words)
                place += len(words)
                segment += 1
        assert set(segments[place:]) <= {-1}


@given(bundle_lists(), st.integers(20, 400))
def test_candidates_hold_the_rows_tokens_and_fill_up(bundles: list[Bundle], least: int) -> None:
    rows = [item for item in pack(bundles, PLACES) if isinstance(item, Row)]
    drawn = draw_candidates(rows, least, 5000, random.Random(1))
    assert drawn is not None
    assert drawn == sorted(set(drawn))
    assert len(drawn) in (least, 2048)
    own = {token for head, e in shown(rows) for token in (*head, *e.body, *e.answer)}
    assert own <= set(drawn)
    assert drawn == draw_candidates(rows, least, 5000, random.Random(1))
    assert draw_candidates(rows, 5000, 5000, random.Random(1)) is None


def test_the_fingerprint_of_the_data_depends_on_ids_and_order() -> None:
    def row(*ids: int) -> Row:
        return Row((Bundle((1,), (Example(0, ids, (2,)),), 1.0),), 1.0)

    a, b = row(3, 4), row(4, 3)
    assert chain(chain("", a), b) == chain(chain("", a), b)
    assert chain(chain("", a), b) != chain(chain("", b), a)
    assert chain("", a) != chain("", b)


def test_rows_are_well_filled() -> None:
    rng = random.Random(3)
    bundles = [
        Bundle(
            (1,) * rng.randint(60, 130),
            tuple(
                Example(n, (2,) * rng.randint(15, 90), (3,) * rng.randint(2, 50)) for n in range(8)
            ),
            0.0,
        )
        for _ in range(300)
    ]
    rows = [item for item in pack(bundles, 384) if isinstance(item, Row)]
    assert sum(row.size for row in rows) / (384 * len(rows)) > 0.9


@pytest.mark.parametrize("count", [0, 1, 128])
def test_the_number_of_scored_places_is_padded(count: int) -> None:
    example = Example(0, (5,), (7,) * count) if count else None
    rows = [Row((Bundle((1,), (example,) if example else (), 1.0),), 1.0)]
    assert len(collate(rows, 200).targets) == SCORED_STEP
