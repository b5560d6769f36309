from dataclasses import replace

import pytest

from b2ner.taxonomy.check import check_mappings, check_tree, targets
from b2ner.taxonomy.mappings import mappings
from b2ner.taxonomy.tree import Tree, taxonomy


def test_a_good_tree_has_no_findings(tree):
    assert check_tree(tree) == []


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"parent": "creature"}, "its parent 'creature' is no type"),
        ({"parent": "footballer"}, "it stands above itself"),
        ({"zh": "yundongyuan"}, "has no Chinese character"),
        ({"aliases": ("town",)}, "'town' is a name of types/people: athlete too"),
        ({"aliases": ("Athlete",)}, "'athlete' stands there twice"),
        ({"aliases": ("a; b",)}, "a; b"),
        ({"definition": "An athlete of some kind; not other."}, "restates its name"),
        ({"definition": "Somebody who runs jumps throws and swims in contests"}, "nothing out"),
        ({"examples": ("[Zola Budd] ran.",)}, "1 examples, 2 expected"),
        ({"examples": ("No mark.", "[One] mark.")}, "does not have one mention"),
        ({"near_miss": "[One] and [two]."}, "does not have one mention"),
        ({"near_miss_is": "runner"}, "its near miss is a 'runner', which is no type"),
        ({"near_miss_is": "athlete"}, "its near miss is of the type itself"),
    ],
)
def test_a_broken_promise_is_found(tree, change, detail):
    types = [replace(kind, **change) if kind.name == "athlete" else kind for kind in tree.types]
    found = [str(finding.detail) for finding in check_tree(Tree(types))]
    assert any(detail in text for text in found), found


def test_the_taxonomy_keeps_its_promises():
    tree, maps = taxonomy(), mappings()
    assert check_tree(tree) == []
    assert check_mappings(tree, maps) == []
    assert len(tree) >= 900
    assert len(targets(maps.values())) >= 700
