"""A release of three small sets, their labels mapped, a test set kept out. All words are ours."""

import json
from pathlib import Path

import pytest

from b2ner.corpus import release, release_sources
from b2ner.corpus.catalog import parse
from b2ner.corpus.recipes import Recipe, choose, read_recipe, recipe_names
from b2ner.corpus.release import build_release
from b2ner.errors import DataError
from b2ner.records import Reason
from b2ner.taxonomy.mappings import read_mappings
from b2ner.taxonomy.tree import read_tree

TYPES = Path(__file__).parents[1] / "data" / "taxonomy"
SET = """
[[set]]
name = "{name}"
title = "{name}"
languages = ["{language}"]
domain = "news"
tasks = ["NER"]
licence = "{licence}"
licence_class = "{licence_class}"
stated_for = "{stated_for}"
share_alike = {share_alike}
role = "{role}"
source = {{ repository = "ours/own", commit = "0" }}
format = {{ kind = "conll", separator = "tab", join = "{join}" }}
files = {{ train = ["train.txt"]{test} }}
[set.labels]
{labels}
"""
DEFAULTS = {
    "language": "en",
    "licence": "CC BY 4.0",
    "licence_class": "open",
    "stated_for": "data",
    "share_alike": "false",
    "role": "",
    "join": "blank",
    "test": "",
}
HELD_OUT = "The old ferry left the harbour of Bergen at seven and came back empty"


