"""Predictions for a folder of data sets: the published predictions file, and our places beside it.

Each line is what the published system writes (`Task`, `Dataset`, `Language`, `Instance`,
`Prediction`), with `Entities`, `Gold` and `Faults`, so that any later score reads this file alone.
`Prediction` is written from what could be read of the answer; what could not is in `Faults`. Only
NER has `Gold`, and RE has `Relations` in place of `Entities`.

Lines stand in the order of the data and are written one by one; a run that was stopped goes on
where it ended, if `predict_settings.json` beside the file says the same settings. Never a null in
a line: the published scorer stops at one.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from b2ner import files
from b2ner.corpus.published import (
    LABELS,
    PublishedRow,
    published_labels,
    published_rows,
    published_samples,
    task_of_key,
)
from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.inference.task_answers import PLACED, Asks, TaskAnswer, task_answers
from b2ner.prompting import answer
from b2ner.prompting import tasks as task_forms
from b2ner.prompting.template import Prompt
from b2ner.records import Document, Fault, Mention, Rejected, Sample, Task

PREDICTIONS = "predict_eval_predictions.jsonl"
SETTINGS = "predict_settings.json"


class Extracts(Asks, Protocol):
    """What is needed of an extractor."""

    def extract_batch(
        self,
        texts: Iterable[str],
        labels: Sequence[str],
        *,
        language: str | None = None,
        constrained: bool = True,
    ) -> Iterator[Document]:
        """One document a text, in order."""
        ...

    def prompt(self, text: str, labels: Sequence[str], *, language: str | None = None) -> Prompt:
        """The prompt that the model sees."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, after each line."""

    dataset: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Predicted:
    """What came of a run. Lines: already there from a run before, and written by this one."""

    path: Path
    kept: int
    written: int
    faults: Mapping[str, int]  # kind -> number, of the lines written
    rejected: tuple[Rejected, ...]  # rows of the data that could not be read
    skipped: tuple[str, ...]  # folders that hold nothing for us, and why


@dataclass(frozen=True, slots=True)
class _Dataset:
    """One data set that is to be predicted; `labels` are event types for tasks on events."""

    name: str
    task: Task
    language: str
    labels: tuple[str, ...]
    file: Path
    sha256: str
    chosen: frozenset[int]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """One text that is to be predicted; `sample_id` is its row number in the split file."""

    dataset: _Dataset
    sample_id: str
    row: PublishedRow | Sample

    @property
    def key(self) -> tuple[str, ...]:
        """What tells its line from all others."""
        return self.dataset.task, self.dataset.language, self.dataset.name, self.sample_id


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file, and the faults that are told in it."""

    value: dict[str, object]
    faults: tuple[Fault, ...]


def predict(
    extractor: Extracts,
    data_dir: Path,
    out_dir: Path,
    *,
    tasks: Collection[str] | None = None,
    datasets: Collection[str] | None = None,
    split: str = "test",
    limit: int | None = None,
    constrained: bool = True,
    model: Mapping[str, object] | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Predicted:
    """Write `out_dir/predict_eval_predictions.jsonl` for `DATA/<task key>/<data set>/{split}.json`.

    `tasks` and `datasets` choose among the folders, `limit` so many texts of each (`subset`).
    `model` says what the extractor is; with the data's hashes and the options it is the settings
    that a resumed run must share. `fresh` throws an earlier run in `out_dir` away.

    Raises DataError when there is nothing to predict, or `out_dir` holds a run with other settings;
    LabelError for a label set that cannot be asked for; EngineError when the engine is gone: the
    lines so far stay, and the same call goes on from there.
    """
    plan, skipped = _plan(data_dir, tasks, datasets, split, limit)
    settings = _settings(plan, split, limit, constrained=constrained, model=model or {})
    path = out_dir / PREDICTIONS
    finished = [] if fresh else _finished(out_dir, settings)
    if not finished:
        files.write_atomic(path, [])
        files.write_json(out_dir / SETTINGS, settings)
    total = sum(len(dataset.chosen) for dataset in plan)
    pending = _after(finished, _items(plan), path)
    faults: Counter[str] = Counter()
    written = 0
    with path.open("ab") as file:
        for item, line in _lines(extractor, pending, constrained=constrained):
            _append(file, line.value)
            written += 1
            faults.update(fault.kind.value for fault in line.faults)
            if progress is not None:
                progress(Progress(item.dataset.name, len(finished) + written, total))
        os.fsync(file.fileno())
    rejected = tuple(itertools.chain(*(dataset.rejected for dataset in plan)))
    return Predicted(path, len(finished), written, dict(faults), rejected, tuple(skipped))


def _plan(
    data_dir: Path,
    tasks: Collection[str] | None,
    datasets: Collection[str] | None,
    split: str,
    limit: int | None,
) -> tuple[list[_Dataset], list[str]]:
    """The data sets in order of their folders' names, and why others are left out."""
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder of data sets")
    plan: list[_Dataset] = []
    skipped: list[str] = []
    for task_dir in _folders(data_dir):
        if tasks is not None and task_dir.name not in tasks:
            continue
        key = task_of_key(task_dir.name)
        if key is None:
            skipped.append(f"{task_dir.name}: not a task key, which begins with {', '.join(Task)}")
            continue
        task, language = key
        for folder in _folders(task_dir):
            if datasets is not None and folder.name not in datasets:
                continue
            found = _dataset(folder, task, language, split, limit)
            if isinstance(found, str):
                skipped.append(f"{task_dir.name}/{folder.name}: {found}")
            else:
                plan.append(found)
    if not plan:
        asked = ", ".join([*(tasks or ()), *(datasets or ())])
        raise DataError(
            f"{data_dir}: no <task key>/<data set>/{split}.json"
            + (f" of {asked}" if asked else "")
            + (f" ({'; '.join(skipped)})" if skipped else "")
        )
    for wanted, there in ((tasks, _names(plan, 1)), (datasets, _names(plan, 0))):
        absent = sorted(set(wanted or ()) - there)
        if absent:
            raise DataError(f"{data_dir}: holds no {', '.join(absent)} to predict")
    return plan, skipped


