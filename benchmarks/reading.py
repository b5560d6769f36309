"""Rows a second of reading every corpus of the catalog, and of building a release.

    python benchmarks/reading.py --source RAW [--processes N] [--recipe open] [--save]

RAW is a folder with the raw corpora (docs/howto/data.md). Reading yields every sample with checked
offsets and throws it away. A release is built into a folder that is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from machine import demand_quiet, describe

from b2ner import files
from b2ner.corpus import archive
from b2ner.corpus.catalog import entries
from b2ner.corpus.reading import read
from b2ner.corpus.recipes import read_recipe
from b2ner.corpus.release import build_release

RESULTS = Path(__file__).parent / "results"


def read_set(source: Path, name: str) -> dict[str, Any]:
    """What reading one data set comes to."""
    entry = next(each for each in entries() if each.name == name)
    path = archive.find(source, name)
    begun = time.perf_counter()
    rows = 0
    if path is not None:
        rows = sum(1 for split in entry.splits for _ in read(entry, split, path))
    return {"name": name, "rows": rows, "seconds": round(time.perf_counter() - begun, 3)}


def read_all(source: Path, processes: int) -> dict[str, Any]:
    """What reading every data set comes to, the largest first."""
    names = [
        entry.name
        for entry in sorted(entries(), key=lambda each: -sum(each.labels.values()))
        if archive.find(source, entry.name) is not None
    ]
    begun = time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        sets = list(pool.map(partial(read_set, source), names))
    seconds = time.perf_counter() - begun
    rows = sum(each["rows"] for each in sets)
    slowest = sorted(sets, key=lambda each: -each["seconds"])[:5]
    return {
        "sets": len(sets),
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds),
        "processes": processes,
        "slowest": slowest,
    }


def build(source: Path, recipe: str) -> dict[str, Any]:
    """What building a release comes to."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sheets = Path("corpus/sheets")
        made = build_release(read_recipe(recipe), source, Path(folder), sheets=sheets)
    seconds = time.perf_counter() - begun
    return {
        "recipe": recipe,
        "sets": len(made.parts),
        "texts": sum(sum(part.texts["all"].values()) for part in made.parts),
        "seconds": round(seconds, 1),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--recipe", nargs="*", default=[], help="releases that are built too")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()
    if not options.anyway:
        demand_quiet()
    result: dict[str, Any] = {
        "benchmark": "reading",
        "machine": describe(),
        "reading": read_all(options.source, options.processes),
        "releases": [build(options.source, recipe) for recipe in options.recipe],
    }
    print(json.dumps(result, indent=2))
    if options.save:
        name = f"reading-{result['reading']['sets']}-{result['machine']['date']}.json"
        files.write_json(RESULTS / name, result)


if __name__ == "__main__":
    main()
