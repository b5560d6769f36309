"""A run from a TOML file: its data, its folder, its faults; and the command on top."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.tiny_internlm2 import Shape, write_folder
from tests.training.runs import tiny_base
from typer.testing import CliRunner

import b2ner
from b2ner import files
from b2ner.cli.main import app
from b2ner.corpus.data_sets import Role, data_sets
from b2ner.corpus.task_configs import read_task_config
from b2ner.errors import DataError
from b2ner.inference.task_answers import task_answers
from b2ner.records import Task
from b2ner.training.shown import shown_with
from b2ner.workflows import train as training
from b2ner.workflows.sources import PublishedData, SheetsData, TasksData

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

MET = [
    {"sentence": "Ada met Moon", "entities": [{"name": "Ada", "type": "person"}]},
    {"sentence": "nothing to see", "entities": []},
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


KNOWS = {"head": {"name": "Ada"}, "type": "knows", "tail": {"name": "Moon"}}
TOLD = {
    "type": "meeting",
    "trigger": "met",
    "arguments": [{"name": "Moon", "role": "guest"}],
}
SEVERAL_TASKS = {
    "NER_en": (["person", "city"], [MET[0]]),
    "RE_en": (["knows", "likes"], [{"sentence": "Ada met Moon", "relations": [KNOWS]}]),
    "EET_en": ({"meeting": [], "war": []}, [{"sentence": "Ada met Moon", "events": [TOLD]}]),
    "EEA_en": ({"meeting": ["guest", "place"]}, [{"sentence": "Ada met Moon", "events": [TOLD]}]),
}


def test_one_adapter_learns_several_tasks_from_one_task_config(tmp_path: Path) -> None:
    """The same text in four tasks: only the prompt says which answer is meant."""
    config = {key: [{"dataset name": "own", "sampling strategy": "full"}] for key in SEVERAL_TASKS}
    (tmp_path / "train_tasks.json").write_text(json.dumps(config))
    for key, (labels, rows) in SEVERAL_TASKS.items():
        (tmp_path / "data" / key / "own").mkdir(parents=True)
        (tmp_path / "data" / key / "own" / "labels.json").write_text(json.dumps(labels))
        (tmp_path / "data" / key / "own" / "train.json").write_text(json.dumps(rows))
    base = tiny_base(tmp_path)
    (tmp_path / "run.toml").write_text(
        f"""
folder = "{tmp_path}/run"
base = "{base}"
device = "cpu"
compute = "float32"
[[data]]
kind = "tasks"
path = "{tmp_path}/data"
config = "{tmp_path}"
[regularisation]
label_dropout = 0.0
[rows]
samples_per_step = 4
together = 1
[lora]
rank = 16
alpha = 32
dropout = 0.0
[softmax]
exact = true
[optimiser]
learning_rate = 5e-3
[schedule]
unit = "steps"
length = 50
[saving]
weights = "float32"
"""
    )
    config_read = training.read_config(tmp_path / "run.toml")
    samples, _, _ = training.read_data(config_read)
    done = training.run(config_read)
    assert done.progress.samples == 200  # four a step
    ner = b2ner.load(base, adapter=done.checkpoint, dtype="fp32")
    others = [sample for sample in samples if sample.task is not Task.NER]
    answers = task_answers(ner, others, constrained=False)
    assert {one.task: found.written for one, found in zip(others, answers, strict=True)} == {
        Task.RE: " knows: Ada, Moon",
        Task.EET: " meeting: met",
        Task.EEA: " guest: Moon",
    }
    found = ner.extract("Ada met Moon", ["person", "city"], constrained=False).entities
    assert [(entity.label, entity.text) for entity in found] == [("person", "Ada")]


def test_what_prompts_show_and_how_they_say_it_comes_from_the_config(folder: Path) -> None:
    films = folder / "build" / "NER_en" / "films"
    (films / "meaning.json").write_text('{"movie title": "how a film is called"}')
    (films / "train.json").write_text(json.dumps([ROWS[0], {"sentence": "none", "entities": []}]))
    (folder / "train_tasks.json").write_text('{"NER_en": [{"dataset name": "films"}]}')
    more = [{"instruction_type": "few-shot", "instruction": "{labels_str} @@examples@@ {text}"}]
    (folder / "more.json").write_text(json.dumps({"en": {"NER": more}}))
    (folder / "run.toml").write_text(
        f"""
