"""The JSON formats: places checked, words looked for, every row told. All words are ours."""

import json

import pytest

from b2ner.corpus.json_readers import JsonFormat, read_json_format
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own/a.json")


def lines(*rows):
    return [row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows]


def read(kind, source, annotation=OWN):
    return list(read_json_format(source, kind, annotation))


def shown(sample):
    assert isinstance(sample, Sample), sample
    assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    return sample.text, [(e.label, e.text) for e in sample.entities]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        pytest.param(
            JsonFormat.AGRINER,
            {
                "text": "Ada left Turin",
                "entities": [[9, 14, "city", "Turin"], [0, 3, "person", "Ada"]],
            },
            id="agriner",
        ),
        pytest.param(
            JsonFormat.SLURP,
            {
                "sentence": "Ada left Turin",
                "tokens": [{"surface": w, "id": n} for n, w in enumerate(("Ada", "left", "Turin"))],
                "entities": [{"span": [2], "type": "city"}, {"span": [0], "type": "person"}],
            },
            id="slurp",
        ),
    ],
)
def test_a_row_a_line(kind, row):
    (sample,) = read(kind, lines(row))
    assert shown(sample) == ("Ada left Turin", [("person", "Ada"), ("city", "Turin")])
    assert sample.source == "own/a.json:1"


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        pytest.param(
            JsonFormat.STOCKMARK,
            [{"text": "in Turin", "entities": [{"name": "Turin", "span": [3, 8], "type": "city"}]}],
            id="stockmark",
        ),
        pytest.param(
            JsonFormat.RASA,
            {
                "rasa_nlu_data": {
                    "common_examples": [
                        {
                            "text": "in Turin",
                            "entities": [
                                {"start": 3, "end": 8, "value": "Turin", "entity": "city"}
                            ],
                        }
                    ]
                }
            },
            id="rasa",
        ),
        pytest.param(
            JsonFormat.RESTAURANT8K,
            [
                {
                    "userInput": {"text": "in Turin"},
                    "labels": [{"slot": "city", "valueSpan": {"startIndex": 3, "endIndex": 8}}],
                }
            ],
            id="restaurant8k",
        ),
    ],
)
def test_a_file_that_is_one_document(kind, document):
    text = json.dumps(document, indent=1)
    (sample,) = read(kind, text.splitlines(keepends=True))
    assert shown(sample) == ("in Turin", [("city", "Turin")])
    for broken in (text[:-1], "7"):
        with pytest.raises(DataError, match=r"own/a\.json"):
            read(kind, [broken])


def test_a_place_without_a_start_begins_the_text():
    row = {
        "userInput": {"text": "Turin"},
        "labels": [{"slot": "city", "valueSpan": {"endIndex": 5}}],
    }
    (sample, bare) = read(
        JsonFormat.RESTAURANT8K, [json.dumps([row, {"userInput": {"text": "No"}}])]
    )
    assert shown(sample) == ("Turin", [("city", "Turin")])
    assert shown(bare) == ("No", [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("{\n", Reason.MALFORMED, id="no JSON"),
        pytest.param({"text": "Turin"}, Reason.MALFORMED, id="a key is missing"),
        pytest.param({"text": "", "entities": []}, Reason.MALFORMED, id="no text"),
        pytest.param('{"text": "\udcff", "entities": []}\n', Reason.MALFORMED, id="bytes"),
        pytest.param(
            {"text": "Turin", "entities": [[5, 0, "city", "Turin"]]},
            Reason.MALFORMED,
            id="backwards",
        ),
        pytest.param(
            {"text": "Turin", "entities": [[0, 4, "city", "Turin"]]},
            Reason.SPAN_MISMATCH,
            id="elsewhere",
        ),
        pytest.param(
            {"text": "Turin", "entities": [[0, 5, "town", "Turin"]]},
            Reason.UNKNOWN_LABEL,
            id="label",
        ),
    ],
)
def test_a_bad_row_is_rejected_alone(row, reason):
    bad, good = read(JsonFormat.AGRINER, lines(row, {"text": "Po", "entities": []}))
    assert (bad.reason, bad.place) == (reason, "own/a.json:1")
    assert good.text == "Po"


@pytest.mark.parametrize(
    ("tokens", "span", "detail"),
    [
        pytest.param([("Ada", 0), ("Turin", 1)], [0, 1], None, id="tokens without a blank between"),
        pytest.param([("Ada", 0), ("Milan", 1)], [0], "token 'Milan' does not", id="another token"),
        pytest.param(
            [("Ada", 0), ("Turin", 2)], [0], "token 'Turin' does not", id="ids with a gap"
        ),
        pytest.param([("Ada", 0), ("Turin", 1)], [1, 0], "[1, 0] is no run", id="out of order"),
        pytest.param([("Ada", 0), ("Turin", 1)], [1, 2], "[1, 2] is no run", id="past the end"),
    ],
)
def test_token_numbers(tokens, span, detail):
    row = {
        "sentence": "AdaTurin",
        "tokens": [{"surface": surface, "id": number} for surface, number in tokens],
        "entities": [{"span": span, "type": "city"}],
    }
    (result,) = read(JsonFormat.SLURP, lines(row))
    if detail is None:
        assert shown(result) == ("AdaTurin", [("city", "AdaTurin")])
    else:
        assert detail in result.detail


