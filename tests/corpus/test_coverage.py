"""Whether mappings decide every label of the catalog."""

from pathlib import Path

import pytest

from b2ner.corpus.catalog import entries, parse
from b2ner.corpus.coverage import coverage
from b2ner.taxonomy.mappings import mappings, read_mappings

pytestmark = pytest.mark.torchfree

MAPPINGS = Path(__file__).parents[1] / "data" / "taxonomy" / "mappings"
SET = """
[[set]]
name = "wiki"
title = "Wiki"
languages = ["en"]
domain = "news"
tasks = ["NER"]
licence = "CC0 1.0"
licence_class = "open"
stated_for = "data"
source = { repository = "ours/own", commit = "0" }
format = { kind = "conll", separator = "tab" }
files = { train = ["a.txt"] }
[set.labels]
"""


def test_labels_and_mentions_are_counted():
    sets = parse({"own.toml": SET + "PER = 5\nMISC = 2\nORG = 1\nTITLE = 1\nLOC = 4\n"})
    (found,) = coverage(sets, read_mappings(MAPPINGS))
    assert (found.mentions, found.mapped, found.dropped) == (13, 7, 2)
    assert found.faults == ("label 'LOC' is not decided",)


def test_a_mapping_of_another_label_is_found():
    (found,) = coverage(parse({"own.toml": SET + "PER = 5\n"}), read_mappings(MAPPINGS))
    assert "'MISC' is no label of the set" in found.faults


def test_a_set_without_a_mapping_is_undecided():
    (found,) = coverage(parse({"own.toml": SET + "PER = 5\n"}), {})
    assert found.undecided == ("PER",)


def test_every_label_of_the_catalog_is_decided():
    maps = mappings()
    faults = {found.name: found.faults for found in coverage(entries(), maps) if found.faults}
    assert faults == {}


@pytest.mark.parametrize(
    "name", ["pile_ner_bio", "pile_ner_slimer", "gliner_open_sample", "gliner_medical_llm"]
)
def test_of_open_vocabularies_most_mentions_are_mapped(name):
    found = next(each for each in coverage(entries(), mappings()) if each.name == name)
    assert found.mapped / found.mentions >= 0.6
