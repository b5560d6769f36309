"""Scores of a run's checkpoints while it trains: what fills the loop's `on_checkpoint`.

Each checkpoint is loaded as a user would load it and predicts, under the grammar, for the texts of
`[scoring]`. The run's folder gets::

    scored/                                 those texts, in the published layout (split `test`)
    eval-K/predict_eval_predictions.jsonl   of the K-th evaluation, counted from 0
    eval-K/scores.json                      its checkpoint, and every measure of every data set
    agg.csv                                 the published score: a row a data set, a column each K

An evaluation is there whole or not at all. One that fails is told, and the training goes on: the
checkpoint is on the disk and can be scored at any time by `b2ner evaluate --data RUN/scored`.
"""

from __future__ import annotations

import csv
import gc
import io
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from b2ner import files
from b2ner.errors import B2nerError, DataError
from b2ner.evaluation import report
from b2ner.evaluation.scores import Measure, Scores
from b2ner.inference.extractor import Extractor
from b2ner.training.settings import Method, TrainSettings
from b2ner.workflows.evaluate import score_predictions
from b2ner.workflows.models import ModelChoice
from b2ner.workflows.predict import Progress, predict
from b2ner.workflows.scored_texts import Scoring, When, read_texts, tell, write_texts

SCORED = "scored"
SCORES = "scores.json"
AGG = "agg.csv"
_EVALUATION = re.compile(r"eval-(\d+)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    """What one checkpoint scored; `number` is the K of its folder `eval-K`."""

    number: int
    checkpoint: str
    step: int
    seconds: float
    scores: Scores

    @property
    def score(self) -> float:
        """What checkpoints are ranked by: the mean of the surface-set F1 over the data sets."""
        return self.scores.average(Measure.SURFACE_SET) or 0.0


@dataclass(frozen=True, slots=True)
class Unscored:
    """A checkpoint that could not be scored, and why."""

    checkpoint: str
    problem: str


class CheckpointScores:
    """Scores the checkpoints of one run: to be called with each of them, by one process."""

    def __init__(
        self,
        scoring: Scoring,
        settings: TrainSettings,
        folder: Path,
        *,
        on_scores: Callable[[Scored], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Reads all texts. Raises DataError as `read_texts` does."""
        self.texts = read_texts(scoring)
        self.unscored: list[Unscored] = []
        self._scoring = scoring
        self._settings = settings
        self._folder = folder
        self._on_scores = on_scores
        self._on_progress = on_progress
        self._written = False

    def __call__(self, checkpoint: Path) -> float | None:
        """The score of a checkpoint; None where it is not its turn, or it cannot be scored."""
        try:
            scored = self._score(checkpoint)
        # RuntimeError: torch, when the memory does not hold a second network.
        except (B2nerError, OSError, RuntimeError) as problem:
            _log.warning("the checkpoint %s could not be scored: %s", checkpoint.name, problem)
            self.unscored.append(Unscored(checkpoint.name, str(problem)))
            return None
        finally:
            _let_go()
        if scored is None:
            return None
        if self._on_scores is not None:
            self._on_scores(scored)
        return scored.score

    def _score(self, checkpoint: Path) -> Scored | None:
        from b2ner.training import checkpoints

        progress = checkpoints.progress_of(checkpoint)
        earlier = _without_later(self._folder, progress.step)
        epochs = max((int(row["epochs"]) for row in earlier), default=0)
        if self._scoring.when is When.EPOCH and int(progress.epochs) <= epochs:
            return None
        if not self._written:
            write_texts(self.texts, self._folder / SCORED)
            self._written = True
        began = time.monotonic()
        number = len(earlier)
        path = self._folder / f"eval-{number}"
        part = path.with_name(f".{path.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            made = predict(
                self._open(checkpoint),
                self._folder / SCORED,
                part,
                model={"checkpoint": checkpoint.name},
                progress=self._on_progress,
            )
            tell(made.rejected)
            scores = score_predictions(made.path)
            scored = Scored(
                number, checkpoint.name, progress.step, time.monotonic() - began, scores
            )
            row = {
                "checkpoint": checkpoint.name,
                "step": progress.step,
                "epochs": progress.epochs,
                "score": scored.score,
                "seconds": round(scored.seconds, 1),
                **report.to_json(scores),
            }
            files.write_json(part / SCORES, row)
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        write_agg(self._folder)
        return scored

    def _open(self, checkpoint: Path) -> Extractor:
        """The checkpoint as a user loads it: a network of its own, beside the one that learns."""
        settings = self._settings
        choice = ModelChoice(
            base=settings.base,
            adapter=checkpoint,
            device=settings.device,
            dtype=settings.compute,
            batch_size=self._scoring.batch,
        )
        if settings.method is Method.FULL:
            choice = replace(choice, base=str(checkpoint), adapter=None, template=settings.template)
        return choice.open()


def write_agg(folder: Path) -> None:
    """Write `agg.csv` from the evaluations of a run: F1 as the published scorer's program has it.

    Columns stand in the order of their names as text (1, 10, 2), as there; unlike there, rows are
    joined by their names, so an evaluation on other data sets leaves gaps.
    """
    columns = {name: _column(row) for name, row in _evaluations(folder).items()}
    ordered = sorted(columns)
    names = dict.fromkeys(name for column in columns.values() for name in column)
    last = [name for name in names if name == "Average"]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["epoch", *(name.removeprefix("eval-") for name in ordered)])
    for row in [*(name for name in names if name not in last), *last]:
        writer.writerow([row, *(columns[name].get(row, "") for name in ordered)])
    files.write_atomic(folder / AGG, [table.getvalue().encode()])


def _column(row: dict[str, Any]) -> dict[str, float]:
    """Row name -> F1 of one evaluation, in the order of the published report."""
    groups: dict[str, Any] = dict(row["scores"])
    average = groups.pop(report.AVERAGE)
    column: dict[str, float] = {}
    for group, members in groups.items():
        for dataset, measures in members.items():
            score = measures[Measure.SURFACE_SET]
            if dataset == report.AVERAGE:
                column[f"{group}_Average"] = round(score, 4)
            else:  # of some tasks an accuracy, which the published program has in the same column
                column[f"{group}_{dataset}"] = round(score.get("f1", score.get("accuracy")), 4)
    return {**column, "Average": round(average[Measure.SURFACE_SET], 4)}


def _evaluations(folder: Path) -> dict[str, dict[str, Any]]:
    """What `scores.json` of each evaluation says, by the folder's name, in order of their numbers.

    Raises DataError for one that is not ours.
    """
    found: dict[int, dict[str, Any]] = {}
    for path in folder.iterdir():
        number = _EVALUATION.fullmatch(path.name)
        if number and (path / SCORES).is_file():
            row = files.read_json(path / SCORES)
            if not isinstance(row, dict) or not {"step", "epochs", "scores"} <= row.keys():
                raise DataError(f"{path / SCORES}: is not what an evaluation of b2ner says")
            found[int(number[1])] = row
    return {f"eval-{number}": found[number] for number in sorted(found)}


def _without_later(folder: Path, step: int) -> list[dict[str, Any]]:
    """The evaluations of steps before this one; later ones are of a path that was given up."""
    kept = []
    for name, row in _evaluations(folder).items():
        if row["step"] < step:
            kept.append(row)
        else:
            shutil.rmtree(folder / name)
    return kept


def _let_go() -> None:
    """Give the memory of a network that nobody holds any more back to the training."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
