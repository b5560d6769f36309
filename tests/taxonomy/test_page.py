import json
import re
from dataclasses import replace

from b2ner.taxonomy.page import render_page
from b2ner.taxonomy.tree import Tree


def types_of(page):
    (data,) = re.findall(r'<script id="types" type="application/json">(.*?)</script>', page)
    return json.loads(data)


def test_the_page_holds_every_type_and_who_means_it(tree, small_mappings):
    rows = {row["name"]: row for row in types_of(render_page(tree, small_mappings))}
    assert list(rows) == [kind.name for kind in tree.types]
    assert rows["person"]["datasets"] == ["library", "wiki"]
    assert rows["footballer"]["parent"] == "athlete"


def test_no_sentence_can_end_the_script(tree, small_mappings):
    odd = replace(tree.types[0], near_miss="[</script><b>x</b>] <!--")
    page = render_page(Tree([odd, *tree.types[1:]]), small_mappings)
    assert types_of(page)[0]["near_miss"] == "[</script><b>x</b>] <!--"


def test_nothing_is_fetched(tree, small_mappings):
    assert not re.search(r"https?://|src=|@import", render_page(tree, small_mappings))
