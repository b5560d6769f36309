"""CSV of tokens and of tagged texts. All words are ours."""

import pytest

from b2ner.corpus.readers import Annotation
from b2ner.corpus.token_tables import CsvTags, CsvTokens, read_csv_tags, read_csv_tokens
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("person", "city"), "en", "own.csv")
PLAIN = CsvTokens()
CODES = CsvTokens(
    columns=3,
    token_column=1,
    tag_column=0,
    document_column=2,
    header=True,
    codes=("O", "B-city", "I-city"),
    ends=(".",),
)


def found(sample):
    assert isinstance(sample, Sample), sample
    for entity in sample.entities:
        assert sample.text[entity.start : entity.end] == entity.text
    return sample.text, [(entity.text, entity.label) for entity in sample.entities]


def tokens(text, layout=PLAIN):
    return list(read_csv_tokens(text.splitlines(keepends=True), layout, OWN))


def test_sentences_end_at_a_row_without_a_token():
    layout = CsvTokens(comment="-DOCSTART-")
    text = '\ufeff-DOCSTART-,O\n,O\nAda,I-person\n",",O\n"""",O\n,O\n\nNew,I-city\nTurin,I-city\n'
    first, second = tokens(text, layout)
    assert found(first) == ('Ada , "', [("Ada", "person")])
    assert found(second) == ("New Turin", [("New Turin", "city")])
    assert [first.source, second.source] == ["own.csv:3", "own.csv:8"]


def test_numbers_stand_for_tags_and_texts_end_with_their_document():
    text = "tag,token,document\n0,In,0\n1,New,0\n2,Turin,0\n0,So,1\n0,it,1\n"
    first, second = tokens(text, CODES)
    assert found(first) == ("In New Turin", [("New Turin", "city")])
    assert found(second) == ("So it", [])


def test_a_document_is_cut_behind_its_sentences_but_not_within_a_mention():
    text = "tag,token,document\n0,So,0\n0,.,0\n1,St,0\n2,.,0\n2,Ives,0\n0,.,0\n0,Yes,0\n"
    assert [found(sample) for sample in tokens(text, CODES)] == [
        ("So .", []),
        ("St . Ives .", [("St . Ives", "city")]),
        ("Yes", []),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        pytest.param("Ada", Reason.MALFORMED, "line 3: 1 columns, expected 2", id="too few"),
        pytest.param("a,b,O", Reason.MALFORMED, "line 3: 3 columns, expected 2", id="too many"),
        pytest.param("Ada,P", Reason.MALFORMED, "'P' is no tag", id="no tag"),
        pytest.param("Ada,7", Reason.MALFORMED, "'7' is no tag", id="a number without a meaning"),
        pytest.param("Ada,B-town", Reason.UNKNOWN_LABEL, "'town'", id="unknown label"),
        pytest.param("A\udcffa,O", Reason.MALFORMED, "line 3: not UTF-8", id="bytes"),
        pytest.param(" ,O", Reason.MALFORMED, "white space only", id="white space"),
    ],
)
def test_a_bad_row_rejects_its_sentence_alone(row, reason, detail):
    before, bad, after = tokens(f"a,O\n,O\n{row}\n,O\nc,O\n")
    assert (before.text, after.text) == ("a", "c")
    assert bad == Rejected(reason, "own.csv:3", detail)


def test_what_is_no_csv_is_refused():
    with pytest.raises(DataError, match=r"own\.csv:1: not CSV"):
        list(read_csv_tokens(["a,O\rb,O\n"], PLAIN, OWN))


def tags(text):
    return list(read_csv_tags(text.splitlines(keepends=True), CsvTags("text", "tags"), OWN))


def test_a_tag_for_each_character():
    text = 'id,text,tags\n1,小王在,B-person I-person O\n2,"a, b",B-city O O O\n'
    first, second = tags(text)
    assert found(first) == ("小王在", [("小王", "person")])
    assert found(second) == ("a, b", [("a", "city")])


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        pytest.param("1,ab,O", "2 characters and 1 tags", id="too few tags"),
        pytest.param("1,,O", "0 characters and 1 tags", id="no text"),
        pytest.param("1,ab", "2 columns, expected 3", id="too few columns"),
        pytest.param("1,a\udcff,O O", "not UTF-8", id="bytes"),
        pytest.param("1,ab,O city", "'city' is no tag", id="no tag"),
    ],
)
def test_a_bad_text_is_rejected_alone(row, detail):
    bad, kept = tags(f"id,text,tags\n{row}\n2,a,O\n")
    assert bad == Rejected(Reason.MALFORMED, "own.csv:2", detail)
    assert found(kept) == ("a", [])


def test_a_missing_column_is_told():
    with pytest.raises(DataError, match=r"own\.csv: no column 'tags' in its first line"):
        tags("id,text\n1,a\n")
    with pytest.raises(DataError, match="no column"):
        tags("")
