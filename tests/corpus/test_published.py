"""The published layout, read back. All words are ours."""

import json

import pytest

from b2ner.corpus.published import published_labels, published_rows, read_published
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected

pytestmark = pytest.mark.torchfree

ENGLISH = Annotation(("person", "city", "river"), "en", "own/test")


def entities(sample):
    return [(e.start, e.end, e.label) for e in sample.entities]


def test_a_published_folder(tmp_path):
    rows = [
        {
            "sentence": "Ada met Ada",
            "entities": [
                {"name": "Ada", "type": "person", "pos": [8, 11]},
                {"name": "met", "type": "NA", "pos": [4, 7]},
            ],
        },
        {"sentence": "Ada met Ada", "entities": [{"name": "Ada", "type": "person"}]},
        {"sentence": "the Po", "entities": [{"name": "Po", "type": "city", "pos": [0, 2]}]},
        {"sentence": "the Po", "entities": [{"name": "Rhine", "type": "river"}]},
        {"sentence": "the Po", "entities": [{"name": "Po", "type": "lake"}], "labels": ["lake"]},
        {"sentence": "the Po", "entities": [{"name": "Po", "type": "lake"}]},
        {"entities": []},
        {"sentence": "nothing here", "entities": [], "more": 1},
    ]
    path = tmp_path / "test.json"
    path.write_text(json.dumps(rows), "utf-8")
    read = list(read_published(path, ENGLISH))
    assert [r.reason if isinstance(r, Rejected) else entities(r) for r in read] == [
        [(8, 11, "person")],  # `NA` is no entity
        [(0, 3, "person")],  # no place given: the first is taken
        Reason.SPAN_MISMATCH,
        Reason.NOT_IN_TEXT,
        [(4, 6, "lake")],  # the row's own label set
        Reason.UNKNOWN_LABEL,
        Reason.MALFORMED,
        [],
    ]
    assert [isinstance(row, Rejected) for row in published_rows(path)].count(True) == 1


def test_published_labels(tmp_path):
    (tmp_path / "labels.json").write_text('["a", "组织机构名->公司"]', "utf-8")
    assert published_labels(tmp_path) == ("a", "组织机构名->公司")
    for wrong in ('{"a": 1}', '["a", 1]', "[", ""):
        (tmp_path / "labels.json").write_text(wrong, "utf-8")
        with pytest.raises(DataError, match=r"labels\.json"):
            published_labels(tmp_path)
    with pytest.raises(DataError, match=r"labels\.json"):
        published_labels(tmp_path / "absent")
