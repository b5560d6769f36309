"""Parquet, Arrow and the folders of Hugging Face `datasets`: rows, splits, names of classes."""

import json

import pytest

from b2ner.corpus.arrow_tables import table_files, table_rows
from b2ner.corpus.guess import Form, guess
from b2ner.corpus.imports import import_corpus
from b2ner.errors import DataError

pyarrow = pytest.importorskip("pyarrow", reason="the extra `data` is not installed")
from pyarrow import ipc, parquet  # noqa: E402

SPANS = [{"start": 4, "end": 7, "label": "city"}]
TAGGED = {"tokens": [["See", "Rom"]], "ner_tags": [[0, 1]]}
FEATURES = {
    "info": {
        "features": {
            "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
            "ner_tags": {
                "feature": {"names": ["O", "B-city", "I-city"], "_type": "ClassLabel"},
                "_type": "List",
            },
        }
    }
}


def table(columns, features=None):
    made = pyarrow.table(columns)
    return made.replace_schema_metadata({"huggingface": json.dumps(features)}) if features else made


def save_to_disk(folder, rows):
    """What `datasets` writes for one split."""
    folder.mkdir(parents=True)
    with (
        pyarrow.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        ipc.new_stream(file, rows.schema) as stream,
    ):
        stream.write_table(rows)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def said(path):
    imported = import_corpus(path, guess(path))
    assert imported.rejected == ()
    return {
        one.split: [(row.text, [(e.text, e.label) for e in row.entities]) for row in one.samples]
        for one in imported.sets
    }


EXPECTED = [("See Rom", [("Rom", "city")])]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"text": ["See Rom"], "entities": [SPANS]}, id="structs"),
        pytest.param({"text": ["See Rom"], "entities": [json.dumps(SPANS)]}, id="JSON"),
        pytest.param(
            {"text": ["See Rom"], "entities": [[{"label": "city", "text": "Rom"}]]}, id="words"
        ),
        pytest.param({"tokens": [["See", "Rom"]], "tags": [["O", "B-city"]]}, id="tags"),
    ],
)
def test_parquet(tmp_path, columns):
    path = tmp_path / "mine.parquet"
    parquet.write_table(table(columns), path)
    assert guess(path).form is Form.PARQUET
    assert said(path) == {"train": EXPECTED}


def test_numbers_of_a_class_are_its_names(tmp_path):
    path = tmp_path / "mine.parquet"
    parquet.write_table(table(TAGGED, FEATURES), path)
    assert [row["ner_tags"] for row in table_rows(path)] == [["O", "B-city"]]
    assert said(path) == {"train": EXPECTED}


def test_a_folder_that_was_saved(tmp_path):
    save_to_disk(tmp_path / "mine", table(TAGGED, FEATURES))
    assert guess(tmp_path / "mine").form is Form.DATASETS
    assert said(tmp_path / "mine") == {"train": EXPECTED}


def test_a_folder_of_splits(tmp_path):
    for split in ("train", "validation"):
        save_to_disk(tmp_path / split, table({"text": ["See Rom"], "entities": [SPANS]}))
    splits = {"splits": ["train", "validation"]}
    (tmp_path / "dataset_dict.json").write_text(json.dumps(splits))
    assert said(tmp_path) == {"train": EXPECTED, "dev": EXPECTED}


def test_a_folder_of_parquet(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test"):
        path = tmp_path / "data" / f"{name}.parquet"
        parquet.write_table(table({"text": ["See Rom"], "entities": [SPANS]}), path)
    assert said(tmp_path) == {"train": EXPECTED * 2, "test": EXPECTED}


def test_files_outside_the_folder_are_not_read(tmp_path):
    save_to_disk(tmp_path / "mine", table(TAGGED, FEATURES))
    state = {"_data_files": [{"filename": "../other.arrow"}], "_split": "train"}
    (tmp_path / "other.arrow").write_bytes(b"")
    (tmp_path / "mine" / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="no file of this folder"):
        table_files(tmp_path / "mine")


def test_what_is_no_table(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no Parquet or Arrow"):
        list(table_rows(path))
