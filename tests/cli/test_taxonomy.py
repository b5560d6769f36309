"""The commands on the taxonomy itself, so they name only types that will always be there."""

import json

import pytest
from typer.testing import CliRunner

from b2ner.cli.main import app
from b2ner.taxonomy.tree import taxonomy


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_show_prints_a_type():
    result = run("taxonomy", "show", "political figure")
    assert result.exit_code == 0
    politician = taxonomy().type("politician")
    for part in (taxonomy().path(politician), politician.zh, politician.definition):
        assert part in result.stdout
    row = json.loads(run("taxonomy", "show", "politician", "--json").stdout)
    assert row["name"] == "politician"
    assert row["path"].startswith("person -> ")


def test_show_prints_the_tree():
    result = run("taxonomy", "show")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(taxonomy())
    assert len(json.loads(run("taxonomy", "show", "--json").stdout)) == len(taxonomy())


def test_an_unknown_type_lists_the_closest():
    result = run("taxonomy", "show", "polititian")
    assert result.exit_code == 2
    assert "closest: politician" in result.stderr


def test_search_finds_names_in_both_languages():
    assert "politician" in run("taxonomy", "search", "政治人物").stdout
    rows = json.loads(run("taxonomy", "search", "elected", "office", "--json").stdout)
    assert "politician" in [row["name"] for row in rows]
    nothing = run("taxonomy", "search", "xyzzy")
    assert nothing.exit_code == 2
    assert "xyzzy" in nothing.stderr


def test_check_counts_and_passes():
    result = run("taxonomy", "check")
    assert result.exit_code == 0
    assert f"{len(taxonomy())} types" in result.stdout
    assert "0 broken promises" in result.stdout


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".html"])
def test_export_writes_every_type(tmp_path, suffix):
    path = tmp_path / f"types{suffix}"
    assert run("taxonomy", "export", "-o", str(path)).exit_code == 0
    text = path.read_text(encoding="utf-8")
    if suffix == ".json":
        assert len(json.loads(text)) == len(taxonomy())
    elif suffix == ".jsonl":
        assert len([json.loads(line) for line in text.splitlines()]) == len(taxonomy())
    else:
        assert text.startswith("<!doctype html>")
        assert '"name": "politician"' in text


def test_export_refuses_another_kind(tmp_path):
    result = run("taxonomy", "export", "-o", str(tmp_path / "types.xlsx"))
    assert result.exit_code == 2
    assert ".json, .jsonl or .html" in result.stderr


def test_suggest_says_what_to_write():
    result = run("taxonomy", "suggest", "PER")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "write: person"
    row = json.loads(run("taxonomy", "suggest", "political figure", "--json").stdout)
    assert row["name"] == row["type"] == "politician"


def test_lint_says_what_to_write_instead():
    result = run("labels", "lint", "Person, ORG, misc")
    assert result.exit_code == 1
    assert "abbreviation" in result.stdout
    assert "vague" in result.stdout
    rows = json.loads(run("labels", "lint", "ORG", "--json").stdout)
    assert rows[0]["instead"] == "organization"
    good = run("labels", "lint", "politician", "person")
    assert good.exit_code == 0
    assert "one inside the other" in good.stdout


def test_lint_of_nothing_is_refused():
    result = run("labels", "lint", " , ")
    assert result.exit_code == 2
    assert "no labels" in result.stderr
