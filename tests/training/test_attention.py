"""A packed row computes what each text alone behind its head would: values and gradients."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from b2ner.model.card import BaseCard
from b2ner.training.attention import ATTENTION
from b2ner.training.batches import Batch, Row, collate, draw_candidates, visible
from b2ner.training.examples import Bundle, Example
from b2ner.training.network import Learner
from b2ner.training.packed import PackedScorer
from b2ner.training.settings import Method
from tests.tiny import DECODERS, WINDOW, tiny_network, tiny_tokenizer


def learner(network: Any, family: str) -> Learner:
    network.set_attn_implementation(ATTENTION)
    return Learner(
        network,
        tiny_tokenizer(family),
        BaseCard("tiny", ""),
        "tiny",
        Method.FULL,
        torch.device("cpu"),
        torch.float32,
        Path(),
    )


def some_rows() -> list[Row]:
    """Two rows: a head longer than the window with three texts, and two heads with one text."""
    rng = random.Random(5)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(rng.randint(5, 250) for _ in range(count))

    def bundle(head: int, *texts: tuple[int, int]) -> Bundle:
        examples = tuple(
            Example(n, ids(body), ids(answer)) for n, (body, answer) in enumerate(texts)
        )
        return Bundle(ids(head), examples, 1.0)

    first = bundle(WINDOW + 7, (9, 4), (5, 1), (WINDOW + 3, 6))
    return [Row((first,), 1.0), Row((bundle(4, (8, 3)), bundle(6, (3, 5))), 1.0)]


def alone(network: Any, rows: list[Row]) -> torch.Tensor:
    """Log-probabilities at each scored place, from one plain pass for each text."""
    network.set_attn_implementation("eager")
    parts = []
    for row in rows:
        for bundle in row.bundles:
            for example in bundle.examples:
                ids = [*bundle.head, *example.body, *example.answer[:-1]]
                logits = network(input_ids=torch.tensor([ids])).logits[0]
                parts.append(logits[-len(example.answer) :].log_softmax(-1))
    network.set_attn_implementation(ATTENTION)
    return torch.cat(parts)


def targets(rows: list[Row]) -> torch.Tensor:
    return torch.tensor(
        [t for row in rows for b in row.bundles for e in b.examples for t in e.answer]
    )


@pytest.mark.parametrize("family", DECODERS)
def test_a_packed_row_is_what_each_text_alone_would_be(family: str) -> None:
    network = tiny_network(family)
    scorer = PackedScorer(learner(network, family))
    rows = some_rows()
    batch = collate(rows, 96)
    ours = scorer.logits(batch, scorer.masks(batch))[: batch.answer_tokens]
    expected = alone(network, rows)
    assert torch.allclose(ours.log_softmax(-1), expected, atol=1e-5, rtol=0)

    loss = scorer(batch, scorer.masks(batch))
    got = torch.autograd.grad(loss, list(network.parameters()))
    plain = torch.nn.functional.nll_loss(alone(network, rows), targets(rows), reduction="sum")
    wanted = torch.autograd.grad(plain, list(network.parameters()))
    for a, b in zip(got, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * max(1.0, float(b.abs().max())), rtol=0)


@pytest.mark.parametrize("family", ["gemma2", "qwen2"])
def test_candidates_are_a_softmax_over_some_tokens(family: str) -> None:
    network = tiny_network(family)
    scorer = PackedScorer(learner(network, family))
    rows = some_rows()
    candidates = draw_candidates(rows, 200, scorer.vocabulary, random.Random(1))
    assert candidates is not None
    whole, some = collate(rows, 96), collate(rows, 96, candidates)
    all_masks = scorer.masks(whole)
    logits = scorer.logits(whole, all_masks)[:, candidates]
    assert torch.allclose(scorer.logits(some, all_masks), logits, atol=1e-5)
    index = {token: place for place, token in enumerate(candidates)}
    wanted = torch.tensor([index[int(t)] for t in targets(rows)])
    loss = torch.nn.functional.cross_entropy(logits[: len(wanted)], wanted, reduction="sum")
    assert torch.allclose(scorer(some, all_masks), loss)


def test_padding_takes_no_part() -> None:
    scorer = PackedScorer(learner(tiny_network("gemma3"), "gemma3"))
    rows = some_rows()
    narrow, wide = collate(rows, 80), collate([*rows, None], 128)
    a = scorer(narrow, scorer.masks(narrow))
    b = scorer(wide, scorer.masks(wide))
    assert torch.allclose(a, b, atol=1e-4)
    assert (narrow.samples, narrow.tokens, narrow.answer_tokens) == (
        wide.samples,
        wide.tokens,
        wide.answer_tokens,
    )


def brute_visible(batch: Batch, window: int | None) -> torch.Tensor:
    rows, places = batch.segments.shape
    seen = torch.zeros(rows, 1, places, places, dtype=torch.bool)
    for row in range(rows):
        for query in range(places):
            for key in range(query + 1):
                segment, parent = batch.segments[row, query], batch.parents[row, query]
                near = batch.positions[row, query] - batch.positions[row, key]
                if batch.segments[row, key] in (segment, parent):
                    seen[row, 0, query, key] = window is None or near < window
    return seen


@pytest.mark.parametrize("window", [None, 5])
def test_what_a_place_sees(window: int | None) -> None:
    batch = collate(some_rows(), 80)
    assert torch.equal(visible(batch, window), brute_visible(batch, window))
    assert visible(batch, window).any(-1).all()


@pytest.mark.parametrize("family", DECODERS)
def test_the_check_before_training_passes_the_families(family: str) -> None:
    PackedScorer(learner(tiny_network(family), family)).check()
