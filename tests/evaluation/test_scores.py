"""Scores of whole files: three measures, averages, and every line accounted for."""

import copy
import json
from pathlib import Path

import pytest

from b2ner.errors import DataError
from b2ner.evaluation import report
from b2ner.evaluation.match import Accuracy, Counts
from b2ner.evaluation.scores import Measure, score
from b2ner.files import BrokenLine, JsonLine, read_jsonl

pytestmark = pytest.mark.torchfree

OURS = Path(__file__).parents[1] / "data" / "evaluation" / "ours.jsonl"
LINE = {
    "Task": "NER",
    "Dataset": "letters",
    "Language": "en",
    "Instance": {
        "id": "0",
        "sentence": "Ada met Ada",
        "label": " person: Ada",
        "instruction": "Label Set: person \n\nText: Ada met Ada \nAnswer:",
        "ground_truth": " person: Ada",
    },
    "Prediction": "person: Ada",
}


def numbered(*values):
    return [JsonLine(number, value) for number, value in enumerate(values, start=1)]


def changed(**members):
    """The line with some members changed; `Instance__x` changes a member of Instance."""
    line = copy.deepcopy(LINE)
    for name, value in members.items():
        outer, _, inner = name.partition("__")
        target, key = (line[outer], inner) if inner else (line, outer)
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return line


def test_our_own_file():
    scores = score(read_jsonl(OURS))
    assert scores.faults == ()
    assert scores.notes == ("faults that the extractor told: repeated 1",)
    by_name = {s.dataset: s for s in scores.datasets}
    # One Ada is enough for the set; by offsets the second one is missed, and Turin is no place.
    assert by_name["letters"].surface_set == Counts(tp=1, fp=2, fn=1)
    assert by_name["letters"].surface_only == Counts(tp=2, fp=1, fn=0)
    assert by_name["letters"].span == Counts(tp=1, fp=2, fn=2)
    assert by_name["letters"].confusion == {
        ("person", "person"): 1,
        ("city", "place"): 1,
        ("", "person"): 1,
    }
    assert by_name["Kitchen"].span == Counts(tp=2)
    assert by_name["math-junior"].span == Counts(fn=1)
    # math-junior takes no part in a mean.
    kitchen, letters, chinese = 1.0, 2 * 0.5 * (1 / 3) / (0.5 + 1 / 3), 0.8
    assert scores.average(Measure.SURFACE_SET, "NER_en") == (letters + kitchen) / 2
    assert scores.average(Measure.SURFACE_SET, "NER_zh") == pytest.approx(chinese)
    assert scores.average(Measure.SURFACE_SET) == pytest.approx((letters + kitchen + chinese) / 3)


def test_the_json_form():
    shown = report.to_json(score(read_jsonl(OURS)), confusion=True)
    assert list(shown) == ["scores", "confusion", "faults", "notes"]
    assert list(shown["scores"]) == ["NER_en", "NER_zh", "average"]
    assert list(shown["scores"]["NER_en"]) == ["Kitchen", "letters", "average"]
    assert shown["scores"]["NER_en"]["letters"] == {
        "texts": 2,
        "surface_set": {"precision": 1 / 3, "recall": 0.5, "f1": 0.4, "tp": 1, "fp": 2, "fn": 1},
        "span": {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "tp": 1, "fp": 2, "fn": 2},
        "surface_only": {"precision": 2 / 3, "recall": 1.0, "f1": 0.8, "tp": 2, "fp": 1, "fn": 0},
    }
    assert list(shown["scores"]["average"]) == ["surface_set", "span", "surface_only"]
    assert shown["confusion"]["NER_en"]["letters"][0] == {
        "gold": "",
        "predicted": "person",
        "count": 1,
    }
    assert json.loads(json.dumps(shown)) == shown


