"""Predictions for relations, events and sentiment: the published lines, and what is told beside."""

import pytest
from tests.cli.scripted import ObedientEngine

from b2ner import files
from b2ner.errors import DataError, EngineError, InputError, LabelError
from b2ner.evaluation.scores import Measure, headline, score
from b2ner.inference.engine import Completion, Finish, ScriptedEngine
from b2ner.inference.extractor import Extractor
from b2ner.records import Reason
from b2ner.workflows.predict import predict

pytestmark = pytest.mark.torchfree

WORKS = {
    "sentence": "Ada works in London, England.",
    "relations": [
        {"head": {"name": "Ada", "type": "person"}, "type": "work in", "tail": {"name": "London"}},
        {"head": {"name": "Ada"}, "type": "NA", "tail": {"name": "England"}},
    ],
}
ALONE = {"sentence": "Ada is alone.", "relations": []}
O_BRIEN = {
    "sentence": "O'Brien's men hit the fort, hit it again and died.",
    "events": [
        {"type": "Attack's", "trigger": "hit", "arguments": []},
        {"type": "Die", "trigger": "died"},
        {"type": "Attack's", "trigger": "hit"},
        {"type": "NA", "trigger": "men"},
    ],
}
MET = {
    "sentence": "They met in Rome in May.",
    "events": [
        {
            "type": "Meet",
            "trigger": "met",
            "arguments": [{"name": "Rome", "role": "Place"}, {"name": "May", "role": "Time"}],
        }
    ],
}
QUIET = {"sentence": "Nobody came.", "events": []}
WON = {
    "sentence": "红队昨天胜，蓝队也胜。",
    "events": [
        {"type": "胜负", "arguments": [{"name": "红队", "role": "胜者"}]},
        {"type": "胜负", "arguments": [{"name": "蓝队", "role": "胜者"}]},
    ],
}
FUN = {"text": "好看！", "label": "正面"}
TYPES = {"Attack's": [], "Die": []}
ROLES = {"Meet": ["Place", "Time"]}


def make(folder, datasets):
    for name, (labels, rows) in datasets.items():
        files.write_json(folder / name / "labels.json", labels)
        files.write_json_array(folder / name / "test.json", rows)
    return folder


def predicted(tmp_path, datasets, *answers, engine=ScriptedEngine, **options):
    """The lines of a run, and what came of it."""
    data = make(tmp_path / "data", datasets)
    extractor = Extractor(engine(list(answers)))
    made = predict(extractor, data, tmp_path / "out", **options)
    return [line.value for line in files.read_jsonl(made.path)], made


def kinds(line):
    return [fault["kind"] for fault in line["Faults"]]


def test_the_line_of_relations(tmp_path):
    answer = " work in: Ada, London; likes: Ada, England; work in: Ada, Paris"
    (line, _), made = predicted(
        tmp_path, {"RE_en/pairs": (["work in", "born in"], [WORKS, ALONE])}, answer, " None"
    )
    assert kinds(line) == ["unconstrained", "malformed", "not-in-text"]
    del line["Faults"]
    assert line == {
        "Task": "RE",
        "Dataset": "pairs",
        "Language": "en",
        "Instance": {
            "id": "0",
            "sentence": "Ada works in London, England.",
            "label": " work in: Ada, London",
            "instruction": "Given the label set of relations, please extract the two entities and "
            'relation label from the text. The answer format should be "relation label: entity, '
            'entity; relation label: entity, entity". \nLabel Set: work in, born in \n\n'
            "Text: Ada works in London, England. \nAnswer:",
            "ground_truth": " work in: Ada, London",
        },
        "Prediction": "work in: Ada, London",
        "Relations": [{"label": "work in", "head": "Ada", "tail": "London"}],
    }
    assert made.faults == {"unconstrained": 2, "malformed": 1, "not-in-text": 1}
    scores = score(files.read_jsonl(made.path))
    assert scores.average(Measure.SURFACE_SET) == 1


def test_a_text_without_relations_is_none(tmp_path):
    (line,), _ = predicted(tmp_path, {"RE_en/pairs": (["work in"], [ALONE])}, " None")
    assert line["Instance"]["ground_truth"] == " None"
    assert line["Prediction"] == "None"


def test_the_line_of_events(tmp_path):
    answer = " Attack#$%#s: hit; Attack#$%#s: hit; Die: O#$%#Brien#$%#s"
    (line,), _ = predicted(
        tmp_path, {"EET_en/news": (TYPES, [O_BRIEN])}, answer, engine=ObedientEngine
    )
    assert line["Faults"] == []
    assert line["Instance"]["ground_truth"] == " Attack#$%#s: hit; Die: died"
    assert "Label Set: Attack's, Die " in line["Instance"]["instruction"]
    assert "Text: O'Brien's men hit" in line["Instance"]["instruction"]
    # Places and words are those of the text; the answer is spelled as published.
    assert [(e["start"], e["end"], e["label"], e["text"]) for e in line["Entities"]] == [
        (0, 9, "Die", "O'Brien's"),
        (14, 17, "Attack's", "hit"),
        (28, 31, "Attack's", "hit"),
    ]
    assert line["Prediction"] == "Die: O#$%#Brien#$%#s; Attack#$%#s: hit"


