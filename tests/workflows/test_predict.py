"""Predictions: the published line and ours beside it, in the order of the data, resumable."""

import json

import pytest

from b2ner import files
from b2ner.errors import DataError, EngineError, LabelError
from b2ner.evaluation.match import Counts
from b2ner.evaluation.scores import score
from b2ner.inference.engine import ScriptedEngine
from b2ner.inference.extractor import Extractor
from b2ner.records import Reason
from b2ner.workflows.predict import PREDICTIONS, SETTINGS, predict

pytestmark = pytest.mark.torchfree

ADA = {
    "sentence": "Ada met Ada in Turin",
    "entities": [
        {"name": "Ada", "type": "person", "pos": [0, 3]},
        {"name": "Turin", "type": "city", "pos": [15, 20]},
    ],
}
NOBODY = {"sentence": "Nobody came", "entities": [{"name": "came", "type": "NA", "pos": [7, 11]}]}
WANG = {"sentence": "小王在上海修钟。", "entities": [{"name": "小王", "type": "人名"}]}


class StoppingEngine(ScriptedEngine):
    """Gives some answers and is gone."""

    def __init__(self, answers, *, good):
        super().__init__(answers)
        self.good = good

    def generate(self, requests):
        for number, completion in enumerate(super().generate(requests)):
            if number == self.good:
                raise EngineError("the engine is gone")
            yield completion


@pytest.fixture
def data(tmp_path):
    return make(
        tmp_path / "data",
        {
            "NER_en/letters": (["person", "city"], [ADA, NOBODY]),
            "NER_zh/来信": (["人名", "地名"], [WANG]),
        },
    )


def make(folder, datasets):
    for name, (labels, rows) in datasets.items():
        files.write_json(folder / name / "labels.json", labels)
        files.write_json_array(folder / name / "test.json", rows)
    return folder


def scripted(*answers):
    return Extractor(ScriptedEngine(list(answers)))


def lines(path):
    return [line.value for line in files.read_jsonl(path)]


def test_the_line(data, tmp_path):
    made = predict(scripted(" person: Ada; person: Ada", " None", " 人名: 小王"), data, tmp_path)
    first, second, third = lines(made.path)
    faults = first.pop("Faults")  # this engine cannot hold an answer to the text, and says so
    assert [fault["kind"] for fault in faults] == ["unconstrained"]
    assert first == {
        "Task": "NER",
        "Dataset": "letters",
        "Language": "en",
        "Instance": {
            "id": "0",
            "sentence": "Ada met Ada in Turin",
            "label": " person: Ada; city: Turin",
            "instruction": first["Instance"]["instruction"],
            "ground_truth": " person: Ada; city: Turin",
        },
        "Prediction": "person: Ada; person: Ada",
        "Entities": [
            {"start": 0, "end": 3, "label": "person", "text": "Ada", "score": 1.0},
            {"start": 8, "end": 11, "label": "person", "text": "Ada", "score": 1.0},
        ],
        "Gold": [
            {"start": 0, "end": 3, "label": "person", "text": "Ada"},
            {"start": 15, "end": 20, "label": "city", "text": "Turin"},
        ],
    }
    prompt = first["Instance"]["instruction"]
    assert prompt.startswith("Given the label set of entities, please recognize")
    assert prompt.endswith("Label Set: person, city \n\nText: Ada met Ada in Turin \nAnswer:")
    assert (second["Prediction"], second["Instance"]["ground_truth"]) == ("None", " None")
    assert second["Gold"] == []  # `NA` is no entity
    assert (third["Language"], third["Prediction"]) == ("zh", "人名: 小王")
    assert "标签范围: 人名, 地名" in third["Instance"]["instruction"]
    assert "Gold" not in third  # the data says no places
    assert (made.kept, made.written) == (0, 3)
    assert made.faults == {"unconstrained": 3}


def test_nothing_is_null(data, tmp_path):
    made = predict(scripted(" nonsense"), data, tmp_path)
    assert b"null" not in made.path.read_bytes()
    assert score(files.read_jsonl(made.path)).faults == ()


def test_perfect_predictions_score_one(data, tmp_path):
    extractor = scripted(" person: Ada; city: Turin", " None", " 人名: 小王")
    made = predict(extractor, data, tmp_path)
    letters, chinese = score(files.read_jsonl(made.path)).datasets
    assert letters.surface_set == letters.span == Counts(tp=2)
    assert chinese.surface_set == Counts(tp=1)
    assert chinese.span is None


def test_the_language_of_the_prompt_is_the_task_keys(tmp_path):
    data = make(tmp_path / "data", {"NER_en_other/x": (["person"], [WANG])})
    (line,) = lines(predict(scripted(" None"), data, tmp_path / "out").path)
    assert line["Language"] == "en"
    assert "Label Set: person" in line["Instance"]["instruction"]


def test_a_row_may_have_labels_of_its_own(tmp_path):
    rows = [ADA, {**ADA, "labels": ["river"]}, ADA]
    data = make(tmp_path / "data", {"NER_en/x": (["person"], rows)})
    extractor = scripted(" None")
    made = predict(extractor, data, tmp_path / "out")
    asked = ["Label Set: person ", "Label Set: river ", "Label Set: person "]
    for line, labels in zip(lines(made.path), asked, strict=True):
        assert labels in line["Instance"]["instruction"]
    assert [r.prompt.head.count("river") for r in extractor.engine.requests] == [0, 1, 0]


