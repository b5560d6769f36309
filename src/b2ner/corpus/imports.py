"""A user's own corpus: read as `guess` says, given one label set, written for training.

What is written is the published layout with our JSON lines beside each split:
`OUT/NER_<language>/<name>/{labels.json, <split>.json, <split>.jsonl}`, and `rejected.jsonl` where
rows could not be kept. Only entities are taken; relations are counted, so that somebody notices.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from b2ner.corpus import archive, arrow_tables
from b2ner.corpus.brat import BratFolder
from b2ner.corpus.column_formats import read_columns
from b2ner.corpus.exports import Export, export_labels, read_export
from b2ner.corpus.guess import Form, Guess, csv_lines
from b2ner.corpus.json_readers import JsonSpans, JsonTags
from b2ner.corpus.languages import language_of
from b2ner.corpus.published import LABELS, published_labels, read_published, task_of_key
from b2ner.corpus.published_writer import published_row
from b2ner.corpus.readers import Annotation, Conll
from b2ner.corpus.row_formats import read_file, read_rows
from b2ner.corpus.sheets import SheetText, read_sheet, read_sheets
from b2ner.corpus.statistics import SPLITS
from b2ner.corpus.token_tables import CsvTokens
from b2ner.errors import DataError
from b2ner.files import encode, write_atomic, write_json, write_json_array
from b2ner.prompting import answer
from b2ner.prompting.template import check_labels
from b2ner.records import Entity, Reason, Rejected, Sample, Task

REJECTED = "rejected.jsonl"
UNKNOWN_LANGUAGE = "en"  # of prompts, where the script does not say the language

Row = Sample | Rejected


@dataclass(frozen=True, slots=True)
class ImportedSet:
    """One split of one data set: samples of one language, whose labels are among `labels`."""

    name: str
    split: str
    language: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]

    @property
    def place(self) -> str:
        """Its folder below the output."""
        return f"{Task.NER}_{self.language}/{self.name}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a corpus. `relations` are those that its texts have, and that are not taken.

    `language_known`: whether it was given, stands in the corpus, or was told by the script.
    """

    sets: tuple[ImportedSet, ...]
    rejected: tuple[Rejected, ...]
    relations: int
    skipped: tuple[str, ...]  # data sets that are about no entities
    language_known: bool

    @property
    def own_label_sets(self) -> int:
        """How many texts are asked for fewer labels than their data set has."""
        return sum(row.labels != one.labels for one in self.sets for row in one.samples)

    @property
    def label_counts(self) -> dict[str, int]:
        """How often each label is used, the most frequent first."""
        counts = Counter(
            entity.label for one in self.sets for row in one.samples for entity in row.entities
        )
        unused = {label: 0 for one in self.sets for label in one.labels if label not in counts}
        return dict(counts.most_common()) | unused


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one data set and split. `own_labels`: whether rows have label sets of their own."""

    name: str
    split: str
    language: str  # empty: not known
    rows: Iterable[Row]
    labels: tuple[str, ...] = ()
    own_labels: bool = False


def import_corpus(
    path: Path,
    found: Guess,
    *,
    language: str | None = None,
    labels: Mapping[str, str] | None = None,
    name: str | None = None,
    split: str | None = None,
) -> Imported:
    """The whole corpus, held in memory.

    `labels` maps the corpus's labels to what they shall be called; a row with another label is
    rejected. Without it every label keeps its name. `name` and `split` are for corpora that do not
    say them; else the file's name is asked, and the split is `train`. Raises DataError when a file
    is not what it should be, LabelError for labels that cannot be asked for.
    """
    split = split or _split_of(path) or "train"
    parts, skipped = _parts(path, found, language or "", name or _name(path), split)
    rejected: list[Rejected] = []
    made: list[ImportedSet] = []
    relations, known = 0, True
    for part in parts:
        read = list(part.rows)
        samples = [row for row in read if isinstance(row, Sample)]
        rejected += [row for row in read if isinstance(row, Rejected)]
        relations += sum(len(row.relations) for row in samples)
        if not all(row.language for row in samples):
            told = part.language or language_of(row.text for row in samples)
            known = known and told is not None
            samples = [
                replace(row, language=row.language or told or UNKNOWN_LANGUAGE) for row in samples
            ]
        asked, all_labels, unknown = _labelled(samples, part, labels)
        rejected += unknown
        for each in sorted({row.language for row in asked}):
            of_language = tuple(row for row in asked if row.language == each)
            named = {label for row in of_language for label in row.labels}
            its_labels = tuple(label for label in all_labels if label in named)
            made.append(ImportedSet(part.name, part.split, each, its_labels, of_language))
    return Imported(tuple(made), tuple(rejected), relations, skipped, known)


def label_names(given: str) -> dict[str, str]:
    """What `PER=person, LOC=place, date` says: the corpus's label -> its name here."""
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    return {raw.strip(): (name if mark else raw).strip() for raw, mark, name in pairs}