def test_answers_of_events_are_held_to_labels_and_text(tmp_path):
    engine = ObedientEngine([" None"])
    data = make(tmp_path / "data", {"EET_en/news": (TYPES, [O_BRIEN]), "EEA_en/n": (ROLES, [MET])})
    predict(Extractor(engine), data, tmp_path / "out")
    arguments, triggers = (request.space for request in engine.requests)
    assert arguments.accepts(" Place: Rome; Time: May")
    assert triggers.accepts(" Attack#$%#s: O#$%#Brien")
    assert not triggers.accepts(" Attack's: O'Brien")
    assert not triggers.accepts(" Attack#$%#s: Brien the")


def test_the_line_of_arguments(tmp_path):
    (line,), made = predicted(
        tmp_path,
        {"EEA_en/news": (ROLES, [MET, QUIET])},
        " Time: May; Place: Rome",
        engine=ObedientEngine,
    )
    prompt = line["Instance"]["instruction"]
    assert "\nEvent type: Meet, Trigger word: met\nLabel Set: Place, Time \n\nText: They" in prompt
    assert line["Instance"]["ground_truth"] == " Place: Rome; Time: May"
    assert line["Prediction"] == "Place: Rome; Time: May"
    assert [entity["label"] for entity in line["Entities"]] == ["Place", "Time"]
    (rejected,) = made.rejected
    assert rejected.reason is Reason.NOTHING_ASKED
    assert rejected.place.endswith("test.json:1")
    assert score(files.read_jsonl(made.path)).average(Measure.SURFACE_SET) == 1


def test_the_line_of_arguments_without_a_trigger(tmp_path):
    roles = {"胜负": ["时间", "胜者"]}
    (line,), _ = predicted(
        tmp_path, {"newEEA_zh/赛事": (roles, [WON])}, " 胜者: 红队", engine=ObedientEngine
    )
    assert "事件类型: 胜负\n标签范围: 时间, 胜者\n\n文本: 红队" in line["Instance"]["instruction"]
    assert line["Instance"]["ground_truth"] == " 胜者: 红队; 胜者: 蓝队"
    assert (line["Prediction"], line["Faults"]) == ("胜者: 红队", [])


def test_the_line_of_event_types(tmp_path):
    (line,), _ = predicted(
        tmp_path, {"newEET_zh/新闻": (TYPES, [O_BRIEN])}, " attack#$%#s; Die; 火灾"
    )
    assert line["Instance"]["ground_truth"] == " Attack#$%#s; Die"
    assert line["Prediction"] == "Attack#$%#s; Die"
    assert kinds(line) == ["unconstrained", "unknown-label", "unknown-label"]
    assert "Entities" not in line


@pytest.mark.parametrize(
    ("answer", "prediction", "told"),
    [
        pytest.param("正面", "正面", [], id="as published"),
        pytest.param(" 正面。\n", "正面", [], id="with blanks and a full stop"),
        pytest.param("正面; 负面", "正面", ["malformed"], id="two labels"),
        pytest.param("很好", "None", ["unknown-label"], id="no label of ours"),
        pytest.param("", "None", ["empty-answer"], id="nothing"),
    ],
)
def test_the_line_of_sentiment(tmp_path, answer, prediction, told):
    (line,), made = predicted(tmp_path, {"Sentiment_zh/影评": (["正面", "负面"], [FUN])}, answer)
    assert line["Instance"]["sentence"] == "好看！"
    assert line["Instance"]["ground_truth"] == "正面"
    assert line["Prediction"] == prediction
    assert kinds(line) == ["unconstrained", *told]
    (scores,) = score(files.read_jsonl(made.path)).datasets
    assert headline(scores.surface_set) == (prediction == "正面")


def test_a_task_without_a_prompt_in_the_language_says_so(tmp_path):
    (line,), _ = predicted(tmp_path, {"Sentiment_en/x": (["good"], [FUN])}, "good")
    assert kinds(line) == ["language", "unconstrained"]
    assert line["Language"] == "en"


def test_a_free_answer_that_was_asked_for_is_no_fault(tmp_path):
    datasets = {"RE_en/pairs": (["work in"], [WORKS]), "EET_en/news": (TYPES, [O_BRIEN])}
    lines, _ = predicted(tmp_path, datasets, " None", constrained=False, engine=ObedientEngine)
    assert [kinds(line) for line in lines] == [[], []]


