"""What a run's folder tells of one of its adapters, for those who get the adapter and not the run.

Reads `run.json`, the checkpoint's state and its evaluation. No path of this machine is handed on.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from b2ner import files
from b2ner.errors import DataError
from b2ner.model.readme import DataSet, Run

RUN = "run.json"
_CHECKPOINTS = "checkpoints"
_STATE = "resume/state.json"
# What of a run's settings a README tells, where the run says it.
_TOLD = (
    "method",
    "optimiser.learning_rate",
    "schedule.length",
    "schedule.unit",
    "schedule.curve",
    "rows.places",
    "rows.per_step",
    "rows.samples_per_step",
    "lora.quantised",
    "seed",
)


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


AnyRow = TypeVar("AnyRow", bound=_Loose)


class _DataFile(_Loose):
    path: str
    samples: int


class _Progress(_Loose):
    step: int = 0
    samples: int = 0


class _RunRow(_Loose):
    data: list[_DataFile]
    config: dict[str, Any]
    versions: dict[str, str]
    progress: _Progress = _Progress()


class _Evaluation(_Loose):
    checkpoint: str
    scores: dict[str, Any]


def run_of(adapter: Path) -> Path | None:
    """The folder of the run that an adapter still lies in as a checkpoint."""
    home = adapter.resolve()
    is_there = home.parent.name == _CHECKPOINTS and (home.parents[1] / RUN).is_file()
    return home.parents[1] if is_there else None


def run_facts(folder: Path, adapter: Path) -> Run:
    """What a run's folder tells of one of its adapters. Raises DataError for one that is none."""
    row = _read(folder / RUN, _RunRow)
    state = adapter / _STATE
    progress = _read(state, _Progress) if state.is_file() else row.progress
    licences = row.config.get("card", {}).get("licences", {})
    told = {name: _setting(row.config, name) for name in _TOLD}
    return Run(
        data=_data_sets(row.data, licences),
        settings={name: value for name, value in told.items() if value},
        steps=progress.step,
        samples=progress.samples,
        scores=_scores(folder, adapter.resolve().name),
        versions=row.versions,
    )


def _data_sets(read: list[_DataFile], licences: dict[str, str]) -> tuple[DataSet, ...]:
    """The files of a run by data set: the name of the folder that they lie in."""
    samples: dict[str, int] = {}
    stated: dict[str, str] = {}
    for file in read:
        path = PurePosixPath(file.path)
        name = path.parent.name or path.stem
        samples[name] = samples.get(name, 0) + file.samples
        for part in (*path.parts, path.stem):  # the nearest name counts
            stated[name] = licences.get(part, stated.get(name, ""))
    return tuple(DataSet(name, count, stated[name]) for name, count in samples.items())


def _scores(folder: Path, checkpoint: str) -> dict[str, float]:
    """F1 by data set and the mean of all, from the evaluation of a checkpoint; empty for none."""
    for path in sorted(folder.glob("eval-*/scores.json")):
        row = _read(path, _Evaluation)
        if row.checkpoint != checkpoint:
            continue
        groups = dict(row.scores)
        mean = groups.pop("average", {}).get("surface_set")
        found = {
            name: measures["surface_set"]["f1"]
            for group in groups.values()
            for name, measures in group.items()
            if name != "average" and measures.get("surface_set")
        }
        return found if mean is None else {**found, "mean": mean}
    return {}


def _setting(config: dict[str, Any], name: str) -> str:
    """A setting by its dotted name; empty where the run does not say it, or has it off."""
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value in (None, 0, "off") else str(value)


def _read(path: Path, kind: type[AnyRow]) -> AnyRow:
    """A file of a run's folder. Raises DataError for one that is not what b2ner writes."""
    try:
        return kind.model_validate(files.read_json(path))
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path} is not what b2ner writes: {place}: {first['msg']}") from problem
