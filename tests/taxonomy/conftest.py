"""A tree of nine types, and the mappings of three data sets, small enough to read."""

from pathlib import Path

import pytest

from b2ner.taxonomy.mappings import read_mappings
from b2ner.taxonomy.tree import read_tree

DATA = Path(__file__).parents[1] / "data" / "taxonomy"


@pytest.fixture
def tree():
    return read_tree(DATA / "types")


@pytest.fixture
def small_mappings():
    return read_mappings(DATA / "mappings")
