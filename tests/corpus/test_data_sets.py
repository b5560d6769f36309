"""The tables of data sets: complete, consistent, openly licensed, usable as labels."""

import json
from importlib.resources import files
from itertools import chain
from pathlib import Path

import pytest

from b2ner.corpus.data_sets import Names, Role, data_sets
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.prompting.template import check_labels
from b2ner.records import Mention

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
CATALOG = next(
    (
        path
        for folder in (ROOT.parent, ROOT)
        if (path := folder / "shared" / "data" / "catalog.json").is_file()
    ),
    None,
)
OPEN = (*data_sets(Role.TRAIN), *data_sets(Role.DEV))


def eval_sets(names=Names.ORIGINAL):
    return data_sets(Role.TEST, names)


@pytest.mark.parametrize("names", Names)
def test_label_names_can_be_asked_for_and_answered(names):
    for data_set in chain(eval_sets(names), OPEN):
        labels = data_set.labels
        assert check_labels(labels) == labels  # none empty, none twice, none on two lines
        assert writable(LABEL_FIRST, [Mention(label, "words") for label in labels], labels)
    for eval_set in eval_sets(names):
        assert len(eval_set.labels) == len(eval_set.names)


def test_names_agree_but_for_what_labels_are_called():
    for one, other in zip(eval_sets(Names.ORIGINAL), eval_sets(Names.STANDARD), strict=True):
        assert list(one.names) == list(other.names) == sorted(one.names)
        assert (one.name, one.archive, one.format) == (other.name, other.archive, other.format)


def test_published_names_and_tasks():
    tasks = {}
    for eval_set in eval_sets():
        tasks.setdefault(eval_set.task, []).append(eval_set.name)
    assert tasks == {
        "NER_en": [
            "CrossNER_AI",
            "CrossNER_literature",
            "CrossNER_music",
            "CrossNER_politics",
            "CrossNER_science",
            "mit-movie",
            "mit-restaurant",
        ],
        "NER_zh": ["CLUENER", "weibo", "CMeEE", "CCKS2021address"],
        "NER_en_other": [f"multiconer22_{code}" for code in ("de", "en", "es", "nl", "ru", "zh")],
    }
    assert {e.language for e in eval_sets()} == {"en", "zh"}
    assert {e.name for e in eval_sets() if e.splits == ("dev",)} == {
        "CLUENER",
        "CMeEE",
        "CCKS2021address",
        *tasks["NER_en_other"],
    }


def test_standard_names_that_are_known():
    standard = {e.name: e.names for e in eval_sets(Names.STANDARD)}
    assert standard["CrossNER_AI"]["task"] == "research task"
    assert standard["mit-movie"]["RATING"] == "movie age rating"
    assert standard["CLUENER"]["company"] == "组织机构名->公司"


def test_training_sets_are_open_and_no_set_has_two_roles():
    assert {data_set.terms.licence_class for data_set in data_sets(Role.TRAIN)} == {"open"}
    archives = [{data_set.archive for data_set in data_sets(role)} for role in Role]
    assert not set.intersection(*archives[:2]) | set.intersection(*archives[1:])
    assert not archives[0] & archives[2]
    folders = [(data_set.task, data_set.name) for data_set in OPEN]
    assert len(set(folders)) == len(folders)


@pytest.mark.skipif(CATALOG is None, reason="shared/data stands neither in nor beside the checkout")
def test_licences_splits_and_labels_are_the_catalogs():
    catalog = {entry["name"]: entry for entry in json.loads(CATALOG.read_text("utf-8"))}
    for data_set in OPEN:
        entry = catalog[data_set.archive]
        terms = (data_set.terms.licence, data_set.terms.licence_class)
        assert terms == (entry["licence"], entry["licence_class"]), data_set.name
        assert set(data_set.splits) <= set(entry["files"]), data_set.name
        known = {label["label"] for label in entry["labels"]}
        assert known <= set(data_set.source_labels), data_set.name


def test_names_are_words_in_the_order_of_the_source_labels():
    every = json.loads((files("b2ner.corpus") / "natural_names.json").read_text("utf-8"))
    assert set(every) == {data_set.archive for data_set in OPEN}
    for name, names in every.items():
        assert list(names) == sorted(names), name
    for data_set in OPEN:
        for label in data_set.labels:
            assert not set("_,") & set(label), label
            assert label.isascii() is (data_set.language != "zh"), label
            words = [word for word in label.split() if word not in ("HTML", "XML", "DNA", "RNA")]
            assert words == [word.lower() for word in words], label


def test_the_page_names_every_set_with_its_licence():
    page = (ROOT / "docs" / "howto" / "data.md").read_text("utf-8")
    for data_set in OPEN:
        row = f"| `{data_set.name}` | `{data_set.task}` | {data_set.terms.licence} |"
        assert row in page, "run scripts/data_page.py"