def write_import(imported: Imported, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """The files written. Labels that a data set has there already stay, in their order, first.

    Raises DataError for a split that is there already, unless it may be overwritten.
    """
    for one in imported.sets:
        path = folder / one.place / f"{one.split}.json"
        if path.exists() and not overwrite:
            raise DataError(f"{path} is there already; --overwrite puts the new one in its place")
    written = []
    for one in imported.sets:
        place = folder / one.place
        before = published_labels(place) if (place / LABELS).is_file() else ()
        labels = tuple(dict.fromkeys((*before, *one.labels)))
        write_json(place / LABELS, labels)
        rows = (published_row(row, one.labels) for row in one.samples)
        write_json_array(place / f"{one.split}.json", rows)
        lines = (encode(jsonl_row(row)) + b"\n" for row in one.samples)
        write_atomic(place / f"{one.split}.jsonl", lines)
        files = (LABELS, f"{one.split}.json", f"{one.split}.jsonl")
        written += [place / name for name in files]
    if imported.rejected:
        write_atomic(folder / REJECTED, (encode(_said(row)) + b"\n" for row in imported.rejected))
        written.append(folder / REJECTED)
    return list(dict.fromkeys(written))


def jsonl_row(row: Sample) -> dict[str, object]:
    """Our JSON line: the text, its entities, and the labels that it was asked for."""
    entities = [entity.to_json() for entity in row.entities]
    return {"text": row.text, "entities": entities, "labels": list(row.labels)}


# -- reading -------------------------------------------------------------------------------------


def _parts(
    path: Path, found: Guess, language: str, name: str, split: str
) -> tuple[Iterator[_Part], tuple[str, ...]]:
    """The parts of a corpus, and the data sets of it that hold no entities."""
    annotation = Annotation((), language, path.name, open_labels=True)
    match found.form, found.layout:
        case Form.PUBLISHED, _ if path.is_dir():
            return _published(path, language)
        case Form.PUBLISHED, _:
            beside = path.parent / LABELS
            labels = published_labels(path.parent) if beside.is_file() else ()
            closed = Annotation(labels, language, path.name, open_labels=not labels)
            rows: Iterable[Row] = read_published(path, closed)
            return _one(_Part(name, split, language, rows, labels))
        case Form.SHEET, _:
            rows = _sheets(path, language)
            return _one(_Part(name, split, language, rows, own_labels=True))
        case Form.DATASETS, JsonSpans() | JsonTags() as layout:
            return _datasets(path, layout, annotation, name), ()
        case Form.PARQUET, JsonSpans() | JsonTags() as layout:
            rows = read_file(layout, arrow_tables.json_lines((path,)), annotation)
        case Form.CSV, JsonSpans() | JsonTags() as layout:
            rows = read_file(layout, csv_lines(path), annotation)
        case _, JsonSpans() | JsonTags() as layout:
            rows = read_file(layout, archive.lines(path.parent, path.name), annotation)
        case _, Conll() | CsvTokens() as columns:
            lines = archive.lines(path.parent, path.name)
            rows = read_columns(lines, columns, annotation)
        case _, BratFolder() as layout:
            rows = _brat(path, layout, annotation)
        case _, Export() as export:
            labels = export_labels(path, export)
            rows = read_export(path, export, Annotation(labels, language, path.name))
            return _one(_Part(name, split, language, rows, labels, own_labels=True))
        case form, None:
            raise DataError(f"{path}: {form.value} without a layout")
        case _, layout:
            assert_never(layout)
    return _one(_Part(name, split, language, rows))


def _one(part: _Part) -> tuple[Iterator[_Part], tuple[str, ...]]:
    return iter((part,)), ()


def _published(path: Path, language: str) -> tuple[Iterator[_Part], tuple[str, ...]]:
    """The data sets of a folder in the published layout, or of one that is a data set itself."""
    folders = [path] if (path / LABELS).is_file() else []
    folders = folders or sorted(labels.parent for labels in path.glob(f"*/*/{LABELS}"))
    parts, skipped = [], []
    for folder in folders:
        key = task_of_key(folder.resolve().parent.name)
        if key and key[0] is not Task.NER:
            skipped.append(f"{folder.parent.name}/{folder.name}")
            continue
        of_set = language or (key[1] if key else "")
        labels = published_labels(folder)
        for split in SPLITS:
            if (file := folder / f"{split}.json").is_file():
                place = f"{folder.name}/{split}.json"
                rows = read_published(file, Annotation(labels, of_set, place))
                parts.append(_Part(_name(folder), split, of_set, rows, labels, own_labels=True))
    return iter(parts), tuple(skipped)


def _sheets(path: Path, language: str) -> Iterator[Row]:
    """The texts of sheets; a language that is given stands in for theirs."""
    for row in read_sheets(path) if path.is_dir() else read_sheet(path):
        if isinstance(row, SheetText):
            yield replace(row.sample, language=language or row.sample.language)
        else:
            yield row


def _datasets(
    path: Path, layout: JsonSpans | JsonTags, annotation: Annotation, name: str
) -> Iterator[_Part]:
    for split, files in arrow_tables.table_files(path).items():
        told = replace(annotation, source=f"{path.name}/{split}")
        rows = read_file(layout, arrow_tables.json_lines(files), told)
        yield _Part(name, split, annotation.language, rows)


def _brat(path: Path, layout: BratFolder, annotation: Annotation) -> Iterator[Row]:
    texts = [
        file.relative_to(path).as_posix()
        for file in sorted(path.rglob("*.txt"))
        if file.with_suffix(".ann").is_file()
    ]
    return read_rows(layout, path, texts, lambda name: replace(annotation, source=name))


def _split_of(path: Path) -> str:
    """The split that a file's name says; empty where it says none."""
    stem = path.name.partition(".")[0]
    return {"valid": "dev", "validation": "dev"}.get(stem, stem if stem in SPLITS else "")


def _name(path: Path) -> str:
    """What a data set is called: as its folder, or its file if that says more than the split."""
    whole = path.resolve()
    if whole.is_dir():
        return whole.name
    return whole.parent.name if _split_of(whole) else whole.stem


# -- labels --------------------------------------------------------------------------------------


def _labelled(
    samples: Sequence[Sample], part: _Part, names: Mapping[str, str] | None
) -> tuple[list[Sample], tuple[str, ...], list[Rejected]]:
    """The samples with the labels that they are asked for, all of these, and what uses others.

    Raises LabelError for labels that cannot be asked for.
    """
    if names is None:
        used = {label for row in samples for label in row.labels}
        labels = (*part.labels, *sorted(used.difference(part.labels)))
    else:
        labels = tuple(dict.fromkeys(names.values()))
    kept: list[Sample] = []
    rejected: list[Rejected] = []
    for sample in samples:
        row = sample if names is None else _renamed(sample, names)
        if isinstance(row, Rejected):
            rejected.append(row)
        elif part.own_labels and (names is None or sample.labels != part.labels):
            kept.append(row)
        else:
            kept.append(_asked(row, labels))
    return kept, check_labels(labels) if labels else (), rejected


def _asked(row: Sample, labels: tuple[str, ...]) -> Sample:
    """The sample, asked for all labels of its data set."""
    return replace(row, labels=labels, entities=tuple(answer.order(row.entities, labels)))


def _renamed(row: Sample, names: Mapping[str, str]) -> Row:
    """The sample with our names for its labels; rejected when it uses one that has none."""
    for entity in row.entities:
        if entity.label not in names:
            close = difflib.get_close_matches(entity.label, names, n=3, cutoff=0.5)
            hint = f"; close: {', '.join(close)}" if close else ""
            return Rejected(Reason.UNKNOWN_LABEL, row.source, f"{entity.label!r}{hint}")
    asked = {names[label] for label in row.labels if label in names}
    labels = tuple(dict.fromkeys(name for name in names.values() if name in asked))
    renamed = [Entity(e.span, names[e.label], e.text) for e in row.entities]
    entities = answer.order(list(dict.fromkeys(renamed)), labels)
    return replace(row, labels=labels, entities=tuple(entities))


def _said(row: Rejected) -> dict[str, str]:
    return {"reason": row.reason.value, "place": row.place, "detail": row.detail}
