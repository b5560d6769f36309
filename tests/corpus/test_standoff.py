"""Stand-off tables of sentences and tokens. All words are ours."""

import pytest

from b2ner.corpus.readers import Annotation
from b2ner.corpus.standoff import StandoffTables, read_standoff
from b2ner.records import Reason, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "slot:from"), "en", "own")
LAYOUT = StandoffTables("s", "t", layers=("", "slot:"))
TEXT = "Ada left\nTurin. Not annotated. Bo."
SENTENCES = "1\t1\t0\t15\n2\t0\t16\t30\n3\t1\t31\t34\n"
TOKENS = "1\t1\t0\t3\tO\tO\n1\t2\t4\t8\tO\tO\n1\t3\t9\t14\tB-city\tB-from\n3\t1\t0\t2\tO\tO\n"


def read(text=TEXT, sentences=SENTENCES, tokens=TOKENS):
    return list(read_standoff(text, sentences, tokens, LAYOUT, OWN))


def test_two_layers_of_the_sentences_that_are_annotated():
    first, third = read()
    assert isinstance(first, Sample)
    assert (first.text, first.source) == ("Ada left\nTurin.", "own:1")
    assert [(e.label, e.text) for e in first.entities] == [
        ("city", "Turin"),
        ("slot:from", "Turin"),
    ]
    assert third.text == "Bo."


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        pytest.param({"tokens": "1\t1\t0\t99\tO\tO\n"}, "own:1", id="a token beyond its sentence"),
        pytest.param({"tokens": "1\t1\t0\t3\tO\n"}, "own:1", id="a layer is missing"),
        pytest.param({"tokens": "1\t1\t0\t3\tX\tO\n"}, "own:1", id="no tag"),
        pytest.param({"tokens": "1\t1\tx\t3\tO\tO\n"}, "own:1", id="no number"),
        pytest.param(
            {"sentences": "1\t1\t0\t99\n3\t1\t31\t34"}, "own:1", id="a sentence beyond the text"
        ),
        pytest.param({"tokens": TOKENS + "9\t1\t0\t1\tO\tO\n"}, "own:9", id="no such sentence"),
    ],
)
def test_broken_tables(tables, place):
    bad = [row for row in read(**tables) if not isinstance(row, Sample)]
    assert [(row.reason, row.place) for row in bad] == [(Reason.MALFORMED, place)]


def test_undecoded_bytes():
    (bad,) = read("Ada\udcff", "1\t1\t0\t4\n", "1\t1\t0\t3\tO\tO\n")
    assert bad.detail == "not UTF-8"
