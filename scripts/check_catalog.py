#!/usr/bin/env python3
"""Read every data set of the catalog from a folder of archives and compare it with its entry.

    scripts/check_catalog.py RAW [NAME ...] [--processes 2] [--json FILE]

For maintainers, after a change to a reader or to the catalog. RAW holds NAME.zip or a folder NAME
for each data set; those that are not there are skipped and named. Prints a line a data set: rows
read and rejected, mentions here and in the entry, relations and events where there are some, the
seconds it took, and what is wrong:

    rejected    more than 0.5% of the rows, and the entry has no `losses_note`
    counts      mentions (of all labels, or of one), relations or events are more than 0.5% off what
                the entry says, and it has no `counts_note`
    places      a text does not have an entity's words at its place

Exit code 1: something is wrong. What `losses_note` and `counts_note` say is for people to judge.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from b2ner.corpus import archive
from b2ner.corpus.catalog import Entry, entries, entry
from b2ner.corpus.reading import read
from b2ner.errors import DataError
from b2ner.records import Sample

TOLERANCE = 0.005


@dataclass
class Checked:
    """What came of one data set."""

    name: str
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)  # places and details of rejected rows
    found: dict[str, int] = field(default_factory=dict)  # mentions, relations, events
    expected: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def check(name: str, source: Path) -> Checked:
    """Read all splits of a data set."""
    data_set = entry(name)
    path = archive.find(source, name)
    result = Checked(name)
    if path is None:
        result.notes.append("not there")
        return result
    rejected: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    found: Counter[str] = Counter()
    misplaced = 0
    begun = time.perf_counter()
    try:
        for split in data_set.splits:
            here: Counter[str] = Counter()
            for row in read(data_set, split, path):
                here["rows"] += 1
                if not isinstance(row, Sample):
                    rejected[row.reason.value] += 1
                    here["rejected"] += 1
                    if len(result.examples) < 20:
                        result.examples.append(f"{row.place}: {row.reason.value}: {row.detail}")
                    continue
                labels.update(e.label for e in row.entities)
                misplaced += sum(row.text[e.start : e.end] != e.text for e in row.entities)
                here["mentions"] += len(row.entities)
                here["relations"] += len(row.relations)
                here["events"] += len(row.events)
            found.update(here)
            result.splits[split] = dict(here)
    except DataError as problem:
        result.wrong.append(f"cannot be read: {problem}")
    result.seconds = time.perf_counter() - begun
    result.rows = found.pop("rows", 0)
    found.pop("rejected", None)
    result.rejected, result.labels, result.found = dict(rejected), dict(labels), dict(found)
    compare(data_set, result)
    if misplaced:
        result.wrong.append(f"places: {misplaced} entities do not stand where they say")
    return result


def compare(data_set: Entry, result: Checked) -> None:
    """Note what is wrong, and what a note in the entry explains."""
    lost = sum(result.rejected.values())
    if lost > TOLERANCE * result.rows:
        explained = data_set.losses_note
        (result.notes if explained else result.wrong).append(f"rejected: {lost} of {result.rows}")
    differences = []
    for what in ("mentions", "relations", "events"):
        told = [data_set.counts.get(split, {}).get(what) for split in data_set.splits]
        if any(number is not None for number in told):
            result.expected[what] = sum(filter(None, told))
            if _far(result.found.get(what, 0), result.expected[what]):
                differences.append(what)
    if "NER" in data_set.tasks:
        for label, number in data_set.labels.items():
            if _far(result.labels.get(label, 0), number, least=max(3, lost)):
                differences.append(f"{label} {result.labels.get(label, 0)}/{number}")
    if differences:
        line = f"counts: {', '.join(differences[:6])}{' ...' if len(differences) > 6 else ''}"
        (result.notes if data_set.counts_note else result.wrong).append(line)


def _far(found: int, expected: int, *, least: int = 0) -> bool:
    """Whether the numbers differ by more than may be.

    Of one label `least` may be missing: a few, or one for each row that was rejected.
    """
    return abs(found - expected) > max(least, TOLERANCE * expected)


def line(result: Checked) -> str:
    """The row of the table."""
    numbers = " ".join(
        f"{what} {result.found.get(what, 0)}/{result.expected.get(what, '-')}"
        for what in ("mentions", "relations", "events")
        if result.found.get(what) or result.expected.get(what)
    )
    told = [f"WRONG {each}" for each in result.wrong] + [f"noted {each}" for each in result.notes]
    return (
        f"{result.name:28} rows {result.rows:6} rejected {sum(result.rejected.values()):5}"
        f"  {numbers:30} {result.seconds:5.1f} s  {'; '.join(told)}".rstrip()
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("source", type=Path, metavar="RAW")
    arguments.add_argument("names", nargs="*", metavar="NAME")
    arguments.add_argument("--processes", type=int, default=1)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all counts")
    given = arguments.parse_args()
    names = given.names or [each.name for each in entries()]
    begun = time.perf_counter()
    if given.processes > 1:
        with ProcessPoolExecutor(given.processes) as pool:
            results = list(pool.map(check, names, [given.source] * len(names)))
    else:
        results = [check(name, given.source) for name in names]
    for result in results:
        print(line(result))
    wrong = [result.name for result in results if result.wrong]
    print(
        f"\n{len(results)} data sets, {sum(r.rows for r in results)} rows,"
        f" {sum(sum(r.rejected.values()) for r in results)} rejected,"
        f" {sum(r.found.get('mentions', 0) for r in results)} mentions,"
        f" {time.perf_counter() - begun:.0f} s; wrong: {len(wrong)}"
    )
    if given.json:
        given.json.write_text(json.dumps([asdict(r) for r in results], ensure_ascii=False))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
