"""What is wrong with a run is one clear error, as early as it can be known."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from tests.training.runs import tiny_base
from typer.testing import CliRunner

from b2ner.cli.main import app
from b2ner.errors import DataError, ModelError
from b2ner.workflows import train as training

SHEET = "## labels: person; city\n[[Ada|person]] met [[Moon|person]] in [[London|city]].\n"
BROKEN = "## labels: person\n[[Ada|hero]] left.\n[[Ada|person left.\n"


def write_config(folder: Path, *, base: str = "no such base", more: str = "") -> Path:
    path = folder / "run.toml"
    path.write_text(
        f"""
folder = "{folder}/run"
base = "{base}"
{more or 'device = "cpu"'}
[[data]]
kind = "sheets"
path = "{folder}/sheets"
[rows]
per_step = 1
at_once = 1
[saving]
log_every_steps = 1
[schedule]
unit = "steps"
length = 9
"""
    )
    return path


def sheets(folder: Path, **texts: str) -> None:
    (folder / "sheets").mkdir()
    for name, text in texts.items():
        (folder / "sheets" / f"en-{name}.txt").write_text(text)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = write_config(tmp_path, more='device = "cuda"')  # neither sheets nor base are there
    with pytest.raises(ModelError, match="device = 'cuda' cannot be used here"):
        training.run(training.read_config(path))
    done = CliRunner().invoke(app, ["train", str(path)], prog_name="b2ner")
    assert done.exit_code == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_data_without_a_sample_is_named_with_its_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheets(tmp_path, broken=BROKEN)
    with pytest.raises(DataError, match=r"en-broken\.txt \(2 rows rejected\); the first is .*:2"):
        training.run(training.read_config(write_config(tmp_path)))
    assert not (tmp_path / "run").exists()
    (tmp_path / "sheets" / "en-own.txt").write_text(SHEET)
    with caplog.at_level(logging.WARNING):
        training.run(training.read_config(write_config(tmp_path, base=tiny_base(tmp_path))))
    assert "no sample to train on in" in caplog.text
    assert "en-broken.txt (2 rows rejected)" in caplog.text


def test_unknown_keys_are_named_at_once_wherever_they_stand(tmp_path: Path) -> None:
    more = """
colour = 1
[lora]
rang = 3
[saving]
keep_lst = 1
[scoring]
often = true
[[scoring.data]]
kind = "sheets"
path = "sheets"
only = ["en-own:1"]
splt = "dev"
"""
    path = tmp_path / "run.toml"
    path.write_text(f'folder = "run"\ndata = []\n{more}')
    with pytest.raises(DataError, match="5 faults") as raised:
        training.read_config(path)
    names = (
        "colour",
        "lora.rang",
        "saving.keep_lst",
        "scoring.often",
        "scoring.data.0.sheets.splt",
    )
    for name in names:
        assert f"{name}: " in str(raised.value)


def test_a_run_that_ends_early_says_why_in_its_folder(tmp_path: Path) -> None:
    sheets(tmp_path, own=SHEET)
    path = write_config(tmp_path, base=tiny_base(tmp_path))
    path.write_text(path.read_text() + "[optimiser]\nlearning_rate = 1e30\n")
    with pytest.raises(ModelError, match="en-own:1"):
        training.run(training.read_config(path))
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["status"].startswith("stopped: training stopped at step ")
    stopped = json.loads((tmp_path / "run" / "stopped.json").read_text())
    assert [row["source"] for row in stopped["texts"]] == ["en-own:1"]
