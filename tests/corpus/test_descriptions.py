"""What labels mean, and the same in other words, from the files beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from b2ner.corpus.descriptions import read_descriptions
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told = {"person": "a human\n being ", "city ": "a large town", "river": " "}
    other = {"person": ["somebody", "a human being", "a man or a woman"], "lake": ["still water"]}
    (tmp_path / "meaning.json").write_text(json.dumps(told), "utf-8")
    (tmp_path / "meaning_paraphrase.json").write_text(json.dumps(other), "utf-8")
    return tmp_path


def test_a_label_s_wordings(folder: Path) -> None:
    assert read_descriptions(folder, "meaning") == {
        "person": ("a human being",),
        "city": ("a large town",),
    }
    assert read_descriptions(folder, "meaning", paraphrases=2) == {
        "person": ("a human being", "somebody"),  # one that says the same is passed over
        "city": ("a large town",),
        "lake": ("still water",),
    }


def test_a_data_set_without_descriptions(folder: Path) -> None:
    assert read_descriptions(folder, "other", paraphrases=2) == {}
    (folder / "meaning_paraphrase.json").unlink()
    assert read_descriptions(folder, "meaning", paraphrases=2)["person"] == ("a human being",)


@pytest.mark.parametrize("content", ["[", "[]", '{"a": ["b"]}', '{"a": 1}'])
def test_what_is_no_description(folder: Path, content: str) -> None:
    (folder / "meaning.json").write_text(content)
    with pytest.raises(DataError, match=r"meaning\.json"):
        read_descriptions(folder, "meaning")
