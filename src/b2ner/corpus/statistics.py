"""The published table of a folder in the published layout: data sets, types and texts by split.

The published table counts a type once for each data set that has it; here both numbers are given,
`labels` counted so and `types` without repeats. Rows are counted, not judged: a malformed one is
named. Draws the types of each domain, as far as the catalog knows the data sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from b2ner.corpus import catalog
from b2ner.corpus.published import (
    LABELS,
    published_labels,
    published_rows,
    published_samples,
    task_of_key,
)
from b2ner.errors import DataError, InputError, MissingExtra
from b2ner.records import Rejected, Sample, Task

SPLITS = ("train", "dev", "test")
# Folders of a release: the selected texts, and all of which they were selected.
EDITIONS = (("B2NERD", "B2NERD_all"), ("pruned", "all"))
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SetCounts:
    """One split of one data set. `texts` or `raw` is None where that folder does not hold it."""

    split: str
    task: str  # the task key
    language: str
    name: str
    domain: str
    labels: tuple[str, ...]
    texts: int | None
    annotations: int  # entities, relations or events of the texts
    raw: int | None = None
    malformed: tuple[Rejected, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "split": self.split,
            "task": self.task,
            "language": self.language,
            "data_set": self.name,
            "domain": self.domain,
            "labels": len(self.labels),
            "texts": self.texts,
            "annotations": self.annotations,
            "raw_texts": self.raw,
            "malformed": len(self.malformed),
        }


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the published table; `language` is empty in the sum of a split."""

    split: str
    language: str
    data_sets: int
    types: int  # different label names
    labels: int  # label names, counted once for each data set
    texts: int | None
    raw: int | None

    def to_json(self) -> dict[str, object]:
        return {
            "split": self.split,
            "language": self.language,
            "data_sets": self.data_sets,
            "types": self.types,
            "labels": self.labels,
            "texts": self.texts,
            "raw_texts": self.raw,
        }


def count_sets(folder: Path, raw: Path | None = None) -> list[SetCounts]:
    """Every split of every data set below the folder, by split, task key and name.

    `raw` holds the texts of which those in the folder were selected. Without it, a folder that
    holds the editions of a release (`EDITIONS`) is both. Raises DataError without a data set.
    """
    if raw is None:
        for selected, whole in EDITIONS:
            if (folder / selected).is_dir() and (folder / whole).is_dir():
                folder, raw = folder / selected, folder / whole
                break
    found = {(one.split, one.task, one.name): one for one in _counted(folder)}
    if raw is not None:
        for one in _counted(raw):
            key = (one.split, one.task, one.name)
            mine = found.get(key)
            if mine is None:
                found[key] = replace(one, texts=None, annotations=0, raw=one.texts)
            else:
                wrong = (*mine.malformed, *one.malformed)
                found[key] = replace(mine, raw=one.texts, malformed=wrong)
    return sorted(found.values(), key=lambda one: (SPLITS.index(one.split), one.task, one.name))


def published_table(sets: Sequence[SetCounts]) -> list[TableRow]:
    """The rows of each split, one a language, and below them their sum if there are several."""
    rows = []
    for split in SPLITS:
        of_split = [one for one in sets if one.split == split]
        languages = dict.fromkeys(one.language for one in of_split)
        rows += [
            _row(split, language, [one for one in of_split if one.language == language])
            for language in languages
        ]
        if len(languages) > 1:
            rows.append(_row(split, "", of_split))
    return rows


def types_by_domain(sets: Iterable[SetCounts]) -> dict[str, dict[str, int]]:
    """How many different label names each domain has in each language, the richest domain first."""
    names: dict[str, dict[str, set[str]]] = {}
    for one in sets:
        names.setdefault(one.domain, {}).setdefault(one.language, set()).update(one.labels)
    counted = {
        domain: {language: len(labels) for language, labels in sorted(by_language.items())}
        for domain, by_language in names.items()
    }
    return dict(sorted(counted.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def plot_types(counts: dict[str, dict[str, int]], path: Path) -> None:
    """Draw the types of each domain as bars, a colour a language, into a `.svg` or `.png` file.

    The same counts give the same bytes. Raises InputError for another suffix, MissingExtra without
    matplotlib, and DataError where the file cannot be written.
    """
    if path.suffix not in (".svg", ".png"):
        raise InputError(f"{path}: {path.suffix!r} is not drawn: .svg or .png")
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as fault:
        raise MissingExtra(
            f'drawing needs the extra `data`: pip install "b2ner[data]" ({fault})'
        ) from fault
    domains = list(counts)[::-1]  # the first on top
    languages = sorted({language for by_language in counts.values() for language in by_language})
    with rc_context({"svg.hashsalt": "b2ner", "font.size": 9}):
        figure = Figure(figsize=(7, 0.9 + 0.28 * len(domains)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        left = [0] * len(domains)
        for language in languages:
            widths = [counts[domain].get(language, 0) for domain in domains]
            axes.barh(domains, widths, left=left, label=language)
            left = [done + width for done, width in zip(left, widths, strict=True)]
        for place, total in enumerate(left):
            axes.annotate(
                str(total), (total, place), (3, 0), textcoords="offset points", va="center"
            )
        axes.margins(x=0.08)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("types (different label names of a domain and language)")
        axes.legend(title="language", frameon=False, loc="lower right")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            moment = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=150, metadata=moment)
        except OSError as problem:
            message = f"{path}: cannot be written: {problem.strerror or problem}"
            raise DataError(message) from problem


def _counted(folder: Path) -> Iterator[SetCounts]:
    """Raises DataError without a data set."""
    known = {entry.published: entry.domain.value for entry in catalog.entries() if entry.published}
    known |= {entry.name: entry.domain.value for entry in catalog.entries()}
    splits = [
        (labels.parent, split)
        for labels in sorted(folder.glob(f"*/*/{LABELS}"))
        for split in SPLITS
        if (labels.parent / f"{split}.json").is_file() and task_of_key(labels.parent.parent.name)
    ]
    if not splits:
        raise DataError(f"{folder}: holds no data set (TASK KEY/DATA SET/{LABELS} and train.json)")
    for place, split in splits:
        task, language = task_of_key(place.parent.name) or (Task.NER, "")
        texts = annotations = 0
        malformed = []
        for row in _annotations(place, split, task, language):
            if isinstance(row, Rejected):
                malformed.append(row)
            else:
                texts += 1
                annotations += row
        yield SetCounts(
            split,
            place.parent.name,
            language,
            place.name,
            known.get(place.name, UNKNOWN),
            published_labels(place, task),
            texts,
            annotations,
            malformed=tuple(malformed),
        )


def _annotations(place: Path, split: str, task: Task, language: str) -> Iterator[int | Rejected]:
    """How many annotations each row has."""
    path = place / f"{split}.json"
    if task is Task.NER:
        for row in published_rows(path):
            yield row if isinstance(row, Rejected) else len(row.answered)
        return
    source = f"{place.parent.name}/{place.name}/{split}.json"
    for sample in published_samples(path, task, language=language, source=source):
        yield _size(sample) if isinstance(sample, Sample) else sample


def _size(sample: Sample) -> int:
    return len(sample.relations) + len(sample.events) + bool(sample.sentiment)


def _row(split: str, language: str, sets: Sequence[SetCounts]) -> TableRow:
    """The sums of the sets."""
    return TableRow(
        split,
        language,
        len({(one.task, one.name) for one in sets}),
        len({label for one in sets for label in one.labels}),
        sum(len(one.labels) for one in sets),
        _sum(one.texts for one in sets),
        _sum(one.raw for one in sets),
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Their sum; None if none of them is known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
