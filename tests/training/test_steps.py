"""Steps that are counted in texts: each takes what brings the run nearest to its share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from b2ner.training import train
from b2ner.training.settings import Rows, Saving, Schedule, TrainSettings, Unit
from tests.training.runs import SAMPLES, settings, tiny_base

WIDEST = 4  # texts that a row of these can hold


def samples_at(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["samples"] for line in lines]


def test_so_many_texts_a_step_on_average(tmp_path: Path) -> None:
    rows = Rows(places=384, per_step=3, samples_per_step=5, at_once=2, together=1)
    run = settings(
        tiny_base(tmp_path),
        rows=rows,
        schedule=Schedule(length=3, unit=Unit.EPOCHS),
        saving=Saving(log_every_steps=1, every_steps=2, keep_last=9),
    )
    done = train(run, SAMPLES * 5, tmp_path / "whole")
    seen = samples_at(tmp_path / "whole")
    assert seen[-1] == 3 * len(SAMPLES * 5)
    assert len(seen) == seen[-1] // 5
    for step, samples in enumerate(seen[:-1], start=1):
        assert 5 * step <= samples < 5 * step + WIDEST
    assert done.progress.samples == seen[-1]


def test_a_stopped_run_goes_on_with_the_same_steps(tmp_path: Path) -> None:
    rows = Rows(places=384, samples_per_step=5, at_once=1, together=1)
    run = settings(tiny_base(tmp_path), steps=6, rows=rows)
    train(run, SAMPLES * 5, tmp_path / "whole")
    train(run, SAMPLES * 5, tmp_path / "parts", time_limit_s=0)
    assert len(samples_at(tmp_path / "parts")) == 1
    train(run, SAMPLES * 5, tmp_path / "parts", resume=True)
    assert samples_at(tmp_path / "parts") == samples_at(tmp_path / "whole")


def test_rows_at_once_need_to_go_into_the_rows_of_a_step_only_where_these_count() -> None:
    TrainSettings(rows=Rows(per_step=3, at_once=2, samples_per_step=128))
    with pytest.raises(ValidationError, match="multiple of rows"):
        TrainSettings(rows=Rows(per_step=3, at_once=2))
