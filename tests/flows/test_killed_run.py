"""A run that is killed at any moment goes on as if nothing had been; a full disk is one error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.training.runs import tiny_base

ROOT = Path(__file__).parents[2]
SHEET = """## labels: person; city
[[Ada|person]] met [[Moon|person]] in [[London|city]].
There is nobody here.
[[Moon|person]] left.
## labels: river; mountain
The [[Rhine|river]] is long.
The [[Rhine|river]] and the [[Eiger|mountain]].
## labels: person; river
Ada
"""
CONFIG = """
folder = "{folder}/unused"
base = "{base}"
device = "cpu"
compute = "float32"
[[data]]
kind = "sheets"
path = "{folder}/sheets"
leave_out = ["en-own:3"]
[regularisation]
label_dropout = 0.3
recased_prompts = 0.3
[rows]
per_step = 2
at_once = 1
together = 1
[lora]
rank = 4
dropout = 0.2
[optimiser]
learning_rate = 3e-3
[softmax]
candidates = 200
[schedule]
unit = "steps"
length = 8
curve = "cosine"
[saving]
every_steps = 2
keep_last = 1
log_every_steps = 1
weights = "float32"
[scoring]
[[scoring.data]]
kind = "sheets"
path = "{folder}/sheets"
only = ["en-own:3"]
"""


class Runs(NamedTuple):
    whole: Path
    killed: Path
    full: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    if not hasattr(os, "fork"):
        pytest.skip("the children of tests/flows/kills.py are forked")
    folder = tmp_path_factory.mktemp("runs")
    (folder / "sheets").mkdir()
    (folder / "sheets" / "en-own.txt").write_text(SHEET)
    config = folder / "run.toml"
    config.write_text(CONFIG.format(folder=folder, base=tiny_base(folder)))
    made = Runs(folder / "whole", folder / "killed", folder / "full")
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.kills", str(config), *map(str, made)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr + "".join(
        path.read_text() for path in folder.glob("*.stderr")
    )
    return made


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("step", "loss", "data")} for line in lines]


@pytest.mark.parametrize("name", ["resume/state.safetensors", "adapter_model.safetensors"])
def test_the_weights_are_the_same_bit_for_bit(runs: Runs, name: str) -> None:
    last = Path("checkpoints", "step-00000008", name)
    assert (runs.killed / last).read_bytes() == (runs.whole / last).read_bytes()


def test_its_metrics_are_those_of_an_unbroken_run(runs: Runs) -> None:
    assert metrics(runs.killed) == metrics(runs.whole)
    assert [line["step"] for line in metrics(runs.whole)] == list(range(1, 9))


def test_its_checkpoints_were_scored_once_each(runs: Runs) -> None:
    steps = ["step-00000002", "step-00000004", "step-00000006", "step-00000008"]
    for run in (runs.whole, runs.killed):
        told = [json.loads((run / f"eval-{k}" / "scores.json").read_text()) for k in range(4)]
        assert [row["checkpoint"] for row in told] == steps
        assert not (run / "eval-4").exists()
    scores = [
        (run / "checkpoints" / "scores.json").read_text() for run in (runs.whole, runs.killed)
    ]
    assert json.loads(scores[0]) == json.loads(scores[1])
    assert (runs.whole / "agg.csv").read_bytes() == (runs.killed / "agg.csv").read_bytes()


def test_nothing_half_done_is_left(runs: Runs) -> None:
    assert list(runs.killed.rglob("*.part")) == []
    whole = {path.name for path in (runs.whole / "checkpoints").iterdir()}
    assert {path.name for path in (runs.killed / "checkpoints").iterdir()} == whole


def test_a_full_disk_is_one_clear_error_and_the_last_checkpoint_stays(runs: Runs) -> None:
    said = runs.full.with_suffix(".stderr").read_text().strip().splitlines()
    assert said[-1].startswith("b2ner train: the checkpoint ")
    assert "step-00000004 cannot be written: " in said[-1]
    assert "File too large" in said[-1]
    assert said[-1].endswith("the last whole one is step-00000002")
    assert not any("Traceback" in line for line in said)
    there = [path.name for path in (runs.full / "checkpoints").glob("*step*")]
    assert there == ["step-00000002"]
    name = Path("checkpoints", "step-00000002", "adapter_model.safetensors")
    assert (runs.full / name).stat().st_size > 4096