def test_two_layers_of_tags_without_a_type():
    annotation = Annotation(("KNOWLEDGE", "SKILL"), "en", "own")
    row = {
        "tokens": ["bake", "rye", "bread"],
        "tags_skill": ["B", "I", "I"],
        "tags_knowledge": ["O", "B", "I"],
    }
    short = {**row, "tags_skill": ["B"]}
    wrong = {**row, "tags_skill": ["B", "X", "O"]}
    good, few, bad = read(JsonFormat.SKILLSPAN, lines(row, short, wrong), annotation)
    assert shown(good) == (
        "bake rye bread",
        [("SKILL", "bake rye bread"), ("KNOWLEDGE", "rye bread")],
    )
    assert (few.detail, bad.detail) == ("3 tokens and 1 tags", "'X-SKILL' is no tag")


def episode(types, *sentences):
    words, labels = zip(*sentences, strict=True)
    support = {"word": [w.split() for w in words], "label": [tags.split() for tags in labels]}
    return {"types": types, "support": support, "query": {"word": [], "label": []}}


def test_a_sentence_of_many_episodes_comes_once_with_all_its_types():
    annotation = Annotation(("city", "person", "river"), "en", "own")
    one = episode(["city"], ("Ada left New Turin", "O O city city"), ("on the Po", "O O O"))
    two = episode(["person"], ("Ada left New Turin", "person O O O"), ("a b", "O"))
    three = episode(["river", "city"], ("the Po", "O river"), ("Ada", "O"))
    four = episode(["river", "city"], ("the Po", "O city"))
    few, *read_in = read(JsonFormat.FEWNERD, lines(one, two, three, four), annotation)
    assert few == Rejected(Reason.MALFORMED, "own:2", "2 words and 1 tags")
    turin, po, two_types, ada = read_in
    assert shown(turin) == ("Ada left New Turin", [("person", "Ada"), ("city", "New Turin")])
    assert (turin.labels, po.labels, ada.labels) == (
        ("city", "person"),
        ("city",),
        ("city", "river"),
    )
    assert two_types == Rejected(Reason.MALFORMED, "own:3", "'the Po': two types for one word")


def test_titles_share_the_attributes_of_their_category():
    annotation = Annotation(("Brand", "Color", "Size"), "en", "own")

    def title(text, category, **scores):
        values = {name: dict.fromkeys(found, 1) for name, found in scores.items()}
        return {"input": text, "category": category, "target_scores": values}

    rows = lines(
        title("Pelle Soap, Red", "Soap", Brand=["Pelle "], Color=["n/a"]),
        title("Soap 5 oz, Pelle Red Pelle", "Soap", Color=["Red"], Brand=["Pelle"]),
        title("Tall Cup", "Cup", Size=["Small"]),
    )
    one, two, missing = read(JsonFormat.OA_MINE, rows, annotation)
    assert shown(one) == ("Pelle Soap, Red", [("Brand", "Pelle")])
    assert [label for label, _ in shown(two)[1]] == ["Brand", "Color", "Brand"]
    assert one.labels == two.labels == ("Brand", "Color")
    assert missing.reason is Reason.NOT_IN_TEXT
    assert missing.detail == "'Small' (Size) does not stand in the text"


def test_what_a_message_tells_is_looked_for_in_it():
    annotation = Annotation(("餐馆-名称", "餐馆-评分"), "zh", "own")
    messages = [
        {
            "content": "小王面馆不错，小王面馆评分4分。",
            "role": "sys",
            "dialog_act": [
                ["Inform", "餐馆", "名称", "小王面馆"],
                ["Inform", "餐馆", "评分", "4分"],
                ["Request", "餐馆", "电话", ""],
                ["Inform", "餐馆", "设施", "是"],
            ],
        },
        {"content": "好的", "role": "usr", "dialog_act": [["Inform", "餐馆", "名称", "别家"]]},
        {"content": "不客气", "role": "sys", "dialog_act": []},
    ]
    told, missing, nothing = read(
        JsonFormat.CROSSWOZ, [json.dumps({"7": {"messages": messages}})], annotation
    )
    assert shown(told)[1] == [("餐馆-名称", "小王面馆")] * 2 + [("餐馆-评分", "4分")]
    assert (told.source, missing.place) == ("own:1.1", "own:1.2")
    assert missing.reason is Reason.NOT_IN_TEXT
    assert shown(nothing) == ("不客气", [])
