"""`b2ner data build`: where sources come from, output, exit codes."""

import zipfile

import pytest

from b2ner import files
from tests.cli.scripted import scripted

pytestmark = pytest.mark.torchfree


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "shared" / "data" / "raw"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "mit_movie.zip", "w") as file:
        file.writestr("test.txt", "O\tany\nB-GENRE\tquiet\nI-GENRE\tfilm\n\nB-TITLE\tladders\n")
    return folder


def labels(out):
    return files.read_json(out / "NER_en" / "mit-movie" / "labels.json")


def test_a_named_source(monkeypatch, raw, tmp_path):
    out = tmp_path / "out"
    done = scripted(monkeypatch, " None").run(
        "data", "build", "eval", "-o", str(out), "--source", str(raw), "--names", "standard"
    )
    assert done.exit_code == 1  # the other archives are missing
    assert "missing crossner_ai.zip" in done.stderr
    assert "mit-movie" in done.stdout
    assert labels(out)[:2] == ["movie actor", "movie character"]
    assert len(list(files.read_json_array(out / "NER_en" / "mit-movie" / "test.json"))) == 2


@pytest.mark.parametrize("below", [".", "checkout"])
def test_shared_in_or_beside_the_current_folder(monkeypatch, raw, tmp_path, below):
    (tmp_path / below).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / below)
    monkeypatch.delenv("B2NER_RAW", raising=False)
    done = scripted(monkeypatch, " None").run("data", "build", "eval", "-o", "out", "--limit", "1")
    assert done.exit_code == 1
    out = tmp_path / below / "out"
    assert labels(out)[0] == "actor"
    assert len(list(files.read_json_array(out / "NER_en" / "mit-movie" / "test.json"))) == 1


def test_a_source_from_the_environment(monkeypatch, raw, tmp_path):
    monkeypatch.setenv("B2NER_RAW", str(raw))
    done = scripted(monkeypatch, " None").run("data", "build", "eval", "-o", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert labels(tmp_path / "out")


def test_no_source(monkeypatch, tmp_path):
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "deeper")
    monkeypatch.delenv("B2NER_RAW", raising=False)
    command = scripted(monkeypatch, " None")
    done = command.run("data", "build", "eval", "-o", "out")
    assert done.exit_code == 2
    assert "--source" in done.stderr
    done = command.run("data", "build", "eval", "-o", "out", "--source", ".")
    assert done.exit_code == 2
    assert "holds none of the archives" in done.stderr


@pytest.fixture
def both(tmp_path):
    """Archives of a test set, a training set and a development set; one text in two of them."""
    folder = tmp_path / "raw"
    folder.mkdir()
    contents = {
        ("mit_movie", "test.txt"): "O\tany\nB-GENRE\tquiet\nI-GENRE\tfilm\n",
        ("tdmsci", "train_1500_v2.conll"): "Any\t0\tO\nquiet\t4\tO\nfilm\t9\tB-TASK\n\n"
        "No\t0\tO\n\nNo\t0\tO\n\nbad\n",
        ("wnut17", "emerging.dev.conll"): "Ada\tB-person\n",
    }
    for (name, member), text in contents.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
            file.writestr(member, text)
    return folder


def test_training_texts_that_are_no_test_texts(monkeypatch, both, tmp_path):
    command = scripted(monkeypatch, " None")
    command.run("data", "build", "eval", "-o", str(tmp_path / "eval"), "--source", str(both))
    out = tmp_path / "out"
    build = ("data", "build", "train", "-o", str(out), "--source", str(both))
    done = command.run(*build, "--against", str(tmp_path / "eval"))
    assert done.exit_code == 1  # a row is broken, and archives are missing
    told = [line for line in done.stderr.splitlines() if line.startswith("rejected")]
    assert told == [
        "rejected tdmsci/train_1500_v2.conll:9: malformed, line 9: 1 columns, expected 3"
    ]
    row = next(line for line in done.stdout.splitlines() if "tdmsci" in line)
    assert row.replace("│", "").split() == ["NER_en", "tdmsci", "1", "0", "1", "1", "1"]
    done = command.run(*build)
    assert len(list(files.read_json_array(out / "NER_en" / "tdmsci" / "train.json"))) == 2
    done = command.run(*build, "--against", str(tmp_path / "none"))
    assert done.exit_code == 2


def test_development_sets(monkeypatch, both, tmp_path):
    out = tmp_path / "out"
    command = scripted(monkeypatch, " None")
    done = command.run("data", "build", "dev", "-o", str(out), "--source", str(both))
    assert done.exit_code == 1  # archives are missing
    assert "missing gum_ner.zip" in done.stderr
    assert len(list(files.read_json_array(out / "NER_en" / "wnut17" / "dev.json"))) == 1
