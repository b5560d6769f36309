"""Families of JSON rows: places checked, words looked for, every row told. All words are ours."""

import json

import pytest

from b2ner.corpus.json_families import JsonFormat, read_json_format
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
            Reason.SPAN_MISMATCH,
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
            [("Ada", 0), ("Turin", 2)], [0], "do not count the tokens", id="ids with a gap"
        ),
        pytest.param([("Ada", 0), ("Turin", 1)], [1, 0], "[1, 0] is no run", id="out of order"),
        pytest.param([("Ada", 0), ("Turin", 1)], [1, 2], "tokens 1 to 3 of 2", id="past the end"),
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
    assert (told.source, missing.place) == ("own:7.1", "own:7.2")
    assert missing.reason is Reason.NOT_IN_TEXT
    assert shown(nothing) == ("不客气", [])


def test_turns_of_dialogues_and_their_services():
    annotation = Annotation(("Trains.city",), "en", "own")
    frames = [{"service": "Trains_2", "slots": [{"slot": "city", "start": 3, "exclusive_end": 8}]}]
    dialogues = [{"turns": [{"utterance": "to Turin", "frames": frames}]}]
    (sample,) = read(JsonFormat.SGD, [json.dumps(dialogues)], annotation)
    assert shown(sample) == ("to Turin", [("Trains.city", "Turin")])
    dialogues[0]["turns"][0]["utterance"] = "to"
    (beyond,) = read(JsonFormat.SGD, [json.dumps(dialogues)], annotation)
    assert (beyond.reason, beyond.place) == (Reason.MALFORMED, "own:1.1")


def test_types_and_places_by_the_ids_of_mentions():
    row = {
        "text": "Ada left Turin",
        "t_type_dict": {"T1": "city", "T2": "person"},
        "t_span_dict": {"T1": [9, 14], "T2": [0, 3]},
    }
    untyped = {**row, "t_type_dict": {"T1": "city"}}
    good, bad = read(JsonFormat.SC_COMICS, [json.dumps({"data": [row, untyped]})])
    assert shown(good)[1] == [("person", "Ada"), ("city", "Turin")]
    assert (bad.reason, bad.place) == (Reason.MALFORMED, "own/a.json:2")


def question(label, text, output):
    return {"tagName": label, "input": text, "output": output}


def test_questions_about_one_passage_are_one_sample_that_is_asked_for_all_of_them():
    annotation = Annotation(("city", "person", "river"), "en", "own")
    rows = lines(
        question("city", "Ada left Turin. Turin slept.", '["Turin"]'),
        question("person", "On the Po", "[]"),
        question("person", "Ada left Turin. Turin slept.", '["Ada"]'),
        question("river", "Nothing here", '["Po"]'),
        question("river", "Nothing here", "Po"),
    )
    broken, first, second, missing = read(JsonFormat.PILE_QUESTIONS, rows, annotation)
    assert (broken.reason, broken.place) == (Reason.MALFORMED, "own:5")
    assert shown(first)[1] == [("person", "Ada"), ("city", "Turin"), ("city", "Turin")]
    assert (first.labels, first.source) == (("city", "person"), "own:1")
    assert (shown(second)[1], second.labels) == ([], ("person",))
    assert (missing.reason, missing.place) == (Reason.NOT_IN_TEXT, "own:4")


@pytest.mark.parametrize(
    "instruction",
    [
        pytest.param("实体识别：\n{}\n实体类型：人，地\n答：", id="around"),
        pytest.param("{}\n这个句子里面实体有哪些？\n实体选项：人，地\n答：", id="behind"),
        pytest.param("问诊对话的实体抽取：{}\n选项：人，地", id="in the same line"),
        pytest.param("找出句子中的人，地实体：\n{}", id="before"),
    ],
)
def test_the_text_inside_an_instruction(instruction):
    annotation = Annotation(("人实体", "地实体"), "zh", "own")
    row = {
        "input": instruction.format("小王去北京。"),
        "target": "上述句子中的实体包含：\n人实体：小王\n地实体：",
        "task_dataset": "CMeEE-V2",
    }
    told, other = read(
        JsonFormat.PROMPTCBLUE, lines(row, {**row, "task_dataset": "MedDG"}), annotation
    )
    assert shown(told) == ("小王去北京。", [("人实体", "小王")])
    assert told.labels == ("人实体", "地实体")
    assert other == Rejected(Reason.NOTHING_ASKED, "own:2", "MedDG asks for no entities")


def test_words_that_stand_nowhere_may_be_left_out_instead():
    message = {
        "content": "小王面馆",
        "dialog_act": [["Inform", "餐馆", "名称", "小王面馆"], ["Inform", "餐馆", "评分", "5分"]],
    }
    annotation = Annotation(("餐馆-名称", "餐馆-评分"), "zh", "own")
    rows = [json.dumps([{"messages": [message]}])]
    (rejected,) = read(JsonFormat.CROSSWOZ, rows, annotation)
    assert rejected.reason is Reason.NOT_IN_TEXT
    (kept,) = read_json_format(rows, JsonFormat.CROSSWOZ, annotation, leave_out=True)
    assert shown(kept)[1] == [("餐馆-名称", "小王面馆")]
