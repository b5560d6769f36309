"""The embedded model: batches do not change its answers; its numbers are the network's own."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from b2ner import segments
from b2ner.inference.engine import Finish, Request
from b2ner.model.adapters import default_adapter
from b2ner.model.card import read_card
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import load_template

RAW = Path(__file__).parents[3] / "shared" / "data" / "raw" / "crossner_ai.zip"
SENTENCES = Path(__file__).parents[1] / "data" / "ground" / "sentences.jsonl"
LABELS = (
    "field", "task", "product", "algorithm", "researcher", "metrics", "university", "country",
    "person", "organisation", "location", "programming language", "conference", "miscellaneous",
)  # fmt: skip


def sentences() -> list[str]:
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def crossner() -> list[str]:
    """The 431 test texts, or a skip."""
    if not RAW.exists():
        pytest.skip("shared/data/raw/crossner_ai.zip is not beside this checkout")
    with zipfile.ZipFile(RAW) as archive:
        blocks = archive.read("test.txt").decode().split("\n\n")
    return [
        " ".join(line.split("\t")[0] for line in block.splitlines() if line)
        for block in blocks
        if block.strip()
    ]


def requests(texts: list[str], labels: tuple[str, ...] = LABELS) -> list[Request]:
    card = read_card(default_adapter())
    assert card is not None
    template = load_template(card.template.id)
    return [
        Request(
            template.render(labels, segments.shown(text), language="en"),
            AnswerSpace(labels, segments.chunks(segments.shown(text)), template.form),
        )
        for text in texts
    ]


@pytest.mark.model
def test_log_probabilities_in_fp32_are_those_of_a_plain_forward_pass() -> None:
    """Ragged batches, and a head longer than the sliding window of 512; to 1e-4."""
    import torch

    from b2ner.inference.local import LocalEngine
    from b2ner.model.weights import load_model
    from tests.inference.test_local import Recorder, plain_logprob

    model = load_model(dtype="float32")
    plain = load_model(dtype="float32").network
    many = (*LABELS, *(f"kind of thing number {number}" for number in range(120)))
    for labels in (LABELS, many):
        local = Recorder(model, rows=5)
        assert isinstance(local, LocalEngine)
        asked = requests(sentences()[:12], labels)
        completions = list(local.generate(asked))
        for index, (request, completion) in enumerate(zip(asked, completions, strict=True)):
            row = local.rows[index]
            with torch.inference_mode():
                expected = plain_logprob(local, plain, request, row.answer)
            got = sum(piece.logprob for piece in completion.pieces)
            assert got == pytest.approx(expected, abs=1e-4 * max(1, len(row.answer)))
        assert labels == LABELS or len(local.rows[0].head) > 512


@pytest.mark.model
def test_in_bf16_batches_agree_with_single_texts() -> None:
    """At least 98% of 400 documents get the same answer; F1 of one against the other: 99.7."""
    from b2ner.inference.local import LocalEngine
    from b2ner.model.weights import load_model

    model = load_model(dtype="bfloat16")
    asked = requests(crossner()[:400])
    alone = [c.answer for c in LocalEngine(model, rows=1).generate(asked)]
    completions = list(LocalEngine(model, rows=32).generate(asked))
    together = [completion.answer for completion in completions]
    assert all(completion.finish is Finish.STOP for completion in completions)
    same = sum(a == b for a, b in zip(alone, together, strict=True))
    pairs = [
        (set(a.strip().split("; ")), set(b.strip().split("; ")))
        for a, b in zip(alone, together, strict=True)
    ]
    shared = sum(len(a & b) for a, b in pairs)
    f1 = 2 * shared / sum(len(a) + len(b) for a, b in pairs)
    print(f"same answers: {same} of {len(asked)}; F1 of items {f1:.4f}")
    assert same >= 0.98 * len(asked)
    assert f1 >= 0.997
