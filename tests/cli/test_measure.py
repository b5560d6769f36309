"""`b2ner predict` and `b2ner evaluate`: arguments, output, exit codes."""

import json
import re
from pathlib import Path

import pytest

from b2ner import files
from tests.cli.scripted import scripted

pytestmark = pytest.mark.torchfree

OURS = Path(__file__).parents[1] / "data" / "evaluation" / "ours.jsonl"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    files.write_json(folder / "NER_en" / "letters" / "labels.json", ["person", "city"])
    rows = [
        {
            "sentence": "Ada met Ada",
            "entities": [{"name": "Ada", "type": "person", "pos": [at, at + 3]} for at in (0, 8)],
        },
        {"sentence": "Nobody came", "entities": []},
    ]
    files.write_json_array(folder / "NER_en" / "letters" / "test.json", rows)
    return folder


@pytest.fixture
def adapter(tmp_path):
    files.write_json(tmp_path / "adapter" / "adapter_config.json", {})
    return tmp_path / "adapter"


def test_scores_as_a_table(monkeypatch):
    done = scripted(monkeypatch, " None").run("evaluate", str(OURS))
    assert done.exit_code == 0
    row = r"letters +│ +2 │ +33\.33 │ +50\.00 │ +40\.00 │ +33\.33 │ +80\.00"
    assert re.search(row, done.stdout)
    assert "NER_en average" in done.stdout
    assert "repeated 1" in done.stderr


def test_scores_as_json(monkeypatch):
    done = scripted(monkeypatch, " None").run("evaluate", str(OURS), "--json", "--confusion")
    shown = json.loads(done.stdout)
    assert shown["scores"]["NER_en"]["letters"]["surface_set"]["precision"] == 1 / 3
    assert shown["scores"]["average"]["span"] == pytest.approx((1 / 3 + 1 + 0.8) / 3)
    assert shown["confusion"]["NER_zh"]["math-junior"] == [
        {"gold": "人名", "predicted": "", "count": 1}
    ]
    assert shown["predictions"] == str(OURS)


def test_confusions_as_tables(monkeypatch):
    done = scripted(monkeypatch, " None").run("evaluate", str(OURS), "--confusion")
    assert re.search(r"city +│ place +│ +1", done.stdout)


