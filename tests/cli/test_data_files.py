"""`b2ner data download` and `import`: terms and a yes, what is shown and written, exit codes."""

import json

import pytest

from b2ner import files
from tests.cli.scripted import scripted
from tests.corpus import release_stand_in


@pytest.fixture
def run(monkeypatch):
    return scripted(monkeypatch, " None").run


# -- import --------------------------------------------------------------------------------------

COLUMNS = "Ada\tB-PER\nsaw\tO\nRom\tB-LOC\n\nNo\tO\n"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "mine.conll"
    path.write_text(COLUMNS)
    return path


@pytest.mark.torchfree
def test_a_corpus_is_shown_and_written(run, corpus, tmp_path):
    out = tmp_path / "out"
    done = run("data", "import", str(corpus), "-o", str(out), "--language", "de")
    assert done.exit_code == 0, done.stderr
    assert "is conll: 2 columns divided by tabs" in done.stdout
    assert "[Ada | PER] saw [Rom | LOC]" in done.stdout
    assert "NER_de/mine train: 2 texts, 2 mentions, 2 labels" in done.stdout
    assert files.read_json(out / "NER_de" / "mine" / "labels.json") == ["LOC", "PER"]
    assert (out / "NER_de" / "mine" / "train.jsonl").is_file()


@pytest.mark.torchfree
def test_a_dry_run_writes_nothing(run, corpus, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = run("data", "import", str(corpus), "--dry-run", "-o", str(tmp_path / "out"))
    assert done.exit_code == 0
    assert "taken for en: --language names it" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.torchfree
def test_of_a_long_text_the_beginning_is_shown(run, corpus):
    corpus.write_text("Ada\tB-PER\n" + "saw\tO\n" * 500 + "Rom\tB-LOC\n")
    done = run("data", "import", str(corpus), "--dry-run")
    assert "[Ada | PER] saw" in done.stdout
    assert "..." in done.stdout
    assert "[Rom" not in done.stdout
    assert done.stdout.count("saw") < 110


@pytest.mark.torchfree
def test_json(run, corpus):
    done = run(
        "data", "import", str(corpus), "--dry-run", "--json", "--labels", "PER=person,LOC=place"
    )
    found = json.loads(done.stdout)
    assert found["format"] == "conll"
    assert found["labels"] == {"person": 1, "place": 1}
    assert found["preview"][0]["entities"][0]["label"] == "person"
    assert (found["written"], found["rejected"]) == ([], [])


@pytest.mark.torchfree
def test_rows_that_are_rejected(run, corpus):
    corpus.write_text(COLUMNS * 4 + "\nbroken\n")
    done = run("data", "import", str(corpus), "--dry-run")
    assert done.exit_code == 1
    assert "rejected mine.conll:22: malformed" in done.stderr


@pytest.mark.torchfree
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the folder to write into"),
        (["--dry-run", "--format", "brat"], "it is no brat"),
        (["--dry-run", "--format", "xml"], "xml"),
        (["--dry-run", "--split", "all"], "expected one of train, dev, test"),
    ],
)
def test_an_import_that_cannot_be_done(run, corpus, arguments, message):
    done = run("data", "import", str(corpus), *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.torchfree
def test_an_unknown_format_says_what_was_seen(run, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Once upon a time.\n")
    done = run("data", "import", str(path), "--dry-run")
    assert done.exit_code == 2
    assert "text whose first line is 'Once upon a time.'" in done.stderr


# -- download ------------------------------------------------------------------------------------

ROWS = [{"sentence": "Ada", "entities": [{"name": "Ada", "type": "person"}]}]
CONTENTS = {
    f"B2NERD/NER_en/{name}/{file}.json": value
    for name in ("CrossNER_AI", "ACE 2004", "Surprise")
    for file, value in (("labels", ["person"]), ("test", ROWS))
}


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("huggingface_hub", reason="the extra `data` is not installed")
    with release_stand_in.running() as stand_in:
        stand_in.files = {"B2NERD_data.zip": release_stand_in.release(CONTENTS)}
        template = stand_in.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", stand_in.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield stand_in


@pytest.mark.torchfree
def test_the_terms(run):
    done = run("data", "download", "--terms")
    assert done.exit_code == 0
    assert "ACE 2004: LDC user agreement (LDC2005T09) [restricted]" in done.stdout
    rows = json.loads(run("data", "download", "--terms", "--json").stdout)
    assert {"ACE 2004", "CrossNER_AI"} <= {row["name"] for row in rows}


def test_nothing_is_fetched_without_a_yes(run, hub, tmp_path):
    done = run("data", "download", "-o", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "--accept-licences" in done.stderr
    assert "ACE 2004" in done.stdout
    assert hub.revisions == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("yes", [True, False])
def test_a_yes_at_the_prompt(run, hub, tmp_path, monkeypatch, yes):
    monkeypatch.setattr("b2ner.cli.data_files._is_asked", lambda: True)
    done = run("data", "download", "-o", str(tmp_path / "out"), stdin="y\n" if yes else "n\n")
    assert done.exit_code == (0 if yes else 2)
    assert (tmp_path / "out" / "download.json").exists() is yes


def test_all_sets_with_a_yes(run, hub, tmp_path):
    out = tmp_path / "out"
    done = run("data", "download", "-o", str(out), "--accept-licences", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["data_sets"] == ["ACE 2004", "CrossNER_AI", "Surprise"]
    assert found["commit"] == release_stand_in.COMMIT
    assert "ask their makers: Surprise" in done.stderr
    assert files.read_json(out / "B2NERD/NER_en/ACE 2004/test.json") == ROWS


def test_an_open_set_needs_no_yes(run, hub, tmp_path):
    done = run("data", "download", "-o", str(tmp_path), "--set", "CrossNER_AI")
    assert done.exit_code == 0, done.stderr
    assert "data sets 1, files 2" in done.stdout
    assert not (tmp_path / "B2NERD/NER_en/ACE 2004").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "CrossNER_AI"], "name the folder"),
        (["--set", "CrossNER", "-o", "x"], "not in the published release"),
        (["--set", "CrossNER_AI", "--edition", "B2NERD_all", "-o", "x"], "holds no such data set"),
    ],
)
def test_a_download_that_cannot_be_done(run, hub, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run("data", "download", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_drive_copy_is_not_supported(run):
    done = run("data", "download", "--help")
    assert "Google Drive" in " ".join(done.stdout.split())
