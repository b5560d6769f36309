"""JSON rows that paths describe: units, ends, tags, values; bad rows alone. All words are ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.json_readers import (
    JsonSpans,
    JsonTags,
    JsonValues,
    Levels,
    Missing,
    Prefixes,
    Unit,
    read_json_spans,
    read_json_tags,
    read_json_values,
    unit_offsets,
)
from b2ner.corpus.json_rows import joined_lines
from b2ner.corpus.readers import Annotation, Join
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own")


def lines(*rows):
    return [row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows]


def spans(*rows, annotation=OWN, **layout):
    return list(read_json_spans(lines(*rows), JsonSpans(**layout), annotation))


def shown(sample):
    assert isinstance(sample, Sample), sample
    assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    return sample.text, [(e.label, e.text) for e in sample.entities]


TURIN = {"text": "in Turin", "entities": [{"start": 3, "end": 8, "label": "city"}]}


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        pytest.param(TURIN, {}, id="characters"),
        pytest.param(
            {"text": "in Turin", "entities": [[3, 7, "city"]]},
            {"start": "0", "end": "1", "label": "2", "inclusive": True},
            id="the end included",
        ),
        pytest.param(
            {"text": "in Turin", "entities": [[4, 8, "city"]]},
            {"start": "0", "end": "1", "label": "2", "inclusive": True, "first": 1},
            id="counted from one",
        ),
        pytest.param(
            {"t": "in Turin", "label": {"city": {"Turin": [[3, 7]]}}},
            {
                "text": "t",
                "entities": "label.*.*.*",
                "label": "@1",
                "words": "@2",
                "start": "0",
                "end": "1",
                "inclusive": True,
            },
            id="label and words as keys",
        ),
        pytest.param(
            {"tokens": ["in", "Turin"], "ner": [[1, 1, "city"]]},
            {
                "text": "",
                "tokens": "tokens",
                "entities": "ner.*",
                "start": "0",
                "end": "1",
                "label": "2",
                "unit": Unit.TOKENS,
                "inclusive": True,
            },
            id="tokens",
        ),
        pytest.param(
            {"tokens": ["in", "Turin"], "ner": [{"index": [1], "label": "city"}]},
            {
                "text": "",
                "tokens": "tokens",
                "entities": "ner.*",
                "numbers": "index",
                "unit": Unit.TOKENS,
            },
            id="token numbers",
        ),
        pytest.param(
            {"text": "in Turin", "entities": [{"start": "3", "end": "8", "label": "city"}]},
            {},
            id="numbers as text",
        ),
    ],
)
def test_places(row, layout):
    (sample,) = spans(row, **layout)
    assert shown(sample) == ("in Turin", [("city", "Turin")])


@pytest.mark.parametrize("unit", [Unit.BYTES, Unit.UTF16])
@pytest.mark.parametrize("text", ["in Turin", "à Turin", "去 Turin", "😀 Turin", "e\u0301 Turin"])
def test_other_units_become_code_points(text, unit):
    before = text[: text.index("Turin")]
    size = len(before.encode()) if unit is Unit.BYTES else len(before.encode("utf-16-le")) // 2
    row = {"text": text, "entities": [{"start": size, "end": size + 5, "label": "city"}]}
    (sample,) = spans(row, unit=unit)
    assert shown(sample)[1] == [("city", "Turin")]


def test_an_offset_inside_a_character_is_no_place():
    row = {"text": "😀 Turin", "entities": [{"start": 1, "end": 3, "label": "city"}]}
    for unit in (Unit.BYTES, Unit.UTF16):
        (rejected,) = spans(row, unit=unit)
        assert rejected.reason is Reason.SPAN_MISMATCH


@given(st.text())
def test_units_count_what_the_encoding_counts(text):
    for unit, size in (
        (Unit.BYTES, lambda part: len(part.encode("utf-8", "surrogatepass"))),
        (Unit.UTF16, lambda part: len(part.encode("utf-16-le", "surrogatepass")) // 2),
    ):
        expected = {size(text[:at]): at for at in range(len(text) + 1)}
        assert unit_offsets(text, unit) == expected


def test_thai_tokens_with_a_mark_for_blanks():
    row = {"tokens": ["ไป", "_", "เมือง"], "entities": [{"start": 2, "end": 3, "label": "city"}]}
    (sample,) = spans(row, text="", tokens="tokens", blank="_", join=Join.NOTHING, unit=Unit.TOKENS)
    assert shown(sample) == ("ไป เมือง", [("city", "เมือง")])


def test_of_several_labels_each_or_the_deepest():
    row = {
        "text": "Turin",
        "entities": [{"start": 0, "end": 5, "label": ["/place", "/place/city"]}],
    }
    annotation = Annotation(("/place", "/place/city"), "en", "own")
    (each,) = spans(row, annotation=annotation)
    (deepest,) = spans(row, annotation=annotation, levels=Levels.DEEPEST)
    assert [label for label, _ in shown(each)[1]] == ["/place", "/place/city"]
    assert [label for label, _ in shown(deepest)[1]] == ["/place/city"]


def test_nested_overlapping_and_repeated_mentions():
    def at(start, end, label="city"):
        return {"start": start, "end": end, "label": label}

    row = {"text": "New Turin Po", "entities": [at(0, 9), at(4, 9), at(4, 12), at(0, 9)]}
    (sample,) = spans(row)
    assert shown(sample)[1] == [("city", "New Turin"), ("city", "Turin Po"), ("city", "Turin")]


def test_rows_with_labels_of_their_own():
    row = {**TURIN, "entities": [{"start": 3, "end": 8, "label": "a town"}]}
    sample, bare = spans(row, {"text": "Po", "entities": []}, own_labels=True)
    assert (sample.labels, bare.labels) == (("a town",), ())


def test_only_accepted_rows_are_annotated():
    yes, no = spans(
        {**TURIN, "answer": "accept"}, {**TURIN, "answer": "ignore"}, accepted="answer=accept"
    )
    assert shown(yes)[1] == [("city", "Turin")]
    assert no == Rejected(Reason.NOT_ACCEPTED, "own:2", "answer is 'ignore'")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("{\n", Reason.MALFORMED, id="no JSON"),
        pytest.param("[" * 100_000, Reason.MALFORMED, id="too deep"),
        pytest.param('"Turin"\n', Reason.MALFORMED, id="no object"),
        pytest.param({"text": "Turin"}, Reason.MALFORMED, id="a key is missing"),
        pytest.param({"text": 7, "entities": []}, Reason.MALFORMED, id="text is no string"),
        pytest.param({"text": "", "entities": []}, Reason.MALFORMED, id="no text"),
        pytest.param('{"text": "\udcff", "entities": []}\n', Reason.MALFORMED, id="no UTF-8"),
        pytest.param('{"text": "\\ud83d", "entities": []}\n', Reason.MALFORMED, id="half a pair"),
        pytest.param(
            {**TURIN, "entities": [{"start": 3, "end": 9, "label": "city"}]},
            Reason.SPAN_MISMATCH,
            id="beyond the text",
        ),
        pytest.param(
            {**TURIN, "entities": [{"start": -3, "end": 2, "label": "city"}]},
            Reason.SPAN_MISMATCH,
            id="before the text",
        ),
        pytest.param(
            {**TURIN, "entities": [{"start": 8, "end": 3, "label": "city"}]},
            Reason.SPAN_MISMATCH,
            id="backwards",
        ),
        pytest.param(
            {**TURIN, "entities": [{"start": 3.5, "end": 8, "label": "city"}]},
            Reason.MALFORMED,
            id="no number",
        ),
        pytest.param(
            {**TURIN, "entities": [{"start": 3, "end": 8, "label": "town"}]},
            Reason.UNKNOWN_LABEL,
            id="label",
        ),
    ],
)
def test_a_bad_row_is_rejected_alone(row, reason):
    bad, good = spans(row, {"text": "Po", "entities": []})
    assert (bad.reason, bad.place) == (reason, "own:1")
    assert good.text == "Po"


def test_other_encodings():
    told = json.dumps({"text": "去都灵", "entities": []}, ensure_ascii=False)
    come = told.encode("gb18030").decode("utf-8", "surrogateescape")
    layout = JsonSpans(rows="$", encoding="gb18030")
    (sample,) = read_json_spans([come], layout, OWN)
    assert (sample.text, sample.source) == ("去都灵", "own:1")
    (wrong,) = read_json_spans(["\udcff\udcff"], layout, OWN)
    assert (wrong.reason, wrong.place) == (Reason.MALFORMED, "own")


def test_rows_of_documents_are_numbered_by_place():
    document = {"p": [{"s": [TURIN]}, {"s": [TURIN, TURIN]}]}
    layout = JsonSpans(rows="p.*.s.*")
    sources = [row.source for row in read_json_spans([json.dumps(document)], layout, OWN)]
    assert sources == ["own:1.1", "own:2.1", "own:2.2"]
    for broken in ("{", '{"q": []}', "[]"):
        with pytest.raises(DataError, match="own: not the JSON expected"):
            list(read_json_spans([broken], layout, OWN))


def test_blank_lines_and_a_byte_order_mark_are_no_rows():
    (sample,) = spans("\ufeff" + json.dumps(TURIN), "\n", "  \n")
    assert shown(sample)[1] == [("city", "Turin")]


def test_texts_and_annotations_in_two_files():
    texts = lines({"id": 1, "text": "in Turin"}, {"id": 0, "text": "Po"})
    answers = lines({"id": 0, "entities": []}, {"id": 1, "entities": TURIN["entities"]})
    turin, po = read_json_spans(joined_lines(texts, answers, "id", OWN), JsonSpans(), OWN)
    assert shown(turin)[1] == [("city", "Turin")]
    assert po.text == "Po"
    for other, said in (
        (answers[:1], "no counterpart for id 1"),
        (lines({"entities": []}), "own:1: no 'id'"),
        (["{"], "own:1: not JSON"),
    ):
        with pytest.raises(DataError, match=said):
            list(joined_lines(texts, other, "id", OWN))


def tags(row, annotation=OWN, **layout):
    (result,) = read_json_tags(lines(row), JsonTags(**layout), annotation)
    return result


@pytest.mark.parametrize(
    ("tokens", "row_tags", "layout", "found"),
    [
        pytest.param("Ada left", ["B-person", "O"], {}, ["Ada"], id="BIO"),
        pytest.param(
            "Ada Bo", ["person", "person"], {"prefixes": Prefixes.EACH}, ["Ada", "Bo"], id="each"
        ),
        pytest.param(
            "Ada Bo", ["person", "person"], {"prefixes": Prefixes.RUNS}, ["Ada Bo"], id="runs"
        ),
        pytest.param(
            "to Ada",
            ["", "person"],
            {"prefixes": Prefixes.EACH, "outside": ""},
            ["Ada"],
            id="nothing outside",
        ),
        pytest.param(
            "Ada left", ["B", "O"], {"tags": {"person": "tags"}}, ["Ada"], id="label of the list"
        ),
    ],
)
def test_tags(tokens, row_tags, layout, found):
    sample = tags({"tokens": tokens.split(), "tags": row_tags}, **layout)
    assert [words for _, words in shown(sample)[1]] == found


def test_tags_of_characters():
    row = {"tokens": "去都灵", "tags": ["O", "B-city", "I-city"]}
    assert shown(tags(row, join=Join.NOTHING)) == ("去都灵", [("city", "都灵")])


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"tokens": ["Ada"], "tags": []}, "1 tokens and 0 tags"),
        ({"tokens": ["Ada"], "tags": ["X-city"]}, "'X-city' is no tag"),
        ({"tokens": [], "tags": []}, "no text, or not UTF-8"),
        ({"tokens": ["Ada", 7], "tags": ["O", "O"]}, "tokens: expected a string, found 7"),
        ({"tokens": None, "tags": []}, "tokens: expected a list of strings, found None"),
    ],
)
def test_bad_tags(row, detail):
    result = tags(row)
    assert (result.reason, result.detail) == (Reason.MALFORMED, detail)


def values(row, **layout):
    (result,) = read_json_values(lines(row), JsonValues(**layout), OWN)
    return result


def test_values_stand_wherever_their_words_do():
    row = {"text": "Turin, New Turin, Turin", "slots": {"city": "New Turin", "person": ""}}
    assert shown(values(row))[1] == [("city", "New Turin")]
    several = {"text": "Turin, New Turin", "a": ["Turin ", "New Turin"]}
    assert shown(values(several, values={"a.*": "city"}))[1] == [
        ("city", "Turin"),
        ("city", "New Turin"),
    ]


def test_a_value_that_stands_nowhere():
    row = {"text": "in Turin by Ada", "slots": {"city": "Milan", "person": "Ada"}}
    result = values(row)
    assert (result.reason, result.detail) == (
        Reason.NOT_IN_TEXT,
        "'Milan' (city) does not stand in the text",
    )
    assert shown(values(row, missing=Missing.LEAVE_OUT))[1] == [("person", "Ada")]
    inside = values({"text": "partying", "slots": {"city": "art"}})
    assert inside.reason is Reason.NOT_IN_TEXT
    number = values({"text": "two", "slots": {"city": 2}})
    assert number.reason is Reason.MALFORMED
