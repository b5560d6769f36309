"""The loop end to end on a tiny network: it learns, it stops and goes on, it says what is wrong."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import b2ner
from b2ner.errors import AdapterMismatch, DataError, ModelError
from b2ner.records import Entity, Reason, Sample, Span
from b2ner.training import checkpoints, loop, train
from b2ner.training.loop import learning_rate
from b2ner.training.metrics import Metrics
from b2ner.training.settings import (
    Curve,
    Lora,
    Method,
    Optimiser,
    Regularisation,
    Rows,
    Saving,
    Schedule,
    Softmax,
    Unit,
)
from tests.training.runs import LABELS, SAMPLES, sample, settings, tiny_base

ROOT = Path(__file__).parents[2]
VARIED = Regularisation(label_dropout=0.3, borrowed_labels=2, recased_prompts=0.3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("base"))


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in lines(run)]


class Killed(Exception):
    """What stands for a SIGKILL."""


def kill_at(step: int) -> Any:
    def on_metrics(line: Metrics) -> None:
        if line.step == step:
            raise Killed

    return on_metrics


def test_it_learns_four_samples_by_heart(base: str, tmp_path: Path) -> None:
    done = train(settings(base, steps=60), SAMPLES, tmp_path)
    assert done.finished
    assert done.progress.step == 60
    curve = losses(tmp_path)
    assert curve[-1] < curve[0] / 4
    ner = b2ner.load(base, adapter=done.checkpoint, dtype="fp32")
    for gold in SAMPLES:
        found = ner.extract(gold.text, gold.labels)
        assert [(e.span, e.label) for e in found.entities] == [
            (e.span, e.label) for e in gold.entities
        ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as given"),
        pytest.param(
            {"regularisation": VARIED, "softmax": Softmax(candidates=220)}, id="all that is random"
        ),
        pytest.param(
            {"method": Method.FULL, "optimiser": Optimiser(learning_rate=1e-4)}, id="full"
        ),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    base: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    plan = settings(
        base, saving=Saving(every_steps=4, log_every_steps=1, weights="float32"), **changes
    )
    whole = train(plan, SAMPLES, tmp_path / "whole")
    with pytest.raises(Killed):
        train(plan, SAMPLES, tmp_path / "killed", on_metrics=kill_at(6))
    half_written = tmp_path / "killed" / "checkpoints" / ".step-00000006.1.part"
    half_written.mkdir()
    assert [path.name for path in checkpoints.found(half_written.parent)] == ["step-00000004"]
    resumed = train(plan, SAMPLES, tmp_path / "killed", resume=True)
    for name in ("resume/state.safetensors", "*model.safetensors"):
        (a,), (b,) = whole.checkpoint.glob(name), resumed.checkpoint.glob(name)
        assert a.read_bytes() == b.read_bytes()
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")
    assert resumed.progress.data == whole.progress.data
    assert [line["step"] for line in lines(tmp_path / "killed")] == list(range(1, 9))


def test_a_full_model_is_a_model_folder(base: str, tmp_path: Path) -> None:
    plan = settings(base, steps=2, method=Method.FULL, optimiser=Optimiser(learning_rate=1e-4))
    done = train(plan, SAMPLES, tmp_path)
    ner = b2ner.load(str(done.checkpoint), dtype="fp32")
    assert ner.extract("Ada met Moon", LABELS).text == "Ada met Moon"


def test_epochs_are_all_the_rows_and_then_the_end(base: str, tmp_path: Path) -> None:
    plan = settings(
        base,
        rows=Rows(places=384, per_step=3, at_once=3, together=1),
        schedule=Schedule(length=2, unit=Unit.EPOCHS),
    )
    done = train(plan, [*SAMPLES, *SAMPLES, *SAMPLES], tmp_path)
    assert done.progress.samples == 24
    assert done.finished
    assert lines(tmp_path)[-1]["done"] == 1


def test_the_data_order_is_the_seed_s(base: str, tmp_path: Path) -> None:
    def order(name: str, seed: int) -> str:
        plan = settings(base, steps=2, seed=seed, regularisation=VARIED)
        return train(plan, SAMPLES, tmp_path / name).progress.data

    first = order("a", 1)
    assert order("b", 1) == first
    assert order("c", 2) != first


def test_accumulation_changes_nothing_but_the_memory(base: str, tmp_path: Path) -> None:
    lora = Lora(rank=4, dropout=0.0)
    for at_once in (1, 2, 4):
        rows = Rows(places=160, per_step=4, at_once=at_once, together=1)
        plan = settings(base, steps=3, rows=rows, lora=lora)
        train(plan, SAMPLES, tmp_path / str(at_once))
    first = losses(tmp_path / "1")
    assert losses(tmp_path / "2") == pytest.approx(first, abs=1e-5)
    assert losses(tmp_path / "4") == pytest.approx(first, abs=1e-5)


def test_the_best_checkpoints_stay(base: str, tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.3, 0.1])
    saving = Saving(every_steps=2, keep_last=1, keep_best=1)
    done = train(
        settings(base, saving=saving), SAMPLES, tmp_path, on_checkpoint=lambda _: next(scores)
    )
    kept = [path.name for path in checkpoints.found(tmp_path / "checkpoints")]
    assert kept == ["step-00000004", "step-00000008"]
    assert done.best is not None
    assert done.best.name == "step-00000004"


def test_scoring_is_no_time_of_training_but_counts_against_the_limit(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, 0.1)  # ten looks at it are a second
    away = [0.0]
    watch = SimpleNamespace(monotonic=lambda: next(clock) + away[0])
    monkeypatch.setattr(loop, "time", watch)

    def slow(_: Path) -> float:
        away[0] += 1000
        return 0.5

    told: list[Metrics] = []
    plan = settings(
        base,
        schedule=Schedule(length=1 / 60, unit=Unit.MINUTES),
        saving=Saving(every_steps=2, log_every_steps=1),
    )
    done = train(plan, SAMPLES, tmp_path / "a", on_checkpoint=slow, on_metrics=told.append)
    assert done.finished
    assert done.progress.step > 4
    assert 1 <= done.progress.elapsed_s < 2
    assert told[-1].elapsed_s < 2
    assert all(line.samples_per_s > 1 for line in told)
    done = train(plan, SAMPLES, tmp_path / "b", on_checkpoint=slow, time_limit_s=1500)
    assert not done.finished
    assert done.progress.step == 3  # a second scoring would have been too long


def test_loading_is_no_time_of_training(base: str, tmp_path: Path) -> None:
    plan = settings(base, schedule=Schedule(length=1e-6, unit=Unit.MINUTES))
    done = train(plan, SAMPLES, tmp_path)
    assert done.finished
    assert done.progress.step == 1


def test_a_checkpoint_that_was_not_scored_is_when_the_run_goes_on(
    base: str, tmp_path: Path
) -> None:
    plan = settings(base, saving=Saving(every_steps=4, log_every_steps=1))

    def killed(_: Path) -> float:
        raise Killed

    with pytest.raises(Killed):
        train(plan, SAMPLES, tmp_path, on_checkpoint=killed)
    scored: list[str] = []

    def score(path: Path) -> float:
        scored.append(path.name)
        return 0.1

    train(plan, SAMPLES, tmp_path, resume=True, on_checkpoint=score)
    train(plan, SAMPLES, tmp_path, resume=True, on_checkpoint=score)
    assert scored == ["step-00000004", "step-00000008"]


def test_a_checkpoint_at_the_end_of_each_epoch(base: str, tmp_path: Path) -> None:
    plan = settings(
        base,
        rows=Rows(places=384, per_step=1, at_once=1, together=1),
        schedule=Schedule(length=2, unit=Unit.EPOCHS),
        saving=Saving(every_epoch=True, keep_last=9),
    )
    done = train(plan, SAMPLES, tmp_path)
    (first, last) = checkpoints.found(tmp_path / "checkpoints")
    assert last == done.checkpoint
    assert [checkpoints.progress_of(path).epochs for path in (first, last)] == [1, 2]


def test_the_time_limit_ends_with_a_checkpoint(base: str, tmp_path: Path) -> None:
    done = train(settings(base, steps=1000), SAMPLES, tmp_path, time_limit_s=0.01)
    assert not done.finished
    assert done.progress.step == 1
    assert (done.checkpoint / "adapter_model.safetensors").is_file()
    again = train(settings(base, steps=2), SAMPLES, tmp_path, resume=True)
    assert again.finished
    assert again.progress.step == 2


def test_a_loss_that_is_no_number_ends_the_run(base: str, tmp_path: Path) -> None:
    plan = settings(
        base,
        steps=20,
        optimiser=Optimiser(learning_rate=1e30),
        saving=Saving(every_steps=1, log_every_steps=1),
        schedule=Schedule(length=20, unit=Unit.STEPS, warmup=0.2, curve=Curve.LINEAR),
    )
    with pytest.raises(ModelError, match=r"the loss is .* the last good checkpoint is") as raised:
        train(plan, SAMPLES, tmp_path)
    (*_, kept) = checkpoints.found(tmp_path / "checkpoints")
    assert (kept / "resume" / "state.safetensors").is_file()
    stopped = json.loads((tmp_path / "stopped.json").read_text())
    assert stopped["step"] == checkpoints.progress_of(kept).step + 1
    assert f"stopped at step {stopped['step']}:" in str(raised.value)
    texts = {sample.source: sample.text for sample in SAMPLES}
    assert {row["source"]: row["text"] for row in stopped["texts"]}.items() <= texts.items()
    for row in stopped["texts"]:
        assert f"{row['source']} (" in str(raised.value)
    shutil.rmtree(kept)  # the step that made it was the fatal one
    mended = replace(plan, optimiser=Optimiser(learning_rate=1e-4))
    train(mended, SAMPLES, tmp_path, resume=True)
    assert not (tmp_path / "stopped.json").exists()


def test_a_full_disk_ends_the_run_and_leaves_what_was_there(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoints._write_tensors

    def full(path: Path, tensors: Any) -> None:
        if "00000004" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, tensors)

    monkeypatch.setattr(checkpoints, "_write_tensors", full)
    plan = settings(base, saving=Saving(every_steps=2))
    with pytest.raises(DataError, match="step-00000004 cannot be written: No space left"):
        train(plan, SAMPLES, tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]


@pytest.mark.parametrize(
    ("changes", "samples", "message"),
    [
        pytest.param({"seed": 5}, SAMPLES, "other samples, another base or other settings", id="1"),
        pytest.param({}, SAMPLES[:2], "other samples, another base or other settings", id="2"),
    ],
)
def test_another_run_is_not_resumed(
    base: str, tmp_path: Path, changes: dict[str, Any], samples: Any, message: str
) -> None:
    train(settings(base, steps=1), SAMPLES, tmp_path)
    with pytest.raises(DataError, match=message):
        train(settings(base, steps=2, **changes), samples, tmp_path, resume=True)
    with pytest.raises(DataError, match="holds a run already"):
        train(settings(base, steps=2), SAMPLES, tmp_path)


def test_it_goes_on_from_an_adapter(base: str, tmp_path: Path) -> None:
    first = train(settings(base, steps=20), SAMPLES, tmp_path / "first")
    again = settings(base, steps=1, adapter=str(first.checkpoint))
    train(again, SAMPLES, tmp_path / "again")
    assert losses(tmp_path / "again")[0] < losses(tmp_path / "first")[0] / 2
    warm = train(replace(again, moments=True), SAMPLES, tmp_path / "warm")
    assert losses(tmp_path / "warm") == losses(tmp_path / "again")
    state = "resume/state.safetensors"
    assert (warm.checkpoint / state).read_bytes() != (
        tmp_path / "again" / "checkpoints" / "step-00000001" / state
    ).read_bytes()
    other = replace(again, lora=Lora(rank=4, alpha=16))
    with pytest.raises(AdapterMismatch, match="r = 8"):
        train(other, SAMPLES, tmp_path / "other")


def test_an_adapter_for_another_base_is_refused(base: str, tmp_path: Path) -> None:
    first = train(settings(base, steps=1), SAMPLES, tmp_path / "first")
    llama = tiny_base(tmp_path, "llama")
    plan = settings(llama, steps=1, adapter=str(first.checkpoint))
    with pytest.raises(AdapterMismatch, match="another base"):
        train(plan, SAMPLES, tmp_path / "second")


@pytest.mark.parametrize("lora", [Lora(rank=4, rslora=True), Lora(rank=4, dora=True)])
def test_kinds_of_lora_load_again(base: str, tmp_path: Path, lora: Lora) -> None:
    done = train(settings(base, steps=2, lora=lora), SAMPLES, tmp_path)
    b2ner.load(base, adapter=done.checkpoint, dtype="fp32")


def test_targets_by_name_of_a_set(base: str, tmp_path: Path) -> None:
    lora = Lora(rank=4, targets=("published",))
    done = train(settings(base, steps=1, lora=lora), SAMPLES, tmp_path / "run")
    config = json.loads((done.checkpoint / "adapter_config.json").read_text())
    assert config["target_modules"] == ["k_proj", "q_proj", "v_proj"]
    bad = settings(base, lora=Lora(targets=("nosuch",)))
    with pytest.raises(ModelError, match="nosuch"):
        train(bad, SAMPLES, tmp_path / "bad")


def test_what_cannot_be_learned_is_said(base: str, tmp_path: Path) -> None:
    misread = sample("Ada; person: Moon", ("Ada; person: Moon", "person"))
    long = sample("Ada " * 400, ("Ada", "person"))
    done = train(settings(base, steps=2), [*SAMPLES, misread, long], tmp_path)
    assert [(r.reason, r.place) for r in done.rejected] == [
        (Reason.UNWRITABLE, "made:Ada; pers"),
        (Reason.TOO_LONG, "made:Ada Ada A"),
    ]
    left_out = json.loads((tmp_path / "left_out.json").read_text())
    assert left_out["texts"]["too long for a row"] == done.left_out["too long for a row"] >= 1
    (told,) = left_out["too_long"]
    assert (told["source"], told["text"]) == ("made:Ada Ada A", long.text)
    assert f"a row of {told['places']} places, {told['head']} of them" in done.rejected[1].detail
    with pytest.raises(DataError, match=r"no text can be shown: .*too long"):
        train(settings(base), [long], tmp_path / "long")


def test_labels_that_fill_a_row_are_said_not_cut(base: str, tmp_path: Path) -> None:
    many = tuple(f"a label of many words, number {number}" for number in range(18))
    wide = sample("Ada met Moon", ("Ada", many[3]), labels=many)
    done = train(settings(base, steps=1), [*SAMPLES, wide], tmp_path)
    (rejected,) = done.rejected
    assert (rejected.reason, rejected.place) == (Reason.TOO_LONG, "made:Ada met M")
    places, head = map(int, re.findall(r"(\d+) (?:places|of them)", rejected.detail))
    assert places > head > 384
    assert (tmp_path / "metrics.jsonl").is_file()


def test_a_long_answer_counts_too(base: str, tmp_path: Path) -> None:
    """Its text fits in the row; what is to be answered, every repeat, does not."""
    words = "Ada " * 120
    repeats = tuple(Entity(Span(4 * n, 4 * n + 3), "person", "Ada") for n in range(120))
    dense = Sample(words.strip(), repeats, LABELS, "en", "made:dense")
    sparse = Sample(words.strip(), repeats[:1], LABELS, "en", "made:sparse")
    done = train(settings(base, steps=1), [*SAMPLES, dense, sparse], tmp_path)
    assert [(r.reason, r.place) for r in done.rejected] == [(Reason.TOO_LONG, "made:dense")]


@pytest.mark.parametrize("samples", [pytest.param([], id="none"), pytest.param(None, id="bad")])
def test_without_samples_nothing_is_loaded(tmp_path: Path, samples: list[Sample] | None) -> None:
    misread = sample("Ada; person: Moon", ("Ada; person: Moon", "person"))
    expected = "none came" if samples == [] else r"1 unwritable answer.*the first is made:Ada; pers"
    with pytest.raises(DataError, match=f"no sample to train on: .*{expected}"):
        train(settings("no such base"), [misread] if samples is None else samples, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["cuda:77", "no-such-device"])
def test_a_missing_device_is_an_error_before_anything_is_read(tmp_path: Path, device: str) -> None:
    def unread() -> Iterator[Sample]:
        raise AssertionError("the samples were read")
        yield SAMPLES[0]

    with pytest.raises(ModelError, match=device):
        train(settings("no such base", device=device), unread(), tmp_path)


def test_bf16_keeps_fp32_masters(base: str, tmp_path: Path) -> None:
    plan = settings(base, steps=40, compute="bfloat16", optimiser=Optimiser(learning_rate=3e-3))
    done = train(plan, SAMPLES, tmp_path)
    from safetensors.torch import load_file

    state = load_file(done.checkpoint / "resume" / "state.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    weights = torch.cat([w.flatten() for name, w in state.items() if name.startswith("weight:")])
    assert not torch.equal(weights, weights.bfloat16().float())
    assert losses(tmp_path)[-1] < losses(tmp_path)[0] / 2


def test_gradient_checkpointing_computes_the_same(base: str, tmp_path: Path) -> None:
    for name, used in (("plain", False), ("checkpointed", True)):
        train(settings(base, steps=2, checkpoint_gradients=used), SAMPLES, tmp_path / name)
    assert losses(tmp_path / "checkpointed") == pytest.approx(losses(tmp_path / "plain"), abs=1e-5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param(Schedule(warmup=0.1), [0, 0.5, 1, 1, 1], id="constant"),
        pytest.param(
            Schedule(warmup=0.1, curve=Curve.LINEAR, final=0.1),
            [0, 0.5, 1, 0.5 / 0.9 * 0.9 + 0.05, 0.1],
            id="linear",
        ),
        pytest.param(Schedule(warmup=0.1, curve=Curve.COSINE), [0, 0.5, 1, 0.5, 0], id="cosine"),
    ],
)
def test_the_learning_rate(schedule: Schedule, expected: list[float]) -> None:
    places = [0, 0.05, 0.1, 0.55, 1.0]
    assert [learning_rate(place, schedule) for place in places] == pytest.approx(expected)


def test_two_processes_learn_as_one(base: str, tmp_path: Path) -> None:
    rows = Rows(places=160, per_step=4, at_once=2, together=1)
    plan = settings(base, steps=4, rows=rows, lora=Lora(rank=4, dropout=0.0))
    train(plan, SAMPLES, tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import sys; from pathlib import Path; from b2ner.training import train\n"
        "from b2ner.training.settings import Lora, Rows\n"
        "from tests.training.runs import SAMPLES, settings\n"
        f"plan = settings({base!r}, steps=4, lora=Lora(rank=4, dropout=0.0),\n"
        "    rows=Rows(places=160, per_step=4, at_once=2, together=1))\n"
        f"train(plan, SAMPLES, Path({str(tmp_path / 'two')!r}))\n"
    )
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_TORCH_DEVICE": "cpu",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in started:
        _, problems = process.communicate(timeout=120)
        assert process.returncode == 0, problems
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
