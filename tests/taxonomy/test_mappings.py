import pytest

from b2ner.errors import DataError
from b2ner.taxonomy.check import check_mappings, targets
from b2ner.taxonomy.mappings import Dropped, Kept, Means, read_mappings
from b2ner.taxonomy.usage import plain, usage


def test_each_label_has_a_decision(small_mappings):
    wiki = small_mappings["wiki"]
    assert wiki.decide("PER") == Means("person")
    assert wiki.decide("ORG") == Means("organization", "teams too")
    assert wiki.decide("MISC") == Dropped("works, events and peoples under one name")
    assert wiki.exhaustive == ("person", "location")
    assert small_mappings["library"].decide("ball player") == Kept("players of any ball game")


def test_a_label_that_nobody_decided_lists_the_closest(small_mappings):
    with pytest.raises(DataError, match="wiki: label 'PERS' is not mapped; closest: 'PER'"):
        small_mappings["wiki"].decide("PERS")


def test_an_open_vocabulary_keeps_what_is_not_listed(small_mappings):
    pile = small_mappings["pile"]
    assert pile.decide("Town") == Means("city")
    assert pile.decide("volcano") == Kept("an open vocabulary of some hundred names")


def test_a_type_that_is_none_is_found(tree, small_mappings, tmp_path):
    assert check_mappings(tree, small_mappings) == []
    (tmp_path / "odd.toml").write_text(
        'dataset = "odd"\nexhaustive = ["people"]\n[labels]\nPER = "humans"\n', encoding="utf-8"
    )
    found = check_mappings(tree, read_mappings(tmp_path))
    assert [finding.place for finding in found] == ["mappings/odd", "mappings/odd"]
    assert "'humans'" in found[0].detail
    assert "'people'" in found[1].detail


def test_targets_are_the_types_that_a_label_means(small_mappings):
    expected = {"person", "organization", "movie title", "book title", "city"}
    assert targets(small_mappings.values()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = 1\n", "dataset: Field required"),
        ('dataset = "odd"\n[labels]\nPER = 7\n', "labels PER"),
        ('dataset = "odd"\n[labels]\nPER = { drop = "" }\n', "labels PER"),
        ('dataset = "other"\n[labels]\n', "is about 'other', not about its own name"),
        ("dataset =\n", "not TOML"),
    ],
)
def test_a_mapping_that_is_none_is_refused_with_its_place(tmp_path, text, message):
    (tmp_path / "odd.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as problem:
        read_mappings(tmp_path)
    assert "odd.toml" in str(problem.value)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("MusicalWork", "musical work"),
        ("MUSICAL_WORK", "musical work"),
        ("musical.work", "musical work"),
        ("GPE", "gpe"),
        ("ORGName", "org name"),
        ("人名", "人名"),
    ],
)
def test_labels_are_compared_by_their_words(label, expected):
    assert plain(label) == expected


def test_usage_counts_data_sets(small_mappings):
    uses = usage(small_mappings.values())
    assert uses["per"] == {"person": 2}
    assert uses["title"] == {"movie title": 1, "book title": 1}
    assert "misc" not in uses