def test_rows_follow_the_published_report():
    names = [row.name for row in report.rows(score(read_jsonl(OURS)))]
    assert names == [
        "Kitchen",
        "letters",
        "NER_en average",
        "math-junior",
        "来信",
        "NER_zh average",
        "average",
    ]


def test_without_offsets_there_is_no_span_score_and_that_is_said_once():
    scores = score(numbered(LINE, LINE))
    assert scores.datasets[0].span is None
    assert scores.average(Measure.SPAN) is None
    assert scores.notes == ("no span scores: the lines carry no usable Gold and Entities",)
    assert report.to_json(scores)["scores"]["NER_en"]["letters"]["span"] is None


def test_some_lines_without_offsets_are_counted():
    placed = changed(Gold=[], Entities=[])
    scores = score(numbered(placed, LINE, {**placed, "Dataset": "notes"}))
    assert [s.span for s in scores.datasets] == [None, Counts()]
    assert scores.notes == (
        "NER_en letters: no span score, 1 of 2 lines carry no usable Gold and Entities",
    )
    assert scores.average(Measure.SPAN) is None  # not a mean over fewer data sets


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(changed(Prediction=None), "Prediction should be text, found null", id="null"),
        pytest.param(changed(Prediction=3), "Prediction should be text, found a number", id="3"),
        pytest.param(
            changed(Prediction=["a"]), "Prediction should be text, found an array", id="l"
        ),
        pytest.param(changed(Prediction=...), "Prediction is missing", id="no prediction"),
        pytest.param(
            changed(Task="NER_en"),
            "task 'NER_en' is not scored; NER, RE, EET, EEA, newEET, newEEA, Sentiment are",
            id="key",
        ),
        pytest.param(changed(Task=...), "Task is missing", id="no task"),
        pytest.param(changed(Dataset=...), "Dataset is missing", id="no data set"),
        pytest.param(changed(Language=None), "Language should be text, found null", id="language"),
        pytest.param(changed(Instance=None), "Instance should be an object, found null", id="inst"),
        pytest.param(changed(Instance__sentence=...), "sentence is missing", id="no sentence"),
        pytest.param(changed(Instance__ground_truth=...), "ground_truth is missing", id="no gold"),
        pytest.param([1], "a line should be an object, found an array", id="an array"),
    ],
)
def test_a_line_that_cannot_be_scored_is_told_and_the_rest_is_scored(line, problem):
    scores = score([*numbered(LINE, line), BrokenLine(3, "a blank line"), *numbered(LINE)])
    assert [(f.number, f.problem, f.scored) for f in scores.unscored] == [
        (2, problem, False),
        (3, "a blank line", False),
    ]
    assert scores.datasets[0].surface_set == Counts(tp=2)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(changed(Instance__instruction=...), "Instance.instruction is no text", id="i"),
        pytest.param(changed(Instance__label=None), "a null in the line", id="null"),
        pytest.param(changed(Dataset="a/b"), "'/' in the data set name 'a/b'", id="slash"),
        pytest.param(changed(Gold={}, Entities=[]), "Gold should be an array", id="gold"),
        pytest.param(
            changed(Gold=[], Entities=[{"start": 1, "end": 4, "label": "x", "text": "Ada"}]),
            "Entities holds no entity of this sentence",
            id="an entity that does not stand in the sentence",
        ),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_scored_and_told(line, problem):
    scores = score(numbered(line))
    (fault,) = scores.faults
    assert fault.scored
    assert fault.problem.startswith(problem)
    assert scores.datasets[0].surface_set == Counts(tp=1)
    assert scores.datasets[0].span is None


def of(task, truth, prediction, **more):
    return changed(Task=task, Instance__ground_truth=truth, Prediction=prediction, **more)