def test_lines_that_cannot_be_scored(monkeypatch, tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_bytes(OURS.read_bytes() + b"\n")
    done = scripted(monkeypatch, " None").run("evaluate", str(path), "--json")
    assert done.exit_code == 1
    assert "line 6: a blank line (not scored)" in done.stderr
    assert json.loads(done.stdout)["faults"] == [
        {"line": 6, "problem": "a blank line", "scored": False}
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["absent.jsonl"], "no such file or folder", id="no file"),
        pytest.param([str(OURS), "--task", "NER_de"], "no line of NER_de", id="no such task"),
        pytest.param([str(OURS.parent)], "neither predictions nor a model", id="a folder"),
    ],
)
def test_unusable_input(monkeypatch, arguments, message):
    done = scripted(monkeypatch, " None").run("evaluate", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_model_predicts_and_is_scored(monkeypatch, data, adapter, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = scripted(monkeypatch, " person: Ada", " None")
    done = command.run("evaluate", str(adapter), "--data", str(data), "--json")
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    letters = shown["scores"]["NER_en"]["letters"]
    assert letters["surface_set"]["f1"] == 1  # one Ada is enough for the set
    assert letters["span"]["recall"] == 0.5
    assert command.loaded[0][1]["adapter"] == adapter
    assert Path(shown["predictions"]).parts[0] == "runs"
    assert f"predictions go to {Path(shown['predictions']).parent}" in done.stderr
    again = command.run("evaluate", str(Path(shown["predictions"]).parent), "--json")
    assert json.loads(again.stdout)["scores"] == shown["scores"]


def test_a_whole_model_is_the_base(monkeypatch, data, tmp_path):
    files.write_json(tmp_path / "model" / "config.json", {})
    command = scripted(monkeypatch, " None")
    arguments = ["evaluate", str(tmp_path / "model"), "--data", str(data), "-o", str(tmp_path)]
    assert command.run(*arguments).exit_code == 0
    assert command.loaded == [
        (
            (str(tmp_path / "model"),),
            {
                "adapter": None,
                "template": None,
                "device": None,
                "dtype": None,
                "threads": None,
                "batch_size": 32,
            },
        )
    ]
    refused = command.run(*arguments, "--base", "another")
    assert refused.exit_code == 2
    assert "leave --base out" in refused.stderr


def test_a_model_without_data(monkeypatch, adapter):
    done = scripted(monkeypatch, " None").run("evaluate", str(adapter))
    assert done.exit_code == 2
    assert "name the data to test it on by --data" in done.stderr


def test_predict_writes_and_goes_on(monkeypatch, data, tmp_path):
    out = tmp_path / "out"
    command = scripted(monkeypatch, " person: Ada", " None")
    done = command.run("predict", "--data", str(data), "-o", str(out))
    assert done.exit_code == 0, done.stderr
    path = out / "predict_eval_predictions.jsonl"
    assert done.stdout == f"{path}\n"
    assert "2 texts predicted, 0 kept from an earlier run" in done.stderr
    before = path.read_bytes()
    done = command.run("predict", "--data", str(data), "-o", str(out))
    assert "0 texts predicted, 2 kept from an earlier run" in done.stderr
    assert path.read_bytes() == before
    done = command.run("predict", "--data", str(data), "-o", str(out), "--limit", "1")
    assert done.exit_code == 2
    assert "other settings" in done.stderr
    done = command.run("predict", "--data", str(data), "-o", str(out), "--limit", "1", "--fresh")
    assert "1 texts predicted" in done.stderr


def test_predict_needs_data_and_output(monkeypatch, data, tmp_path):
    command = scripted(monkeypatch, " None")
    for arguments in (["--data", str(data)], ["-o", str(tmp_path / "out")], []):
        done = command.run("predict", *arguments)
        assert done.exit_code == 2
        assert "--data" in done.stderr


def test_predict_with_rows_that_cannot_be_read(monkeypatch, data, tmp_path):
    files.write_json_array(data / "NER_en" / "letters" / "test.json", [{"entities": []}])
    done = scripted(monkeypatch, " None").run(
        "predict", "--data", str(data), "-o", str(tmp_path / "out")
    )
    assert done.exit_code == 1
    assert re.search(r"rejected .*test\.json:0: malformed, sentence", done.stderr)


def test_predict_with_rows_that_ask_nothing(monkeypatch, tmp_path):
    data = tmp_path / "data"
    files.write_json(data / "EEA_en" / "news" / "labels.json", {"Meet": ["Place"]})
    rows = [
        {"sentence": "Nobody came.", "events": []},
        {"sentence": "All met.", "events": [{"type": "Meet", "trigger": "met", "arguments": []}]},
    ]
    files.write_json_array(data / "EEA_en" / "news" / "test.json", rows)
    command = scripted(monkeypatch, " None")
    done = command.run("predict", "--data", str(data), "-o", str(tmp_path / "out"))
    assert done.exit_code == 0, done.stderr
    assert re.search(r"rejected .*test\.json:0: nothing to ask, there is no event", done.stderr)
    assert "1 texts predicted" in done.stderr
    done = command.run("evaluate", str(tmp_path / "out"), "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["EEA_en"]["news"]["texts"] == 1


def test_predictions_cannot_predict(monkeypatch, data, tmp_path):
    done = scripted(monkeypatch, " None").run(
        "predict", str(OURS), "--data", str(data), "-o", str(tmp_path / "out")
    )
    assert done.exit_code == 2
    assert "holds predictions, not a model" in done.stderr
