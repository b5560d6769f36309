"""Exports of annotation tools and plain files that users bring. All words are ours."""

import csv
import io
import json

import pytest

from b2ner.corpus.exports import Export, export_labels, read_export
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError, MissingExtra
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

TEXT = "😀 Ada left Turin"  # one character before the mentions is two UTF-16 code units
ADA, TURIN = (2, 5, "person"), (11, 16, "city")
IN_UTF16 = [(3, 6, "person"), (12, 17, "city")]
WORDS = {"person": "Ada", "city": "Turin"}


def entity(start, end, label, **more):
    return {"start": start, "end": end, "label": label, **more}


def region(start, end, label, number, **more):
    value = {"start": start, "end": end, "text": WORDS[label], "labels": [label], **more}
    return {"id": f"r{number}", "type": "labels", "to_name": "text", "value": value}


REGIONS = [region(*at, number) for number, at in enumerate(IN_UTF16)]
FOREIGN = [{"type": "choices", "value": {"choices": ["x"]}}]
RELATED = {"type": "relation", "from_id": "r0", "to_id": "r1", "labels": ["from"]}
TASK = {"id": 1, "data": {"text": TEXT}, "annotations": [{"result": [*REGIONS, *FOREIGN]}]}
PLAIN = {"text": TEXT, "entities": [entity(*ADA, text="Ada"), entity(*TURIN)]}
SPACY = [TEXT, {"entities": [list(ADA), list(TURIN)]}]
PRODIGY = {"text": TEXT, "spans": [entity(*ADA), entity(*TURIN)], "answer": "accept"}
MIN = {"id": 1, "text": TEXT, "label": [one["value"] for one in REGIONS]}


def table(*rows):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["text", "entities"], *rows])
    return out.getvalue()


def read(path, kind, content):
    path.write_text(content, encoding="utf-8")
    labels = export_labels(path, kind)
    return list(read_export(path, kind, Annotation(labels, "en", path.name)))


def shown(sample):
    assert isinstance(sample, Sample), sample
    assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    return sample.text, [(e.label, e.text) for e in sample.entities]


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        pytest.param(Export.JSONL, "a.jsonl", json.dumps(PLAIN), id="lines"),
        pytest.param(Export.JSONL, "a.json", json.dumps([PLAIN]), id="an array in a line"),
        pytest.param(Export.JSONL, "a.json", json.dumps([PLAIN], indent=1), id="an array"),
        pytest.param(Export.LABEL_STUDIO, "a.json", json.dumps([TASK]), id="Label Studio"),
        pytest.param(
            Export.LABEL_STUDIO, "a.json", json.dumps([MIN], indent=2), id="Label Studio, JSON-MIN"
        ),
        pytest.param(Export.PRODIGY, "a.jsonl", json.dumps(PRODIGY), id="Prodigy"),
        pytest.param(Export.SPACY, "a.jsonl", json.dumps(SPACY), id="spaCy, lines"),
        pytest.param(Export.SPACY, "a.json", json.dumps([SPACY]), id="spaCy, an array"),
        pytest.param(
            Export.SPACY,
            "a.json",
            json.dumps([{"text": TEXT, "ents": PLAIN["entities"]}]),
            id="spaCy, documents",
        ),
        pytest.param(Export.TABLE, "a.csv", table([TEXT, json.dumps(PLAIN["entities"])]), id="CSV"),
    ],
)
def test_every_export_is_read(tmp_path, kind, name, content):
    path = tmp_path / name
    (sample,) = read(path, kind, content)
    assert shown(sample) == (TEXT, [("person", "Ada"), ("city", "Turin")])
    assert sample.labels == ("city", "person")
    path.write_text("\ufeff" + content, encoding="utf-8")
    assert export_labels(path, kind) == ("city", "person")


def test_entities_without_places_and_labels_of_a_row(tmp_path):
    row = {
        "text": "Ada and Ada",
        "entities": [{"label": "person", "text": "Ada"}],
        "labels": ["person"],
    }
    other = {"text": "Turin", "entities": [entity(0, 5, "city")]}
    first, second = read(
        tmp_path / "a.jsonl", Export.JSONL, f"{json.dumps(row)}\n{json.dumps(other)}\n"
    )
    assert shown(first)[1] == [("person", "Ada"), ("person", "Ada")]
    assert (first.labels, second.labels) == (("person",), ("city", "person"))
    assert (first.source, second.source) == ("a.jsonl:1", "a.jsonl:2")


def test_relations_of_label_studio(tmp_path):
    task = {**TASK, "annotations": [{"result": [*REGIONS, RELATED]}]}
    (sample,) = read(tmp_path / "a.json", Export.LABEL_STUDIO, json.dumps([task]))
    (relation,) = sample.relations
    assert (relation.label, relation.head.text, relation.tail.text) == ("from", "Ada", "Turin")


