"""Texts with annotations in columns, and lines of sessions. All words are ours."""

import pytest

from b2ner.corpus.readers import Annotation
from b2ner.corpus.tables import CsvSpans, SessionLines, read_csv_spans, read_session_lines
from b2ner.errors import DataError
from b2ner.records import Reason, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own")
LAYOUT = CsvSpans(spans=(("person", "who", "ws", "we"), ("city", "where", "cs", "ce")))
HEAD = "id,who,ws,we,where,cs,ce,text\n"


def read(*rows, head=HEAD):
    return list(read_csv_spans([head, *(f"{row}\n" for row in rows)], LAYOUT, OWN))


def shown(sample):
    assert isinstance(sample, Sample), sample
    assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    return sample.text, [(e.label, e.text) for e in sample.entities]


def test_several_rows_about_one_text():
    first, second = read(
        'a,Ada,0,3,Turin,10,15,"Ada, with Turin"',
        'a,Ada,0,3,_, , ,"Ada, with Turin"',
        "b,_,,,_,,,Bo",
    )
    assert shown(first) == ("Ada, with Turin", [("person", "Ada"), ("city", "Turin")])
    assert (first.source, shown(second)) == ("own:2", ("Bo", []))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param(["a,Ada,0,x,_,,,Ada"], Reason.MALFORMED, id="no number"),
        pytest.param(["a,Ada,0,9,_,,,Ada"], Reason.SPAN_MISMATCH, id="beyond"),
        pytest.param(["a,Bo,0,2,_,,,Ada"], Reason.SPAN_MISMATCH, id="other words"),
        pytest.param(["a,Ada,0,3,_,,,"], Reason.MALFORMED, id="no text"),
        pytest.param(["a,_,,,_,,,Ada", "a,_,,,_,,,Bo"], Reason.MALFORMED, id="two texts"),
        pytest.param(["a,Ada,0,3"], Reason.MALFORMED, id="too few cells"),
        pytest.param(["a,_,,,_,,,\udcff"], Reason.MALFORMED, id="no UTF-8"),
    ],
)
def test_a_bad_row_is_rejected_alone(rows, reason):
    bad, good = read(*rows, "z,_,,,_,,,Po")
    assert (bad.reason, bad.place) == (reason, "own:2")
    assert good.text == "Po"


def test_files_that_are_not_such_tables():
    with pytest.raises(DataError, match="own: has no column 'text'"):
        read(head="id,who,ws,we,where,cs,ce\n")
    with pytest.raises(DataError, match="not CSV"):
        read('a,Ada,0,3,_,,,"Ada" Bo')


def test_what_was_said_last_has_the_slots():
    lines = [
        '1,"hello\t9:00","play Ada, please\t9:01",{"person ": "Ada", "city": ""}\n',
        '2,"play Bo\t9:00",{"person": "Ada"}\n',
        "3,no session\n",
        '4,"play\t9:00",{"person": }\n',
        "\n",
    ]
    good, astray, none, broken = read_session_lines(lines, SessionLines(), OWN)
    assert shown(good) == ("play Ada, please", [("person", "Ada")])
    assert (astray.place, astray.reason) == ("own:2", Reason.NOT_IN_TEXT)
    assert (none.place, none.reason) == ("own:3", Reason.MALFORMED)
    assert (broken.place, broken.reason) == ("own:4", Reason.MALFORMED)
