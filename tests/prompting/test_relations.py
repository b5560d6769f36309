"""The answers of relation extraction. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ground.growth import grows_linearly

from b2ner import segments
from b2ner.prompting import relations
from b2ner.records import FaultKind, Mention, Relation

pytestmark = pytest.mark.torchfree

LABELS = ("work in", "work", "born: in")
TEXT = "Ada, Countess of Lovelace, and Babbage; both of London, wrote 1,000 notes."


def made(*triples):
    return tuple(Relation(r, Mention("", head), Mention("", tail)) for r, head, tail in triples)


@pytest.mark.parametrize(
    ("triples", "answer"),
    [
        pytest.param([], " None", id="none"),
        pytest.param([("work", "Ada", "London")], " work: Ada, London", id="one"),
        pytest.param(
            [("work", "b", "c"), ("a", "b", "c"), ("work", "b", "c")],
            " work: b, c; a: b, c; work: b, c",
            id="repeats stay, order too",
        ),
    ],
)
def test_write(triples, answer):
    assert relations.write(made(*triples)) == answer


AMBIGUOUS, MALFORMED = FaultKind.AMBIGUOUS, FaultKind.MALFORMED
NOT_IN_TEXT, UNKNOWN = FaultKind.NOT_IN_TEXT, FaultKind.UNKNOWN_LABEL


@pytest.mark.parametrize(
    ("answer", "triples", "faults"),
    [
        pytest.param(" None", [], [], id="none"),
        pytest.param(
            " work in: Ada, London; work: Babbage, London",
            [("work in", "Ada", "London"), ("work", "Babbage", "London")],
            [],
            id="as written",
        ),
        pytest.param(" born: in: Ada, London", [("born: in", "Ada", "London")], [], id="a colon"),
        pytest.param("work：Ada，London；", [("work", "Ada", "London")], [], id="full-width marks"),
        pytest.param(" work: Ada,London", [("work", "Ada", "London")], [], id="no blank"),
        pytest.param(
            " work: Ada, Countess of Lovelace, London",
            [("work", "Ada, Countess of Lovelace", "London")],
            [],
            id="the comma at which both stand in the text",
        ),
        pytest.param(
            " work: Ada, Countess of Lovelace, and",
            [("work", "Ada", "Countess of Lovelace, and")],
            [(AMBIGUOUS, "answer:1-37")],
            id="two such commas: the first",
        ),
        pytest.param(
            " work: 1,000, London", [("work", "1,000", "London")], [], id="a number has a comma"
        ),
        pytest.param(
            " work: Babbage; both, London",
            [("work", "Babbage; both", "London")],
            [],
            id="a semicolon of the text",
        ),
        pytest.param(
            " work: Ada, London; likes: Ada, notes",
            [("work", "Ada", "London")],
            [(MALFORMED, "answer:18-37")],
            id="a label that was not asked for, behind an item",
        ),
        pytest.param(
            "likes: Ada, notes; work: Ada, London",
            [("work", "Ada", "London")],
            [(UNKNOWN, "answer:0-17")],
            id="and before one",
        ),
        pytest.param(" work: Ada", [], [(MALFORMED, "answer:1-10")], id="one entity"),
        pytest.param(" work: Ada, Paris", [], [(NOT_IN_TEXT, "answer:1-17")], id="not in the text"),
        pytest.param(" work: Ada, ondon", [], [(NOT_IN_TEXT, "answer:1-17")], id="inside a word"),
        pytest.param(" work:", [], [(MALFORMED, "answer:1-6")], id="a label alone"),
        pytest.param(
            "Work: Ada, London",
            [("work", "Ada", "London")],
            [(UNKNOWN, "answer:0-4")],
            id="capitals",
        ),
        pytest.param("", [], [(FaultKind.EMPTY_ANSWER, "answer:0-0")], id="nothing"),
    ],
)
def test_read(answer, triples, faults):
    read = relations.read(answer, LABELS, segments.chunks(TEXT))
    assert read.relations == made(*triples)
    assert [(fault.kind, fault.place) for fault in read.faults] == faults


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(LABELS), WORDS, WORDS), min_size=1))
def test_what_we_write_we_read_back(triples):
    text = " ".join(words for _, *ends in triples for words in ends)
    written = relations.write(made(*triples))
    assert relations.read(written, LABELS, segments.chunks(text)).relations == made(*triples)


@given(st.text() | st.text(st.sampled_from(" ;,:，\nAdaworkLondon")))
def test_any_answer_can_be_read(answer):
    read = relations.read(answer, LABELS, segments.chunks(TEXT))
    assert read.relations or read.faults or "none" in answer.casefold()
    for relation in read.relations:
        assert relation.label in LABELS
        assert relation.head.text in TEXT
        assert relation.tail.text in TEXT


@pytest.mark.parametrize("item", [" work: Ada, x;", ", Ada", "; likes: Ada, London"])
def test_a_model_that_repeats_itself_is_read_in_linear_time(item):
    chunks = segments.chunks(TEXT)

    def answer(size):
        return " work: Ada" + item * (size // len(item))

    def read(answer):
        return relations.read(answer, LABELS, chunks)

    assert grows_linearly(answer, read, 2_000)
