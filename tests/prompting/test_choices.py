"""Answers that are labels alone. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.prompting import choices
from b2ner.records import FaultKind

pytestmark = pytest.mark.torchfree

LABELS = ("胜负", "Meet", "Meet; greet", "date or period", "3.5", ".net")


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        pytest.param([], " None", id="none"),
        pytest.param(["Meet"], " Meet", id="one"),
        pytest.param(["Meet", "胜负", "Meet"], " Meet; 胜负; Meet", id="repeats stay"),
    ],
)
def test_write(labels, answer):
    assert choices.write(labels) == answer


@pytest.mark.parametrize(
    ("answer", "labels", "faults"),
    [
        pytest.param(" None", [], [], id="none"),
        pytest.param("none.", [], [], id="none in other words"),
        pytest.param(" Meet; 胜负", ["Meet", "胜负"], [], id="as written"),
        pytest.param("Meet；胜负。", ["Meet", "胜负"], [], id="full-width marks"),
        pytest.param(" Meet ;;\n 胜负;", ["Meet", "胜负"], [], id="marks and blanks too many"),
        pytest.param(" Meet; greet; Meet", ["Meet; greet", "Meet"], [], id="the longest label"),
        pytest.param(" 3.5; .net", ["3.5", ".net"], [], id="a label may hold a full stop"),
        pytest.param(
            "meet", ["Meet"], [(FaultKind.UNKNOWN_LABEL, "answer:0-4")], id="other capitals"
        ),
        pytest.param(
            " Meet; Die: fell; 胜负",
            ["Meet", "胜负"],
            [(FaultKind.UNKNOWN_LABEL, "answer:7-16")],
            id="not asked for",
        ),
        pytest.param(
            " Meeting", [], [(FaultKind.UNKNOWN_LABEL, "answer:1-8")], id="no whole label"
        ),
        pytest.param(
            " Meet; None", ["Meet"], [(FaultKind.MALFORMED, "answer:7-11")], id="none beside one"
        ),
        pytest.param("", [], [(FaultKind.EMPTY_ANSWER, "answer:0-0")], id="nothing"),
        pytest.param(" ; ", [], [(FaultKind.EMPTY_ANSWER, "answer:0-3")], id="marks alone"),
    ],
)
def test_read(answer, labels, faults):
    read = choices.read(answer, LABELS)
    assert list(read.labels) == labels
    assert [(fault.kind, fault.place) for fault in read.faults] == faults


def test_without_labels_nothing_can_be_answered():
    assert choices.read(" None", ()).labels == ()
    assert choices.read(" Meet", ()).faults


PLAIN = st.text(st.characters(exclude_characters=";；\n\r", categories=["L", "N", "P"]), min_size=1)


@given(st.lists(PLAIN, min_size=1, unique=True), st.data())
def test_what_we_write_we_read_back(labels, data):
    chosen = data.draw(st.lists(st.sampled_from(labels)))
    read = choices.read(choices.write(chosen), labels)
    if chosen or "None" not in labels:
        assert read.labels == tuple(chosen)
        assert not read.faults


@given(st.text() | st.text(st.sampled_from(" ;；.\nMet胜负None")), st.lists(st.text(min_size=1)))
def test_any_answer_can_be_read(answer, labels):
    read = choices.read(answer, labels)
    assert set(read.labels) <= set(labels)
    assert read.labels or read.faults or "none" in answer.casefold()
