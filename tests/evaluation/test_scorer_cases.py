"""The published scorer's own answers, case by case, where the shared cases are at hand."""

import json
import shutil
from pathlib import Path

import pytest

from b2ner.evaluation.scores import Measure
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


def _cases():
    if FOLDER is None:
        reason = "shared/data/scorer_cases stands neither in nor beside the checkout"
        return [pytest.param("", {}, marks=pytest.mark.skip(reason=reason), id="absent")]
    cases = json.loads((FOLDER / "expected.json").read_text("utf-8"))["cases"]
    return [
        pytest.param(number, case, id=f"{number} {case['title']}")
        for number, case in cases.items()
        if any(name.startswith("NER_") for name in case.get("datasets") or {"NER_": 0})
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
    ner = {name: value for name, value in expected.items() if name.startswith("NER_")}
    assert {f"{s.group}_{s.dataset}" for s in scores.datasets} >= set(ner)
    for dataset in scores.datasets:
        name = f"{dataset.group}_{dataset.dataset}"
        if name not in ner:
            continue
        counts, value = dataset.surface_set, ner[name]
        assert (counts.tp, counts.fp, counts.fn) == (value["tp"], value["fp"], value["fn"])
        assert (counts.precision, counts.recall, counts.f1) == (
            value["precision"],
            value["recall"],
            value["f1"],
        )
    for name, value in (case.get("averages") or {}).items():
        if name == "Average" and len(ner) == len(expected):
            assert scores.average(Measure.SURFACE_SET) == value
        elif name.startswith("NER_"):
            assert scores.average(Measure.SURFACE_SET, name.removesuffix("_Average")) == value
    if case.get("crash") or len(ner) < len(expected):
        assert scores.faults  # what stopped the published scorer is said, line by line
