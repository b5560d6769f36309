"""The terms of the published sets: none is forgotten, and what is not open needs a yes."""

from collections import Counter

import pytest

from b2ner.corpus import catalog
from b2ner.corpus.catalog import LicenceClass
from b2ner.corpus.published_terms import published_terms

pytestmark = pytest.mark.torchfree


def test_every_published_set_once():
    terms = published_terms()
    counts = Counter((one.split, one.task) for one in terms)
    assert counts["train", "NER_en"] == 20  # 19, and PileNER
    assert counts["train", "NER_zh"] == 21
    assert counts["test", "NER_en"] == counts["test", "NER_zh"] == 7
    names = {one.name for one in terms}
    assert len(names) == len(terms)
    assert {entry.published for entry in catalog.entries() if entry.published} <= names


@pytest.mark.parametrize(
    ("name", "needs_yes"),
    [("ACE 2005", True), ("FabNER", True), ("MultiNERD", True), ("AnatEM", False)],
)
def test_what_is_not_open_needs_a_yes(name, needs_yes):
    one = next(one for one in published_terms() if one.name == name)
    assert one.needs_yes is needs_yes


def test_of_several_sources_the_strictest_counts():
    entries = [entry for entry in catalog.entries() if entry.published == "PileNER"]
    order = list(LicenceClass)
    strictest = max((entry.licence_class for entry in entries), key=order.index)
    one = next(one for one in published_terms() if one.name == "PileNER")
    assert len(entries) > 1
    assert one.licence_class is strictest
