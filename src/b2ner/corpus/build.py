"""Data sets in the published layout: raw archives in, published data folders out.

`DIR/<task key>/<data set>/{labels.json,<role>.json}` and one `manifest.json`. The same sources give
the same bytes. Entity annotations are never changed; what could not be kept is listed, row by row:
for the test sets in the manifest, for the others in `rejected.jsonl`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from b2ner.corpus import archive
from b2ner.corpus.brat import read_brat
from b2ner.corpus.check import published_texts
from b2ner.corpus.data_sets import (
    Brat,
    Cluener,
    Cmeee,
    DataSet,
    Json,
    Names,
    Parallel,
    Role,
    data_sets,
)
from b2ner.corpus.json_families import read_json_format
from b2ner.corpus.published_writer import published_row
from b2ner.corpus.readers import (
    Annotation,
    Conll,
    read_cluener,
    read_cmeee,
    read_conll,
    read_parallel,
)
from b2ner.corpus.screen import Seen
from b2ner.corpus.subset import subset
from b2ner.errors import DataError
from b2ner.files import encode, write_atomic, write_json, write_json_array
from b2ner.prompting import answer
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.records import Entity, Mention, Reason, Rejected, Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuiltSet:
    """What came of one data set."""

    name: str
    task: str
    texts: int
    mentions: int
    rejected: tuple[Rejected, ...]

    def count(self, reason: Reason) -> int:
        """How many rows were rejected for this reason."""
        return sum(row.reason is reason for row in self.rejected)


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a build; `missing` are the archives that the source did not hold."""

    sets: tuple[BuiltSet, ...]
    missing: tuple[str, ...]


def build(
    role: Role,
    source: Path,
    folder: Path,
    *,
    names: Names = Names.ORIGINAL,
    limit: int | None = None,
    against: Sequence[Path] = (),
) -> Built:
    """Write every set of the role whose archive stands in `source`; `limit` texts of each.

    Of training sets, a text that stood in the same set before is rejected, one that stands, whole
    or in part, in a set below the folders `against` (`screen`), and one whose answer cannot be
    written. Raises DataError when `source` holds none of the sets, or one that is not
    what it should be.
    """
    seen, compared = _seen(against)
    built: list[BuiltSet] = []
    entries: list[dict[str, object]] = []
    missing: list[str] = []
    for data_set in data_sets(role, names):
        path = archive.find(source, data_set.archive)
        if path is None:
            missing.append(data_set.archive)
            continue
        rows = (_with_names(row, data_set) for row in read_data_set(data_set, path))
        screened = _screened(rows, seen) if role is Role.TRAIN else rows
        made, files = _build(data_set, role, screened, folder, limit)
        logger.info("%s texts=%d rejected=%d", made.name, made.texts, len(made.rejected))
        built.append(made)
        entries.append(_entry(data_set, role, made, files))
    if not built:
        raise DataError(f"{source}: holds none of the archives {', '.join(missing)} (NAME.zip)")
    head: dict[str, object] = {"names": names.value}
    if role is not Role.TEST:
        head = {"role": role.value}
        if role is Role.TRAIN:
            head["compared_with"] = compared
        lines = (encode(row) + b"\n" for made in built for row in _rejected_rows(made))
        head["rejected_sha256"] = write_atomic(folder / "rejected.jsonl", lines)
    manifest = {**head, "limit": limit, "missing": missing, "sets": entries}
    write_json(folder / "manifest.json", manifest)
    return Built(tuple(built), tuple(missing))


def read_data_set(data_set: DataSet, path: Path) -> Iterator[Sample | Rejected]:
    """The rows of a data set with the source's own labels, from its archive."""
    match data_set.format:
        case Brat(cut, without):
            members = [name for each in data_set.files for name in archive.members(path, each)]
            texts = [name for name in members if name not in without]
            both = [name for each in texts for name in (each, f"{each.removesuffix('.txt')}.ann")]
            contents = archive.texts(path, both)
            for name, text, annotations in zip(texts, contents, contents, strict=True):
                yield from read_brat(text, annotations, cut, _annotation(data_set, name))
        case Parallel():
            for tokens, tags in zip(data_set.files[::2], data_set.files[1::2], strict=True):
                yield from read_parallel(
                    archive.lines(path, tokens),
                    archive.lines(path, tags),
                    _annotation(data_set, tokens),
                )
        case _:
            for name in data_set.files:
                lines = archive.lines(path, name)
                yield from _read_lines(data_set, lines, _annotation(data_set, name))