def conll(*sentences):
    """Sentences whose words may carry a tag: `Oslo/B-LOC`."""
    rows = []
    for sentence in sentences:
        for word in sentence.split():
            token, _, tag = word.partition("/")
            rows.append(f"{token}\t{tag or 'O'}")
        rows.append("")
    return "\n".join(rows)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Raw corpora: wiki (open), library (share-alike, Chinese), shop (its repository's licence),
    paper (research), and the test set ferry."""
    sets = [
        {"name": "wiki", "test": ', test = ["test.txt"]', "labels": "PER = 1\nORG = 1\nMISC = 1"},
        {
            "name": "library",
            "language": "zh",
            "licence": "CC BY-SA 4.0",
            "share_alike": "true",
            "join": "nothing",
            "labels": "PER = 1\nTITLE = 1",
        },
        {"name": "shop", "stated_for": "repository", "labels": "PER = 1"},
        {"name": "paper", "licence": "", "licence_class": "research", "labels": "PER = 1"},
        {"name": "ferry", "role": "test", "labels": "LOC = 1"},
    ]
    catalog = parse({"all.toml": "".join(SET.format(**{**DEFAULTS, **each}) for each in sets)})
    raw = tmp_path / "raw"
    texts = {
        "wiki/train.txt": conll(
            "Ada/B-PER Lovelace/I-PER wrote to Oxfam/B-ORG .",
            "Nobody came .",
            "Ada/B-PER left .",
            "Ada/B-PER left .",
            f"We heard that {HELD_OUT} .",
            "A Norwegian/B-MISC ship , said Robert/B-PER Peel/I-PER .",
        ),
        "wiki/test.txt": conll("Oxfam/B-ORG sent tents .", "Ada/B-PER left ."),
        "library/train.txt": conll(
            "他 读 红/B-TITLE 楼/I-TITLE 梦/I-TITLE", "曹/B-PER 操/I-PER 来"
        ),
        "shop/train.txt": conll("Ada/B-PER bought it ."),
        "paper/train.txt": conll("Ada/B-PER read it ."),
        "ferry/train.txt": conll(f"{HELD_OUT} .".replace("Bergen", "Bergen/B-LOC")),
    }
    for name, text in texts.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(text + "\n", encoding="utf-8")
    maps = dict(read_mappings(TYPES / "mappings"))
    tree = read_tree(TYPES / "types")
    for room in (release, release_sources):
        monkeypatch.setattr(room, "entries", lambda: catalog)
        monkeypatch.setattr(room, "taxonomy", lambda: tree)
    monkeypatch.setattr(release_sources, "mappings", lambda: maps)
    return raw


def recipe(**changes):
    rules = {"name": "own", "about": "Ours.", "licence_classes": ("open",), "stated_for": ("data",)}
    return Recipe(**{**rules, **changes})


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def tree_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".parts" not in path.parts
    }


def test_only_what_the_rules_allow_takes_part(source, tmp_path):
    made = build_release(recipe(), source, tmp_path / "out")
    assert [(part.task, part.name) for part in made.parts] == [
        ("NER_zh", "library"),
        ("NER_en", "wiki"),
    ]
    assert dict(made.left_out) == {
        "ferry": "a test set",
        "paper": "its licence class is research",
        "shop": "its licence is stated for the repository",
    }
    with pytest.raises(DataError, match="paper cannot take part: its licence class is research"):
        build_release(recipe(only=("paper",)), source, tmp_path / "other")
    with pytest.raises(DataError, match="no data set libary"):
        build_release(recipe(only=("libary",)), source, tmp_path / "other")


def test_every_row_is_kept_or_counted(source, tmp_path):
    made = build_release(recipe(), source, tmp_path / "out")
    for part in made.parts:
        assert part.rows == sum(part.texts["raw"].values()) + sum(part.rejected.values())
    wiki = made.parts[1]
    assert wiki.rows == 8
    assert wiki.rejected == {Reason.REPEATED.value: 2, Reason.SEEN_ELSEWHERE.value: 1}
    assert wiki.leaks == {"ferry": 1}
    leaks = read(tmp_path / "out" / "leaks.json")
    assert list(leaks) == ["NER_en/wiki"]
    assert "ferry left" not in json.dumps(leaks)


def test_labels_get_their_names_in_the_tree(source, tmp_path):
    build_release(recipe(), source, tmp_path / "out")
    wiki = tmp_path / "out" / "all" / "NER_en" / "wiki"
    assert read(wiki / "labels.json") == ["person", "organization"]
    assert read(wiki / "types.json") == {
        "exhaustive": ["person", "location"],
        "paths": {"person": ["person"], "organization": ["organization"]},
    }
    rows = read(wiki / "train.json")
    assert rows[0]["entities"] == [
        {"name": "Ada Lovelace", "type": "person", "pos": [0, 12]},
        {"name": "Oxfam", "type": "organization", "pos": [22, 27]},
    ]
    assert [e["name"] for e in rows[-1]["entities"]] == ["Robert Peel"]
    raw = read(tmp_path / "out" / "raw" / "NER_en" / "wiki" / "train.json")
    assert [e["type"] for e in raw[-1]["entities"]] == ["MISC", "PER"]
    library = tmp_path / "out" / "all" / "NER_zh" / "library"
    assert read(library / "labels.json") == ["人物", "书名"]


def test_what_is_dropped_has_its_reason(source, tmp_path):
    wiki = build_release(recipe(), source, tmp_path / "out").parts[1]
    assert wiki.unmapped == {"MISC": "works, events and peoples under one name"}
    assert wiki.dropped_mentions == 1


def test_the_pruned_part_keeps_its_quota(source, tmp_path):
    out = tmp_path / "out"
    made = build_release(recipe(quota=1, without_entities=0.0), source, out)
    rows = read(out / "pruned" / "NER_en" / "wiki" / "train.json")
    assert sorted({e["type"] for row in rows for e in row["entities"]}) == [
        "organization",
        "person",
    ]
    assert len(rows) == 1
    assert made.parts[1].texts["pruned"] == {"train": 1}
    assert not (out / "pruned" / "NER_en" / "wiki" / "test.json").exists()


def test_the_same_inputs_give_the_same_bytes(source, tmp_path):
    build_release(recipe(), source, tmp_path / "one")
    build_release(recipe(), source, tmp_path / "two")
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_a_stopped_build_goes_on_where_it_was(source, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def stop(name):
        if name == "wiki":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_release(recipe(), source, out, on_set=stop)
    done = out / "all" / "NER_zh" / "library" / "train.json"
    before = done.stat().st_mtime_ns
    build_release(recipe(), source, out)
    assert done.stat().st_mtime_ns == before
    build_release(recipe(), source, tmp_path / "fresh")
    assert tree_of(out) == tree_of(tmp_path / "fresh")
    build_release(recipe(seed=24), source, out)
    assert done.stat().st_mtime_ns != before


def test_the_manifest_and_the_datasheet_say_what_was_made(source, tmp_path):
    (source / "library" / "train.txt").unlink()
    (source / "library").rmdir()
    out = tmp_path / "out"
    made = build_release(recipe(sheets=True), source, out)
    assert made.missing == ("library", "b2ner_sheets")
    manifest = read(out / "manifest.json")
    assert manifest["licences"] == {"CC BY 4.0": ["NER_en/wiki"]}
    assert manifest["totals"]["all"] == {"sets": 1, "texts": 5, "mentions": 5}
    text = (out / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    for said in ("pretty_name: b2ner own", "| NER_en | wiki | news | 2 |", "library, b2ner_sheets"):
        assert said in text


def test_share_alike_sets_stand_apart(source, tmp_path):
    build_release(recipe(), source, tmp_path / "out")
    assert read(tmp_path / "out" / "manifest.json")["share_alike"] == ["library"]
    assert "Share-alike: library" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_our_sheets_take_part_under_their_own_names(source, tmp_path):
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    (sheets / "en-own.txt").write_text(
        "## labels: sportsperson; town\n[[Ada|sportsperson]] ran in [[Oslo|town]].\n",
        encoding="utf-8",
    )
    maps = {**release_sources.mappings()}
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "sheets.toml").write_text(
        'dataset = "sheets"\nkeep_others = "names are theirs to vary"\n[labels]\n', encoding="utf-8"
    )
    maps |= read_mappings(tmp_path / "maps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release_sources, "mappings", lambda: maps)
        made = build_release(recipe(sheets=True), source, tmp_path / "out", sheets=sheets)
    assert made.parts[-1].name == "b2ner_sheets"
    home = tmp_path / "out" / "all" / "NER_en" / "b2ner_sheets"
    assert read(home / "labels.json") == ["sportsperson", "town"]
    assert read(home / "types.json")["paths"] == {
        "sportsperson": ["person", "athlete"],
        "town": ["location", "city"],
    }


def test_a_set_that_nobody_mapped_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setattr(release_sources, "mappings", dict)
    with pytest.raises(DataError, match="library: no mapping says what its labels mean"):
        build_release(recipe(), source, tmp_path / "out")


def test_a_parquet_table_holds_every_text(source, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    build_release(recipe(), source, tmp_path / "out")
    rows = parquet.read_table(tmp_path / "out" / "parquet" / "all.parquet").to_pylist()
    assert len(rows) == 7
    first = next(row for row in rows if row["dataset"] == "wiki" and row["split"] == "train")
    assert first["entities"][0] == {
        "start": 0,
        "end": 12,
        "label": "person",
        "text": "Ada Lovelace",
    }


def test_recipes_of_ours_are_valid():
    for name in recipe_names():
        assert read_recipe(name).name == name
    assert {"open", "research", "published-full"} <= set(recipe_names())
    with pytest.raises(DataError, match="there is no recipe 'opne'"):
        read_recipe("opne")


def test_a_recipe_of_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'about = "Mine."\nlicence_classes = ["open"]\nstated_for = ["data"]\nquota = 5\n',
        encoding="utf-8",
    )
    assert read_recipe(str(path)).quota == 5
    path.write_text(path.read_text() + 'colour = "red"\n', encoding="utf-8")
    with pytest.raises(DataError, match="colour"):
        read_recipe(str(path))


def test_the_open_recipe_holds_open_sets_alone():
    from b2ner.corpus.catalog import entries

    choice = choose(read_recipe("open"), entries())
    assert choice.entries
    for entry in choice.entries:
        assert (entry.licence_class.value, entry.stated_for, entry.role.value, entry.copy_of) == (
            "open",
            "data",
            "",
            "",
        )
