"""Task configs of the published system: which data sets a run reads, and how many samples of each.

A task config is a folder of files, one a split: `train_tasks.json`, `dev_tasks.json` and
`test_tasks.json`, each an object from task keys to data sets::

    {"NER_en": [{"sampling strategy": "random", "dataset name": "CoNLL 2003"}]}

The data set of this one stands in `DATA/NER_en/CoNLL 2003/`. Knows the names and the numbers, not
what is in a data set.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from b2ner.corpus.published import task_of_key
from b2ner.errors import DataError
from b2ner.files import read_json
from b2ner.records import Task

AUTO = "auto"  # the language that the task key names
EXTRA = "_EXTRA"  # a key with it names the folder of the key without it
# Samples that `random` takes at most, where no number is given; of test sets, all.
CAPS = {"train": 10_000, "dev": 200}
# Tasks of the published loader that no published instruction asks for.
_WITHOUT_INSTRUCTION = ("EE", "ES", "ET", "EP", "EPR", "Common")
_STRATEGY = "sampling strategy"
_NAME = "dataset name"
_PART = re.compile(r"full|random(?:_(?P<most>\d+))?|upsample_(?P<times>\d+)|(?P<thin>downsample)")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a data set is sampled.

    A drawn one gives `most` of its samples, or what the reader's limit says; another gives all.
    """

    drawn: bool
    most: int | None = None
    times: int = 1  # how often each sample is read
    thinned: bool = False  # a share is drawn at the end, which the reader says


@dataclass(frozen=True, slots=True)
class TaskSet:
    """A data set that a task config names."""

    key: str
    task: Task
    language: str
    name: str
    strategy: Strategy

    @property
    def extra(self) -> bool:
        """Whether it is read whatever other sets are chosen by name."""
        return EXTRA in self.key

    def folder(self, data: Path) -> Path:
        """Where it stands in a data folder."""
        return data / self.key.replace(EXTRA, "") / self.name


def read_task_config(
    folder: Path, split: str, *, language: str = AUTO
) -> tuple[list[TaskSet], list[str]]:
    """The data sets of a split, in the file's order, and every fault of the rest.

    The language of their prompts is the second part of the task key (`NER_zh`, `NER_en_other`), or
    English; another than `auto` holds for all. Raises DataError when the file is no task config.
    """
    path = folder / f"{split}_tasks.json"
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object from task keys, such as NER_en, to data sets")
    sets: list[TaskSet] = []
    faults: list[str] = []
    for key, entries in content.items():
        for read in _key(key, entries, language):
            if isinstance(read, TaskSet):
                sets.append(read)
            else:
                faults.append(read)
    return sets, faults


def _key(key: str, entries: object, language: str) -> Iterator[TaskSet | str]:
    """The data sets of a task key, and what is wrong with it."""
    asked = task_of_key(key.replace(EXTRA, ""))
    if asked is None:
        bare = key.partition("_")[0]
        if bare in _WITHOUT_INSTRUCTION:
            yield f"{key!r}: there is no published instruction for {bare}, so nothing can be asked"
        else:
            yield f"{key!r} is no task key: it must begin with one of {', '.join(Task)}"
        return
    task, language = asked if language == AUTO else (asked[0], language)
    if not isinstance(entries, list):
        yield f"{key}: expected an array of data sets"
        return
    for number, entry in enumerate(entries, start=1):
        place = f"{key}, data set {number}"
        match entry:
            case {"dataset name": str(name)} if name.strip(". ") and not re.search(r"[/\\]", name):
                strategy = read_strategy(entry.get(_STRATEGY, "random"))
                if strategy is None:
                    yield f"{place} ({name}): {_wrong_strategy(entry[_STRATEGY])}"
                else:
                    yield TaskSet(key, task, language, name, strategy)
            case {"dataset name": name}:
                yield f"{place}: {name!r} is no name of a folder"
            case _:
                yield f"{place}: it has no {_NAME!r}"


def _wrong_strategy(name: object) -> str:
    return (
        f"there is no sampling strategy {name!r}; there is full, random, random_K, upsample_K, "
        "random&upsample_K and downsample, K a number above 0"
    )


def read_strategy(name: object) -> Strategy | None:
    """The strategy of that name, or None: parts joined by `&`, such as `random&upsample_3`.

    `downsample` may also be joined by `_`, to what it is done after.
    """
    if not isinstance(name, str):
        return None
    strategy = Strategy(drawn=False)
    for part in name.replace("_downsample", "&downsample").split("&"):
        match = _PART.fullmatch(part)
        numbers = (
            [int(number) for number in match.group("most", "times") if number] if match else []
        )
        if match is None or 0 in numbers:
            return None
        strategy = Strategy(
            drawn=strategy.drawn or part.startswith("random"),
            most=numbers[0] if match["most"] else strategy.most,
            times=numbers[0] if match["times"] else strategy.times,
            thinned=strategy.thinned or match["thin"] is not None,
        )
    return strategy


def draw(
    rows: Sequence[Row],
    strategy: Strategy,
    rng: random.Random,
    *,
    limit: int | None,
    filled_up: bool = False,
    thinned_to: float = 1.0,
) -> list[Row]:
    """The rows that a strategy takes.

    `limit` is how many are drawn where the strategy does not say; None is all of them, in order.
    A set with fewer is taken whole, and `filled_up` with some of its rows once more.
    """
    chosen = list(rows)
    most = limit if strategy.most is None else strategy.most
    if strategy.drawn and most is not None:
        chosen = rng.sample(chosen, min(most, len(chosen)))
        if filled_up and chosen:
            chosen += rng.choices(rows, k=most - len(chosen))
    chosen *= strategy.times
    return rng.sample(chosen, share_of(len(chosen), thinned_to)) if strategy.thinned else chosen


def share_of(size: int, share: float) -> int:
    """A share of so many, rounded down: 29 for 0.29 of 100, which a product alone misses."""
    return math.floor(size * share + 1e-9)
