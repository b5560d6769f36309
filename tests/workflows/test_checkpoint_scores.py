"""Checkpoints are scored while a run goes: the published files, ours beside them, and survival."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.training.runs import tiny_base
from typer.testing import CliRunner

from b2ner import files
from b2ner.cli.main import app
from b2ner.corpus.subset import subset
from b2ner.errors import DataError, EngineError
from b2ner.evaluation import report
from b2ner.evaluation.scores import Measure
from b2ner.inference.engine import ScriptedEngine
from b2ner.inference.extractor import Extractor
from b2ner.training.settings import TrainSettings, parse
from b2ner.workflows import train as training
from b2ner.workflows.checkpoint_scores import CheckpointScores, Scored, write_agg
from b2ner.workflows.evaluate import score_predictions
from b2ner.workflows.models import ModelChoice
from b2ner.workflows.predict import PREDICTIONS
from b2ner.workflows.scored_texts import Scoring, read_texts

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "data" / "scorer_cases"
ADA = {
    "sentence": "Ada met Moon",
    "entities": [
        {"name": "Ada", "type": "person", "pos": [0, 3]},
        {"name": "Moon", "type": "person", "pos": [8, 12]},
    ],
}
NOTHING = {"sentence": "nothing to see", "entities": []}
SHEET = """## labels: person; city
[[Ada|person]] met [[Moon|person]] in [[London|city]].
## labels: river; mountain
The [[Rhine|river]] is long.
There is [[nobody|hero]].
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder in the published layout and one of sheets."""
    for name, rows in (("letters", [ADA, NOTHING]), ("Notes", [NOTHING, ADA])):
        home = tmp_path / "data" / "NER_en" / name
        files.write_json(home / "labels.json", ["person", "city"])
        files.write_json_array(home / "dev.json", rows)
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "en-own.txt").write_text(SHEET)
    return tmp_path


def published(data: Path, **changes: Any) -> dict[str, Any]:
    return {"kind": "published", "path": data / "data", **changes}


def sheets(data: Path, *only: str) -> dict[str, Any]:
    return {"kind": "sheets", "path": data / "sheets", "only": only}


def scoring(*sources: dict[str, Any], **changes: Any) -> Scoring:
    return parse({"data": sources, **changes}, Scoring, "made here")


def checkpoint(run: Path, step: int, *, epochs: float = 0.0) -> Path:
    """A folder that says how far a run had come, and no more."""
    path = run / "checkpoints" / f"step-{step:08d}"
    files.write_json(path / "resume" / "state.json", {"run": "a", "step": step, "epochs": epochs})
    return path


class Answers:
    """Stands for the loading of checkpoints: each gets the next list of answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.opened: list[ModelChoice] = []
        self._answers = iter(answers)
        monkeypatch.setattr(ModelChoice, "open", self._open)

    def _open(self) -> Extractor:
        return Extractor(ScriptedEngine(next(self._answers)))


RIGHT = [" person: Ada; person: Moon", " None"]
HALF = [" person: Ada", " None"]


