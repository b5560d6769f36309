"""`b2ner corpus check`: the default folder, output, exit codes."""

import json

import pytest
from typer.testing import CliRunner

from b2ner.cli.main import app

pytestmark = pytest.mark.torchfree

LABELS = "; ".join(f"label {number}" for number in range(14))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout with one sheet: 40 texts, each label marked in all of them but one."""
    sheets = tmp_path / "corpus" / "sheets"
    sheets.mkdir(parents=True)
    write(sheets)
    monkeypatch.chdir(tmp_path)
    return sheets


def write(sheets, *more):
    """A sheet that keeps every promise, and lines below it."""
    texts = [
        f"{chr(97 + n % 26)}{n} " + " ".join(f"[[{n}x{m * n}y|label {m}]]" for m in range(14))
        for n in range(1, 41)
    ]
    lines = [f"## labels: {LABELS}", *texts, *more, ""]
    (sheets / "en-own.txt").write_text("\n".join(lines), encoding="utf-8")


def run(*arguments):
    return CliRunner().invoke(app, ["corpus", "check", *arguments], prog_name="b2ner")


def test_a_corpus_as_it_should_be(folder):
    for done in (run(), run(str(folder))):
        assert (done.exit_code, done.stderr) == (0, "")
        assert "0 broken promises, 0 warnings" in done.stdout


def test_json(folder):
    done = run("--json")
    shown = json.loads(done.stdout)
    assert (shown["texts"], shown["mentions"], shown["broken"]) == (40, 560, 0)
    assert shown["languages"]["en"]["labels"]["label 3"] == 40


def test_more_warnings_than_allowed(folder):
    write(folder, "[[Po|label 1]] Po", "[[Don|label 1]] and Don")
    done = run()
    assert done.exit_code == 1
    assert "en-own.txt:42: unmarked repeat: 'Po' stands unmarked as well\n" in done.stderr
    assert "more findings than allowed: unmarked repeat" in done.stderr
    assert "0 broken promises, 2 warnings" in done.stdout


def test_a_broken_promise(folder):
    write(folder, "[[Po|river]] flows")
    done = run("--json")
    assert done.exit_code == 2
    assert "en-own.txt:42: unreadable: unknown label: 'river' is not in the label" in done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["kind"], finding["place"]) == ("unreadable", "en-own.txt:42")


def test_against_a_published_folder(folder, tmp_path):
    own = "so it was that the old mill burned down"
    write(folder, own)
    data = tmp_path / "eval" / "NER_en" / "own"
    data.mkdir(parents=True)
    (data / "labels.json").write_text("[]", encoding="utf-8")
    (data / "test.json").write_text(json.dumps([{"sentence": f"Yes, {own}."}]), encoding="utf-8")
    done = run("--against", str(tmp_path / "eval"))
    assert done.exit_code == 2
    assert f"shared with a test set: '{own}' stands in NER_en/own/test.json:0" in done.stderr
    assert "compared with 1 texts" in done.stdout


def test_folders_that_cannot_be_used(folder, tmp_path):
    done = run(str(tmp_path))
    assert done.exit_code == 2
    assert "holds no sheet" in done.stderr
    done = run("--against", str(tmp_path))
    assert done.exit_code == 2
    assert "holds no data set" in done.stderr
