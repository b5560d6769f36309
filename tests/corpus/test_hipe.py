"""HIPE's tables. All words are ours."""

import pytest

from b2ner.corpus.hipe import Hipe, read_hipe
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("pers", "loc"), "en", "own.tsv")
HEAD = "TOKEN\tNE-COARSE-LIT\tNE-NESTED\tMISC\n"
COARSE = Hipe()
BOTH = Hipe(layers=("NE-COARSE-LIT", "NE-NESTED"))


def read(rows, layout=COARSE, head=HEAD):
    lines = [row if row.startswith("#") else row.replace(" ", "\t") for row in rows]
    return list(read_hipe([head, *(f"{line}\n" for line in lines)], layout, OWN))


def found(sample):
    assert isinstance(sample, Sample), sample
    for entity in sample.entities:
        assert sample.text[entity.start : entity.end] == entity.text
    return sample.text, [(entity.text, entity.label) for entity in sample.entities]


def test_flags_part_sentences_and_join_tokens():
    rows = [
        *("# id = 1", "Ada B-pers O _", "Smith I-pers O NoSpaceAfter", ", O O EndOfLine"),
        *("here O O NoSpaceAfter|EndOfLine", ". O O EndOfSentence|LED0.1", "Oh _ _ _", ""),
        *("# id = 2", "Turin B-loc _ _"),
    ]
    assert [found(sample) for sample in read(rows)] == [
        ("Ada Smith, here.", [("Ada Smith", "pers")]),
        ("Oh", []),
        ("Turin", [("Turin", "loc")]),
    ]


def test_a_sentence_that_ends_within_a_mention_is_read_with_the_next():
    rows = ["St B-loc O NoSpaceAfter", ". I-loc O EndOfSentence", "Ives I-loc O _", "so O O _"]
    assert [found(sample) for sample in read(rows)] == [("St. Ives so", [("St. Ives", "loc")])]


def test_nested_mentions_have_a_column_of_their_own():
    rows = ["Ada B-pers O _", "of I-pers O _", "Turin I-pers B-loc _", "Bo B-pers B-pers _"]
    (sample,) = read(rows, BOTH)
    assert found(sample)[1] == [("Ada of Turin", "pers"), ("Turin", "loc"), ("Bo", "pers")]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        pytest.param("Ada O O", Reason.MALFORMED, "line 3: 3 columns, expected 4", id="columns"),
        pytest.param("Ada P O _", Reason.MALFORMED, "'P' is no tag", id="tag"),
        pytest.param("Ada B-town O _", Reason.UNKNOWN_LABEL, "'town'", id="label"),
        pytest.param(" O O _", Reason.MALFORMED, "line 3: an empty token", id="token"),
        pytest.param("A\udcff O O _", Reason.MALFORMED, "line 3: not UTF-8", id="bytes"),
    ],
)
def test_a_bad_row_rejects_its_sentence_alone(row, reason, detail):
    before, bad, after = read(["a O O EndOfSentence", row, "", "c O O _"])
    assert (before.text, after.text) == ("a", "c")
    assert bad == Rejected(reason, "own.tsv:3", detail)


def test_a_table_without_a_column_is_refused():
    with pytest.raises(DataError, match=r"own\.tsv: no column 'NE-NESTED'"):
        read([], BOTH, "TOKEN\tNE-COARSE-LIT\tMISC\n")
    assert read([]) == []
