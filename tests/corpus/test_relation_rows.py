"""Rows of relation sets: heads and tails as words of the text. All words are ours."""

import json

import pytest

from b2ner.corpus.json_families import JsonFormat, read_json_format
from b2ner.corpus.readers import Annotation
from b2ner.records import Event, Mention, Reason, Relation, Sample, Task

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own")


def read(kind, *rows, annotation=OWN, array=False):
    source = [json.dumps(rows)] if array else [json.dumps(row) + "\n" for row in rows]
    return list(read_json_format(source, kind, annotation))


def relation(label, head, tail):
    return Relation(label, Mention(*head), Mention(*tail))


TAGGED = {
    "tokens": ["Ada", "left", "New", "Turin"],
    "tags": ["U-person", "O", "B-city", "L-city"],
    "relations": [{"head": 0, "tail": 1, "type": "From"}],
}


def test_relations_between_entities_by_number():
    (sample,) = read(JsonFormat.CONLL04, TAGGED, array=True)
    assert [(e.label, e.text) for e in sample.entities] == [
        ("person", "Ada"),
        ("city", "New Turin"),
    ]
    assert sample.relations == (relation("From", ("person", "Ada"), ("city", "New Turin")),)
    assert sample.task is Task.NER


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["O"]},
        {"tags": ["O", "O", "O", "city"]},
        {"relations": [{"head": 0, "tail": 2, "type": "From"}]},
        {"relations": [{"head": -1, "tail": 1, "type": "From"}]},
        {"tokens": []},
    ],
)
def test_a_broken_row_of_tokens(change):
    (rejected,) = read(JsonFormat.CONLL04, {**TAGGED, **change}, array=True)
    assert (rejected.reason, rejected.place) == (Reason.MALFORMED, "own:1")


def test_triples_with_types():
    triple = {
        "predicate": "from",
        "subject": "Ada ",
        "subject_type": "person",
        "object": "Turin",
        "object_type": "city",
    }
    row = {"text": "Ada left Turin", "spo_list": [triple, triple]}
    sample, astray = read(JsonFormat.DUIE, row, {**row, "text": "Ada left"})
    assert sample.relations == (relation("from", ("person", "Ada"), ("city", "Turin")),)
    assert (sample.entities, sample.task) == ((), Task.RE)
    assert (astray.reason, astray.detail) == (
        Reason.NOT_IN_TEXT,
        "'Turin' (from) does not stand in the text",
    )


def test_triples_of_words():
    row = {"text": "Ada left Turin", "triple_list": [["Ada", "from", "Turin"]]}
    sample, bad = read(JsonFormat.WEBNLG, row, {**row, "triple_list": [["Ada"]]}, array=True)
    assert sample.relations == (relation("from", ("", "Ada"), ("", "Turin")),)
    assert bad.reason is Reason.MALFORMED


def test_pairs_marked_in_one_text_are_one_sample():
    one, nested, broken = (
        {"text": "<< Ada >> left [[ Turin ]].", "label": "from"},
        {"text": "[[ the << north >> ]] is >> cold", "label": "part"},
        {"text": "<< Ada >> left Turin.", "label": "from"},
    )
    other = {"text": "[[ Ada ]] left << Turin >>.", "label": "of"}
    bad, sample, inner = read(JsonFormat.MARKED_PAIRS, one, nested, broken, other, one)
    assert (bad.reason, bad.place) == (Reason.MALFORMED, "own:3")
    assert (sample.text, sample.source) == ("Ada left Turin.", "own:1")
    assert sample.relations == (
        relation("from", ("", "Ada"), ("", "Turin")),
        relation("of", ("", "Turin"), ("", "Ada")),
    )
    assert inner.text == "the north is >> cold"
    assert inner.relations == (relation("part", ("", "north"), ("", "the north")),)


def test_records_in_a_completion():
    annotation = Annotation(("formula", "applications", "name"), "en", "own")
    row = {
        "prompt": "ZnO makes sensors and lamps.\n\n###\n\n",
        "completion": " "
        + json.dumps([{"formula": "ZnO", "name": "", "applications": ["sensors", "lamps"]}])
        + "\n\nEND\n\n",
    }
    no_list = {**row, "completion": "{}"}
    sample, bad = read(JsonFormat.NERRE_RECORDS, row, no_list, annotation=annotation)
    assert [(e.label, e.text) for e in sample.entities] == [
        ("formula", "ZnO"),
        ("applications", "sensors"),
        ("applications", "lamps"),
    ]
    assert sample.relations == tuple(
        relation("applications", ("formula", "ZnO"), ("applications", use))
        for use in ("sensors", "lamps")
    )
    assert bad.reason is Reason.MALFORMED


