"""A tiny random network answers every task, and its predictions file is scored."""

from tests.tiny import tiny_folder

from b2ner import files
from b2ner.evaluation.scores import Measure
from b2ner.inference import task_answers
from b2ner.inference.extractor import load
from b2ner.records import Task
from b2ner.workflows.evaluate import score_predictions
from b2ner.workflows.predict import predict

EN = "Ada's men met Bob."
ZH = "红队昨天胜。"
MEET = {"type": "Meet", "trigger": "met", "arguments": [{"name": "Bob", "role": "Who"}]}
WIN = {"type": "胜负", "trigger": "胜", "arguments": [{"name": "红队", "role": "胜者"}]}
DATA = {
    "NER_en/letters": (
        ["person"],
        {"sentence": EN, "entities": [{"name": "Ada", "type": "person"}]},
    ),
    "RE_en/letters": (
        ["meets"],
        {
            "sentence": EN,
            "relations": [{"head": {"name": "Ada"}, "type": "meets", "tail": {"name": "Bob"}}],
        },
    ),
    "EET_en/letters": ({"Meet": [], "Fight": []}, {"sentence": EN, "events": [MEET]}),
    "EEA_en/letters": ({"Meet": ["Who"]}, {"sentence": EN, "events": [MEET]}),
    "newEET_zh/赛事": ({"胜负": []}, {"sentence": ZH, "events": [WIN]}),
    "newEEA_zh/赛事": ({"胜负": ["时间", "胜者"]}, {"sentence": ZH, "events": [WIN]}),
    "Sentiment_zh/影评": (["正面", "负面"], {"text": ZH, "label": "正面"}),
}


def test_every_task(tmp_path, monkeypatch):
    monkeypatch.setattr(task_answers, "MAX_ANSWER_TOKENS", 40)  # it does not know when to end
    model = tiny_folder("gemma3", tmp_path / "model")
    for name, (labels, row) in DATA.items():
        files.write_json(tmp_path / "data" / name / "labels.json", labels)
        files.write_json_array(tmp_path / "data" / name / "test.json", [row])
    made = predict(load(model), tmp_path / "data", tmp_path / "out")
    assert (made.written, made.rejected, made.skipped) == (len(DATA), (), ())
    lines = [line.value for line in files.read_jsonl(made.path)]
    assert {line["Task"] for line in lines} == set(Task)
    assert b"null" not in made.path.read_bytes()
    for line in lines:
        kinds = {fault["kind"] for fault in line["Faults"]}
        if line["Task"] in ("NER", "EET", "EEA", "newEEA"):
            assert kinds <= {"answer-truncated"}
        else:
            assert "unconstrained" in kinds
        for entity in line.get("Entities", ()):
            place = slice(entity["start"], entity["end"])
            assert line["Instance"]["sentence"][place] == entity["text"]
    scores = score_predictions(made.path)
    assert scores.faults == ()
    assert len(scores.groups) == len(DATA)
    assert scores.average(Measure.SURFACE_SET) is not None
    again = predict(load(model), tmp_path / "data", tmp_path / "out")
    assert (again.kept, again.written) == (len(DATA), 0)
