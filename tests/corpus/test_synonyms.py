"""Names that mean the same: every fault of a file is told with its group, and ours has none."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from b2ner.corpus.synonyms import read_synonyms
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree

OURS = Path(__file__).parents[2] / "corpus" / "synonyms.toml"


def test_the_groups_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.toml"
    path.write_text('people = [["person", "human being"]]\nother-zh = [["人名", "人物"]]', "utf-8")
    assert read_synonyms(path) == (("person", "human being"), ("人名", "人物"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('a = [["x"]]', r"'a', group 1 \['x'\]: a group has two names", id="one name"),
        pytest.param("a = [[]]", r"'a', group 1 \[\]: a group has two names", id="no name"),
        pytest.param('a = [["x", ""]]', "the label '' is empty", id="an empty name"),
        pytest.param('a = [["x", "y "]]', "'y ' has white space at an edge", id="white space"),
        pytest.param('a = [["x", "y\\nz"]]', "line break", id="two lines"),
        pytest.param('a = [["x", "y; z"]]', "holds ';'", id="a mark of answers"),
        pytest.param('a = [["x", "X"]]', "a name stands there twice", id="twice in a group"),
        pytest.param(
            'a = [["x", "y"]]\nb = [["v", "w"], ["z", "Y"]]',
            r"'b', group 2 \['z', 'Y'\]: 'Y' stands in 'a', group 1 too",
            id="in two groups",
        ),
        pytest.param('a = [["x", 1]]', "a.0.1: ", id="no string"),
        pytest.param('a = ["x", "y"]', "lists of names expected", id="no groups"),
        pytest.param("a = [", "not TOML", id="no TOML"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message) as raised:
        read_synonyms(path)
    assert str(path) in str(raised.value)


def test_all_faults_of_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "names.toml"
    path.write_text('a = [["x"], ["y", "y;"], ["z", "x"]]', "utf-8")
    with pytest.raises(DataError, match=r"3 faults: 'a', group 1 .* 'a', group 2 .* 'a', group 3"):
        read_synonyms(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_synonyms(tmp_path / "none.toml")


def test_ours_keeps_languages_apart_and_covers_the_natural_names() -> None:
    groups = read_synonyms(OURS)
    for group in groups:
        assert len({any("一" <= sign <= "龥" for sign in name) for name in group}) == 1, group
    known = {name.casefold() for group in groups for name in group}
    text = resources.files("b2ner.corpus").joinpath("natural_names.json").read_text("utf-8")
    natural = {name for names in json.loads(text).values() for name in names.values() if name}
    # The rest has no other name that says the same: airport, protein, rock member.
    assert len({name for name in natural if name.casefold() in known}) > 0.75 * len(natural)


def test_each_group_of_ours_stands_on_a_line_of_its_own() -> None:
    lines = [line for line in OURS.read_text("utf-8").splitlines() if line.startswith("    [")]
    assert len(lines) == len(read_synonyms(OURS))
