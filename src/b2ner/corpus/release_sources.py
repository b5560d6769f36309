"""The sets that a release reads: from the catalog's archives, from copies of one's own, our sheets.

Each becomes a `SourceSet`: its rows with their splits, and what has to be said of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from b2ner import files
from b2ner.corpus import archive as archives
from b2ner.corpus import reading
from b2ner.corpus.catalog import Entry, Role, entries
from b2ner.corpus.published import published_labels, read_data_set
from b2ner.corpus.published_terms import Terms
from b2ner.corpus.recipes import Choice, Recipe
from b2ner.corpus.screen import Seen
from b2ner.corpus.sheets import read_sheets
from b2ner.errors import DataError
from b2ner.records import Rejected, Sample, Task
from b2ner.taxonomy.mappings import Decision, LabelMapping, Means, mappings
from b2ner.taxonomy.tree import taxonomy

SPLITS = ("train", "dev", "test")
SHEETS = "b2ner_sheets"
_TASKS = {"NER": (Task.NER,), "RE": (Task.RE,), "EE": (Task.EET, Task.EEA)}


@dataclass(frozen=True, slots=True)
class SourceSet:
    """The rows of one set, each with its split, and what a release has to know of it."""

    name: str
    language: str
    domain: str
    licence: str
    licence_class: str
    share_alike: bool
    labels: Mapping[Task, tuple[str, ...]]  # of each task that it is annotated for
    rows: Callable[[], Iterator[tuple[str, Sample | Rejected]]]
    mapping: LabelMapping | None  # None: nothing says what its labels mean
    renamed: bool  # whether its labels get the taxonomy's names
    fingerprint: str  # of the files that are read


def source_sets(
    recipe: Recipe,
    choice: Choice,
    source: Path,
    sheets: Path | None,
    copies: Path | None,
    missing: list[str],
) -> Iterator[SourceSet]:
    """The chosen sets that are there; the names of the others are added to `missing`.

    Raises DataError for a set whose labels nobody mapped.
    """
    maps = mappings()
    for entry in choice.entries:
        path = archives.find(source, entry.name)
        if path is None:
            missing.append(entry.name)
        elif "NER" in entry.tasks and entry.name not in maps:
            raise DataError(f"{entry.name}: no mapping says what its labels mean")
        else:
            yield _of_entry(entry, path, maps.get(entry.name))
    for terms in choice.copies:
        home = copies / terms.task / terms.name if copies is not None else None
        if home is None or not home.is_dir():
            missing.append(f"{terms.task}/{terms.name}")
        else:
            yield _of_copy(terms, home)
    if recipe.sheets:
        if sheets is None:
            missing.append(SHEETS)
        else:
            yield from _of_sheets(sheets, maps.get("sheets"))


def _of_entry(entry: Entry, path: Path, mapping: LabelMapping | None) -> SourceSet:
    parts = {
        split: next((n for n in SPLITS if split.startswith(n)), "train") for split in entry.splits
    }
    if "train" not in parts.values():  # of a set that was made to test, all is there to learn from
        parts = dict.fromkeys(parts, "train")

    def rows() -> Iterator[tuple[str, Sample | Rejected]]:
        for split, to in parts.items():
            for found in reading.read(entry, split, path):
                yield to, found

    return SourceSet(
        entry.name,
        "zh" if entry.language.startswith("zh") else entry.language,
        entry.domain.value,
        entry.licence,
        entry.licence_class.value,
        entry.share_alike,
        {task: _labels(entry, task) for name in entry.tasks for task in _TASKS[name]},
        rows,
        mapping,
        mapping is not None,
        files.sha256(path) if path.is_file() else _folder_sha256(path),
    )


def _labels(entry: Entry, task: Task) -> tuple[str, ...]:
    """What a task of the set is asked for."""
    match task:
        case Task.NER:
            return tuple(entry.labels)
        case Task.RE:
            return tuple(entry.relation_labels)
        case _:
            return tuple(entry.event_labels)


def _of_copy(terms: Terms, home: Path) -> SourceSet:
    """A set of somebody's own copy of the published release; its labels are standard already."""
    language = terms.task.split("_")[1]

    def rows() -> Iterator[tuple[str, Sample | Rejected]]:
        for split in SPLITS:
            if (home / f"{split}.json").is_file():
                place = f"{terms.name}/{split}"
                for found in read_data_set(home, split, Task.NER, language=language, source=place):
                    yield split, found

    return SourceSet(
        terms.name,
        language,
        "unknown",
        terms.licence,
        terms.licence_class.value,
        False,
        {Task.NER: published_labels(home)},
        rows,
        None,
        False,
        _folder_sha256(home),
    )


def _of_sheets(folder: Path, mapping: LabelMapping | None) -> Iterator[SourceSet]:
    """Our own texts, a set for each language. What people call a type is theirs to vary: the names
    stay, and `types.json` says what they mean.
    """
    by_language: dict[str, list[Sample | Rejected]] = {}
    for found in read_sheets(folder):
        if isinstance(found, Rejected):
            raise DataError(f"{found.place}: {found.detail}; `b2ner corpus check` shows all")
        by_language.setdefault(found.sample.language, []).append(found.sample)
    digest = _folder_sha256(folder)
    for language, rows in sorted(by_language.items()):

        def read(
            kept: Sequence[Sample | Rejected] = rows,
        ) -> Iterator[tuple[str, Sample | Rejected]]:
            return (("train", row) for row in kept)

        labels = dict.fromkeys(
            label for row in rows if isinstance(row, Sample) for label in row.labels
        )
        yield SourceSet(
            SHEETS,
            language,
            "mixed",
            "CC BY 4.0",
            "open",
            False,
            {Task.NER: tuple(labels)},
            read,
            None if mapping is None else replace(mapping, labels=_known(mapping, labels)),
            False,
            digest,
        )


def _known(mapping: LabelMapping, labels: Iterable[str]) -> Mapping[str, Decision]:
    """The mapping's labels, and those that the tree has for names."""
    tree = taxonomy()
    found = {label: tree.find(label) for label in labels}
    names = {label: Means(kind.name) for label, kind in found.items() if kind is not None}
    return {**names, **mapping.labels}


def held_out(source: Path) -> tuple[Seen, list[str]]:
    """The texts of every test and development set, all splits, and the hashes of their archives."""
    seen = Seen()
    hashes = []
    for entry in entries():
        path = archives.find(source, entry.name)
        if entry.role is Role.NONE or path is None:
            continue
        hashes.append(files.sha256(path) if path.is_file() else _folder_sha256(path))
        for split in entry.splits:
            for found in reading.read(entry, split, path):
                if isinstance(found, Sample):
                    seen.add(found.text, entry.name)
    return seen, hashes


def _folder_sha256(folder: Path) -> str:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([f"{path.relative_to(folder)} {files.sha256(path)}" for path in paths])


def digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
