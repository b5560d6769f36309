"""Brat standoff: places in the whole text, cuts that no mention is lost at. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.brat import Cut, read_brat
from b2ner.corpus.readers import Annotation
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

OWN = Annotation(("person", "city"), "en", "own/1.txt")


def read(text, annotations, cut=Cut.LINES):
    return list(read_brat(text, annotations, cut, OWN))


def shown(sample):
    assert isinstance(sample, Sample), sample
    return sample.text, [(e.label, e.text, e.start) for e in sample.entities]


def test_places_count_from_the_start_of_the_text():
    text = "Ada came .\nShe left Turin .\n"
    one, other = read(text, "T2\tcity 20 25\tTurin\nT1\tperson 0 3\tAda\nR1\tin Arg1:T1 Arg2:T2\n")
    assert shown(one) == ("Ada came .", [("person", "Ada", 0)])
    assert shown(other) == ("She left Turin .", [("city", "Turin", 9)])
    assert (one.source, other.source) == ("own/1.txt:0", "own/1.txt:11")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        pytest.param("One. Two! Three?", ["One.", "Two!", "Three?"], id="ends of sentences"),
        pytest.param("At 3.5 degC. it rose.", ["At 3.5 degC. it rose."], id="small letters go on"),
        pytest.param("By A. Bell. He came.", ["By A. Bell.", "He came."], id="initials"),
        pytest.param("下雨。天冷；好！", ["下雨。", "天冷；", "好！"], id="Chinese"),
        pytest.param("\n\n One \n \n two", ["One", "two"], id="blank lines are no pieces"),
    ],
)
def test_sentences(text, pieces):
    assert [sample.text.strip() for sample in read(text, "", Cut.SENTENCES)] == pieces


def test_no_cut_goes_through_a_mention():
    text = "We met Dr. Who. Then we left."
    one, other = read(text, "T1\tperson 7 14\tDr. Who", Cut.SENTENCES)
    assert shown(one) == ("We met Dr. Who.", [("person", "Dr. Who", 7)])
    assert other.text == "Then we left."


def test_nested_mentions_and_words_over_a_line_break_are_kept():
    (sample,) = read("New\nTurin", "T1\tcity 0 9\tNew Turin\nT2\tcity 4 9\tTurin\n")
    assert shown(sample) == ("New\nTurin", [("city", "New\nTurin", 0), ("city", "Turin", 4)])


def test_a_mention_in_parts_rejects_its_piece_alone():
    text = "Ada and Bo Ray .\nTurin ."
    bad, good = read(text, "T1\tperson 0 3;11 14\tAda Ray\nT2\tcity 17 22\tTurin")
    assert bad == Rejected(Reason.DISCONTINUOUS, "own/1.txt:0", "person within 'Ada and Bo Ray'")
    assert shown(good) == ("Turin .", [("city", "Turin", 0)])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("T1\tcity 0 5\tMilan", Reason.SPAN_MISMATCH, id="other words"),
        pytest.param("T1\tcity 0 50\tTurin", Reason.SPAN_MISMATCH, id="past the end"),
        pytest.param("T1\tcity 5 0\tTurin", Reason.SPAN_MISMATCH, id="backwards"),
        pytest.param("T1\tcity 0\tTurin", Reason.MALFORMED, id="half a place"),
        pytest.param("T1\tcity 0 5", Reason.MALFORMED, id="no words"),
        pytest.param("T1\ttown 0 5\tTurin", Reason.UNKNOWN_LABEL, id="unknown label"),
    ],
)
def test_annotations_that_cannot_be_kept(line, reason):
    (bad,) = read("Turin", line)
    assert bad.reason is reason


@given(st.text("aB. 。\n", min_size=1, max_size=30), st.data())
def test_every_mention_is_in_one_piece(text, data):
    spans = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 5)).map(
        lambda at: (at[0], min(at[0] + at[1], len(text)))
    )
    places = [
        (start, end)
        for start, end in data.draw(st.lists(spans, unique=True))
        if text[start:end].strip()
    ]
    lines = [
        f"T{n}\tcity {start} {end}\t{' '.join(text[start:end].split())}"
        for n, (start, end) in enumerate(places)
    ]
    samples = read(
        text, "\n".join(lines), data.draw(st.sampled_from(sorted(set(Cut) - {Cut.WRAPPED})))
    )
    found = []
    for sample in samples:
        offset = int(sample.source.rpartition(":")[2])
        assert text[offset : offset + len(sample.text)] == sample.text
        found += [(offset + e.start, offset + e.end) for e in sample.entities]
    assert sorted(found) == sorted(places)


def test_a_mention_in_parts_may_become_what_covers_them():
    text = "Ada and Bo Ray ."
    annotations = "T1\tperson 0 3;11 14\tAda Ray\n"
    (rejected,) = read(text, annotations)
    assert rejected.reason is Reason.DISCONTINUOUS
    (sample,) = read_brat(text, annotations, Cut.LINES, OWN, covering=True)
    assert shown(sample)[1] == [("person", "Ada and Bo Ray", 0)]


def test_parts_with_only_white_space_between_are_one():
    (sample,) = read("New\nTurin", "T1\tcity 0 3;4 9\tNew Turin\n")
    assert shown(sample)[1] == [("city", "New\nTurin", 0)]


def test_words_that_stand_elsewhere_reject_their_piece_alone():
    bad, good = read("Ada .\nTurin .", "T1\tperson 0 3\tBo\nT2\tcity 6 11\tTurin")
    assert (bad.reason, bad.place) == (Reason.SPAN_MISMATCH, "own/1.txt:0")
    assert bad.detail == "annotation line 1: 'Bo' does not stand at 0 3"
    assert shown(good) == ("Turin .", [("city", "Turin", 0)])


def test_a_text_may_stay_whole():
    (sample,) = read("One.\nTwo.", "", Cut.NOWHERE)
    assert sample.text == "One.\nTwo."


def test_lines_that_are_broken_anywhere():
    text = "小王在都\n灵。他说New\nTurin好。"
    annotations = "T1\tcity 3 4;5 6\t都 灵\nT2\tcity 9 18\tNew Turin"
    first, second = read(text, annotations, Cut.WRAPPED)
    assert shown(first) == ("小王在都灵。", [("city", "都灵", 3)])
    assert shown(second) == ("他说New Turin好。", [("city", "New Turin", 2)])


def test_relations_and_no_cut_between_their_ends():
    text = "Ada came. She left Turin. Bo slept."
    annotations = "T1\tperson 0 3\tAda\nT2\tcity 19 24\tTurin\nR1\tfrom Arg1:T1 Arg2:T2\t\n"
    first, second = read_brat(text, annotations, Cut.SENTENCES, OWN, relations=True)
    assert first.text == "Ada came. She left Turin."
    (relation,) = first.relations
    assert (relation.label, relation.head.text, relation.tail.text) == ("from", "Ada", "Turin")
    assert (second.text, second.relations) == ("Bo slept.", ())
    assert len(read(text, annotations, Cut.SENTENCES)) == 3


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("R1\tfrom Arg1:T1 Arg2:T9\t", id="to nothing"),
        pytest.param("R1\tfrom T1 T1", id="no relation"),
        pytest.param("T1\tperson 0 3\tAda", id="an id again"),
    ],
)
def test_relations_that_cannot_be_read_reject_the_text(line):
    annotations = f"T1\tperson 0 3\tAda\n{line}\n"
    (rejected,) = read_brat("Ada", annotations, Cut.LINES, OWN, relations=True)
    assert (rejected.reason, rejected.place) == (Reason.MALFORMED, "own/1.txt")
