"""Settings from TOML: every fault of a file at once; settings from Python: checked as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2ner.errors import DataError
from b2ner.training.settings import Curve, Rows, TrainSettings, Unit, read_toml

pytestmark = pytest.mark.torchfree


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'seed = 7\nown_prompts = ["en"]\n[rows]\nplaces = 512\n'
        '[schedule]\nlength = 30\nunit = "minutes"\ncurve = "cosine"\n'
    )
    read = read_toml(path, TrainSettings)
    assert (read.seed, read.own_prompts, read.rows.places) == (7, ("en",), 512)
    assert (read.schedule.unit, read.schedule.curve) == (Unit.MINUTES, Curve.COSINE)
    assert read.lora == TrainSettings().lora


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'sead = 7\nmethod = "prefix"\n[rows]\nplaces = 3\n[lora]\nrank = -1\n'
        '[optimiser]\nlearning_rate = "fast"\n[regularisation]\nlabel_dropout = 2\n'
    )
    with pytest.raises(DataError, match=r"run\.toml: 6 faults in the settings") as raised:
        read_toml(path, TrainSettings)
    for place in (
        "sead",
        "method",
        "rows.places",
        "lora.rank",
        "optimiser.learning_rate",
        "regularisation.label_dropout",
    ):
        assert f"{place}: " in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("seed = ", "not TOML", id="no TOML"),
        pytest.param("[rows]\nper_step = 3\nat_once = 2", "must be a multiple", id="rows"),
        pytest.param("[regularisation]\nfewest_labels = 30", "is above", id="labels"),
        pytest.param('method = "full"\nadapter = "x"', "leave `adapter` out", id="full"),
        pytest.param("[optimiser]\nlearning_rate = nan", "finite", id="nan"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_toml(path, TrainSettings)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_toml(tmp_path / "none.toml", TrainSettings)


def test_settings_are_checked_however_they_are_made() -> None:
    with pytest.raises(ValueError, match="multiple of rows"):
        TrainSettings(rows=Rows(per_step=3, at_once=2))
    with pytest.raises(ValueError, match="places"):
        Rows(places=0)
