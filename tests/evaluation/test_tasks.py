"""The published rules of the other tasks, one line a rule. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.evaluation.match import Counts
from b2ner.evaluation.tasks import count, gold_items, predicted_items, stops_the_published
from b2ner.records import Task

pytestmark = pytest.mark.torchfree


@pytest.mark.parametrize(
    ("answer", "types"),
    [
        pytest.param(" Meet: met; Die: fell", {"meet", "die"}, id="triggers play no part"),
        pytest.param("meet; Meet", {"meet"}, id="a type alone, and twice"),
        pytest.param(" None", {"none"}, id="none is a type"),
        pytest.param("", {""}, id="so is nothing"),
        pytest.param("Meet: met;", {"meet", ""}, id="and what follows the last mark"),
        pytest.param("胜负：胜；死亡：亡", {"胜负", "死亡"}, id="full-width marks"),
        pytest.param("a: b: c", {"a"}, id="up to the first colon"),
    ],
)
def test_event_types(answer, types):
    for task in (Task.EET, Task.NEW_EET):
        assert gold_items(task, answer) == predicted_items(task, answer) == types


@pytest.mark.parametrize(
    ("answer", "gold", "predicted"),
    [
        pytest.param(" Place: Rome; Time: May", {"place:rome", "time:may"}, ..., id="ordinary"),
        pytest.param(" None", set(), ..., id="none"),
        pytest.param("地点：罗马；时间：五月", set(), {"地点:罗马", "时间:五月"}, id="full-width"),
        pytest.param(
            "地点: 罗马；时间: 五月",
            {"地点:罗马;时间:五月"},
            {"地点:罗马", "时间:五月"},
            id="gold is cut at ASCII marks",
        ),
    ],
)
def test_arguments(answer, gold, predicted):
    for task in (Task.EEA, Task.NEW_EEA):
        assert gold_items(task, answer) == gold
        assert predicted_items(task, answer) == (gold if predicted is ... else predicted)


@pytest.mark.parametrize(
    ("answer", "gold", "predicted"),
    [
        pytest.param(" Good ", "good", "good", id="capitals and blanks"),
        pytest.param("Sentiment : good", "sentiment:good", "good", id="behind the colon"),
        pytest.param("a: b: c", "a:b:c", "b", id="up to the second colon"),
        pytest.param("情感：好", "情感：好", "情感：好", id="no full-width colon"),
        pytest.param("good.", "good.", "good.", id="marks stay"),
        pytest.param("", "", "", id="nothing"),
    ],
)
def test_sentiment(answer, gold, predicted):
    assert gold_items(Task.SENTIMENT, answer) == {gold}
    assert predicted_items(Task.SENTIMENT, answer) == {predicted}


@pytest.mark.parametrize(
    ("gold", "predicted", "counts", "stops"),
    [
        pytest.param({"r:a,b"}, {"r:a,b", "r:b,a"}, Counts(1, 1, 0), False, id="ordinary"),
        pytest.param(set(), {"r:a,b"}, Counts(0, 1, 0), True, id="none to find"),
        pytest.param({"r:a,na,b"}, set(), Counts(1, 0, 0), False, id="no relation, none said"),
        pytest.param({"r:a,na,b"}, {"r:a,na,b"}, Counts(1, 0, 0), False, id="and said so"),
        pytest.param({"r:a,na,b"}, {"r:a,kill,b"}, Counts(0, 0, 0), False, id="contradicted"),
        pytest.param({"r:a,na,b"}, {"r:a,x,y,b"}, Counts(0, 0, 0), False, id="by several words"),
        pytest.param({"r:a,na,b"}, {"q:c,d"}, Counts(1, 0, 0), False, id="wrong beside it is free"),
        pytest.param({"r:a,na,b"}, {"r:a,na,b,c"}, Counts(1, 0, 0), False, id="and more behind"),
        pytest.param({"r:a,没有关系,b"}, {"r:a,没有关系,b"}, Counts(1, 0, 0), True, id="Chinese"),
        pytest.param({"r:a,没有关系,b"}, {"r:a,杀,b"}, Counts(1, 0, 0), False, id="no wildcard"),
        pytest.param({"r:a,na,b"}, {"r:a"}, Counts(1, 0, 0), True, id="the gold item's beginning"),
        pytest.param(
            {"r:a,na,b", "r:c,d"}, {"q:x,y"}, Counts(1, 1, 1), False, id="of both kinds: ordinary"
        ),
    ],
)
def test_relations(gold, predicted, counts, stops):
    assert count(Task.RE, gold, predicted) == counts
    assert bool(stops_the_published(Task.RE, gold, predicted)) == stops


@given(st.sampled_from(Task), st.text(), st.text())
def test_any_answer_can_be_scored(task, truth, answer):
    gold, predicted = gold_items(task, truth), predicted_items(task, answer)
    counts = count(task, gold, predicted)
    assert counts.tp + counts.fn <= len(gold)
    assert counts.fp <= len(predicted)
    assert isinstance(stops_the_published(task, gold, predicted), list)
