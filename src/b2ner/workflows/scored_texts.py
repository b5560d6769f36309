"""Which texts the checkpoints of a run are scored on: settings, and the texts themselves.

They are read once, when the run begins, and written into its folder in the published layout, so
that every checkpoint answers the same texts, and any other model can answer them later.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from b2ner import files
from b2ner.corpus.published import LABELS, PublishedRow, task_of_key
from b2ner.corpus.sheets import SheetText, read_sheets
from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.records import Rejected, Sample
from b2ner.training.settings import Positive

_STRICT = ConfigDict(extra="forbid")
_log = logging.getLogger(__name__)


class When(StrEnum):
    """Which checkpoints are scored."""

    CHECKPOINT = "checkpoint"  # each
    EPOCH = "epoch"  # the first one after each epoch; see `saving.every_epoch`


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ScoredFolder:
    """A folder in the published layout: PATH/<task key>/<data set>/<split>.json."""

    kind: Literal["published"]
    path: Path
    tasks: tuple[str, ...] = ()  # task keys, such as NER_en; empty: all
    only: tuple[str, ...] = ()  # data sets; empty: all
    split: str = "dev"
    limit: Positive | None = None  # texts of each data set, chosen by a fixed seed


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ScoredSheets:
    """Sheets, or blocks of them (`en-film:3`), that the run does not learn from.

    Each block is a data set of its own, called `en-film-3`.
    """

    kind: Literal["sheets"]
    path: Path
    only: tuple[str, ...]
    limit: Positive | None = None  # texts of each block, chosen by a fixed seed

    def __post_init__(self) -> None:
        if not self.only:
            raise ValueError("`only` names no sheet or block to score")


ScoredSource = Annotated[ScoredFolder | ScoredSheets, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Scoring:
    """What checkpoints are scored on. The mean over the data sets decides which ones stay."""

    data: tuple[ScoredSource, ...]
    when: When = When.CHECKPOINT
    batch: Positive = 32  # texts in work at once

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("scoring needs texts: a [[scoring.data]] table")


@dataclasses.dataclass(frozen=True, slots=True)
class TextSet:
    """The texts of one data set that are scored: labels and rows as its files have them."""

    task: str  # the key, such as NER_en
    name: str
    labels: object
    rows: tuple[dict[str, Any], ...]

    @property
    def texts(self) -> list[str]:
        return [str(row.get("sentence", row.get("text", ""))) for row in self.rows]


def read_texts(scoring: Scoring) -> list[TextSet]:
    """The texts that are scored, by data set, in the order of the config.

    Raises DataError where a source holds nothing, or not what its `only` names, and where two data
    sets have one name.
    """
    sets = [found for source in scoring.data for found in _read(source)]
    names = [(found.task, found.name) for found in sets]
    twice = sorted({f"{task}/{name}" for task, name in names if names.count((task, name)) > 1})
    if twice:
        raise DataError(f"[scoring]: two data sets are called {', '.join(twice)}")
    return sets


def write_texts(sets: Sequence[TextSet], folder: Path) -> None:
    """Write them in the published layout, in place of what the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    for texts in sets:
        home = folder / texts.task / texts.name
        files.write_json(home / LABELS, texts.labels)
        files.write_json_array(home / "test.json", texts.rows)


def _read(source: ScoredFolder | ScoredSheets) -> list[TextSet]:
    match source:
        case ScoredFolder():
            found, known = _read_folder(source)
        case ScoredSheets():
            found, known = _read_sheets(source)
        case _:
            assert_never(source)
    if unknown := set(source.only) - known:
        raise DataError(f"{source.path}: there is no {', '.join(sorted(unknown))} to score")
    return found


def _read_folder(source: ScoredFolder) -> tuple[list[TextSet], set[str]]:
    """The data sets that are asked for, and the names of all."""
    paths = [
        path
        for path in sorted(source.path.glob(f"*/*/{source.split}.json"))
        if task_of_key(path.parts[-3]) and (not source.tasks or path.parts[-3] in source.tasks)
    ]
    if not paths:
        raise DataError(
            f"{source.path}: holds no <task key>/<data set>/{source.split}.json to score"
            + (f" of {', '.join(source.tasks)}" if source.tasks else "")
        )
    found = []
    for path in paths:
        key, name = path.parts[-3:-1]
        if source.only and name not in source.only:
            continue
        labels = files.read_json(path.parent / LABELS)
        rows = [
            row
            for number, row in enumerate(files.read_json_array(path))
            if _is_readable(row, key, f"{path}:{number}")
        ]
        if not labels or not rows:
            raise DataError(f"{path}: there is no {'text' if labels else 'label'} to score")
        found.append(TextSet(key, name, labels, _chosen(rows, source.limit)))
    return found, {path.parent.name for path in paths}


def _read_sheets(source: ScoredSheets) -> tuple[list[TextSet], set[str]]:
    """The blocks that are asked for, and the names of all sheets and blocks."""
    known: set[str] = set()
    blocks: dict[str, list[SheetText]] = {}
    read = list(read_sheets(source.path))
    tell(row for row in read if isinstance(row, Rejected))
    for row in read:
        if isinstance(row, Rejected):
            continue
        block = row.sample.source
        names = {block, block.rpartition(":")[0]}
        known |= names
        if not names.isdisjoint(source.only):
            blocks.setdefault(block, []).append(row)
    found = []
    for block, texts in blocks.items():
        sample = texts[0].sample
        chosen = _chosen([_row(text.sample) for text in texts], source.limit)
        name = block.replace(":", "-")  # the name of a folder, on Windows too
        found.append(TextSet(f"NER_{sample.language}", name, sample.labels, chosen))
    return found, known


def _row(sample: Sample) -> dict[str, Any]:
    """A sample as a row of the published layout."""
    entities = [{"name": e.text, "type": e.label, "pos": [e.start, e.end]} for e in sample.entities]
    return {"sentence": sample.text, "entities": entities}


def _is_readable(row: object, key: str, place: str) -> bool:
    """Whether a row can be scored, as far as can be said before; the rest `predict` says."""
    problem = "" if isinstance(row, dict) else "it is no object"
    if not problem and key.startswith("NER"):
        try:
            PublishedRow.model_validate(row)
        except ValidationError as fault:
            problem = str(fault.errors()[0]["msg"])
    if problem:
        _log.warning("not scored: %s: %s", place, problem)
    return not problem


def _chosen(rows: Sequence[Any], limit: int | None) -> tuple[Any, ...]:
    chosen = subset(len(rows), limit)
    return tuple(row for number, row in enumerate(rows) if number in chosen)


def tell(rejected: Iterable[Rejected]) -> None:
    """Say which rows cannot be scored."""
    for row in rejected:
        _log.warning("not scored: %s: %s, %s", row.place, row.reason.value, row.detail)