folder = "{folder}/run"
base = "{tiny_base(folder)}"
device = "cpu"
compute = "float32"
wordings = "{folder}/more.json"
[[data]]
kind = "tasks"
path = "{folder}/build"
config = "{folder}"
few_shot = 1.0
examples = 1
prompts = {{ descriptions = "meaning", named = 0.5 }}
[schedule]
unit = "steps"
length = 1
"""
    )
    config = training.read_config(folder / "run.toml")
    samples, _, _ = training.read_data(config)
    shown = Counter((shown_with(s).examples, shown_with(s).named) for s in samples)
    assert shown == {(0, 0.5): 2, (1, 0.5): 2}
    done = training.run(config)
    told = json.loads((folder / "run" / "run.json").read_text())
    assert told["template"]["wordings"] == files.sha256(folder / "more.json")
    assert told["config"]["data"][0]["prompts"]["described"] == 1.0
    (folder / "more.json").write_text(json.dumps({"en": {"NER": []}}))
    with pytest.raises(DataError, match="other settings"):
        training.run(config, resume=True)
    assert done.finished


OWN = ("embedded-sheets",)  # the configs whose data is in the project
PUBLISHED = sorted((ROOT / "configs").glob("published-*.toml"))


@pytest.mark.parametrize("name", OWN)
def test_the_configs_on_our_own_data_are_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = training.read_config(ROOT / "configs" / f"{name}.toml")
    samples, _, _ = training.read_data(config)
    assert samples


STAGES = ("embedded-open-1", "embedded-open-2")  # of the shipped adapter


@pytest.mark.parametrize("name", STAGES)
def test_the_shipped_adapter_learns_from_open_data_alone(name: str) -> None:
    config = training.read_config(ROOT / "configs" / f"{name}.toml")
    sheets, *others = config.data
    assert isinstance(sheets, SheetsData)
    named = [data_set for source in others for data_set in source.only]
    open_sets = {data_set.name: data_set for data_set in data_sets(Role.TRAIN)}
    assert len(set(named)) == len(named)
    assert set(named) <= open_sets.keys()
    called = {label for name in named for label in open_sets[name].names.values()}
    for source in others:
        assert isinstance(source, PublishedData)
        assert set(source.broader) <= called
    assert f"{len(named)} openly licensed corpora" in config.card.training


def test_every_config_is_tried() -> None:
    there = {path.stem for path in (ROOT / "configs").glob("*.toml")}
    assert there == {*OWN, *STAGES, *(path.stem for path in PUBLISHED)}


@pytest.fixture(scope="module")
def internlm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of the published kind, with room for the longest texts of the published runs."""
    pytest.importorskip("sentencepiece")
    return write_folder(tmp_path_factory.mktemp("base") / "internlm2", Shape(longest=4096))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_published_runs_begin(
    path: Path, internlm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    config = training.read_config(path, folder=tmp_path / "run")
    assert config.rows.places == 4096
    (source,) = config.data
    assert isinstance(source, TasksData)
    sets, faults = read_task_config(source.config, "train")
    assert not faults
    for task_set in sets:
        folder = task_set.folder(tmp_path / "data")
        folder.mkdir(parents=True)
        (folder / "labels.json").write_text(json.dumps(["person", "date or period"]))
        (folder / "train.json").write_text(json.dumps(MET * 2))
    tiny = replace(
        config,
        base=str(internlm2),
        device="cpu",
        rows=replace(config.rows, places=512),  # as these texts are: less work for the attention
        data=(replace(source, path=tmp_path / "data"),),
    )
    done = training.run(tiny, time_limit_s=0)
    (line,) = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert line["step"] == 1
    assert 128 <= line["samples"] < 128 + 40  # to the end of the row that holds the 128th
    assert line["loss"] > 0
    card = json.loads((done.checkpoint / "b2ner.json").read_text())
    assert card["languages"] == ["en", "zh"]
    kept = json.loads((done.checkpoint / "adapter_config.json").read_text())
    assert set(kept["target_modules"]) == {"q_proj", "k_proj", "v_proj"}
    assert (kept["r"], kept["lora_alpha"], kept["lora_dropout"]) == (32, 64, 0.05)


SHARED = ROOT.parent / "shared" / "data" / "published" / "ml_configs"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published task configs are not here")
def test_the_task_configs_are_the_published_ones() -> None:
    ours = {
        path.relative_to(ROOT / "configs" / "tasks"): json.loads(path.read_text())
        for path in (ROOT / "configs" / "tasks").glob("*/*.json")
    }
    theirs = {
        path.relative_to(SHARED): json.loads(path.read_text()) for path in SHARED.glob("*/*.json")
    }
    assert ours == theirs


def test_other_names_of_labels_come_from_a_file_that_decides_the_run(folder: Path) -> None:
    names = folder / "names.toml"
    names.write_text('people = [["person", "human being"]]')
    write_config(folder, more="[regularisation]\nrenamed_labels = 0.5\n")
    with pytest.raises(DataError, match="renamed_labels needs `synonyms`"):
        training.read_config(folder / "run.toml")
    text = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(f'synonyms = "{names}"\n{text}')
    config = training.read_config(folder / "run.toml")
    training.run(config, time_limit_s=0)
    told = json.loads((folder / "run" / "run.json").read_text())
    assert told["synonyms"] == files.sha256(names)
    names.write_text('people = [["person", "human being", "individual"]]')
    with pytest.raises(DataError, match="other settings"):
        training.run(config, resume=True)
    names.write_text('people = [["human being", "person"]]')  # another order, other draws
    with pytest.raises(DataError, match="other settings"):
        training.run(config, resume=True)
    names.write_text('everybody = [["person", "human being"]]')
    assert training.run(config, resume=True).finished
