"""The published layout, read back. All words are ours."""

import json

import pytest

from b2ner.corpus.published import (
    published_labels,
    published_roles,
    published_rows,
    read_data_set,
    read_published,
    task_of_key,
)
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError
from b2ner.prompting import tasks
from b2ner.records import Event, Mention, Reason, Rejected, Relation, Task

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


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("NER_en", (Task.NER, "en")),
        ("NER_en_other", (Task.NER, "en")),
        ("RE", (Task.RE, "en")),
        ("newEET_zh", (Task.NEW_EET, "zh")),
        ("EEA_", (Task.EEA, "en")),
        ("Sentiment_zh", (Task.SENTIMENT, "zh")),
        ("EE_en", None),
        ("ner_en", None),
        ("notes", None),
    ],
)
def test_task_keys(key, expected):
    assert task_of_key(key) == expected


def test_labels_of_events(tmp_path):
    (tmp_path / "labels.json").write_text('{"Meet": ["Place", "Time"], "Die": []}', "utf-8")
    assert published_labels(tmp_path, Task.EET) == ("Meet", "Die")
    assert published_labels(tmp_path, Task.NEW_EEA) == ("Meet", "Die")
    assert published_roles(tmp_path) == {"Meet": ("Place", "Time"), "Die": ()}
    (tmp_path / "labels.json").write_text('["Meet"]', "utf-8")
    with pytest.raises(DataError, match=r"labels\.json: expected an object whose keys"):
        published_labels(tmp_path, Task.NEW_EET)
    for wrong in ('["Meet"]', '{"Meet": "Place"}', '{"Meet": [1]}'):
        (tmp_path / "labels.json").write_text(wrong, "utf-8")
        with pytest.raises(DataError, match=r"labels\.json: expected an object from event types"):
            published_roles(tmp_path)


def test_labels_of_relations_are_an_array(tmp_path):
    (tmp_path / "labels.json").write_text('{"knows": []}', "utf-8")
    with pytest.raises(DataError, match=r"labels\.json: expected an array of label names"):
        published_labels(tmp_path, Task.RE)


def read(tmp_path, task, labels, *rows):
    """The samples, and the reasons why rows are none."""
    (tmp_path / "labels.json").write_text(json.dumps(labels), "utf-8")
    (tmp_path / "train.json").write_text(json.dumps(rows), "utf-8")
    found = list(read_data_set(tmp_path, "train", task, language="en", source="own/train"))
    for number, row in enumerate(found):
        place = row.place if isinstance(row, Rejected) else row.source
        assert place == f"own/train:{number}"
    return [row.reason if isinstance(row, Rejected) else row for row in found]


def pair(head, label, tail, **more):
    return {"head": {"name": head, **more}, "type": label, "tail": {"name": tail}}


def test_relations(tmp_path):
    text = "Ada met Bob"
    found = read(
        tmp_path,
        Task.RE,
        ["knows"],
        {"sentence": text, "relations": [pair("Ada", "knows", "Bob", type="person", pos=[0, 3])]},
        {"sentence": text, "relations": [pair("Rhine", "NA", "Bob")]},
        {"sentence": text, "relations": [pair("Rhine", "knows", "Bob")]},
        {"sentence": text, "relations": [pair("Ad", "knows", "Bob")]},
        {"sentence": text, "relations": [pair("Ada", "likes", "Bob")]},
        {"sentence": text, "relations": [{"head": "Ada", "type": "knows", "tail": "Bob"}]},
        {"sentence": text},
    )
    knows = Relation("knows", Mention("", "Ada"), Mention("", "Bob"))
    one, none = found[:2]
    assert (one.task, one.relations, one.labels) == (Task.RE, (knows,), ("knows",))
    assert tasks.write(none) == " None"  # what is `NA` need not stand anywhere
    assert found[2:] == [
        Reason.NOT_IN_TEXT,
        Reason.NOT_IN_TEXT,  # inside a word
        Reason.UNKNOWN_LABEL,
        Reason.MALFORMED,
        Reason.MALFORMED,
    ]


