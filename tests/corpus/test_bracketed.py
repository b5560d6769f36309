"""Marks inside lines. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.bracketed import Brackets, SlashChunks, read_brackets, read_slash_chunks
from b2ner.corpus.readers import Annotation
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("P", "pf", "ps", "gu", "g_"), "en", "own.txt")
CHINESE = Annotation(("nr", "ns"), "zh", "own.txt")


def found(sample):
    assert isinstance(sample, Sample), sample
    for entity in sample.entities:
        assert sample.text[entity.start : entity.end] == entity.text
    return sample.text, [(entity.text, entity.label) for entity in sample.entities]


def brackets(text):
    return list(read_brackets(text.splitlines(keepends=True), Brackets(left_out=("cap", "?")), OWN))


@pytest.mark.parametrize(
    ("line", "text", "entities"),
    [
        pytest.param("So it is .", "So it is .", [], id="no marks"),
        pytest.param("In <gu Turin> .", "In Turin .", [("Turin", "gu")], id="one"),
        pytest.param(
            "<P<pf Ada> <ps Smith>> ran",
            "Ada Smith ran",
            [("Ada Smith", "P"), ("Ada", "pf"), ("Smith", "ps")],
            id="nested",
        ),
        pytest.param("<cap Oh> <? what>", "Oh what", [], id="marks that are no entities"),
        pytest.param("<g_ Po > so", "Po  so", [("Po", "g_")], id="a blank at its end"),
        pytest.param("3 < 4 > 2", "3 < 4 > 2", [], id="signs that are no marks"),
    ],
)
def test_brackets(line, text, entities):
    (sample,) = brackets(line + "\n")
    assert found(sample) == (text, entities)


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        pytest.param("<P<pf Ada> x", Reason.MALFORMED, "<P is not closed", id="open"),
        pytest.param("<gu  > x", Reason.MALFORMED, "<gu> holds no words", id="empty"),
        pytest.param("<zz Po>", Reason.UNKNOWN_LABEL, "'zz'", id="label"),
        pytest.param("P\udcff", Reason.MALFORMED, "not UTF-8", id="bytes"),
    ],
)
def test_a_line_with_broken_marks_is_rejected_alone(line, reason, detail):
    bad, kept = brackets(f"{line}\n\n<gu Po>\n")
    assert bad == Rejected(reason, "own.txt:1", detail)
    assert (found(kept), kept.source) == (("Po", [("Po", "gu")]), "own.txt:3")


@given(st.text(st.sampled_from("<>aP gu?"), max_size=20).filter(str.strip))
def test_any_line_gives_one_result_whose_places_hold(line):
    (result,) = brackets(line)
    if isinstance(result, Sample):
        found(result)


def chunks(text):
    return list(read_slash_chunks(text.splitlines(keepends=True), SlashChunks(), CHINESE))


def test_slash_chunks():
    (sample,) = chunks("小王/nr 在1/2路/o 王村/ns \n\n")
    assert found(sample) == ("小王在1/2路王村", [("小王", "nr"), ("王村", "ns")])


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        pytest.param("小王 在/o", Reason.MALFORMED, "'小王' is no words/label", id="no label"),
        pytest.param("小王/ 在/o", Reason.MALFORMED, "'小王/' is no words/label", id="half"),
        pytest.param("/nr 在/o", Reason.MALFORMED, "'/nr' is no words/label", id="no words"),
        pytest.param("小王/xx", Reason.UNKNOWN_LABEL, "'xx'", id="label"),
        pytest.param("\udcff/o", Reason.MALFORMED, "not UTF-8", id="bytes"),
    ],
)
def test_a_line_of_broken_chunks_is_rejected_alone(line, reason, detail):
    bad, kept = chunks(f"{line}\n好/o\n")
    assert bad == Rejected(reason, "own.txt:1", detail)
    assert found(kept) == ("好", [])
