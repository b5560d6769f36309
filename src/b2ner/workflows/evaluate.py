"""Scoring a predictions file, whole or in part, and telling such files and models apart.

Only files are read here: a model has made its predictions before (`workflows.predict`), so an old
result can be scored again without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.evaluation import published
from b2ner.evaluation.scores import Scores, score
from b2ner.files import BrokenLine, JsonLine, read_jsonl
from b2ner.workflows.predict import PREDICTIONS


@dataclass(frozen=True, slots=True)
class PredictionsFile:
    """Predictions that were made before."""

    path: Path


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """A folder with LoRA weights."""

    path: Path


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a whole model."""

    path: Path


Target = PredictionsFile | AdapterFolder | ModelFolder


def recognise(path: Path) -> Target:
    """What stands at the path, by what is in it. Raises DataError when it is none of the three."""
    if path.is_file():
        if path.suffix == ".jsonl":
            return PredictionsFile(path)
        raise DataError(f"{path}: a predictions file ends in .jsonl")
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    for name, kind in (
        (PREDICTIONS, PredictionsFile),
        ("adapter_config.json", AdapterFolder),
        ("config.json", ModelFolder),
    ):
        if (path / name).is_file():
            return kind(path / name if kind is PredictionsFile else path)
    raise DataError(
        f"{path}: holds no {PREDICTIONS}, adapter_config.json or config.json, so it is neither"
        " predictions nor a model"
    )


def score_predictions(
    path: Path,
    *,
    group: str | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    repair: bool | None = None,
    clip: bool = False,
) -> Scores:
    """The scores of a predictions file, or of the chosen part of it.

    `group` is `Task_Language` as in the scores; `limit` keeps so many lines of each data set, as
    `subset` chooses them. `repair=None` is the published rule: answers are repaired when the path
    of the folder, as given, says that a chat model wrote them. Raises DataError when the chosen
    part is empty.
    """
    if repair is None:
        repair = published.is_repaired(str(path.parent))
    lines = _chosen(path, group, dataset, limit)
    scores = score(lines, repair=repair, clip=clip)
    if (group is not None or dataset is not None) and not scores.datasets:
        wanted = " ".join(name for name in (group, dataset) if name is not None)
        there = sorted({f"{s.group} {s.dataset}" for s in score(read_jsonl(path)).datasets})
        raise DataError(f"{path}: no line of {wanted}; it holds {', '.join(there) or 'no line'}")
    return scores


def _chosen(
    path: Path, group: str | None, dataset: str | None, limit: int | None
) -> Iterator[JsonLine | BrokenLine]:
    """The lines that were asked for, and every line that does not say what it is."""

    def wanted() -> Iterator[tuple[JsonLine | BrokenLine, tuple[str, str] | None]]:
        for line in read_jsonl(path):
            key = _key(line)
            if key is None or (group in (None, key[0]) and dataset in (None, key[1])):
                yield line, key

    if limit is None:
        yield from (line for line, _ in wanted())
        return
    sizes = Counter(key for _, key in wanted())
    kept = {key: subset(size, limit) for key, size in sizes.items() if key is not None}
    seen: Counter[tuple[str, str]] = Counter()
    for line, key in wanted():
        if key is None or seen[key] in kept[key]:
            yield line
        if key is not None:
            seen[key] += 1


def _key(line: JsonLine | BrokenLine) -> tuple[str, str] | None:
    """Group and data set of a line; None when it does not name them."""
    match line:
        case BrokenLine():
            return None
        case JsonLine(value={"Task": str(task), "Dataset": str(dataset), **rest}):
            language = rest.get("Language", "")
            return (f"{task}_{language}", dataset) if isinstance(language, str) else None
        case JsonLine():
            return None
        case _:
            assert_never(line)
