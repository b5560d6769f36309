"""A training run from one TOML file: data read, network trained, and a folder that explains itself.

The run's folder holds `run.json` (settings as resolved, data and template by their hashes,
versions, how it ended), `rejected.jsonl` (rows that were not learned from, and why) and what
`training.train` writes: `checkpoints/`, `metrics.jsonl`, `left_out.json`.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

import b2ner
from b2ner import files
from b2ner.corpus.published import published_labels, read_published
from b2ner.corpus.readers import Annotation
from b2ner.corpus.sheets import SUFFIX, SheetText, read_sheet
from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.prompting.template import load_template
from b2ner.records import Rejected, Sample
from b2ner.training.settings import Positive, TrainSettings, read_toml

if TYPE_CHECKING:
    from b2ner.training.loop import Metrics, Trained

RUN = "run.json"
REJECTED = "rejected.jsonl"
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors")
_STRICT = ConfigDict(extra="forbid")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SheetsData:
    """Annotated sheets of a folder. `only` and `leave_out` name sheets, or blocks: `en-film:3`."""

    kind: Literal["sheets"]
    path: Path
    only: tuple[str, ...] = ()  # empty: all
    leave_out: tuple[str, ...] = ()
    limit: Positive | None = None  # samples, chosen by a fixed seed
    repeat: Positive = 1  # how often each is shown in an epoch


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PublishedData:
    """A folder in the published layout: PATH/<task key>/<data set>/<split>.json."""

    kind: Literal["published"]
    path: Path
    only: tuple[str, ...] = ()  # data sets; empty: all
    leave_out: tuple[str, ...] = ()
    split: str = "train"
    limit: Positive | None = None  # samples of each data set, chosen by a fixed seed
    repeat: Positive = 1


Source = Annotated[SheetsData | PublishedData, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class RunConfig(TrainSettings):
    """What one TOML file says: where the run goes, what it learns from, and all settings."""

    folder: Path
    data: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """What was read of one file."""

    path: str
    sha256: str
    samples: int
    rejected: int


def read_config(path: Path, *, folder: Path | None = None) -> RunConfig:
    """The run that a file describes, into another folder where one is given.

    Raises DataError that names every fault of the file.
    """
    config = read_toml(path, RunConfig)
    return config if folder is None else replace(config, folder=folder)


def run(
    config: RunConfig,
    *,
    resume: bool = False,
    time_limit_s: float | None = None,
    on_checkpoint: Callable[[Path], float | None] | None = None,
    on_metrics: Callable[[Metrics], None] | None = None,
) -> Trained:
    """Train as a config says. Raises DataError, and ModelError as `training.train` does."""
    from b2ner.training.loop import train

    samples, rejected, read = read_data(config)
    template = load_template(config.template)
    described: dict[str, object] = {
        "b2ner": b2ner.__version__,
        "config": _resolved(config),
        "template": {"id": template.id, "sha256": template.sha256},
        "data": [asdict(file) for file in read],
        "versions": _versions(),
        "status": "running",
    }

    def describe(outcome: dict[str, object]) -> None:
        files.write_json(config.folder / RUN, {**described, **outcome})

    began = False

    def first_metrics(line: Metrics) -> None:
        nonlocal began
        if not began:
            describe({})
            began = True
        if on_metrics is not None:
            on_metrics(line)

    done = train(
        config,
        samples,
        config.folder,
        resume=resume,
        time_limit_s=time_limit_s,
        on_checkpoint=on_checkpoint,
        on_metrics=first_metrics,
    )
    rejected += done.rejected
    rows = [files.encode(asdict(row)) + b"\n" for row in rejected]
    files.write_atomic(config.folder / REJECTED, rows)
    describe(
        {
            "status": "finished" if done.finished else "stopped by the time limit",
            "checkpoint": done.checkpoint.relative_to(config.folder).as_posix(),
            "best": done.best and done.best.relative_to(config.folder).as_posix(),
            "progress": asdict(done.progress),
            "rejected": len(rejected),
            "left_out": dict(done.left_out),
        }
    )
    return replace(done, rejected=tuple(rejected))


def read_data(config: RunConfig) -> tuple[list[Sample], list[Rejected], list[DataFile]]:
    """All samples of a run in the order of its config, what was rejected, and the files read.

    Raises DataError where a source holds nothing, or a name in `only` or `leave_out` is not there.
    """
    samples: list[Sample] = []
    rejected: list[Rejected] = []
    read: list[DataFile] = []
    for source in config.data:
        for path, rows in _files(source):
            kept = [row for row in rows if isinstance(row, Sample)]
            bad = [row for row in rows if isinstance(row, Rejected)]
            if source.limit is not None:
                chosen = subset(len(kept), source.limit)
                kept = [sample for number, sample in enumerate(kept) if number in chosen]
            samples += kept * source.repeat
            rejected += bad
            read.append(
                DataFile(
                    path=path.as_posix(),
                    sha256=files.sha256(path),
                    samples=len(kept),
                    rejected=len(bad),
                )
            )
    _log.info("data files=%d samples=%d rejected=%d", len(read), len(samples), len(rejected))
    return samples, rejected, read


def _files(source: SheetsData | PublishedData) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    """The files of a source that are asked for, each with its rows."""
    match source:
        case SheetsData():
            yield from _sheets(source)
        case PublishedData():
            yield from _published(source)
        case _:
            assert_never(source)


def _sheets(source: SheetsData) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    paths = sorted(source.path.glob(f"*{SUFFIX}"))
    if not paths:
        raise DataError(f"{source.path}: holds no sheet (NAME{SUFFIX})")
    known: set[str] = set()
    for path in paths:
        rows: list[Sample | Rejected] = []
        for row in read_sheet(path):
            if isinstance(row, SheetText):
                names = {path.stem, row.sample.source}
                known |= names
                if _chosen(names, source):
                    rows.append(row.sample)
            elif _chosen({path.stem}, source):
                rows.append(row)
        if rows:
            yield path, rows
    _check_names(source, known)


def _published(source: PublishedData) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    paths = sorted(source.path.glob(f"NER*/*/{source.split}.json"))
    if not paths:
        raise DataError(
            f"{source.path}: holds no NER*/<data set>/{source.split}.json in the published layout"
        )
    _check_names(source, {path.parent.name for path in paths})
    for path in paths:
        name, task = path.parent.name, path.parent.parent.name
        if _chosen({name}, source):
            language = task.split("_")[1] if "_" in task else "en"
            annotation = Annotation(published_labels(path.parent), language, f"{name}/{path.stem}")
            yield path, list(read_published(path, annotation))


def _chosen(names: set[str], source: SheetsData | PublishedData) -> bool:
    wanted = not source.only or not names.isdisjoint(source.only)
    return wanted and names.isdisjoint(source.leave_out)


def _check_names(source: SheetsData | PublishedData, known: set[str]) -> None:
    if unknown := {*source.only, *source.leave_out} - known:
        raise DataError(
            f"{source.path}: there is no {', '.join(sorted(unknown))}, which the config names in "
            "`only` or `leave_out`"
        )


def _resolved(config: RunConfig) -> object:
    """The config with all defaults, as JSON."""
    from pydantic import TypeAdapter

    return TypeAdapter(RunConfig).dump_python(config, mode="json")


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }
