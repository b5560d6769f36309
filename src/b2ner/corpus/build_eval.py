"""The test sets in the published layout: raw archives in, published data folders out.

`DIR/<task key>/<data set>/{labels.json,test.json}` and one `manifest.json`. The same sources give
the same bytes. Entity annotations are never changed; what could not be kept is listed, row by row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from b2ner.corpus import archive
from b2ner.corpus.eval_sets import Cluener, Cmeee, EvalSet, Names, eval_sets
from b2ner.corpus.readers import Annotation, Conll, read_cluener, read_cmeee, read_conll
from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.files import write_json, write_json_array
from b2ner.records import Rejected, Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuiltSet:
    """What came of one test set."""

    name: str
    task: str
    texts: int
    mentions: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class BuiltEval:
    """What came of a build; `missing` are the archives that the source did not hold."""

    sets: tuple[BuiltSet, ...]
    missing: tuple[str, ...]


def build_eval(
    source: Path,
    folder: Path,
    *,
    names: Names = Names.ORIGINAL,
    limit: int | None = None,
) -> BuiltEval:
    """Write every test set whose archive stands in `source`; `limit` texts of each (`subset`).

    Raises DataError when `source` holds none of them, or one that is not what it should be.
    """
    built: list[BuiltSet] = []
    entries: list[dict[str, object]] = []
    missing: list[str] = []
    for eval_set in eval_sets(names):
        path = archive.find(source, eval_set.archive)
        if path is None:
            missing.append(eval_set.archive)
            continue
        made, files = _build(eval_set, path, folder, limit)
        logger.info("%s texts=%d rejected=%d", made.name, made.texts, len(made.rejected))
        built.append(made)
        entries.append(_entry(eval_set, made, files))
    if not built:
        raise DataError(f"{source}: holds none of the archives {', '.join(missing)} (NAME.zip)")
    manifest = {"names": names.value, "limit": limit, "missing": missing, "sets": entries}
    write_json(folder / "manifest.json", manifest)
    return BuiltEval(tuple(built), tuple(missing))


def read_eval_set(eval_set: EvalSet, path: Path) -> Iterator[Sample | Rejected]:
    """The rows of a test set with the source's own labels, from its archive."""
    lines = archive.lines(path, eval_set.file)
    place = f"{eval_set.archive}/{eval_set.file}"
    annotation = Annotation(tuple(eval_set.names), eval_set.language, place)
    match eval_set.format:
        case Conll() as layout:
            return read_conll(lines, layout, annotation)
        case Cluener():
            return read_cluener(lines, annotation)
        case Cmeee():
            return read_cmeee(lines, annotation)
        case _:
            assert_never(eval_set.format)


def _build(
    eval_set: EvalSet, path: Path, folder: Path, limit: int | None
) -> tuple[BuiltSet, dict[str, str]]:
    """What came of one set, and the hash of each file written, by its path below `folder`."""
    read = list(read_eval_set(eval_set, path))
    samples = [row for row in read if isinstance(row, Sample)]
    rejected = tuple(row for row in read if isinstance(row, Rejected))
    chosen = subset(len(samples), limit)
    kept = [sample for number, sample in enumerate(samples) if number in chosen]
    inside = f"{eval_set.task}/{eval_set.name}"
    labels = [eval_set.names[label] for label in eval_set.names]
    files = {
        f"{inside}/labels.json": write_json(folder / inside / "labels.json", labels),
        f"{inside}/test.json": write_json_array(
            folder / inside / "test.json", _rows(kept, eval_set)
        ),
    }
    mentions = sum(len(sample.entities) for sample in kept)
    return BuiltSet(eval_set.name, eval_set.task, len(kept), mentions, rejected), files


def _rows(samples: Iterable[Sample], eval_set: EvalSet) -> Iterator[dict[str, object]]:
    for sample in samples:
        yield {
            "sentence": sample.text,
            "entities": [
                {
                    "name": entity.text,
                    "type": eval_set.names[entity.label],
                    "pos": [entity.start, entity.end],
                }
                for entity in sample.entities
            ],
        }


def _entry(eval_set: EvalSet, made: BuiltSet, files: dict[str, str]) -> dict[str, object]:
    return {
        "name": made.name,
        "task": made.task,
        "source": f"{eval_set.archive}/{eval_set.file}",
        "stands_for_test": eval_set.split,
        "texts": made.texts,
        "mentions": made.mentions,
        "labels": dict(eval_set.names),
        "rejected": [
            {"reason": row.reason.value, "place": row.place, "detail": row.detail}
            for row in made.rejected
        ],
        "sha256": files,
    }
