"""The tree as one HTML page that can be browsed and searched; nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

from b2ner.taxonomy.mappings import LabelMapping, Means
from b2ner.taxonomy.tree import Tree


def render_page(tree: Tree, mappings: Mapping[str, LabelMapping]) -> str:
    """The page; each type with the data sets that have a label for it."""
    datasets: dict[str, set[str]] = {}
    for name, mapping in mappings.items():
        for decision in mapping.labels.values():
            if isinstance(decision, Means):
                datasets.setdefault(decision.type, set()).add(name)
    rows = [
        {**kind.to_json(), "datasets": sorted(datasets.get(kind.name, ()))} for kind in tree.types
    ]
    data = json.dumps(rows, ensure_ascii=False).replace("<", "\\u003c")  # may not end the script
    page = (files("b2ner.taxonomy") / "page.html").read_text(encoding="utf-8")
    return page.replace("@types@", data)
