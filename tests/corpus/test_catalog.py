"""The catalog: what it refuses, what it promises, and what agrees with the shared one."""

import json
import re
from pathlib import Path

import pytest

from b2ner.corpus.catalog import LicenceClass, Role, entries, entry, parse
from b2ner.corpus.readers import Conll, Separator
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
SHARED = next(
    (
        path
        for folder in (ROOT.parent, ROOT)
        if (path := folder / "shared" / "data" / "catalog.json").is_file()
    ),
    None,
)
SET = """
[[set]]
name = "own"
title = "Our own"
languages = ["en"]
domain = "news"
tasks = ["NER"]
licence = "CC0 1.0"
licence_class = "open"
stated_for = "data"
source = { repository = "ours/own", commit = "0" }
format = { kind = "conll", separator = "tab", layers = [2] }
files = { train = ["a.txt", "b/*.txt"], test = ["c.txt"] }
"""


def test_an_entry():
    (own,) = parse({"own.toml": SET + '[set.labels]\ncity = 3\n"big river" = 1\n'})
    assert own.format == Conll(Separator.TAB, layers=(2,))
    assert own.splits == ("train", "test")
    assert own.labels == {"city": 3, "big river": 1}
    assert (own.language, own.role, own.copy_of) == ("en", Role.NONE, "")


def test_several_languages_are_none_of_them():
    (own,) = parse({"own.toml": SET.replace('["en"]', '["en", "zh"]')})
    assert own.language == "mul"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("[[set]]", "[[set", "own.toml: not TOML", id="no TOML"),
        pytest.param("[[set]]", "[[sets]]", "own.toml: sets: Extra inputs", id="no such table"),
        pytest.param('title = "Our own"', "", "own: set.0.title: Field required", id="too little"),
        pytest.param('"news"', '"gossip"', "own: set.0.domain: Input should be", id="domain"),
        pytest.param('"open"', '"free"', "own: set.0.licence_class", id="licence class"),
        pytest.param('"data"', '"somebody"', "own: set.0.stated_for", id="stated for"),
        pytest.param("title", 'colour = "red"\ntitle', "own: set.0.colour: Extra", id="too much"),
        pytest.param('"conll"', '"scroll"', "own: set.0.format: Input tag 'scroll'", id="kind"),
        pytest.param("layers", "columnz", "columnz: Unexpected keyword", id="format's setting"),
        pytest.param('"own"', '"Own Set"', "set.0.name: String should match", id="name"),
        pytest.param("files", 'copy_of = "x"\nfiles', "copy of 'x', which has no entry", id="copy"),
        pytest.param(
            "files", "counts = { dev = { mentions = 1 } }\nfiles", "split 'dev' has no", id="split"
        ),
        pytest.param("files", "counts = { test = { mentions = -1 } }\nfiles", "greater", id="sign"),
    ],
)
def test_what_is_no_entry_is_told_with_its_place(old, new, message):
    with pytest.raises(DataError, match=re.escape(message)):
        parse({"own.toml": SET.replace(old, new, 1)})


def test_a_name_is_given_once():
    with pytest.raises(DataError, match=r"b\.toml: 'own' has an entry already"):
        parse({"a.toml": SET, "b.toml": SET})


def test_an_unknown_name_lists_the_closest():
    assert entry("wnut17").name == "wnut17"
    with pytest.raises(DataError, match=r"no data set 'wnut_17'.* did you mean wnut17"):
        entry("wnut_17")
    with pytest.raises(DataError, match="data list"):
        entry("qqqqqqqqqqqqqqqqqqq")


def test_entries_are_complete():
    names = [each.name for each in entries()]
    assert names == sorted(set(names))
    for each in entries():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", each.source.repository), each.name
        assert re.fullmatch("[0-9a-f]{40}", each.source.commit), each.name
        assert each.labels or "NER" not in each.tasks, each.name
        assert all(each.files.values()), each.name
        assert set(each.counts) <= set(each.splits), each.name
        told = (each.title, each.licence_note, *each.oddities, *each.leaks, each.about)
        assert not any("http" in words for words in told), each.name


def test_unstated_licences_are_open_to_nobody():
    for each in entries():
        if not each.stated_for:
            assert each.licence_class is not LicenceClass.OPEN, each.name
        if re.search(r"\bSA\b", each.licence):
            assert each.share_alike, each.name


def test_test_and_development_sets():
    roles = {role: {each.name for each in entries() if each.role is role} for role in Role}
    assert roles[Role.DEVELOPMENT] == {
        *("wnut17", "gum_ner", "re3d", "atis_slots"),
        *("resume_ner", "youku_video", "wanchuang_tcm"),
    }
    assert roles[Role.TEST] >= {
        *(f"crossner_{domain}" for domain in ("ai", "literature", "music", "politics", "science")),
        *("mit_movie", "mit_restaurant", "cluener2020", "weibo_ner", "cmeee", "ccks2021_address"),
        *(f"multiconer22_{language}" for language in ("en", "de", "es", "nl", "ru", "zh")),
    }


# -- against the shared catalog --------------------------------------------------------------------

FREEDOM = ["unstated", "restricted", "research", "non-commercial", "open"]


@pytest.fixture(scope="module")
def shared():
    if SHARED is None:
        pytest.skip("no shared catalog here")
    return {each["name"]: each for each in json.loads(SHARED.read_text("utf-8"))}


def test_every_shared_set_has_an_entry(shared):
    ours = {each.name: each for each in entries()}
    assert set(shared) <= set(ours)
    for name, each in shared.items():
        assert ours[name].source.commit == each["commit"]
        assert list(ours[name].languages) == each["language"]
        assert list(ours[name].tasks) == each["task"]


def test_no_licence_is_read_more_freely_than_there(shared):
    for name, each in shared.items():
        ours = FREEDOM.index(entry(name).licence_class.value)
        assert ours <= FREEDOM.index(each["licence_class"]), name


def test_what_is_called_a_test_there_is_one_here(shared):
    for name, each in shared.items():
        if each["in_published_recipe"].startswith("test"):
            assert entry(name).role is Role.TEST, name


def test_labels_and_counts_are_those_told_there(shared):
    """But for sets whose entry says why they are not, or whose readers find more on purpose."""
    ours = {"keps_id", "hipe2022_newseye_fi", "hipe2022_newseye_sv", "dsner_ecommerce"}
    for name, each in shared.items():
        known = entry(name)
        if name in ours or known.counts_note or "NER" not in known.tasks:
            continue
        assert known.labels == {one["label"]: one["mentions"] for one in each["labels"]}, name
        for split, counts in known.counts.items():
            assert counts.get("mentions") == each["counts"][split].get("mentions"), name
