"""The published scorer's own answers, case by case, where the shared cases are at hand."""

import json
import shutil
from pathlib import Path

import pytest

from b2ner.evaluation.scores import Measure
from b2ner.records import Task
from b2ner.workflows.evaluate import score_predictions

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
FOLDER = next(
    (
        folder
        for folder in (
            ROOT.parent / "shared" / "data" / "scorer_cases",
            ROOT / "shared" / "data" / "scorer_cases",
        )
        if folder.is_dir()
    ),
    None,
)

COUNTED = {
    "f1": ("tp", "fp", "fn", "precision", "recall", "f1"),
    "accuracy": ("right", "total", "accuracy"),
}


def _cases():
    if FOLDER is None:
        reason = "shared/data/scorer_cases stands neither in nor beside the checkout"
        return [pytest.param("", {}, marks=pytest.mark.skip(reason=reason), id="absent")]
    cases = json.loads((FOLDER / "expected.json").read_text("utf-8"))["cases"]
    return [
        pytest.param(number, case, id=f"{number} {case['title']}")
        for number, case in cases.items()
        if all(name.split("_")[0] in set(Task) for name in case.get("datasets") or {})
        and case["folder"]
    ]


@pytest.mark.parametrize(("number", "case"), _cases())
def test_equal_to_the_published_scorer(number, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the rule on `gpt` looks at the path as it is given
    path = Path(case["folder"]) / "predict_eval_predictions.jsonl"
    path.parent.mkdir()
    shutil.copyfile(FOLDER / "cases" / f"{number}.jsonl", path)
    scores = score_predictions(path, clip=case["clip"])
    expected = case.get("datasets") or {}
    assert {f"{s.group}_{s.dataset}" for s in scores.datasets} >= set(expected)
    for dataset in scores.datasets:
        value = expected.get(f"{dataset.group}_{dataset.dataset}")
        if value is not None:
            figures = [getattr(dataset.surface_set, name) for name in COUNTED[value["kind"]]]
            assert figures == [value[name] for name in COUNTED[value["kind"]]]
    for name, value in (case.get("averages") or {}).items():
        group = None if name == "Average" else name.removesuffix("_Average")
        assert scores.average(Measure.SURFACE_SET, group) == value
    if case.get("crash"):
        assert scores.faults  # what stopped the published scorer is said, line by line
