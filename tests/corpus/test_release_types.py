import json

import pytest

from b2ner.corpus.release_types import TYPES, broader_types
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree


def write(folder, value):
    (folder / TYPES).write_text(json.dumps(value), encoding="utf-8")


PATHS = {
    "footballer": ["person", "athlete", "footballer"],
    "person": ["person"],
    "city": ["location", "city"],
}


def test_a_label_goes_by_the_nearest_name_above_it_that_is_marked_in_full(tmp_path):
    write(tmp_path, {"exhaustive": [], "paths": PATHS})
    assert broader_types(tmp_path) == {"footballer": "person"}
    write(tmp_path, {"exhaustive": ["person", "athlete"], "paths": PATHS})
    assert broader_types(tmp_path) == {"footballer": "athlete", "athlete": "person"}
    write(tmp_path, {"exhaustive": ["location"], "paths": PATHS})
    assert broader_types(tmp_path) == {"footballer": "person", "city": "location"}


def test_another_label_of_the_set_stands_above(tmp_path):
    paths = {**PATHS, "athlete": ["person", "athlete"]}
    write(tmp_path, {"exhaustive": ["person"], "paths": paths})
    assert broader_types(tmp_path) == {"footballer": "athlete", "athlete": "person"}


def test_without_the_file_nothing_is_broader(tmp_path):
    assert broader_types(tmp_path) == {}


def test_a_file_that_is_none_is_refused(tmp_path):
    write(tmp_path, {"paths": ["person"]})
    with pytest.raises(DataError, match=r"types\.json: paths"):
        broader_types(tmp_path)
