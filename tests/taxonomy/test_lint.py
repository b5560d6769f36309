import pytest

from b2ner.taxonomy.lint import Remark, lint
from b2ner.taxonomy.usage import usage


def remarks(tree, small_mappings, *labels):
    found = lint(tree, usage(small_mappings.values()), labels)
    return [(finding.label, finding.remark, finding.instead) for finding in found]


@pytest.mark.parametrize(
    ("label", "remark", "instead"),
    [
        ("PER", Remark.ABBREVIATION, "person"),
        ("misc", Remark.VAGUE, ""),
        ("Movie_Title", Remark.STYLE, "movie title"),
        ("FILM TITLE", Remark.STYLE, "film title"),
        ("soil horizon", Remark.UNKNOWN, ""),
    ],
)
def test_a_label_is_remarked_on(tree, small_mappings, label, remark, instead):
    assert remarks(tree, small_mappings, label) == [(label, remark, instead)]


def test_an_ambiguous_label_lists_its_meanings(tree, small_mappings):
    (first, *_) = remarks(tree, small_mappings, "title")
    assert first[1] is Remark.AMBIGUOUS
    assert set(first[2].split(" | ")) == {"movie title", "book title"}


def test_good_labels_pass(tree, small_mappings):
    assert remarks(tree, small_mappings, "politician", "city", "movie title", "书名") == []


def test_pairs_are_compared(tree, small_mappings):
    assert remarks(tree, small_mappings, "city", "town") == [("city", Remark.SAME, "city")]
    assert remarks(tree, small_mappings, "footballer", "person") == [("person", Remark.INSIDE, "")]
    near = remarks(tree, small_mappings, "soil horizon", "soil horizons")
    assert (("soil horizon", Remark.NEAR, "")) in near
