"""Paths into JSON values: what stands there, and what is missing."""

import pytest

from b2ner.corpus.json_paths import MissingError, each, one

pytestmark = pytest.mark.torchfree

ROW = {"a": {"b": [1, 2]}, "label": {"city": {"Turin": [[0, 5], [9, 14]]}}, "none": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("a.b.0", 1, id="a number counts in an array"),
        pytest.param("a.b.-1", 2, id="from the end too"),
        pytest.param("$", ROW, id="the value itself"),
        pytest.param("c?.d", None, id="an optional key"),
        pytest.param("none?", None, id="null is there"),
    ],
)
def test_one(path, value):
    assert one(ROW, path) == value


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("a.b.*", [(1, (0,)), (2, (1,))], id="elements"),
        pytest.param("a.*", [([1, 2], ("b",))], id="members with their keys"),
        pytest.param(
            "label.*.*.*.0", [(0, ("city", "Turin", 0)), (9, ("city", "Turin", 1))], id="in others"
        ),
        pytest.param("c?.*", [], id="an optional key"),
        pytest.param("none?.*", [], id="null counts as missing"),
    ],
)
def test_each(path, found):
    assert list(each(ROW, path)) == found


@pytest.mark.parametrize("path", ["a.c", "a.b.2", "a.b.-3", "a.b.x", "a.b.0.*", "none.*", "c"])
def test_what_is_missing_is_named(path):
    with pytest.raises(MissingError, match="no "):
        list(each(ROW, path))
