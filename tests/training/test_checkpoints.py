"""Checkpoints on the disk: whole or not there, ranked by their scores, averaged within one run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import b2ner
from b2ner.errors import DataError
from b2ner.training import checkpoints, train
from b2ner.training.settings import Method, Optimiser, Saving
from tests.training.runs import LABELS, SAMPLES, settings, tiny_base

WEIGHTS = "adapter_model.safetensors"
EACH_STEP = Saving(every_steps=1, keep_last=9, weights="float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def made(base: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The checkpoints of a run of three steps."""
    folder = tmp_path_factory.mktemp("run")
    train(settings(base, steps=3, saving=EACH_STEP), SAMPLES, folder)
    return checkpoints.found(folder / "checkpoints")


def empty_ones(folder: Path, *steps: int) -> list[Path]:
    for step in steps:
        (folder / f"step-{step:08d}").mkdir()
    return checkpoints.found(folder)


def test_a_checkpoint_says_how_far_the_run_had_come(made: list[Path]) -> None:
    progress = [checkpoints.progress_of(path) for path in made]
    assert [p.step for p in progress] == [1, 2, 3]
    assert len({p.run for p in progress}) == 1
    assert len({p.data for p in progress}) == 3
    assert 0 < progress[0].epochs < progress[-1].epochs


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(None, id="none"),
        pytest.param("[]", id="no object"),
        pytest.param('{"step": 3}', id="no run"),
        pytest.param('{"run": "a", "colour": 1}', id="something else"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, state: str | None) -> None:
    (tmp_path / "resume").mkdir()
    if state is not None:
        (tmp_path / "resume" / "state.json").write_text(state)
    with pytest.raises(DataError, match=r"state\.json"):
        checkpoints.progress_of(tmp_path)


def test_the_best_is_the_later_of_equals_and_scores_may_be_taken_away(tmp_path: Path) -> None:
    first, second, third = empty_ones(tmp_path, 1, 2, 3)
    assert checkpoints.best(tmp_path) is None
    for path, score in ((first, 0.5), (second, 0.5), (third, 0.4)):
        checkpoints.note_score(tmp_path, path, score)
    assert checkpoints.best(tmp_path) == second
    checkpoints.note_score(tmp_path, second, None)
    assert checkpoints.best(tmp_path) == first
    assert checkpoints.scores(tmp_path) == {first.name: 0.5, third.name: 0.4}


def test_scores_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"step-00000001": "good"}')
    with pytest.raises(DataError, match="an object of scores"):
        checkpoints.scores(tmp_path)


def test_the_last_and_the_best_stay(tmp_path: Path) -> None:
    paths = empty_ones(tmp_path, 1, 2, 3, 4)
    checkpoints.note_score(tmp_path, paths[1], 0.9)
    checkpoints.note_score(tmp_path, paths[0], 0.1)
    checkpoints.prune(tmp_path, keep_last=1, keep_best=1)
    assert checkpoints.found(tmp_path) == [paths[1], paths[3]]


def test_what_is_half_removed_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = empty_ones(tmp_path, 1, 2)

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.prune(tmp_path, keep_last=1, keep_best=0)
    assert checkpoints.found(tmp_path) == paths[1:]
    (tmp_path / ".scores.json.1.part").touch()
    checkpoints.clear(tmp_path)
    assert list(tmp_path.iterdir()) == paths[1:]


def test_the_mean_of_late_checkpoints_is_an_adapter(
    base: str, made: list[Path], tmp_path: Path
) -> None:
    mean = checkpoints.average(made[1:], tmp_path / "mean")
    parts = [load_file(path / WEIGHTS) for path in (*made[1:], mean)]
    assert parts[0].keys() == parts[2].keys()
    assert any(not torch.equal(parts[0][name], parts[1][name]) for name in parts[0])
    for name, weight in parts[2].items():
        torch.testing.assert_close(weight, (parts[0][name] + parts[1][name]) / 2)
    card = json.loads((mean / "b2ner.json").read_text())
    assert "step-00000002, step-00000003" in card["training"]
    ner = b2ner.load(base, adapter=mean, dtype="fp32")  # the card's promises are kept
    assert ner.extract("Ada met Moon", LABELS).text == "Ada met Moon"


def test_only_adapters_of_one_run_have_a_mean(base: str, made: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two checkpoints at least, got 1"):
        checkpoints.average(made[:1], tmp_path / "mean")
    train(settings(base, steps=1, seed=5, saving=EACH_STEP), SAMPLES, tmp_path / "other")
    (other,) = checkpoints.found(tmp_path / "other" / "checkpoints")
    with pytest.raises(DataError, match="are of two runs"):
        checkpoints.average([made[0], other], tmp_path / "mean")
    full = settings(base, steps=1, method=Method.FULL, optimiser=Optimiser(learning_rate=1e-4))
    train(full, SAMPLES, tmp_path / "full")
    (whole,) = checkpoints.found(tmp_path / "full" / "checkpoints")
    with pytest.raises(DataError, match="only adapters can be averaged"):
        checkpoints.average([whole, whole], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_mean_that_cannot_be_written_is_one_error(made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "mean").write_text("a file, not a folder")
    with pytest.raises(DataError, match="mean: cannot be written: File exists"):
        checkpoints.average(made[1:], tmp_path / "mean")
