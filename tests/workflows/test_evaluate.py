"""Which file or folder is what, and scores of a part of a file."""

from pathlib import Path

import pytest

from b2ner.errors import DataError
from b2ner.evaluation.match import Counts
from b2ner.workflows.evaluate import (
    AdapterFolder,
    ModelFolder,
    PredictionsFile,
    recognise,
    score_predictions,
)

pytestmark = pytest.mark.torchfree

OURS = Path(__file__).parents[1] / "data" / "evaluation" / "ours.jsonl"
PREDICTIONS = "predict_eval_predictions.jsonl"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        pytest.param([PREDICTIONS], PredictionsFile, id="predictions"),
        pytest.param(["adapter_config.json"], AdapterFolder, id="an adapter"),
        pytest.param(["config.json"], ModelFolder, id="a model"),
        pytest.param(["adapter_config.json", "config.json"], AdapterFolder, id="adapter first"),
        pytest.param(["adapter_config.json", PREDICTIONS], PredictionsFile, id="scored already"),
    ],
)
def test_a_folder_is_what_is_in_it(names, kind, tmp_path):
    for name in names:
        (tmp_path / name).write_text("{}")
    found = recognise(tmp_path)
    assert type(found) is kind
    assert found.path == (tmp_path / PREDICTIONS if kind is PredictionsFile else tmp_path)


def test_a_jsonl_file_is_predictions():
    assert recognise(OURS) == PredictionsFile(OURS)


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent", "no such file"), ("notes.txt", r"ends in \.jsonl"), ("folder", "neither")],
)
def test_what_is_none_of_them_is_refused(name, message, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=message):
        recognise(tmp_path / name)


def test_a_part_of_a_file():
    scores = score_predictions(OURS, group="NER_en", dataset="Kitchen")
    assert [(s.group, s.dataset) for s in scores.datasets] == [("NER_en", "Kitchen")]


def test_a_limit_counts_for_each_data_set():
    scores = score_predictions(OURS, limit=1)
    assert [s.texts for s in scores.datasets] == [1, 1, 1, 1]


def test_what_is_not_in_the_file_is_told():
    with pytest.raises(DataError, match="no line of NER_de; it holds NER_en Kitchen, NER_en lett"):
        score_predictions(OURS, group="NER_de")


def test_lines_that_name_no_data_set_are_told_whatever_was_asked_for(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_bytes(OURS.read_bytes() + b"\n[]\n")
    scores = score_predictions(path, dataset="Kitchen", limit=1)
    assert [fault.number for fault in scores.faults] == [6, 7]


def test_the_rule_on_chat_models_looks_at_the_folder_as_given(tmp_path, monkeypatch):
    folder = tmp_path / "a-gpt-run"
    folder.mkdir()
    line = OURS.read_text("utf-8").splitlines()[0]
    (folder / "some.jsonl").write_text(line.replace("person: Ada; place: Turin", "person: A, Ada"))
    assert score_predictions(folder / "some.jsonl").datasets[0].surface_set == Counts(1, 1, 1)
    assert score_predictions(folder / "some.jsonl", repair=False).datasets[0].surface_set.tp == 0
    monkeypatch.chdir(folder)
    assert score_predictions(Path("some.jsonl")).datasets[0].surface_set.tp == 0