def _read_lines(
    data_set: DataSet, lines: Iterable[str], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    match data_set.format:
        case Conll() as layout:
            return read_conll(lines, layout, annotation)
        case Cluener():
            return read_cluener(lines, annotation)
        case Cmeee():
            return read_cmeee(lines, annotation)
        case Json(rows):
            return read_json_format(lines, rows, annotation)
        case Brat() | Parallel():
            raise ValueError(f"{data_set.format} is not read from one file")
        case _:
            assert_never(data_set.format)


def _annotation(data_set: DataSet, file: str) -> Annotation:
    place = f"{data_set.archive}/{file}"
    return Annotation(data_set.source_labels, data_set.language, place)


def _seen(against: Sequence[Path]) -> tuple[Seen, dict[str, int]]:
    """The texts of all sets below the folders, and how many each file holds."""
    seen = Seen()
    compared: Counter[str] = Counter()
    for folder in against:
        for place, text in published_texts(folder):
            name = place.rpartition(":")[0]
            seen.add(text, name)
            compared[name] += 1
    return seen, dict(compared)


def _screened(rows: Iterable[Sample | Rejected], seen: Seen) -> Iterator[Sample | Rejected]:
    """The rows; a text that came before or stands elsewhere, or has no answer, is rejected."""
    first: dict[str, str] = {}
    for row in rows:
        if isinstance(row, Sample):
            if row.text in first:
                yield Rejected(Reason.REPEATED, row.source, f"as {first[row.text]}")
                continue
            first[row.text] = row.source
            shared = seen.shared_with(row.text)
            if shared is not None:
                yield Rejected(Reason.SEEN_ELSEWHERE, row.source, shared)
                continue
            mentions = [Mention(entity.label, entity.text) for entity in row.entities]
            if not writable(LABEL_FIRST, mentions, row.labels):
                yield Rejected(Reason.UNWRITABLE, row.source, "its answer would be read otherwise")
                continue
        yield row


def _build(
    data_set: DataSet,
    role: Role,
    rows: Iterable[Sample | Rejected],
    folder: Path,
    limit: int | None,
) -> tuple[BuiltSet, dict[str, str]]:
    """What came of one set, and the hash of each file written, by its path below `folder`."""
    read = list(rows)
    samples = [row for row in read if isinstance(row, Sample)]
    rejected = tuple(row for row in read if isinstance(row, Rejected))
    chosen = subset(len(samples), limit)
    kept = [sample for number, sample in enumerate(samples) if number in chosen]
    inside = f"{data_set.task}/{data_set.name}"
    texts = f"{inside}/{role.value}.json"
    files = {
        f"{inside}/labels.json": write_json(folder / inside / "labels.json", data_set.labels),
        texts: write_json_array(
            folder / texts, (published_row(sample, data_set.labels) for sample in kept)
        ),
    }
    mentions = sum(len(sample.entities) for sample in kept)
    return BuiltSet(data_set.name, data_set.task, len(kept), mentions, rejected), files


def _with_names(row: Sample | Rejected, data_set: DataSet) -> Sample | Rejected:
    """The sample with our names for its labels, without the mentions of labels left out."""
    if isinstance(row, Rejected):
        return row
    named = [
        Entity(entity.span, data_set.names[entity.label], entity.text)
        for entity in row.entities
        if entity.label in data_set.names
    ]
    once = list(dict.fromkeys(named))  # two source labels of one place may share a name
    asked = {data_set.names[label] for label in row.labels if label in data_set.names}
    labels = tuple(label for label in data_set.labels if label in asked)
    return replace(row, entities=tuple(answer.order(once, labels)), labels=labels)


def _entry(
    data_set: DataSet, role: Role, made: BuiltSet, files: dict[str, str]
) -> dict[str, object]:
    """What the manifest says of one set."""
    entry: dict[str, object] = {"name": made.name, "task": made.task}
    sources = [f"{data_set.archive}/{file}" for file in data_set.files]
    if role is Role.TEST:
        entry |= {"source": ", ".join(sources), "stands_for_test": ", ".join(data_set.splits)}
    else:
        entry |= {"sources": sources, "splits": data_set.splits}
    if data_set.terms:
        entry |= {
            "licence": data_set.terms.licence,
            "licence_class": data_set.terms.licence_class,
        }
    entry |= {"texts": made.texts, "mentions": made.mentions, "labels": dict(data_set.names)}
    if role is Role.TEST:
        entry["rejected"] = [_rejected(row) for row in made.rejected]
    else:
        entry["left_out"] = data_set.left_out
        entry["rejected"] = dict(Counter(row.reason.value for row in made.rejected))
    entry["sha256"] = files
    return entry


def _rejected_rows(made: BuiltSet) -> Iterator[dict[str, str]]:
    """The lines of `rejected.jsonl` for one set."""
    for row in made.rejected:
        yield {"set": made.name, **_rejected(row)}


def _rejected(row: Rejected) -> dict[str, str]:
    return {"reason": row.reason.value, "place": row.place, "detail": row.detail}