def _names(plan: Iterable[_Dataset], level: int) -> set[str]:
    """The names of the data sets' folders (0), or of the folders above them (1)."""
    return {dataset.file.parents[level].name for dataset in plan}


def _dataset(
    folder: Path, task: Task, language: str, split: str, limit: int | None
) -> _Dataset | str:
    """The data set in a folder, or why there is nothing to predict."""
    file = folder / f"{split}.json"
    if not file.is_file():
        return f"no {file.name}"
    labels = published_labels(folder, task)
    if not labels:
        return "an empty label set"
    readable: list[int] = []
    rejected: list[Rejected] = []
    for number, row in enumerate(_rows(file, task, language)):
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            readable.append(number)
    chosen = frozenset(readable[place] for place in subset(len(readable), limit))
    digest = f"{files.sha256(folder / LABELS)} {files.sha256(file)}"
    return _Dataset(folder.name, task, language, labels, file, digest, chosen, tuple(rejected))


def _rows(
    file: Path, task: Task, language: str
) -> Iterator[PublishedRow | Rejected] | Iterator[Sample | Rejected]:
    """The rows of a split file as they stand there."""
    if task is Task.NER:
        return published_rows(file)
    return published_samples(file, task, language=language, source=str(file))


def _folders(parent: Path) -> list[Path]:
    return sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda p: p.name)


def _items(plan: Iterable[_Dataset]) -> Iterator[_Item]:
    for dataset in plan:
        for number, row in enumerate(_rows(dataset.file, dataset.task, dataset.language)):
            if number in dataset.chosen and not isinstance(row, Rejected):
                yield _Item(dataset, str(number), row)


def _lines(
    extractor: Extracts, items: Iterable[_Item], *, constrained: bool
) -> Iterator[tuple[_Item, _Line]]:
    """Each text with its line: one batch for each run of texts that share what is asked of them."""
    for (_, labels), group in itertools.groupby(items, _shared):
        batch = list(group)
        language = batch[0].dataset.language
        rows = [item.row for item in batch if isinstance(item.row, PublishedRow)]
        samples = [item.row for item in batch if isinstance(item.row, Sample)]
        if rows:
            documents = extractor.extract_batch(
                [row.sentence for row in rows], labels, language=language, constrained=constrained
            )
            for item, row, document in zip(batch, rows, documents, strict=True):
                prompt = extractor.prompt(row.sentence, labels, language=language)
                yield item, _entity_line(item, row, document, prompt)
        else:
            answers = task_answers(extractor, samples, constrained=constrained)
            for item, sample, found in zip(batch, samples, answers, strict=True):
                yield item, _task_line(item, sample, found)