def test_all_tasks_in_one_file():
    scores = score(
        numbered(
            of("NER", " person: Ada", "person: Ada", Gold=[], Entities=[]),
            of("RE", " wrote: Ada, note", "wrote: Ada, note; wrote: note, Ada"),
            of("EET", " Meet: met", "Meet: saw"),
            of("EET", " Meet: met", "Meet: met; Die: met"),
            of("newEEA", " Place: Rome", "Place: Rome", Instance__instruction=...),
            of("Sentiment", "good", "None"),
        )
    )
    assert scores.faults == ()
    # Only entities have places that could be missing.
    assert scores.notes == (
        "EET_en, Sentiment_en: F1 is the share of texts that are right, as published",
    )
    by_group = {s.group: s for s in scores.datasets}
    assert by_group["RE_en"].surface_set == Counts(tp=1, fp=1)
    assert by_group["RE_en"].surface_only == Counts(tp=1, fp=1)
    assert by_group["EET_en"].surface_set == Accuracy(right=1, total=2)
    assert by_group["EET_en"].surface_only is None
    assert by_group["newEEA_en"].surface_set == Counts(tp=1)
    assert by_group["Sentiment_en"].surface_set == Accuracy(right=0, total=1)
    assert scores.average(Measure.SURFACE_SET, "EET_en") == 0.5
    mean = (1 + 2 / 3 + 0.5 + 1 + 0) / 5
    assert scores.average(Measure.SURFACE_SET) == pytest.approx(mean)
    assert scores.average(Measure.SPAN) is None  # not a mean over fewer data sets
    assert scores.average(Measure.SPAN, "NER_en") == 0
    assert scores.average(Measure.SURFACE_ONLY) is None
    shown = report.to_json(scores)["scores"]["EET_en"]
    assert shown["letters"]["surface_set"] == {"accuracy": 0.5, "right": 1, "total": 2}
    assert shown["average"] == {"surface_set": 0.5, "span": None, "surface_only": None}
    row = next(row for row in report.rows(scores) if row.name == "EET_en average")
    assert (row.f1, row.span_f1, row.surface_only_f1) == (0.5, None, None)


def test_only_entities_are_repaired():
    lines = numbered(of("RE", " wrote: Ada, note", "wrote: Ada, note"))
    assert score(lines, repair=True).datasets[0].surface_set == Counts(tp=1)


def test_relations_where_there_are_none_are_counted_and_told():
    scores = score(numbered(of("RE", " None", "wrote: Ada, note")))
    assert scores.datasets[0].surface_set == Counts(fp=1)
    (fault,) = scores.faults
    assert fault.scored
    assert "the published scorer stops here" in fault.problem


def test_id_label_and_language_may_be_missing():
    line = changed(Language=..., Instance__id=..., Instance__label=...)
    scores = score(numbered(line))
    assert scores.faults == ()
    assert scores.groups == ("NER_",)


def test_repair_and_clip_are_said():
    line = changed(Prediction="person: Ada, Bob")
    scores = score(numbered(line, changed(Instance__id="-1")), repair=True, clip=True)
    assert scores.datasets[0].surface_set == Counts(tp=1, fp=1)
    assert scores.datasets[0].texts == 1
    assert scores.notes[:2] == (
        "1 lines were left out by the clip rule",
        "answers were repaired (`label: a, b` read as two entities)",
    )


def test_an_empty_file_has_an_average_of_zero():
    scores = score([])
    assert scores.average(Measure.SURFACE_SET) == 0
    assert report.to_json(scores)["scores"] == {
        "average": {"surface_set": 0, "span": None, "surface_only": 0}
    }


def test_a_data_set_called_average_would_be_overwritten():
    with pytest.raises(DataError, match="average"):
        report.to_json(score(numbered(changed(Dataset="average"))))


def test_fault_lines_name_every_line_once():
    scores = score(
        [BrokenLine(n, "a blank line") for n in (2, 3, 4, 7)] + numbered(changed(Task=1))
    )
    assert report.fault_lines(scores.faults) == [
        "lines 2-4, 7: a blank line (not scored)",
        "line 1: Task should be text, found a number (not scored)",
    ]
