"""A release: the chosen data sets in three states, with all that was decided on the way.

`DIR/{raw,all,pruned}/<task key>/<data set>/{labels,train,dev,test}.json` in the published layout:
`raw` has the sources' own labels, `all` the taxonomy's names, `pruned` few texts of each type.
Beside the labels of the latter two, `types.json` says what they are in the tree and of which upper
types every mention is marked. `manifest.json`, `leaks.json` and `README.md` say what was chosen,
left out and dropped; `parquet/` holds the same texts as tables. The same inputs give the same
bytes, and a build that was stopped goes on where it was: each set is whole or not there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from b2ner import files
from b2ner.corpus import datasheet
from b2ner.corpus.catalog import entries
from b2ner.corpus.parquet import write_table
from b2ner.corpus.recipes import Choice, Recipe, choose
from b2ner.corpus.release_part import Part, make_part
from b2ner.corpus.release_sources import SPLITS, SourceSet, digest, held_out, source_sets
from b2ner.corpus.screen import Seen
from b2ner.errors import DataError
from b2ner.taxonomy.tree import Tree, taxonomy

STATES = ("raw", "all", "pruned")
MANIFEST = "manifest.json"
LEAKS = "leaks.json"
_PARTS = ".parts"  # what is known of each set that is done

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Release:
    """What came of a build."""

    parts: tuple[Part, ...]
    left_out: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]  # chosen, and not among the sources


def build_release(
    recipe: Recipe,
    source: Path,
    folder: Path,
    *,
    sheets: Path | None = None,
    copies: Path | None = None,
    on_set: Callable[[str], None] | None = None,
) -> Release:
    """Make the release of a recipe from the archives in `source`.

    `sheets` is the folder of our own texts, `copies` a folder in the published layout with the sets
    that are under agreements. `on_set` is told of each set before it is made. Raises DataError when
    nothing is left to build, when the recipe names what it may not, and when a chosen set has
    labels that nobody decided.
    """
    choice = choose(recipe, entries())
    tree = taxonomy()
    seen, hashes = held_out(source)
    state = digest([repr(recipe), metadata.version("b2ner"), _taxonomy_sha256(), *hashes])
    parts: list[Part] = []
    missing: list[str] = []
    for named in source_sets(recipe, choice, source, sheets, copies, missing):
        if on_set is not None:
            on_set(named.name)
        parts += _made(named, recipe, tree, seen, folder, state)
    if not parts:
        raise DataError(f"{source}: holds none of the {len(choice.entries)} chosen archives")
    _write(recipe, choice, parts, missing, folder)
    logger.info("release=%s sets=%d missing=%d", recipe.name, len(parts), len(missing))
    return Release(tuple(parts), choice.left_out, tuple(missing))


def _made(
    named: SourceSet, recipe: Recipe, tree: Tree, seen: Seen, folder: Path, state: str
) -> list[Part]:
    """The parts of a set: those of a build before, where nothing has changed, or new ones."""
    key = digest([state, named.fingerprint, named.name, named.language])
    note = folder / _PARTS / f"{named.name}-{named.language}.json"
    if note.is_file():
        match files.read_json(note):
            case {"key": str(known), "parts": [*rows]} if known == key:
                parts = [Part(**row) for row in rows if isinstance(row, dict)]
                if all((folder / path).is_file() for part in parts for path in part.sha256):
                    return parts
    made = [make_part(named, task, recipe, tree, seen, folder) for task in named.labels]
    files.write_json(note, {"key": key, "parts": [asdict(part) for part in made]})
    return made


def _write(
    recipe: Recipe, choice: Choice, parts: Sequence[Part], missing: Sequence[str], folder: Path
) -> None:
    tables = _tables(parts, folder)
    leaks = {
        f"{part.task}/{part.name}": {
            "texts": sum(part.leaks.values()),
            "by_set": part.leaks,
            "places": part.leak_places,
        }
        for part in parts
        if part.leaks
    }
    files.write_json(folder / LEAKS, leaks)
    licences: dict[str, list[str]] = {}
    for part in parts:
        licences.setdefault(part.licence or "not stated", []).append(f"{part.task}/{part.name}")
    manifest: dict[str, Any] = {
        "recipe": {**asdict(recipe), "licence_classes": [c.value for c in recipe.licence_classes]},
        "b2ner": metadata.version("b2ner"),
        "taxonomy": {"types": len(taxonomy()), "sha256": _taxonomy_sha256()},
        "totals": _totals(parts),
        "licences": dict(sorted(licences.items())),
        "share_alike": sorted({part.name for part in parts if part.share_alike}),
        "missing": list(missing),
        "left_out": dict(choice.left_out),
        "parquet_sha256": tables,
        "sets": [{k: v for k, v in asdict(part).items() if k != "leak_places"} for part in parts],
    }
    files.write_json(folder / MANIFEST, manifest)
    text = datasheet.render(recipe, manifest)
    files.write_atomic(folder / "README.md", [text.encode()])


def _totals(parts: Sequence[Part]) -> dict[str, dict[str, int]]:
    return {
        state: {
            "sets": len(parts),
            "texts": sum(sum(part.texts[state].values()) for part in parts),
            "mentions": sum(sum(part.mentions[state].values()) for part in parts),
        }
        for state in STATES
    }


def _tables(parts: Sequence[Part], folder: Path) -> dict[str, str]:
    """Write each state as one Parquet file; the hash of each."""
    return {
        state: write_table(
            folder / "parquet" / f"{state}.parquet",
            (
                (part.task, part.name, Path(path).stem, folder / path)
                for part in parts
                for path in sorted(part.sha256)
                if path.startswith(f"{state}/") and Path(path).stem in SPLITS
            ),
        )
        for state in STATES
    }


def _taxonomy_sha256() -> str:
    """Of the types and the mappings as they lie in the package."""
    digest = hashlib.sha256()
    for part in ("types", "mappings"):
        room = resources("b2ner.taxonomy") / part
        for path in sorted(room.iterdir(), key=lambda path: path.name):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
