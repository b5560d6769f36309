"""Readers: one result a row, places that hold, and every malformed row told. All words are ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.readers import (
    Annotation,
    Conll,
    Join,
    Separator,
    read_cluener,
    read_cmeee,
    read_conll,
    read_parallel,
)
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

LABELS = ("person", "city", "river")
ENGLISH = Annotation(LABELS, "en", "own/test")
CHINESE = Annotation(("人", "地"), "zh", "own/test")
TAB = Conll(Separator.TAB)


def entities(sample):
    assert isinstance(sample, Sample), sample
    for entity in sample.entities:
        assert sample.text[entity.start : entity.end] == entity.text
    return [(e.start, e.end, e.label) for e in sample.entities]


def conll(text, layout=TAB, annotation=ENGLISH):
    return list(read_conll(text.splitlines(keepends=True), layout, annotation))


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        pytest.param("B-a I-a O", [(0, 3, "a")], id="BIO"),
        pytest.param("B-a B-a O", [(0, 1, "a"), (2, 3, "a")], id="two in a row"),
        pytest.param("I-a I-a O", [(0, 3, "a")], id="IOB1 begins with I"),
        pytest.param("I-a B-a I-a", [(0, 1, "a"), (2, 5, "a")], id="IOB1 divides with B"),
        pytest.param("I-a I-b O", [(0, 1, "a"), (2, 3, "b")], id="another label begins"),
        pytest.param("O I-a O", [(2, 3, "a")], id="an inside tag with nothing before it"),
        pytest.param("B-a I-a E-a", [(0, 5, "a")], id="BIOES"),
        pytest.param("S-a S-a O", [(0, 1, "a"), (2, 3, "a")], id="singles"),
        pytest.param("B-a E-a I-a", [(0, 3, "a"), (4, 5, "a")], id="an end ends"),
        pytest.param("B-a M-a L-a", [(0, 5, "a")], id="BMES and BILOU"),
        pytest.param("B-a-b I-a-b U-a", [(0, 3, "a-b"), (4, 5, "a")], id="hyphens in labels"),
    ],
)
def test_tags(tags, found):
    rows = "".join(f"{'xyz'[n]}\t{tag}\n" for n, tag in enumerate(tags.split()))
    (sample,) = conll(rows, annotation=Annotation(("a", "b", "a-b"), "en", "own"))
    assert entities(sample) == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Ada\tB-person\nwrote\tO\n\nTurin\tB-city\n", id="plain"),
        pytest.param("Ada\tB-person\r\nwrote\tO\r\n\r\nTurin\tB-city\r\n", id="CRLF"),
        pytest.param("Ada\tB-person\nwrote\tO\n\nTurin\tB-city", id="no final line break"),
        pytest.param("\ufeffAda\tB-person\nwrote\tO\n\nTurin\tB-city\n", id="byte order mark"),
        pytest.param("\n\nAda\tB-person\nwrote\tO\n\n \t\n\nTurin\tB-city\n\n", id="more blanks"),
    ],
)
def test_the_same_two_sentences(text):
    first, second = conll(text)
    assert (first.text, entities(first)) == ("Ada wrote", [(0, 3, "person")])
    assert (second.text, entities(second)) == ("Turin", [(0, 5, "city")])
    assert (first.labels, first.language) == (LABELS, "en")


def test_an_empty_file_holds_nothing():
    assert conll("") == conll("\n\n") == []


def test_places_are_line_numbers():
    assert [s.source for s in conll("\na\tO\nb\tO\n\nc\tO\n")] == ["own/test:2", "own/test:5"]


def test_tag_first():
    (sample,) = conll("B-city\tTurin\nO\tnow\n", Conll(Separator.TAB, token_column=1, tag_column=0))
    assert (sample.text, entities(sample)) == ("Turin now", [(0, 5, "city")])


def test_four_columns_between_blanks_and_comments():
    layout = Conll(Separator.BLANK, columns=4, comment="# id ")
    text = "# id 7\tdomain=dev\n# _ _ O\nturin _  _ B-city\n\n# id 8\n\n"
    (sample,) = conll(text, layout)
    assert (sample.text, entities(sample)) == ("# turin", [(2, 7, "city")])


def test_chinese_tokens_are_joined_by_nothing():
    layout = Conll(Separator.BLANK, join=Join.NOTHING)
    (sample,) = conll("小 B-人\n王 I-人\n在 O\nA O\nB O\n", layout, CHINESE)
    assert (sample.text, entities(sample)) == ("小王在AB", [(0, 2, "人")])


def test_mixed_tokens_keep_the_blank_between_words():
    layout = Conll(Separator.TAB, join=Join.WORDS)
    text = "听\tO\nbig\tB-人\nband\tI-人\n!\tO\n第\tO\n3\tO\n场\tO\nél\tO\n1984\tO\n"
    (sample,) = conll(text, layout, CHINESE)
    assert sample.text == "听big band!第3场él 1984"
    assert entities(sample) == [(1, 9, "人")]


def test_the_digit_behind_a_token_is_cut_off_once():
    layout = Conll(Separator.TAB, join=Join.NOTHING, position_digit=True)
    (sample,) = conll("小0\tB-人\n王1\tI-人\n有0\tO\n20\tO\n31\tO\n", layout, CHINESE)
    assert (sample.text, entities(sample)) == ("小王有23", [(0, 2, "人")])


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        pytest.param("Turin", Reason.MALFORMED, "line 3: 1 columns, expected 2", id="too few"),
        pytest.param("a\tb\tO", Reason.MALFORMED, "line 3: 3 columns, expected 2", id="too many"),
        pytest.param("\tO", Reason.MALFORMED, "line 3: an empty token", id="no token"),
        pytest.param("Turin\tcity", Reason.MALFORMED, "'city' is no tag", id="no prefix"),
        pytest.param("Turin\tB-", Reason.MALFORMED, "'B-' is no tag", id="no label"),
        pytest.param("Turin\tX-city", Reason.MALFORMED, "'X-city' is no tag", id="prefix"),
        pytest.param("Turin\tB-town", Reason.UNKNOWN_LABEL, "'town'", id="unknown label"),
        pytest.param("T\udcffrin\tO", Reason.MALFORMED, "line 3: not UTF-8", id="bytes"),
    ],
)
def test_a_bad_row_rejects_its_sentence_alone(row, reason, detail):
    before, bad, after = conll(f"a\tO\n\n{row}\nb\tO\n\nc\tO\n")
    assert (before.text, after.text) == ("a", "c")
    assert bad == Rejected(reason, "own/test:3", detail)


def test_headings_are_passed_over():
    layout = Conll(Separator.TAB, headings=("Title", "Link"))
    read = conll("Link\tO\n:\tO\n\na\tO\n\nTitle\n\nb\tO\nTitle\tO\n\nLink\tO\n", layout)
    assert [sample.text for sample in read] == ["a", "b Title"]


def test_another_mark_between_prefix_and_label():
    layout = Conll(Separator.BLANK, join=Join.NOTHING, tag_mark="_")
    (sample,) = conll("小 B_人\n王 I_人\n在 O\n", layout, CHINESE)
    assert entities(sample) == [(0, 2, "人")]
    (bad,) = conll("小 B-人\n", layout, CHINESE)
    assert bad.detail == "'B-人' is no tag"


def test_a_token_of_white_space_is_the_blank_between_two_words():
    (sample,) = conll("\u00a0\tB-city\nNew\tI-city\n\u00a0\tI-city\nTurin\tI-city\n")
    assert (sample.text, entities(sample)) == ("New Turin", [(0, 9, "city")])
    (bad,) = conll("\u00a0\tO\n")
    assert bad == Rejected(Reason.MALFORMED, "own/test:1", "white space only")


def test_a_blank_among_characters_is_kept():
    layout = Conll(Separator.TAB, join=Join.NOTHING)
    (sample,) = conll("a\tB-人\n \tI-人\nb\tI-人\n", layout, CHINESE)
    assert entities(sample) == [(0, 3, "人")]


def test_brackets_by_name():
    rows = "-LRB-\tB-city\nPo\tI-city\n-RRB-\tI-city\n"
    (named,) = conll(rows, Conll(Separator.TAB, bracket_names=True))
    assert (named.text, entities(named)) == ("( Po )", [(0, 6, "city")])
    assert conll(rows)[0].text == "-LRB- Po -RRB-"


def test_tags_of_tokens_outside_may_be_called_otherwise():
    layout = Conll(Separator.TAB, outside=("OUT", "_"))
    (sample,) = conll("in\tOUT\nTurin\tB-city\nnow\t_\n", layout)
    assert entities(sample) == [(3, 8, "city")]
    (bad,) = conll("in\tO\nTurin\tB-city\n", layout)[:1]
    assert isinstance(bad, Sample)  # O is outside everywhere


def test_tags_without_a_label_get_the_one_told():
    layout = Conll(Separator.TAB, label="city")
    (sample,) = conll("New\tB\nTurin\tI\nPo\tB\nso\tO\n", layout)
    assert entities(sample) == [(0, 9, "city"), (10, 12, "city")]


def test_bare_labels_of_neighbours_are_one_entity():
    layout = Conll(Separator.TAB, bare=True)
    own = Annotation(("a-b/c", "d"), "en", "own")
    (sample,) = conll("x\ta-b/c\ny\ta-b/c\nz\td\nw\tO\n", layout, own)
    assert entities(sample) == [(0, 3, "a-b/c"), (4, 5, "d")]


def test_layers_of_nested_entities_and_an_entity_in_two_counts_once():
    layout = Conll(Separator.BLANK, columns=4, tag_column=1, layers=(2, 3))
    text = "New B-city O B-city\nTurin I-city S-person I-city\nso O O O\n"
    (sample,) = conll(text, layout)
    assert entities(sample) == [(0, 9, "city"), (4, 9, "person")]


def test_any_number_of_layers():
    layout = Conll(Separator.TAB, tag_column=1, more_layers=True)
    text = "Turin\tB-city\n\nPo\tO\tB-river\tB-city\n\na\tO\tO\nb\tO\n\nc\n"
    first, second, *bad = conll(text, layout)
    assert entities(first) == [(0, 5, "city")]
    assert sorted(entities(second)) == [(0, 2, "city"), (0, 2, "river")]
    assert [row.detail for row in bad] == [
        "line 6: 2 columns, expected 3",
        "line 8: 1 columns, expected 2",
    ]


@pytest.mark.parametrize(
    ("separator", "text"),
    [
        pytest.param(Separator.LAST_BLANK, "小 B-人\n  I-人\n\u3000 I-人\n王 I-人\n", id="blank"),
        pytest.param(Separator.LAST_COMMA, "小,B-人\n,,I-人\n \t,I-人\n王,I-人\n", id="comma"),
    ],
)
def test_a_token_may_be_what_parts_the_columns(separator, text):
    (sample,) = conll(text, Conll(separator, join=Join.NOTHING), CHINESE)
    assert entities(sample) == [(0, len(sample.text), "人")]
    (bad,) = conll("小\n", Conll(separator), CHINESE)
    assert bad.detail == "line 1: 1 columns, expected 2"


def test_blanks_at_the_end_of_a_line_do_not_count():
    (sample,) = conll("New  B-city \nTurin I-city\n", Conll(Separator.BLANK))
    assert entities(sample) == [(0, 9, "city")]


def test_two_marks_between_prefix_and_label():
    layout = Conll(Separator.BLANK, join=Join.NOTHING, tag_mark="-_")
    first, second = conll("小 B_人\n\n王 B-人\n", layout, CHINESE)
    assert entities(first) == entities(second) == [(0, 1, "人")]


def test_tokens_that_stand_for_white_space_and_lines_that_are_no_rows():
    stands_for = {"SPACE": " ", "LB": "\n"}
    layout = Conll(Separator.TAB, join=Join.NOTHING, stands_for=stands_for, strays=("O",))
    text = "A\tB-人\nSPACE\tI-人\nB\tI-人\nLB\tI-人\nO\nC\tO\n\nLB\tO\n"
    sample, bad = conll(text, layout, CHINESE)
    assert (sample.text, entities(sample)) == ("A B\nC", [(0, 3, "人")])
    assert bad.detail == "white space only"
    (bad,) = conll("A\tO\nSPACE\tB-人\n", layout, CHINESE)
    assert bad.detail == "white space is no 人"


def test_parallel_files():
    tokens = ["fly to  New Turin \n", "to Po\n", "\n", "b\udcff\n", "one\n"]
    tags = ["O O B-city I-city\n", "O\n", "\n", "O\n"]
    first, *bad = read_parallel(tokens, tags, ENGLISH)
    assert (first.text, entities(first)) == ("fly to New Turin", [(7, 16, "city")])
    assert [(row.place, row.detail) for row in bad] == [
        ("own/test:2", "2 words and 1 tags"),
        ("own/test:3", "0 words and 0 tags"),
        ("own/test:4", "not UTF-8"),
        ("own/test:5", "the file with the tags ends before it"),
    ]


def test_a_token_without_its_digit_is_rejected():
    layout = Conll(Separator.TAB, position_digit=True)
    (bad,) = conll("小\tO\n", layout)
    assert bad == Rejected(Reason.MALFORMED, "own/test:1", "line 1: '小' does not end in a digit")


@given(st.lists(st.lists(st.sampled_from(["x\tO", "y\tB-city", "z\tI-river", "bad"]), min_size=1)))
def test_every_sentence_gives_one_result(sentences):
    read = conll("\n\n".join("\n".join(rows) for rows in sentences))
    assert len(read) == len(sentences)
    for rows, result in zip(sentences, read, strict=True):
        assert isinstance(result, Rejected) is ("bad" in rows)
        if isinstance(result, Sample):
            entities(result)


@pytest.mark.parametrize(
    ("row", "text", "found"),
    [
        pytest.param(
            {
                "text": "小王在小王村",
                "label": {"人": {"小王": [[0, 1]]}, "地": {"小王村": [[3, 5]]}},
            },
            "小王在小王村",
            [(0, 2, "人"), (3, 6, "地")],
            id="ends are inclusive",
        ),
        pytest.param(
            {"text": "小王和小王", "label": {"人": {"小王": [[3, 4], [0, 1]]}}},
            "小王和小王",
            [(0, 2, "人"), (3, 5, "人")],
            id="several places, put in order",
        ),
        pytest.param(
            {"text": "王村", "label": {"人": {"王": [[0, 0]]}, "地": {"王村": [[0, 1]]}}},
            "王村",
            [(0, 2, "地"), (0, 1, "人")],
            id="nested, the longer first",
        ),
        pytest.param({"text": "无", "label": {}}, "无", [], id="no entity"),
    ],
)
def test_cluener(row, text, found):
    (sample,) = read_cluener([json.dumps(row, ensure_ascii=False) + "\n"], CHINESE)
    assert (sample.text, entities(sample)) == (text, found)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("", Reason.MALFORMED, id="blank"),
        pytest.param("{", Reason.MALFORMED, id="no JSON"),
        pytest.param('{"text": "a"}', Reason.MALFORMED, id="no labels: an unlabelled test set"),
        pytest.param(
            '{"text": "a", "label": {"人": {"a": [[0]]}}}', Reason.MALFORMED, id="half a place"
        ),
        pytest.param(
            '{"text": "a", "label": {"人": {"a": [[1, -1]]}}}', Reason.MALFORMED, id="backwards"
        ),
        pytest.param(
            '{"text": "ab", "label": {"人": {"b": [[0, 0]]}}}', Reason.SPAN_MISMATCH, id="elsewhere"
        ),
        pytest.param(
            '{"text": "a", "label": {"人": {"a": [[0, 1]]}}}', Reason.SPAN_MISMATCH, id="past end"
        ),
        pytest.param(
            '{"text": "a", "label": {"物": {"a": [[0, 0]]}}}', Reason.UNKNOWN_LABEL, id="unknown"
        ),
        pytest.param('{"text": "\udcff", "label": {}}', Reason.MALFORMED, id="bytes"),
    ],
)
def test_cluener_rows_that_cannot_be_kept(line, reason):
    good = '{"text": "好", "label": {}}\n'
    bad, kept = read_cluener([line + "\n", good], CHINESE)
    assert (bad.reason, bad.place) == (reason, "own/test:1")
    assert isinstance(kept, Sample)


def test_cmeee():
    line = "小王在王村。|||3    4    地|||0    1    人|||4    4    地|||\r\n"
    (sample,) = read_cmeee([line], CHINESE)
    assert sample.text == "小王在王村。"
    assert entities(sample) == [(0, 2, "人"), (3, 5, "地"), (4, 5, "地")]
    assert [entities(s) for s in read_cmeee(["无。|||\n"], CHINESE)] == [[]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("", Reason.MALFORMED, id="blank"),
        pytest.param("无。", Reason.MALFORMED, id="no end mark"),
        pytest.param("小王|||0    1    人", Reason.MALFORMED, id="cut off"),
        pytest.param("小王|||0    人|||", Reason.MALFORMED, id="half a place"),
        pytest.param("小王|||0    1    人  地|||", Reason.MALFORMED, id="too much"),
        pytest.param("小王|||0    2    人|||", Reason.SPAN_MISMATCH, id="past the end"),
        pytest.param("小王|||1    0    人|||", Reason.SPAN_MISMATCH, id="backwards"),
        pytest.param("小王|||0    1    物|||", Reason.UNKNOWN_LABEL, id="unknown"),
    ],
)
def test_cmeee_rows_that_cannot_be_kept(line, reason):
    bad, kept = read_cmeee([line + "\n", "好|||\n"], CHINESE)
    assert (bad.reason, bad.place) == (reason, "own/test:1")
    assert isinstance(kept, Sample)