def test_the_published_files_and_ours_beside_them(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = data / "run"
    told: list[Scored] = []
    Answers(monkeypatch, RIGHT, HALF)
    only = scoring(published(data, only=("letters",)))
    scores = CheckpointScores(only, TrainSettings(), run, on_scores=told.append)
    assert scores(checkpoint(run, 10)) == 1.0
    assert scores(checkpoint(run, 20)) == pytest.approx(2 / 3)
    assert (run / "agg.csv").read_text() == (
        "epoch,0,1\nNER_en_letters,1.0,0.6667\nNER_en_Average,1.0,0.6667\nAverage,1.0,0.6667\n"
    )
    second = json.loads((run / "eval-1" / "scores.json").read_text())
    assert (second["checkpoint"], second["step"]) == ("step-00000020", 20)
    letters = second["scores"]["NER_en"]["letters"]
    measures = {name: letters[name]["f1"] for name in ("surface_set", "span", "surface_only")}
    assert measures == dict.fromkeys(measures, pytest.approx(2 / 3))
    assert second["score"] == second["scores"]["average"]["surface_set"]
    line = json.loads((run / "eval-1" / PREDICTIONS).read_text().splitlines()[0])
    assert {"Task", "Dataset", "Language", "Instance", "Prediction"} <= line.keys()
    assert [(one.number, one.step, one.score) for one in told] == [
        (0, 10, 1.0),
        (1, 20, pytest.approx(2 / 3)),
    ]


def test_the_score_is_the_mean_over_data_sets_and_held_out_blocks(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = data / "run"
    Answers(monkeypatch, [" None", RIGHT[0], " river: Rhine", *RIGHT])
    chosen = scoring(published(data), sheets(data, "en-own:2"))
    assert CheckpointScores(chosen, TrainSettings(), run)(checkpoint(run, 1)) == 1.0
    told = json.loads((run / "eval-0" / "scores.json").read_text())
    assert set(told["scores"]["NER_en"]) == {"Notes", "letters", "en-own-2", "average"}
    # What was scored stands in the run's folder, for any model to be scored on.
    again = read_texts(scoring({"kind": "published", "path": run / "scored", "split": "test"}))
    assert {(t.name, t.rows) for t in map(_hashable, again)} == {
        (t.name, t.rows) for t in map(_hashable, read_texts(chosen))
    }


def _hashable(texts: Any) -> Any:
    return replace(texts, rows=json.dumps(texts.rows), labels=())


def test_a_limit_chooses_as_everywhere(data: Path) -> None:
    rows = [{"sentence": f"text {n}", "entities": []} for n in range(10)]
    files.write_json_array(data / "data" / "NER_en" / "letters" / "dev.json", rows)
    (found,) = read_texts(scoring(published(data, only=("letters",), limit=4)))
    assert found.texts == [f"text {n}" for n in sorted(subset(10, 4))]


def test_once_an_epoch(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = data / "run"
    Answers(monkeypatch, RIGHT, RIGHT)
    plan = scoring(published(data, only=("letters",)), when="epoch")
    scores = CheckpointScores(plan, TrainSettings(), run)
    epochs = (0.4, 0.9, 1.0, 1.5, 2.1, 2.9)
    given = [scores(checkpoint(run, step, epochs=e)) for step, e in enumerate(epochs, start=1)]
    assert given == [None, None, 1.0, None, 1.0, None]


def test_a_run_that_went_back_is_scored_anew_from_there(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = data / "run"
    Answers(monkeypatch, HALF, HALF, HALF, RIGHT)
    plan = scoring(published(data, only=("letters",)))
    for step in (10, 20, 30):
        CheckpointScores(plan, TrainSettings(), run)(checkpoint(run, step))
    (run / ".eval-1.part").mkdir()  # of a process that was killed
    CheckpointScores(plan, TrainSettings(), run)(checkpoint(run, 20))
    assert sorted(path.name for path in run.iterdir() if "eval" in path.name) == [
        "eval-0",
        "eval-1",
    ]
    assert (run / "agg.csv").read_text().splitlines()[-1] == "Average,0.6667,1.0"


class Gone(ScriptedEngine):
    def generate(self, requests: Any) -> Any:
        yield from ()
        raise EngineError("the engine is gone")


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(OSError(28, "No space left on device"), id="a full disk"),
        pytest.param(RuntimeError("out of memory"), id="no memory"),
        pytest.param(None, id="an engine that is gone"),
    ],
)
def test_what_cannot_be_scored_is_told_and_stops_nothing(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Exception | None,
) -> None:
    run = data / "run"

    def fail(_: ModelChoice) -> Extractor:
        if problem is not None:
            raise problem
        return Extractor(Gone([" None"]))

    monkeypatch.setattr(ModelChoice, "open", fail)
    scores = CheckpointScores(scoring(published(data)), TrainSettings(), run)
    with caplog.at_level(logging.WARNING):
        assert scores(checkpoint(run, 7)) is None
    assert "step-00000007 could not be scored" in caplog.text
    assert [row.checkpoint for row in scores.unscored] == ["step-00000007"]
    assert not list(run.glob("*eval*"))
    monkeypatch.undo()
    Answers(monkeypatch, RIGHT)
    assert scores(checkpoint(run, 8)) is not None
    assert (run / "eval-0").is_dir()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param({"split": "test"}, r"holds no <task key>/<data set>/test\.json", id="split"),
        pytest.param({"tasks": ("NER_de",)}, "to score of NER_de", id="task"),
        pytest.param({"only": ("letters", "diary")}, "there is no diary to score", id="name"),
        pytest.param({"path": Path("nowhere")}, "nowhere: holds no", id="folder"),
    ],
)
def test_what_is_not_there_is_said_before_the_run(
    data: Path, source: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_texts(scoring({**published(data), **source}))


def test_sheets_that_are_not_there_empty_sets_and_twins(data: Path) -> None:
    with pytest.raises(DataError, match="there is no en-own:9 to score"):
        read_texts(scoring(sheets(data, "en-own:1", "en-own:9")))
    with pytest.raises(DataError, match="two data sets are called NER_en/letters"):
        read_texts(scoring(published(data), published(data, only=("letters",))))
    files.write_json_array(data / "data" / "NER_en" / "letters" / "dev.json", ["no row"])
    with pytest.raises(DataError, match=r"letters.dev\.json: there is no text to score"):
        read_texts(scoring(published(data)))
    with pytest.raises(DataError, match=r"`only` names no sheet.*colour: "):
        scoring(sheets(data), colour="red")
    with pytest.raises(DataError, match="scoring needs texts"):
        scoring()


@pytest.mark.skipif(
    not CASES.is_dir(), reason="the shared scorer cases are not beside the checkout"
)
@pytest.mark.parametrize("case", ["D01", "D02"])
def test_the_table_is_the_published_program_s(case: str, tmp_path: Path) -> None:
    expected = json.loads((CASES / "expected.json").read_text("utf-8"))["dirs"][case]["files"]
    shutil.copytree(CASES / "dirs" / case / "run", tmp_path / "run")
    for number, path in enumerate(sorted((tmp_path / "run").iterdir())):
        scores = report.to_json(score_predictions(path / PREDICTIONS))
        files.write_json(path / "scores.json", {"step": number, "epochs": 0, **scores})
    write_agg(tmp_path / "run")
    assert (tmp_path / "run" / "agg.csv").read_text() == expected["run/agg.csv"]


def write_config(data: Path, *, more: str = "") -> Path:
    path = data / "run.toml"
    path.write_text(
        f"""
folder = "{data}/run"
base = "{tiny_base(data)}"
device = "cpu"
compute = "float32"
[[data]]
kind = "sheets"
path = "{data}/sheets"
leave_out = ["en-own:1"]
[rows]
per_step = 1
at_once = 1
[schedule]
unit = "steps"
length = 4
[saving]
every_steps = 2
log_every_steps = 1
[scoring]
batch = 2
[[scoring.data]]
kind = "published"
path = "{data}/data"
only = ["letters"]
[[scoring.data]]
kind = "sheets"
path = "{data}/sheets"
only = ["en-own:1"]
{more}"""
    )
    return path


def test_a_whole_run_with_its_scores(data: Path) -> None:
    told: list[Scored] = []
    config = training.read_config(write_config(data))
    done = training.run(config, on_scores=told.append)
    run = json.loads((data / "run" / "run.json").read_text())
    assert run["scores"] == {one.checkpoint: one.score for one in told}
    assert [one.checkpoint for one in told] == ["step-00000002", "step-00000004"]
    assert run["unscored"] == []
    assert done.best is not None
    best = max(told, key=lambda one: (one.score, one.step))
    assert done.best.name == best.checkpoint
    assert [s.dataset for s in told[0].scores.datasets] == ["en-own-1", "letters"]
    assert all(one.scores.average(Measure.SPAN) is not None for one in told)


def test_texts_that_are_trained_on_are_told(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_config(data)
    path.write_text(path.read_text().replace('leave_out = ["en-own:1"]', ""))
    with caplog.at_level(logging.WARNING):
        training.run(training.read_config(path))
    assert "1 of the 1 scored texts of en-own-1 are trained on" in caplog.text


def test_the_command_shows_progress_and_scores_without_a_terminal(data: Path) -> None:
    done = CliRunner().invoke(app, ["train", str(write_config(data))], prog_name="b2ner")
    assert done.exit_code == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any("step 1  loss " in line and " samples/s  25.0%" in line for line in lines)
    assert any("step 4  loss " in line and "100.0%" in line for line in lines)
    scored = [line for line in lines if line.startswith("step-0000000")]
    assert len(scored) == 2
    assert "F1 " in scored[0]
    assert "on 2 data sets" in scored[0]
    assert "\x1b" not in done.stderr
    assert done.stdout == f"{data}/run/checkpoints/step-00000004\n"


def test_a_seed_has_a_folder_of_its_own(data: Path) -> None:
    path = write_config(data)
    with_seed = training.read_config(path, seed=33)
    assert (with_seed.seed, with_seed.folder) == (33, data / "run-seed33")
    named = training.read_config(path, seed=33, folder=data / "mine")
    assert (named.seed, named.folder) == (33, data / "mine")
    assert training.read_config(path).seed == 23


def test_event_files_where_tensorboard_is_there(data: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    training.run(training.read_config(write_config(data)))
    events = EventAccumulator(str(data / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("score/surface_set")] == [2, 4]
    assert "score/NER_en/letters" in events.Tags()["scalars"]
    told = [json.loads(line) for line in (data / "run" / "metrics.jsonl").open()]
    assert [event.value for event in events.Scalars("train/learning_rate")] == pytest.approx(
        [line["learning_rate"] for line in told]
    )
