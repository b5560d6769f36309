"""A run from a TOML file: its data, its folder, its faults; and the command on top."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.training.runs import tiny_base
from typer.testing import CliRunner

import b2ner
from b2ner.cli.main import app
from b2ner.errors import DataError
from b2ner.workflows import train as training

ROOT = Path(__file__).parents[2]
SHEET = """## labels: person; city
[[Ada|person]] met [[Moon|person]] in [[London|city]].
There is [[nobody|hero]] here.
Nothing to see.
## labels: river; mountain
The [[Rhine|river]] is long.
"""
ROWS = [
    {
        "sentence": "the movie Success is good",
        "entities": [{"name": "Success", "type": "movie title", "pos": [10, 17]}],
    },
    {"sentence": "nothing", "entities": [{"name": "Success", "type": "movie title"}]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data of both kinds, a tiny base, and a config for two steps."""
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "en-own.txt").write_text(SHEET)
    films = tmp_path / "build" / "NER_en" / "films"
    films.mkdir(parents=True)
    (films / "labels.json").write_text('["movie title", "movie actor"]')
    (films / "train.json").write_text(json.dumps(ROWS))
    write_config(tmp_path)
    return tmp_path


def write_config(folder: Path, *, leave_out: str = "", more: str = "") -> None:
    (folder / "run.toml").write_text(
        f"""
folder = "{folder}/run"
base = "{tiny_base(folder)}"
device = "cpu"
compute = "float32"
[[data]]
kind = "sheets"
path = "{folder}/sheets"
leave_out = [{leave_out}]
[[data]]
kind = "published"
path = "{folder}/build"
repeat = 2
[rows]
per_step = 2
at_once = 2
[schedule]
unit = "steps"
length = 2
[saving]
log_every_steps = 1
{more}"""
    )


def test_a_run_explains_itself(folder: Path) -> None:
    done = training.run(training.read_config(folder / "run.toml"))
    assert done.finished
    told = json.loads((folder / "run" / "run.json").read_text())
    assert told["status"] == "finished"
    assert told["checkpoint"] == "checkpoints/step-00000002"
    assert told["config"]["lora"]["rank"] == 32  # a default is resolved
    assert told["template"]["id"] == "published"
    assert [(Path(d["path"]).name, d["samples"], d["rejected"]) for d in told["data"]] == [
        ("en-own.txt", 3, 1),
        ("train.json", 1, 1),
    ]
    assert {"torch", "peft", "accelerate", "python"} <= told["versions"].keys()
    rejected = (folder / "run" / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(row)["reason"] for row in rejected] == ["unknown label", "not in text"]
    ner = b2ner.load(str(folder / "gemma3"), adapter=done.checkpoint, dtype="fp32")
    assert ner.extract("Ada", ["person"]).text == "Ada"


def test_whole_blocks_may_be_left_out(folder: Path) -> None:
    write_config(folder, leave_out='"en-own:1"')
    samples, _, _ = training.read_data(training.read_config(folder / "run.toml"))
    assert [sample.text for sample in samples] == ["The Rhine is long."] + [
        "the movie Success is good"
    ] * 2
    write_config(folder, leave_out='"en-own:9", "en-other"')
    with pytest.raises(DataError, match="there is no en-other, en-own:9"):
        training.read_data(training.read_config(folder / "run.toml"))


def test_all_faults_of_a_config_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('colour = 1\n[[data]]\nkind = "sheets"\n[lora]\nrank = 0\n')
    with pytest.raises(DataError, match="4 faults") as raised:
        training.read_config(path)
    for place in ("colour", "data.0.sheets.path", "lora.rank", "folder"):
        assert f"{place}: " in str(raised.value)


def command(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["train", *map(str, arguments)], prog_name="b2ner")
    return done.exit_code, done.stdout, done.stderr


def test_the_command(folder: Path) -> None:
    code, out, err = command(folder / "run.toml", "--time-limit", "0")
    assert (code, out.strip()) == (0, f"{folder}/run/checkpoints/step-00000001")
    assert "not shown, rejected: 2 texts" in err
    assert "stopped by the time limit" in err
    code, _, err = command(folder / "run.toml")
    assert code == 2
    assert "holds a run already" in err
    code, out, _ = command(folder / "run.toml", "--resume")
    assert (code, out.strip()) == (0, f"{folder}/run/checkpoints/step-00000002")
    metrics = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2]
    code, out, _ = command(folder / "run.toml", "-o", folder / "other")
    assert out.strip() == f"{folder}/other/checkpoints/step-00000002"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_the_configs_we_stand_behind_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = training.read_config(path)
    samples, _, _ = training.read_data(config)
    assert samples