@pytest.mark.parametrize("key", ["RE_en", "EET_en"])
def test_an_answer_that_was_cut_is_told(tmp_path, key):
    cut = Completion(" Die: Ada, London; Die: Ada, Lon", finish=Finish.LENGTH)
    rows = [{**WORKS, "events": []}]
    (line,), _ = predicted(
        tmp_path, {f"{key}/x": (["Die"] if key == "RE_en" else TYPES, rows)}, cut
    )
    assert "answer-truncated" in kinds(line)
    assert line["Prediction"] == ("Die: Ada, London" if key == "RE_en" else "None")


@pytest.mark.parametrize("key", ["RE_en", "EET_en", "newEET_zh"])
def test_a_text_that_the_engine_fails_on_is_told(tmp_path, key):
    failed = Completion("", finish=Finish.ERROR, error="out of luck")
    rows = [{**WORKS, "events": []}]
    labels = ["Die"] if key == "RE_en" else TYPES
    (line,), made = predicted(tmp_path, {f"{key}/x": (labels, rows)}, failed, constrained=False)
    assert line["Prediction"] == "None"
    assert made.faults == {"engine": 1}


def test_a_long_text_is_cut_and_told(tmp_path):
    data = make(tmp_path / "data", {"RE_en/x": (["work in"], [WORKS])})
    extractor = Extractor(ScriptedEngine([" work in: Ada, London"], max_characters=15))
    (line,) = files.read_jsonl(predict(extractor, data, tmp_path / "out").path)
    assert kinds(line.value) == ["text-truncated", "unconstrained", "not-in-text"]
    assert line.value["Instance"]["instruction"].endswith("Text: Ada works in  \nAnswer:")


def test_a_text_of_nothing_is_not_asked_about(tmp_path):
    lines, _ = predicted(
        tmp_path, {"RE_en/x": (["work in"], [{"sentence": " ", "relations": []}, WORKS])}, " None"
    )
    assert [line["Prediction"] for line in lines] == ["None", "None"]
    assert [kinds(line) for line in lines] == [[], ["unconstrained"]]


class StoppingEngine(ScriptedEngine):
    """Gives one answer and is gone."""

    def generate(self, requests):
        for completion in super().generate(requests):
            yield completion
            raise EngineError("the engine is gone")


def test_a_stopped_run_goes_on_where_it_ended(tmp_path):
    rows = {"RE_en/x": (["work in"], [WORKS, ALONE]), "NER_en/x": (["a"], [])}
    rows["EET_en/x"] = (TYPES, [O_BRIEN])  # a data set of one name in each task
    data = make(tmp_path / "data", rows)
    answers = [" None", " work in: Ada, London", " None"]
    whole = predict(Extractor(ScriptedEngine(answers)), data, tmp_path / "whole").path
    with pytest.raises(EngineError):
        predict(Extractor(StoppingEngine(answers)), data, tmp_path / "out")
    made = predict(Extractor(ScriptedEngine(answers[2:])), data, tmp_path / "out")
    assert (made.kept, made.written) == (2, 1)
    assert made.path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("key", "labels", "row", "reason"),
    [
        pytest.param("RE_en", ["a"], {"sentence": "x"}, Reason.MALFORMED, id="no relations"),
        pytest.param(
            "EET_en", {"a": []}, {"sentence": "x", "events": [{"type": "a"}]}, ..., id="t"
        ),
        pytest.param(
            "EEA_en",
            ROLES,
            {"sentence": "x", "events": [MET["events"][0]] * 2},
            Reason.MALFORMED,
            id="two events",
        ),
        pytest.param(
            "EEA_en",
            {"Die": ["Place"]},
            MET,
            Reason.UNKNOWN_LABEL,
            id="a type without a label set",
        ),
        pytest.param("EEA_en", {"Meet": []}, MET, Reason.NOTHING_ASKED, id="a type without roles"),
        pytest.param("Sentiment_zh", ["a"], {"text": "x", "label": ""}, ..., id="no sentiment"),
    ],
)
def test_rows_that_cannot_be_asked_about_are_told(tmp_path, key, labels, row, reason):
    lines, made = predicted(tmp_path, {f"{key}/x": (labels, [row])}, " None")
    assert lines == []
    (rejected,) = made.rejected
    assert rejected.reason is (Reason.MALFORMED if reason is ... else reason)
    assert rejected.place.endswith("test.json:0")


@pytest.mark.parametrize(
    ("key", "labels", "error", "message"),
    [
        pytest.param("EET_en", ["Die"], DataError, "keys are the event types", id="an array"),
        pytest.param("EEA_en", {"Die": "Place"}, DataError, "arrays of roles", id="no roles"),
        pytest.param("RE_en", {"a": 1}, DataError, "an array of label names", id="an object"),
        pytest.param("RE_en", ["a", "a"], LabelError, r"test\.json:0: .*twice", id="twice"),
    ],
)
def test_labels_that_are_not_of_the_task(tmp_path, key, labels, error, message):
    with pytest.raises(error, match=message):
        predicted(tmp_path, {f"{key}/x": (labels, [{**WORKS, "events": []}])}, " None")
    assert issubclass(error, InputError)
