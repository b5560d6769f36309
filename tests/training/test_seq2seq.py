"""Encoder-decoders: what is computed is what the network says of itself, and a run learns."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import b2ner
from b2ner.errors import UnsupportedModel
from b2ner.model.card import BaseCard, read_card
from b2ner.training import train
from b2ner.training.batches import IGNORED, SCORED_STEP, Overlong, Row, draw_candidates
from b2ner.training.examples import Bundle, Example
from b2ner.training.loop import Metrics
from b2ner.training.network import Learner
from b2ner.training.pairs import (
    ANSWER_STEP,
    POOL,
    PROMPT_STEP,
    PairScorer,
    collate_pairs,
    rows_of_texts,
)
from b2ner.training.settings import (
    Lora,
    Method,
    Optimiser,
    Rows,
    Saving,
    Softmax,
    TrainSettings,
)
from tests.tiny import tiny_network, tiny_tokenizer
from tests.training.runs import LABELS, SAMPLES, settings, tiny_base

START, END, PAD = 0, 1, 0
MODEST = Rows(places=384, per_step=4, at_once=2, together=2)


NETWORKS = ("t5", "t5-gated")


def learner(network: Any) -> Learner:
    return Learner(
        network,
        tiny_tokenizer("t5"),
        BaseCard("tiny", ""),
        "tiny",
        Method.FULL,
        torch.device("cpu"),
        torch.float32,
        Path(),
    )


def ids(rng: random.Random, count: int) -> tuple[int, ...]:
    return tuple(rng.randint(5, 250) for _ in range(count))


def some_rows(lengths: Any = ((9, 4), (70, 1), (3, 6))) -> list[Row | None]:
    rng = random.Random(5)
    head = ids(rng, 7)
    return [
        Row((Bundle(head, (Example(n, ids(rng, body), (*ids(rng, said - 1), END)),), 1.0),), 1.0)
        for n, (body, said) in enumerate(lengths)
    ]


def alone(network: Any, row: Row) -> torch.Tensor:
    """The loss that transformers computes for one text, summed over its answer."""
    (bundle,) = row.bundles
    (example,) = bundle.examples
    prompt = torch.tensor([[*bundle.head, *example.body, END]])
    said = torch.tensor([example.answer])
    loss: torch.Tensor = network(input_ids=prompt, labels=said).loss * len(example.answer)
    return loss


@pytest.mark.parametrize("family", NETWORKS)
def test_the_loss_is_the_network_s_own_over_the_answers(family: str) -> None:
    network = tiny_network(family)
    scorer = PairScorer(learner(network))
    rows = some_rows()
    loss = scorer(*scorer.inputs([*rows, None], MODEST, None))
    expected = torch.stack([alone(network, row) for row in rows if row is not None]).sum()
    assert torch.allclose(loss, expected, atol=1e-4)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for got, wanted in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        assert torch.allclose(got, wanted, atol=1e-3 * max(1.0, float(wanted.abs().max())))


@pytest.mark.parametrize("family", NETWORKS)
def test_the_check_before_training_passes(family: str) -> None:
    PairScorer(learner(tiny_network(family))).check()


def test_the_check_finds_a_head_that_does_more() -> None:
    class Scaled(torch.nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden) * 3

    network = tiny_network("t5")
    head = Scaled(network.config.d_model, network.config.vocab_size, bias=False)
    head.weight = network.lm_head.weight
    network.lm_head = head
    with pytest.raises(UnsupportedModel, match="does not compute the same"):
        PairScorer(learner(network)).check()


def test_candidates_are_a_softmax_over_some_tokens() -> None:
    network = tiny_network("t5")
    scorer = PairScorer(learner(network))
    rows = some_rows()
    chosen = draw_candidates(rows, 200, scorer.vocabulary, random.Random(1))
    assert chosen is not None
    (whole,) = scorer.inputs(rows, MODEST, None)
    (some,) = scorer.inputs(rows, MODEST, chosen)
    assert torch.allclose(scorer.logits(some), scorer.logits(whole)[:, chosen], atol=1e-5)
    kept = some.targets != IGNORED
    assert torch.equal(torch.tensor(chosen)[some.targets[kept]], whole.targets[kept])


def test_a_batch_says_what_each_text_says() -> None:
    rows = some_rows()
    pairs = collate_pairs([*rows, None], start=START, end=END, pad=PAD)
    assert pairs.prompts.shape == pairs.seen.shape == (4, 2 * PROMPT_STEP)
    assert pairs.answers.shape == (4, ANSWER_STEP)
    assert len(pairs.targets) == len(pairs.scored) == SCORED_STEP
    for number, row in enumerate(rows):
        assert row is not None
        (bundle,) = row.bundles
        (example,) = bundle.examples
        prompt = pairs.prompts[number][pairs.seen[number] == 1].tolist()
        assert prompt == [*bundle.head, *example.body, END]
        shown = pairs.answers[number].tolist()
        assert shown[: len(example.answer)] == [START, *example.answer[:-1]]
        places = [
            i for i, place in enumerate(pairs.scored.tolist()) if place // ANSWER_STEP == number
        ]
        targets = [int(pairs.targets[i]) for i in places]
        assert [t for t in targets if t != IGNORED] == list(example.answer)
    assert pairs.seen[3].sum() == 1


def bundles(texts: int) -> list[Bundle]:
    """Texts of many lengths, one in nine too long, in bundles of up to five; some are empty."""
    rng = random.Random(3)
    made, number = [], 0
    while number < texts:
        count = min(rng.randint(0, 5), texts - number)
        body = [100 if n % 9 == 8 else rng.randint(1, 60) for n in range(number, number + count)]
        examples = tuple(
            Example(number + i, ids(rng, size), ids(rng, rng.randint(1, 9)))
            for i, size in enumerate(body)
        )
        number += count
        made.append(Bundle(ids(rng, 4), examples, number / texts))
    return made


@pytest.mark.parametrize("texts", [1, 30, 200])
def test_every_text_once_whole_and_in_order_of_the_seed(texts: int) -> None:
    rows = Rows(places=80, per_step=4, at_once=2)
    items = list(rows_of_texts(bundles(texts), rows))
    shown = [item for item in items if isinstance(item, Row)]
    long = [item for item in items if isinstance(item, Overlong)]
    assert [item.places for item in long] == [105] * (texts // 9)
    seen = [row.bundles[0].examples[0].sample for row in shown]
    assert Counter(seen) + Counter(item.sample for item in long) == Counter(range(texts))
    whole = {e.sample: (b.head, e) for b in bundles(texts) for e in b.examples}
    assert all((row.bundles[0].head, row.bundles[0].examples[0]) in whole.values() for row in shown)
    progress = [row.progress for row in shown]
    assert progress == sorted(progress)
    assert items == list(rows_of_texts(bundles(texts), rows))


def test_neighbours_are_of_like_lengths() -> None:
    rows = Rows(places=80, per_step=4, at_once=2)
    shown = [item for item in rows_of_texts(bundles(POOL * 4), rows) if isinstance(item, Row)]
    steps = [[row.size for row in shown[i : i + 4]] for i in range(0, len(shown), 4)]
    spread = [max(sizes) - min(sizes) for sizes in steps]
    assert sorted(spread)[len(spread) // 2] < 15
    assert [sizes[0] for sizes in steps] != sorted(sizes[0] for sizes in steps)


# -- whole runs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("base"), "t5")


def plan(base: str, **changes: Any) -> TrainSettings:
    return settings(base, **{"rows": MODEST, "optimiser": Optimiser(learning_rate=5e-3), **changes})


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_full_run_learns_four_samples_by_heart(base: str, tmp_path: Path) -> None:
    done = train(plan(base, steps=170, method=Method.FULL), SAMPLES, tmp_path)
    curve = losses(tmp_path)
    assert curve[-1] < curve[0] / 10
    ner = b2ner.load(done.checkpoint, dtype="fp32")
    for gold in SAMPLES:
        found = ner.extract(gold.text, gold.labels)
        assert [(e.span, e.label) for e in found.entities] == [
            (e.span, e.label) for e in gold.entities
        ]


def test_an_adapter_learns_and_loads(base: str, tmp_path: Path) -> None:
    lora = Lora(rank=16, alpha=32, dropout=0.0)
    optimiser = Optimiser(learning_rate=2e-2)
    done = train(plan(base, steps=40, lora=lora, optimiser=optimiser), SAMPLES, tmp_path)
    curve = losses(tmp_path)
    assert curve[-1] < 0.7 * curve[0]
    config = json.loads((done.checkpoint / "adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_2_SEQ_LM"
    ner = b2ner.load(base, adapter=done.checkpoint, dtype="fp32")
    assert ner.extract("Ada met Moon", LABELS).text == "Ada met Moon"


class Killed(Exception):
    """What stands for a SIGKILL."""


@pytest.mark.parametrize("method", list(Method))
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    base: str, tmp_path: Path, method: Method
) -> None:
    def on_metrics(line: Metrics) -> None:
        if line.step == 5:
            raise Killed

    saving = Saving(every_steps=3, log_every_steps=1, weights="float32")
    setup = plan(base, steps=7, method=method, saving=saving, softmax=Softmax(candidates=150))
    samples = [*SAMPLES, *SAMPLES[:2]]  # no whole number of steps
    whole = train(setup, samples, tmp_path / "whole")
    with pytest.raises(Killed):
        train(setup, samples, tmp_path / "killed", on_metrics=on_metrics)
    resumed = train(setup, samples, tmp_path / "killed", resume=True)
    for name in ("resume/state.safetensors", "*model.safetensors"):
        (a,), (b,) = whole.checkpoint.glob(name), resumed.checkpoint.glob(name)
        assert a.read_bytes() == b.read_bytes()
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")
    assert resumed.progress.data == whole.progress.data


def test_accumulation_changes_nothing_but_the_memory(base: str, tmp_path: Path) -> None:
    curves = []
    for at_once in (1, 4):
        rows = Rows(places=384, per_step=4, at_once=at_once, together=1)
        # In evaluation mode a T5 has no dropout, which is drawn for each pass.
        network = Path(base) / "config.json"
        still = tmp_path / f"base-{at_once}"
        still.mkdir()
        for path in Path(base).iterdir():
            (still / path.name).write_bytes(path.read_bytes())
        config = {**json.loads(network.read_text()), "dropout_rate": 0.0}
        (still / "config.json").write_text(json.dumps(config))
        setup = plan(str(still), steps=3, rows=rows, lora=Lora(rank=4, dropout=0.0))
        train(setup, SAMPLES, tmp_path / str(at_once))
        curves.append(losses(tmp_path / str(at_once)))
    assert curves[0] == pytest.approx(curves[1], abs=1e-5)


def test_gradient_checkpointing_computes_the_same(base: str, tmp_path: Path) -> None:
    for name, used in (("plain", False), ("checkpointed", True)):
        train(plan(base, steps=2, checkpoint_gradients=used), SAMPLES, tmp_path / name)
    assert losses(tmp_path / "checkpointed") == pytest.approx(losses(tmp_path / "plain"), abs=1e-5)


def test_a_whole_model_is_a_folder_for_everybody(base: str, tmp_path: Path) -> None:
    done = train(plan(base, steps=1, method=Method.FULL), SAMPLES, tmp_path)
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(done.checkpoint)
    assert type(network).__name__ == "T5ForConditionalGeneration"
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    for name in ("tokenizer.json", "tokenizer_config.json"):  # not as it was in use here
        assert (done.checkpoint / name).read_bytes() == (Path(base) / name).read_bytes()
    card = read_card(done.checkpoint)
    assert card is not None
    assert (card.base.name, card.tokenisation) == ("made from t5", "apart")


def test_what_does_not_suit_encoder_decoders_is_refused(base: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="compile_layers is for decoders"):
        train(plan(base, compile_layers=True), SAMPLES, tmp_path / "compiled")
    network = tiny_network("t5")
    network.config.max_position_embeddings = 100
    with pytest.raises(UnsupportedModel, match=r"rows.places \(384\) is more than the 100"):
        PairScorer(learner(network)).rows([], MODEST)
    network.generation_config.forced_bos_token_id = 5
    with pytest.raises(UnsupportedModel, match="forces a token of its own"):
        PairScorer(learner(network))
    network = tiny_network("t5")
    network.config.decoder_start_token_id = None
    with pytest.raises(UnsupportedModel, match="what its answers start with"):
        PairScorer(learner(network))


def test_a_text_too_long_for_the_encoder_is_said(base: str, tmp_path: Path) -> None:
    rows = Rows(places=190, per_step=2, at_once=2)
    long = b2ner.Sample("Ada " * 300, (), LABELS, "en", "long:1")
    train(plan(base, steps=2, rows=rows), [*SAMPLES, long], tmp_path)
    left_out = json.loads((tmp_path / "left_out.json").read_text())
    assert [row["source"] for row in left_out["too_long"]] == ["long:1"]
