"""Rows of event sets: triggers, arguments and their roles. All words are ours."""

import json

import pytest

from b2ner.corpus.json_families import JsonFormat, read_json_format
from b2ner.corpus.readers import Annotation
from b2ner.records import Event, Mention, Reason, Task

pytestmark = pytest.mark.torchfree


def read(kind, *rows, labels=("Person", "City")):
    source = [json.dumps(row) + "\n" for row in rows]
    return list(read_json_format(source, kind, Annotation(labels, "en", "own")))


def nugget(text, start, end=None):
    return {
        "startOffset": start,
        "endOffset": start + len(text) if end is None else end,
        "text": text,
    }


def article(content, *arguments, trigger=("left", 4)):
    event = {
        "type": "Travel",
        "subtype": "Leave",
        "nugget": nugget(*trigger),
        "argument": [
            {**nugget(text, start), "type": label, "role": {"type": role}}
            for text, start, label, role in arguments
        ],
    }
    return {"content": content, "cyberevent": {"hopper": [{"events": [event, event]}]}}


ADA, TURIN = ("Ada", 0, "Person", "Who"), ("Turin", 9, "City", "From")
LEFT = Event("Travel.Leave", "left", (Mention("Who", "Ada"), Mention("From", "Turin")))


def test_an_article_with_groups_of_events():
    (sample,) = read(JsonFormat.CASIE, article("Ada left Turin", ADA, TURIN))
    assert [(e.label, e.text) for e in sample.entities] == [("Person", "Ada"), ("City", "Turin")]
    assert sample.events == (LEFT, LEFT)


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        pytest.param("da left Turin", [TURIN], id="the text lacks its first character"),
        pytest.param("Ada left “Turin” town", [('"Turin"', 9, "City", "From")], id="other quotes"),
        pytest.param("Ada left Turin", [("Turin ", 9, "City", "From")], id="a blank too many"),
    ],
)
def test_words_near_their_offset(content, arguments):
    (sample,) = read(JsonFormat.CASIE, article(content, *arguments))
    assert sample.entities[0].text.strip("“”") == "Turin"


def test_words_that_are_far_off_reject_the_article():
    (far,) = read(
        JsonFormat.CASIE, article("Ada left Turin" + " on" * 40, ("Turin", 90, "City", "From"))
    )
    assert (far.reason, far.detail) == (Reason.MALFORMED, "'Turin' does not stand near 90")


def test_an_article_without_events():
    calm, broken = (
        read(JsonFormat.CASIE, {"content": "Nothing.", "cyberevent": None}),
        list(read_json_format(["{"], JsonFormat.CASIE, Annotation((), "en", "own"))),
    )
    assert (calm[0].text, calm[0].events) == ("Nothing.", ())
    assert broken[0].reason is Reason.MALFORMED


PHEE_LABELS = ("Trigger", "Treatment", "Treatment.Drug", "Effect")


def pieces(*at, **more):
    return {
        "text": [[t for t, _ in p] for p in at],
        "start": [[s for _, s in p] for p in at],
        **more,
    }


def test_arguments_inside_arguments_and_in_parts():
    drug = pieces([("tea", 7)])
    treatment = pieces(
        [("hot tea", 3)], Drug=drug, Combination=[{"event_type": "Combination", "Drug": drug}]
    )
    event = {
        "event_id": "E1",
        "event_type": "Adverse",
        "Trigger": pieces([("gave", 11)]),
        "Treatment": treatment,
        "Effect": pieces([("red", 16), ("eyes", 24)]),
    }
    row = {"context": "So hot tea gave red, sore eyes", "annotations": [{"events": [event]}]}
    row["context"] = "So hot tea gave red or  eyes"
    (sample,) = read(JsonFormat.PHEE, row, labels=PHEE_LABELS)
    assert {(e.label, e.text) for e in sample.entities} == {
        ("Trigger", "gave"),
        ("Treatment", "hot tea"),
        ("Treatment.Drug", "tea"),
        ("Effect", "red"),
        ("Effect", "eyes"),
    }
    assert sample.events[0].trigger == "gave"
    assert [a.label for a in sample.events[0].arguments] == [
        "Treatment",
        "Treatment.Drug",
        "Effect",
        "Effect",
    ]
    event["Trigger"] = pieces([("gave", 12)])
    (wrong,) = read(JsonFormat.PHEE, row, labels=PHEE_LABELS)
    assert (wrong.reason, wrong.detail) == (Reason.MALFORMED, "'gave' does not stand at 12")


def test_mentions_in_roles():
    mentions = [
        {"word": "left", "span": [4, 8], "role": "trigger"},
        {"word": "Ada", "span": [0, 3], "role": "who"},
    ]
    row = {"content": "Ada left", "events": [{"type": "move", "mentions": mentions}]}
    wrong = {"content": "Bo left", "events": row["events"]}
    sample, bad = read(JsonFormat.FEWFC, row, wrong, labels=("who", "trigger:move"))
    assert [(e.label, e.text) for e in sample.entities] == [
        ("who", "Ada"),
        ("trigger:move", "left"),
    ]
    assert sample.events == (Event("move", "left", (Mention("who", "Ada"),)),)
    assert (bad.reason, bad.place) == (Reason.MALFORMED, "own:2")


def test_links_from_triggers_to_spans():
    row = {
        "sentences": [["Ada", "left"], ["New", "Turin"]],
        "evt_triggers": [[1, 1, [["move.leave", 1.0]]]],
        "gold_evt_links": [
            [[1, 1], [0, 0], "evt005arg01who"],
            [[1, 1], [2, 3], "evt005arg02place"],
            [[0, 0], [2, 3], "evt006arg01other"],
        ],
    }
    beyond = {**row, "evt_triggers": [[1, 4, [["move.leave", 1.0]]]]}
    sample, bad = read(JsonFormat.RAMS, row, beyond)
    assert sample.text == "Ada left New Turin"
    who, place = Mention("who", "Ada"), Mention("place", "New Turin")
    assert sample.events == (Event("move.leave", "left", (who, place)),)
    assert sample.task is Task.EET
    assert bad.detail == "tokens 1 to 4 of 4"


def test_a_document_in_sentences_of_tokens():
    row = {
        "sentences": [
            [[["Ada", 0, 3], ["left", 4, 8]], "Ada left"],
            [[["To", 0, 2], ["Turin", 3, 8], [".", 8, 9]], "To Turin."],
        ],
        "entity_mentions": [
            {"id": "T1", "start": 0, "end": 1, "entity_type": "Person"},
            {"id": "T2", "start": 3, "end": 4, "entity_type": "City"},
        ],
        "event_mentions": [
            {
                "event_type": "Move",
                "trigger": {"start": 1, "end": 2},
                "arguments": [{"entity_id": "T2", "role": "Place"}],
            }
        ],
    }
    sample, bad = read(
        JsonFormat.WIKIEVENTS,
        row,
        {**row, "entity_mentions": [{"id": "T1", "start": 4, "end": 6, "entity_type": "City"}]},
    )
    assert sample.text == "Ada left\nTo Turin."
    assert [(e.label, e.text) for e in sample.entities] == [("Person", "Ada"), ("City", "Turin")]
    assert sample.events == (Event("Move", "left", (Mention("Place", "Turin"),)),)
    assert bad.detail == "tokens 4 to 6 of 5"