def happening(label, trigger, *arguments):
    roles = [{"role": role, "name": name} for role, name in arguments]
    return {"type": label, "trigger": trigger, "arguments": roles}


MEET = happening("Meet", "met", ("Who", "Ada"), ("Who", "Bob"))


@pytest.mark.parametrize("task", [Task.EET, Task.NEW_EET])
def test_events(tmp_path, task):
    rows = [
        {"sentence": "Ada met Bob", "events": [MEET, happening("NA", "x")]},
        {"sentence": "Ada met Bob", "events": []},
        {"sentence": "Ada met Bob", "events": [happening("Die", "met")]},
        {"sentence": "Ada met Bob", "events": [{"type": "Meet"}]},
        {"sentence": "Ada saw Bob", "events": [MEET]},
    ]
    one, none, *rest = read(tmp_path, task, {"Meet": ["Who"]}, *rows)
    assert (one.task, one.labels) == (task, ("Meet",))
    assert [event.label for event in one.events] == ["Meet", "NA"]
    assert tasks.write(none) == " None"
    assert rest[:2] == [Reason.UNKNOWN_LABEL, Reason.MALFORMED]
    # Only the types are answered in newEET.
    assert rest[2] == Reason.NOT_IN_TEXT if task is Task.EET else tasks.write(rest[2]) == " Meet"


@pytest.mark.parametrize("task", [Task.EEA, Task.NEW_EEA])
def test_arguments(tmp_path, task):
    labels = {"Meet": ["Place", "Who"], "Rain": []}
    untold = {"type": "Meet", "arguments": []}
    rows = [
        {"sentence": "Ada met Bob", "events": [MEET]},
        {"sentence": "Ada met Bob", "events": []},
        {"sentence": "Ada met Bob", "events": [MEET, MEET]},
        {"sentence": "Ada met Bob", "events": [happening("Die", "met")]},
        {"sentence": "It rains", "events": [happening("Rain", "rains")]},
        {"sentence": "Ada met Bob", "events": [happening("Meet", "met", ("Why", "Ada"))]},
        {"sentence": "Ada met Bob", "events": [happening("Meet", "met", ("Who", "Eve"))]},
        {"sentence": "Ada met Bob", "events": [{"type": "Meet", "trigger": "met"}]},
        {"sentence": "Ada met Bob", "events": [untold]},
    ]
    one, empty, two, *rest, no_trigger = read(tmp_path, task, labels, *rows)
    assert (one.task, one.labels) == (task, ("Place", "Who"))
    assert one.events == (Event("Meet", "met", (Mention("Who", "Ada"), Mention("Who", "Bob"))),)
    assert empty is Reason.NOTHING_ASKED
    assert rest == [
        Reason.UNKNOWN_LABEL,
        Reason.NOTHING_ASKED,
        Reason.UNKNOWN_LABEL,
        Reason.NOT_IN_TEXT,
        Reason.MALFORMED,
    ]
    if task is Task.EEA:
        assert (two, no_trigger) == (Reason.MALFORMED, Reason.MALFORMED)
    else:
        assert len(two.events) == 2
        assert no_trigger.events == (Event("Meet", "", ()),)


def test_sentiment(tmp_path):
    rows = [
        {"text": "好看", "label": "正面"},
        {"text": "好", "label": "好"},
        {"text": "好", "label": ""},
    ]
    one, *rest = read(tmp_path, Task.SENTIMENT, ["正面", "负面"], *rows)
    assert (one.text, one.sentiment, one.task) == ("好看", "正面", Task.SENTIMENT)
    assert rest == [Reason.UNKNOWN_LABEL, Reason.MALFORMED]


def test_entities_are_read_as_before(tmp_path):
    row = {"sentence": "Ada met Ada", "entities": [{"name": "Ada", "type": "person"}]}
    (one,) = read(tmp_path, Task.NER, ["person"], row)
    assert entities(one) == [(0, 3, "person")]
    assert one.task is Task.NER