def test_texts_that_hold_no_utf8_survive(tmp_path):
    data = make(tmp_path / "data", {"NER_en/x": (["person"], [{**NOBODY, "sentence": "a \ud83d"}])})
    (line,) = lines(predict(scripted(" None"), data, tmp_path / "out").path)
    assert line["Instance"]["sentence"] == "a \ud83d"


def test_a_stopped_run_goes_on_where_it_ended(data, tmp_path):
    answers = [" person: Ada", " None", " 人名: 小王"]
    whole = predict(scripted(*answers), data, tmp_path / "whole").path.read_bytes()
    out = tmp_path / "out"
    with pytest.raises(EngineError):
        predict(Extractor(StoppingEngine(answers, good=1)), data, out)
    assert (out / PREDICTIONS).read_bytes() == whole[: whole.index(b"\n") + 1]
    with (out / PREDICTIONS).open("ab") as file:
        file.write(b'{"Task": "NER", "Data')  # as if stopped within a line
    seen = []
    made = predict(scripted(*answers[1:]), data, out, progress=seen.append)
    assert (made.kept, made.written) == (1, 2)
    assert made.path.read_bytes() == whole
    assert [(p.dataset, p.done, p.total) for p in seen] == [("letters", 2, 3), ("来信", 3, 3)]
    again = predict(scripted(" person: never asked"), data, out)
    assert (again.kept, again.written) == (3, 0)
    assert again.path.read_bytes() == whole


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model": {"adapter": "another"}}, id="another model"),
        pytest.param({"constrained": False}, id="another way to decode"),
        pytest.param({"limit": 1}, id="fewer texts"),
        pytest.param({"tasks": ["NER_en"]}, id="fewer tasks"),
    ],
)
def test_a_run_with_other_settings_is_not_continued(data, tmp_path, change):
    out = tmp_path / "out"
    before = predict(scripted(" None"), data, out).path.read_bytes()
    with pytest.raises(DataError, match="other settings"):
        predict(scripted(" None"), data, out, **change)
    assert (out / PREDICTIONS).read_bytes() == before
    assert predict(scripted(" None"), data, out, fresh=True, **change).kept == 0


def test_changed_data_is_another_setting(data, tmp_path):
    out = tmp_path / "out"
    predict(scripted(" None"), data, out)
    files.write_json_array(data / "NER_en/letters/test.json", [NOBODY])
    with pytest.raises(DataError, match="other settings"):
        predict(scripted(" None"), data, out)


def test_predictions_of_unknown_origin_are_not_touched(data, tmp_path):
    path = tmp_path / PREDICTIONS
    path.write_text("{}\n")
    with pytest.raises(DataError, match=SETTINGS):
        predict(scripted(" None"), data, tmp_path)
    assert path.read_text() == "{}\n"


def test_edited_predictions_are_not_continued(data, tmp_path):
    made = predict(scripted(" None"), data, tmp_path)
    made.path.write_bytes(b"".join(made.path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(DataError, match="not the line that should stand here"):
        predict(scripted(" None"), data, tmp_path)
    made.path.write_bytes(b"[]\n")
    with pytest.raises(DataError, match="no line of ours"):
        predict(scripted(" None"), data, tmp_path)


def test_a_limit_keeps_ids_and_order(tmp_path):
    rows = [{"sentence": f"text {n}", "entities": []} for n in range(10)]
    data = make(tmp_path / "data", {"NER_en/x": (["person"], rows)})
    made = predict(scripted(" None"), data, tmp_path / "out", limit=4)
    assert [line["Instance"]["id"] for line in lines(made.path)] == ["2", "3", "7", "8"]


def test_rows_that_cannot_be_read_are_told(tmp_path):
    data = make(tmp_path / "data", {"NER_en/x": (["person"], [ADA, {"entities": []}, NOBODY])})
    made = predict(scripted(" None"), data, tmp_path / "out")
    assert [line["Instance"]["id"] for line in lines(made.path)] == ["0", "2"]
    (rejected,) = made.rejected
    assert rejected.reason is Reason.MALFORMED
    assert rejected.place.endswith("test.json:1")


def test_folders_that_hold_nothing_for_us_are_told(data, tmp_path):
    make(data, {"notes/pairs": (["knows"], []), "NER_en/empty": ([], [ADA])})
    files.write_json(data / "NER_en" / "later" / "labels.json", ["person"])
    made = predict(scripted(" None"), data, tmp_path / "out")
    assert made.skipped == (
        "NER_en/empty: an empty label set",
        "NER_en/later: no test.json",
        "notes: not a task key, which begins with NER, RE, EET, EEA, newEET, newEEA, Sentiment",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"tasks": ["NER_de"]}, "NER_de", id="no such task"),
        pytest.param({"datasets": ["letters", "notes"]}, "holds no notes", id="one of two"),
        pytest.param({"split": "dev"}, r"dev\.json", id="no such split"),
    ],
)
def test_what_is_not_there_cannot_be_predicted(data, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        predict(scripted(" None"), data, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        predict(scripted(" None"), tmp_path / "absent", tmp_path / "out")


def test_a_label_set_that_cannot_be_asked_for(tmp_path):
    data = make(tmp_path / "data", {"NER_en/x": (["person", "person"], [ADA])})
    with pytest.raises(LabelError):
        predict(scripted(" None"), data, tmp_path / "out")


def test_settings_are_kept_beside(data, tmp_path):
    predict(scripted(" None"), data, tmp_path, model={"base": "tiny"}, datasets=["letters"])
    kept = json.loads((tmp_path / SETTINGS).read_text("utf-8"))
    assert kept["model"] == {"base": "tiny"}
    assert list(kept["data"]) == ["NER_en/letters"]