def test_what_dopes_what():
    annotation = Annotation(("basemats", "dopants", "results", "doping_modifiers"), "en", "own")
    sentence = {
        "sentence_text": "ZnO with some Al",
        "basemats": {"b0": "ZnO"},
        "dopants": {"d0": "Al"},
        "results": {},
        "doping_modifiers": ["some"],
        "dopants2basemats": {"d0": ["b0"]},
    }
    paper = {"doping_sentences": [sentence, {**sentence, "sentence_text": "ZnO"}]}
    sample, astray = read(JsonFormat.NERRE_DOPING, paper, annotation=annotation, array=True)
    assert sorted(e.label for e in sample.entities) == ["basemats", "dopants", "doping_modifiers"]
    assert sample.relations == (
        relation("dopants2basemats", ("dopants", "Al"), ("basemats", "ZnO")),
    )
    assert (astray.reason, astray.place) == (Reason.NOT_IN_TEXT, "own:1.2")


def test_words_of_a_segmentation():
    ada = {"entity_type": "person", "text": "小王", "offset": [0, 1]}
    turin = {"entity_type": "city", "text": "都灵", "offset": [2, 3]}
    none = {"entity_type": "city", "text": "", "offset": [0, 0]}
    row = {
        "tokens": ["小王", "离开", "都灵"],
        "entity_mention": [ada, turin, none],
        "relation_mention": [
            {"head": ada, "tail": turin, "relation_type": "from"},
            {"head": ada, "tail": none, "relation_type": "from"},
        ],
        "event_mention": {
            "event_type": "move",
            "trigger": {"text": "离开", "offset": [1, 2]},
            "arguments": [{"role": "who", "text": "小王", "offset": [0, 1]}],
        },
    }
    beyond = {**row, "entity_mention": [{**turin, "offset": [2, 9]}]}
    sample, calm, bad = read(JsonFormat.FNED, row, {**row, "event_mention": {}}, beyond, array=True)
    assert sample.text == "小王离开都灵"
    assert [e.text for e in sample.entities] == ["小王", "都灵"]
    assert sample.relations == (relation("from", ("person", "小王"), ("city", "都灵")),)
    assert sample.events == (Event("move", "离开", (Mention("who", "小王"),)),)
    assert calm.events == ()
    assert (bad.reason, bad.detail) == (Reason.MALFORMED, "words 2 to 9 of 3")


def instructed(answer, *, text="小王离开都灵", key="output"):
    instruction = json.dumps({"schema": [], "input": text})
    return {"instruction": instruction, key: json.dumps(answer)}


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        pytest.param(
            {"from": [{"subject": "小王", "object": "都灵"}], "to": []}, "output", id="by type"
        ),
        pytest.param({"人": {"小王": {"from": ["都灵"]}}}, "output", id="attributes"),
        pytest.param([{"head": "小王", "relation": "from", "tail": "都灵"}], "label", id="gold"),
    ],
)
def test_instructions_for_relations(answer, key):
    (sample,) = read(JsonFormat.IEPILE, instructed(answer, key=key))
    assert isinstance(sample, Sample)
    assert [(r.label, r.head.text, r.tail.text) for r in sample.relations] == [
        ("from", "小王", "都灵")
    ]
    assert sample.task is Task.RE


@pytest.mark.parametrize(
    ("answer", "key", "arguments"),
    [
        pytest.param({"move": ["离开"]}, "output", (), id="triggers"),
        pytest.param(
            {
                "move": [{"trigger": "离开", "arguments": {"who": ["小王"], "to": "NAN"}}],
                "rest": [],
            },
            "output",
            (Mention("who", "小王"),),
            id="by type",
        ),
        pytest.param(
            [
                {
                    "event_trigger": "离开",
                    "event_type": "move",
                    "arguments": [{"role": "who", "argument": "小王"}],
                }
            ],
            "label",
            (Mention("who", "小王"),),
            id="gold",
        ),
    ],
)
def test_instructions_for_events(answer, key, arguments):
    (sample,) = read(JsonFormat.IEPILE, instructed(answer, key=key))
    assert sample.events == (Event("move", "离开", arguments),)


def test_instructions_about_one_text_are_one_sample():
    first = instructed({"move": []})
    second = instructed({"from": [{"subject": "小王", "object": "都灵"}]})
    broken = {**first, "output": "{"}
    odd = instructed([7])
    bad, worse, sample = read(JsonFormat.IEPILE, first, second, broken, odd)
    assert (bad.place, worse.place) == ("own:3", "own:4")
    assert "neither a triple nor an event" in worse.detail
    assert (sample.source, len(sample.relations)) == ("own:1", 1)