def _shared(item: _Item) -> tuple[Path, tuple[str, ...]]:
    """What the texts of one batch have in common."""
    own = item.row.labels if isinstance(item.row, PublishedRow) else None
    return item.dataset.file, item.dataset.labels if own is None else tuple(own)


def _entity_line(item: _Item, row: PublishedRow, document: Document, prompt: Prompt) -> _Line:
    """The line of a text with entities. `Gold` is left out where the data says not every place."""
    entities = row.answered
    truth = answer.write([Mention(entity.type, entity.name) for entity in entities])
    said = answer.write([Mention(entity.label, entity.text) for entity in document.entities])
    line = _published_line(item, row.sentence, prompt, truth, said)
    line["Entities"] = [entity.to_json() for entity in document.entities]
    line["Faults"] = [fault.to_json() for fault in document.faults]
    spans = [entity.span(row.sentence) for entity in entities]
    if None not in spans:
        line["Gold"] = [
            {"start": span.start, "end": span.end, "label": entity.type, "text": entity.name}
            for span, entity in zip(spans, entities, strict=True)
            if span is not None
        ]
    return _Line(line, document.faults)


def _task_line(item: _Item, sample: Sample, found: TaskAnswer) -> _Line:
    """The line of a text of any other task."""
    truth = task_forms.write(sample)
    line = _published_line(item, sample.text, found.prompt, truth, found.written)
    if sample.task is Task.RE:
        line["Relations"] = [
            {"label": relation.label, "head": relation.head.text, "tail": relation.tail.text}
            for relation in found.relations
        ]
    if sample.task in PLACED:
        line["Entities"] = [entity.to_json() for entity in found.entities]
    line["Faults"] = [fault.to_json() for fault in found.faults]
    return _Line(line, found.faults)


def _published_line(
    item: _Item, sentence: str, prompt: Prompt, truth: str, said: str
) -> dict[str, object]:
    """What the published system writes of one text."""
    return {
        "Task": item.dataset.task.value,
        "Dataset": item.dataset.name,
        "Language": item.dataset.language,
        "Instance": {
            "id": item.sample_id,
            "sentence": sentence,
            "label": truth,
            "instruction": prompt.head + prompt.body,
            "ground_truth": truth,
        },
        "Prediction": said.strip(),
    }


def _append(file: IO[bytes], line: Mapping[str, object]) -> None:
    file.write(files.encode(line) + b"\n")
    file.flush()


def _settings(
    plan: Sequence[_Dataset],
    split: str,
    limit: int | None,
    *,
    constrained: bool,
    model: Mapping[str, object],
) -> dict[str, object]:
    """All that decides the lines, as it is kept beside them."""
    return {
        "model": dict(model),
        "constrained": constrained,
        "split": split,
        "limit": limit,
        "data": {
            f"{dataset.file.parents[1].name}/{dataset.name}": dataset.sha256 for dataset in plan
        },
    }


def _finished(out_dir: Path, settings: Mapping[str, object]) -> list[tuple[str, ...]]:
    """The key of each line of an earlier run with the same settings; a torn end is cut off.

    Raises DataError when the earlier run had other settings, or nobody knows which.
    """
    path = out_dir / PREDICTIONS
    if not path.is_file() or not path.stat().st_size:
        return []
    beside = out_dir / SETTINGS
    if not beside.is_file() or files.read_json(beside) != settings:
        known = "other settings" if beside.is_file() else f"no {SETTINGS} beside them"
        raise DataError(
            f"{path}: holds predictions with {known}; name another folder, or start afresh"
        )
    with path.open("r+b") as file:
        end = 0
        for line in file:
            if line.endswith(b"\n"):
                end += len(line)
        file.truncate(end)
    return [_key(line, path) for line in files.read_jsonl(path)]


def _key(line: files.JsonLine | files.BrokenLine, path: Path) -> tuple[str, ...]:
    match line:
        case files.JsonLine(
            value={
                "Task": str(task),
                "Language": str(language),
                "Dataset": str(dataset),
                "Instance": {"id": str(number)},
            }
        ):
            return task, language, dataset, number
        case _:
            raise DataError(f"{path}:{line.number}: is no line of ours; start afresh")


def _after(
    finished: Sequence[tuple[str, ...]], items: Iterable[_Item], path: Path
) -> Iterator[_Item]:
    """The items that come after the finished lines, which must be the first items."""
    pending = iter(items)
    for number, key in enumerate(finished, start=1):
        item = next(pending, None)
        if item is None or item.key != key:
            raise DataError(f"{path}:{number}: is not the line that should stand here")
    yield from pending
