"""`b2ner data list`, `show`, `stats`: filters, what is printed, JSON, exit codes."""

import json

import pytest

from b2ner.corpus import catalog
from b2ner.files import write_json
from tests.cli.scripted import scripted

pytestmark = pytest.mark.torchfree


@pytest.fixture
def run(monkeypatch):
    return scripted(monkeypatch, " None").run


def names(done):
    assert done.exit_code == 0, done.stderr
    return [row["name"] for row in json.loads(done.stdout)]


def test_all_sets_are_listed(run):
    assert names(run("data", "list", "--json")) == [e.name for e in catalog.entries()]


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        (["--language", "zh"], lambda e: "zh" in e.languages),
        (["--language", "zh", "--language", "de"], lambda e: {"zh", "de"} & set(e.languages)),
        (["--licence", "non-commercial"], lambda e: e.licence_class == "non-commercial"),
        (["--domain", "legal"], lambda e: e.domain == "legal"),
        (["--role", "test"], lambda e: e.role == "test"),
        (["--role", "training"], lambda e: e.role == ""),
        (["--task", "RE"], lambda e: "RE" in e.tasks),
        (
            ["--language", "en", "--licence", "open", "--domain", "biomedical"],
            lambda e: (
                ("en" in e.languages, e.licence_class, e.domain) == (True, "open", "biomedical")
            ),
        ),
    ],
)
def test_filters(run, options, fits):
    expected = [entry.name for entry in catalog.entries() if fits(entry)]
    assert expected
    assert names(run("data", "list", "--json", *options)) == expected


def test_the_list_for_people(run):
    done = run("data", "list", "--domain", "literary", "--licence", "open")
    assert done.exit_code == 0
    assert "litbank" in done.stdout
    assert f"of {len(catalog.entries())} data sets" in done.stdout
    assert run("data", "list", "--domain", "legal", "--task", "RE").stdout == "no data set fits\n"


@pytest.mark.parametrize("option", ["--language", "--licence", "--domain", "--role", "--task"])
def test_a_value_that_no_set_has(run, option):
    done = run("data", "list", option, "klingon")
    assert done.exit_code == 2
    assert "klingon" in done.stderr


def test_a_set_is_shown(run):
    done = run("data", "show", "wnut17")
    assert done.exit_code == 0
    entry = catalog.entry("wnut17")
    for fact in (entry.title, entry.licence, entry.source.commit, "in no training data"):
        assert fact in done.stdout
    for oddity in (*entry.leaks, *entry.oddities):
        assert oddity in done.stdout
    row = json.loads(run("data", "show", "wnut17", "--json").stdout)
    assert (row["role"], row["source"]["commit"]) == ("development", entry.source.commit)
    assert row["label_counts"] == dict(entry.labels)


def test_an_unknown_set_names_the_closest(run):
    done = run("data", "show", "wnut71")
    assert done.exit_code == 2
    assert "wnut17" in done.stderr


ROWS = [{"sentence": "Ada", "entities": [{"name": "Ada", "type": "person"}]}]


@pytest.fixture
def folder(tmp_path):
    for edition, rows in (("pruned", ROWS), ("all", ROWS * 3)):
        place = tmp_path / edition / "NER_en" / "wnut17"
        write_json(place / "labels.json", ["person", "place"])
        write_json(place / "train.json", rows)
    return tmp_path


def test_statistics(run, folder):
    done = run("data", "stats", str(folder))
    assert done.exit_code == 0
    assert "wnut17" in done.stdout
    found = json.loads(run("data", "stats", str(folder), "--json").stdout)
    assert found["table"] == [
        {
            "split": "train",
            "language": "en",
            "data_sets": 1,
            "types": 2,
            "labels": 2,
            "texts": 1,
            "raw_texts": 3,
        }
    ]
    assert found["types_by_domain"] == {"social media": {"en": 2}}


def test_statistics_with_a_plot(run, folder):
    pytest.importorskip("matplotlib", reason="the extra `data` is not installed")
    plot = folder / "plots" / "types.svg"
    done = run("data", "stats", str(folder / "all"), "--plot", str(plot))
    assert done.exit_code == 0
    assert "<svg" in plot.read_text("utf-8")


def test_statistics_that_cannot_be_made(run, folder):
    assert run("data", "stats", str(folder / "none")).exit_code == 2
    assert run("data", "stats", str(folder), "--plot", "x.pdf").exit_code == 2
    write_json(folder / "pruned/NER_en/wnut17/train.json", [*ROWS, {}])
    done = run("data", "stats", str(folder))
    assert done.exit_code == 1
    assert "train.json:1: malformed" in done.stderr
