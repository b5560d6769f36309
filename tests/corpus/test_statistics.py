"""The published table of a folder: counts by split and language, raw numbers, types by domain."""

import pytest

from b2ner.corpus.statistics import count_sets, plot_types, published_table, types_by_domain
from b2ner.errors import DataError, InputError
from b2ner.files import write_json

pytestmark = pytest.mark.torchfree


def entity(name, label):
    return {"name": name, "type": label}


ADA = {"sentence": "Ada in Rom", "entities": [entity("Ada", "person"), entity("Rom", "NA")]}
NONE = {"sentence": "No", "entities": []}


def put(folder, place, labels, **splits):
    write_json(folder / place / "labels.json", labels)
    for split, rows in splits.items():
        write_json(folder / place / f"{split}.json", rows)
    return folder


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, "NER_en/wnut17", ["person", "place"], train=[ADA, NONE], test=[ADA])
    put(tmp_path, "NER_en/mine", ["person"], train=[ADA])
    put(tmp_path, "NER_zh/CLUENER", ["人名"], train=[NONE])
    return tmp_path


def rows(sets):
    return [
        (r.split, r.language, r.data_sets, r.types, r.labels, r.texts, r.raw)
        for r in published_table(sets)
    ]


def test_the_table(folder):
    assert rows(count_sets(folder)) == [
        ("train", "en", 2, 2, 3, 3, None),
        ("train", "zh", 1, 1, 1, 1, None),
        ("train", "", 3, 3, 4, 4, None),
        ("test", "en", 1, 2, 2, 1, None),
    ]


def test_a_row_for_each_data_set(folder):
    one = next(one for one in count_sets(folder) if one.name == "wnut17" and one.split == "train")
    assert one.to_json() == {
        "split": "train",
        "task": "NER_en",
        "language": "en",
        "data_set": "wnut17",
        "domain": "social media",
        "labels": 2,
        "texts": 2,
        "annotations": 1,  # `NA` is no entity
        "raw_texts": None,
        "malformed": 0,
    }


def test_raw_numbers_from_another_folder(folder, tmp_path_factory):
    whole = tmp_path_factory.mktemp("all")
    put(whole, "NER_en/wnut17", ["person", "place"], train=[ADA] * 5)
    put(whole, "NER_en/more", ["person"], test=[ADA] * 7)
    table = rows(count_sets(folder, whole))
    assert table[0] == ("train", "en", 2, 2, 3, 3, 5)
    assert table[-1] == ("test", "en", 2, 2, 3, 1, 7)


@pytest.mark.parametrize(("selected", "whole"), [("B2NERD", "B2NERD_all"), ("pruned", "all")])
def test_a_release_holds_both(tmp_path, selected, whole):
    put(tmp_path / selected, "NER_en/a", ["x"], train=[NONE])
    put(tmp_path / whole, "NER_en/a", ["x"], train=[NONE] * 3)
    assert rows(count_sets(tmp_path)) == [("train", "en", 1, 1, 1, 1, 3)]


def test_other_tasks_are_counted_too(tmp_path):
    relation = {"head": {"name": "Ada"}, "type": "born in", "tail": {"name": "Rom"}}
    row = {"sentence": "Ada in Rom", "relations": [relation]}
    put(tmp_path, "RE_en/a", ["born in"], train=[row, row])
    (one,) = count_sets(tmp_path)
    assert (one.task, one.texts, one.annotations) == ("RE_en", 2, 2)


def test_malformed_rows_are_named(tmp_path):
    put(tmp_path, "NER_en/a", ["x"], train=[NONE, {"entities": []}])
    (one,) = count_sets(tmp_path)
    assert one.texts == 1
    assert [row.place.endswith("train.json:1") for row in one.malformed] == [True]


def test_a_folder_without_data_sets(tmp_path):
    with pytest.raises(DataError, match="holds no data set"):
        count_sets(tmp_path)


def test_types_by_domain(folder):
    found = types_by_domain(count_sets(folder))
    assert found == {"social media": {"en": 2}, "news": {"zh": 1}, "unknown": {"en": 1}}
    assert next(iter(found)) == "social media"  # the richest first


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_plot_is_the_same_each_time(tmp_path, suffix):
    pytest.importorskip("matplotlib", reason="the extra `data` is not installed")
    counts = {"news": {"en": 3, "zh": 2}, "social media": {"en": 2}}
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    plot_types(counts, one)
    plot_types(counts, other)
    assert one.read_bytes() == other.read_bytes()
    if suffix == ".svg":
        assert "social media" in one.read_text("utf-8")


def test_only_two_kinds_of_plot(tmp_path):
    with pytest.raises(InputError, match=r"\.pdf"):
        plot_types({"news": {"en": 1}}, tmp_path / "x.pdf")