def test_which_annotation_of_a_task_counts(tmp_path):
    def task(*annotations, **data):
        return {"data": data or {"text": TEXT}, "annotations": list(annotations)}

    no, ada, both = ({"result": r} for r in ([], REGIONS[:1], REGIONS))
    tasks = [
        task({**ada, "was_cancelled": True}, no),
        task(no, {**both, "ground_truth": True}),
        task(),
        task({**ada, "was_cancelled": True}),
        task(ada, title=TEXT),
        task(ada, a=TEXT, b=TEXT),
    ]
    results = read(tmp_path / "a.json", Export.LABEL_STUDIO, json.dumps(tasks))
    first, truth, none, cancelled, other_name, unclear = results
    assert shown(first)[1] == []
    assert len(truth.entities) == 2
    assert none.reason is cancelled.reason is Reason.NOT_ACCEPTED
    assert len(other_name.entities) == 1
    assert (unclear.reason, unclear.place) == (Reason.MALFORMED, "a.json:6")


def test_rows_that_were_not_accepted(tmp_path):
    rows = [{**PRODIGY, "answer": answer} for answer in ("accept", "reject", "ignore")]
    accepted, rejected, ignored = read(
        tmp_path / "a.jsonl", Export.PRODIGY, "\n".join(map(json.dumps, rows))
    )
    assert len(accepted.entities) == 2
    assert rejected == Rejected(Reason.NOT_ACCEPTED, "a.jsonl:2", "its answer is 'reject'")
    assert ignored.reason is Reason.NOT_ACCEPTED


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        pytest.param(Export.JSONL, {"text": TEXT}, id="no entities"),
        pytest.param(Export.JSONL, {**PLAIN, "entities": [entity(0, 99, "city")]}, id="beyond"),
        pytest.param(
            Export.JSONL, {**PLAIN, "entities": [entity(0, 3, "city", text="Bo")]}, id="other words"
        ),
        pytest.param(
            Export.JSONL, {**PLAIN, "entities": [entity(2, 5, 7)]}, id="label is no string"
        ),
        pytest.param(Export.JSONL, {**PLAIN, "entities": [["city"]]}, id="no object"),
        pytest.param(Export.JSONL, [1], id="an array"),
        pytest.param(Export.SPACY, ["Ada"], id="no pair"),
        pytest.param(Export.SPACY, ["Ada", {"entities": [[0, 3]]}], id="no label"),
        pytest.param(
            Export.PRODIGY, {"text": TEXT, "spans": [entity(9, 5, "city")]}, id="backwards"
        ),
        pytest.param(
            Export.LABEL_STUDIO,
            {**MIN, "label": [{"start": 1, "end": 3, "labels": ["x"]}]},
            id="half an emoji",
        ),
        pytest.param(
            Export.LABEL_STUDIO,
            {**MIN, "label": [{"start": 3, "end": 6}]},
            id="a region without a label",
        ),
    ],
)
def test_a_bad_row_is_rejected_alone(tmp_path, kind, row):
    good = {
        Export.JSONL: PLAIN,
        Export.SPACY: SPACY,
        Export.PRODIGY: PRODIGY,
        Export.LABEL_STUDIO: MIN,
    }[kind]
    content = json.dumps(good) + "\n" + json.dumps(row) + "\n{\n"
    kept, bad, broken = read(tmp_path / "a.jsonl", kind, content)
    assert len(kept.entities) == 2
    assert (bad.reason, bad.place) == (Reason.MALFORMED, "a.jsonl:2")
    assert (broken.reason, broken.place) == (Reason.MALFORMED, "a.jsonl:3")


def test_a_bad_row_of_a_table(tmp_path):
    good, bad = read(tmp_path / "a.csv", Export.TABLE, table(["Ada", ""], ["Ada", "{"]))
    assert shown(good) == ("Ada", [])
    assert (bad.reason, bad.place) == (Reason.MALFORMED, "a.csv:3")


def test_files_that_are_not_what_they_should_be(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\nAda\n")
    with pytest.raises(DataError, match="has no column 'entities'"):
        export_labels(path, Export.TABLE)
    path.write_text('text,entities\n"Ada" x,[]\n')
    with pytest.raises(DataError, match="not CSV"):
        export_labels(path, Export.TABLE)
    path.write_text("[\n{}")
    with pytest.raises(DataError, match="not the JSON expected"):
        export_labels(path, Export.JSONL)
    with pytest.raises(DataError, match="nothing"):
        export_labels(tmp_path / "nothing.json", Export.JSONL)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    entities = [entity(*ADA), entity(*TURIN)]
    for column in ([json.dumps(entities)], [entities]):
        parquet.write_table(pyarrow.table({"text": [TEXT], "entities": column}), path)
        labels = export_labels(path, Export.PARQUET)
        (sample,) = read_export(path, Export.PARQUET, Annotation(labels, "en", "a.parquet"))
        assert shown(sample) == (TEXT, [("person", "Ada"), ("city", "Turin")])
    parquet.write_table(pyarrow.table({"text": [TEXT]}), path)
    with pytest.raises(DataError, match="has no column 'entities'"):
        export_labels(path, Export.PARQUET)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet"):
        export_labels(path, Export.PARQUET)


def test_without_what_reads_parquet(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"b2ner\[data\]"):
        export_labels(tmp_path / "a.parquet", Export.PARQUET)
