"""A training run from one TOML file: data read, network trained, and a folder that explains itself.

The run's folder holds `run.json` (settings as resolved, data and template by their hashes,
versions, how it ended), `rejected.jsonl` (rows that were not learned from, and why) and what
`training.train` writes: `checkpoints/`, `metrics.jsonl`, `left_out.json`. With `[scoring]`, the
scores of its checkpoints stand beside them (`checkpoint_scores`).
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

import b2ner
from b2ner import files
from b2ner.errors import B2nerError, DataError
from b2ner.evaluation.scores import Measure, headline
from b2ner.prompting.template import load_template
from b2ner.records import Rejected, Sample
from b2ner.training.settings import TrainSettings, read_toml
from b2ner.workflows import sources
from b2ner.workflows.checkpoint_scores import CheckpointScores, Scored
from b2ner.workflows.predict import Progress
from b2ner.workflows.scored_texts import Scoring, TextSet
from b2ner.workflows.tensorboard import Events

if TYPE_CHECKING:
    from b2ner.training.loop import Trained
    from b2ner.training.metrics import Metrics

RUN = "run.json"
REJECTED = "rejected.jsonl"
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors")
_CURVES = (
    "loss",
    "learning_rate",
    "gradient_norm",
    "samples_per_s",
    "tokens_per_s",
    "answer_tokens_per_s",
    "epoch",
)
_STRICT = ConfigDict(extra="forbid")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class RunConfig(TrainSettings):
    """What one TOML file says: where the run goes, what it learns from, and all settings."""

    folder: Path
    data: tuple[sources.Source, ...]
    scoring: Scoring | None = None
    # Names that mean the same, for `regularisation.renamed_labels`: see `corpus.synonyms`.
    synonyms: Path | None = None

    def __post_init__(self) -> None:
        TrainSettings.__post_init__(self)
        if self.regularisation.renamed_labels and self.synonyms is None:
            raise ValueError(
                "regularisation.renamed_labels needs `synonyms`, the file of names that mean the "
                "same"
            )


def read_config(path: Path, *, folder: Path | None = None, seed: int | None = None) -> RunConfig:
    """The run that a file describes, into another folder or with another seed where one is given.

    With a seed alone, the folder is the file's with `-seed33` behind its name. Raises DataError
    that names every fault of the file.
    """
    config = read_toml(path, RunConfig)
    if seed is not None:
        beside = config.folder.with_name(f"{config.folder.name}-seed{seed}")
        config = replace(config, seed=seed, folder=beside)
    return config if folder is None else replace(config, folder=folder)


def run(
    config: RunConfig,
    *,
    resume: bool = False,
    time_limit_s: float | None = None,
    on_metrics: Callable[[Metrics], None] | None = None,
    on_scoring: Callable[[Progress], None] | None = None,
    on_scores: Callable[[Scored], None] | None = None,
) -> Trained:
    """Train as a config says, and score checkpoints; `on_scoring` is told of each text scored.

    Raises DataError, and ModelError as `training.train` does.
    """
    from b2ner.training import checkpoints
    from b2ner.training.loop import CHECKPOINTS, check_device, train

    check_device(config.device)
    samples, rejected, read = read_data(config)
    _check_data(samples, rejected, read)
    names = sources.other_names(config.data, config.synonyms)
    template = load_template(config.template)
    described: dict[str, object] = {
        "b2ner": b2ner.__version__,
        "config": _resolved(config),
        "template": {
            "id": template.id,
            "sha256": template.sha256,
            "wordings": config.wordings and files.sha256(config.wordings),
        },
        "data": [asdict(file) for file in read],
        "synonyms": config.synonyms and files.sha256(config.synonyms),
        "versions": _versions(),
        "status": "running",
    }

    def describe(outcome: dict[str, object]) -> None:
        files.write_json(config.folder / RUN, {**described, **outcome})

    events = Events(config.folder)
    began = False

    def measured(line: Metrics) -> None:
        nonlocal began
        if not began:
            describe({})
            began = True
        events.add(line.step, {f"train/{name}": getattr(line, name) for name in _CURVES})
        if on_metrics is not None:
            on_metrics(line)

    def scored(result: Scored) -> None:
        events.add(result.step, _score_curves(result))
        if on_scores is not None:
            on_scores(result)

    scorer = None
    if config.scoring is not None:
        scorer = CheckpointScores(
            config.scoring, config, config.folder, on_scores=scored, on_progress=on_scoring
        )
        _check_apart(scorer.texts, samples)
    try:
        done = train(
            config,
            samples,
            config.folder,
            names=names,
            resume=resume,
            time_limit_s=time_limit_s,
            on_checkpoint=scorer,
            on_metrics=measured,
        )
    except B2nerError as problem:
        if began:
            with suppress(DataError):  # the disk may be full; what counts is the first error
                describe({"status": f"stopped: {problem}"})
        raise
    finally:
        events.close()
    rejected += done.rejected
    rows = [files.encode(asdict(row)) + b"\n" for row in rejected]
    files.write_atomic(config.folder / REJECTED, rows)
    describe(
        {
            "status": "finished" if done.finished else "stopped by the time limit",
            "checkpoint": done.checkpoint.relative_to(config.folder).as_posix(),
            "best": done.best and done.best.relative_to(config.folder).as_posix(),
            "scores": checkpoints.scores(config.folder / CHECKPOINTS),
            "unscored": [asdict(row) for row in scorer.unscored] if scorer is not None else [],
            "progress": asdict(done.progress),
            "rejected": len(rejected),
            "left_out": dict(done.left_out),
        }
    )
    return replace(done, rejected=tuple(rejected))


def read_data(config: RunConfig) -> tuple[list[Sample], list[Rejected], list[sources.DataFile]]:
    """What `sources.read_sources` reads for a run."""
    return sources.read_sources(config.data, load_template(config.template), seed=config.seed)


def _check_data(
    samples: Sequence[Sample], rejected: Sequence[Rejected], read: Iterable[sources.DataFile]
) -> None:
    """Say which files gave no sample. Raises DataError where none did."""
    empty = [f"{file.path} ({file.rejected} rows rejected)" for file in read if not file.samples]
    for file in empty if samples else ():
        _log.warning("there is no sample to train on in %s", file)
    if not samples:
        first = f"; the first is {rejected[0].place}: {rejected[0].detail}" if rejected else ""
        raise DataError(
            f"there is no sample to train on in {', '.join(empty) or 'any data source'}{first}"
        )


def _check_apart(texts: Iterable[TextSet], samples: Iterable[Sample]) -> None:
    """Say which scored texts are trained on: their scores say little."""
    learned = {sample.text for sample in samples}
    for found in texts:
        common = sum(text in learned for text in found.texts)
        if common:
            size = len(found.rows)
            _log.warning("%d of the %d scored texts of %s are trained on", common, size, found.name)


def _score_curves(scored: Scored) -> dict[str, float]:
    """The scores by the names of their curves: means, and the F1 of each data set."""
    means = {f"score/{measure.value}": scored.scores.average(measure) for measure in Measure}
    curves = {name: value for name, value in means.items() if value is not None}
    for found in scored.scores.datasets:
        curves[f"score/{found.group}/{found.dataset}"] = headline(found.surface_set)
    return curves


def _resolved(config: RunConfig) -> object:
    """The config with all defaults, as JSON."""
    from pydantic import TypeAdapter

    return TypeAdapter(RunConfig).dump_python(config, mode="json")


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }
