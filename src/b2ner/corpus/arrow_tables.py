"""Rows of Parquet and Arrow files, and of folders that Hugging Face `datasets` wrote.

A folder is one that `save_to_disk` made (`state.json` beside Arrow files, or such folders by split
below `dataset_dict.json`) or one that holds Parquet files, each named after its split. Numbers of a
class (`ClassLabel`) become its name, as the files themselves say. Needs pyarrow, nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from b2ner.errors import DataError, MissingExtra
from b2ner.files import read_json

_SPLITS = {"validation": "dev", "valid": "dev", "val": "dev"}
_PARQUET = b"PAR1"


def is_datasets_folder(folder: Path) -> bool:
    """Whether `datasets` could have written this folder."""
    marks = ("dataset_dict.json", "state.json")
    return any((folder / mark).is_file() for mark in marks) or any(folder.rglob("*.parquet"))


def table_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of each split, in order; a split that is not named is `train`.

    Raises DataError when the folder holds none, or names files that it does not hold.
    """
    found: dict[str, list[Path]] = {}
    if (folder / "dataset_dict.json").is_file():
        match read_json(folder / "dataset_dict.json"):
            case {"splits": [*names]}:
                for name in names:
                    found[_split(str(name))] = _of_state(folder / str(name))
            case _:
                raise DataError(f"{folder / 'dataset_dict.json'}: names no splits")
    elif (folder / "state.json").is_file():
        match read_json(folder / "state.json"):
            case {"_split": str(name)}:
                found[_split(name)] = _of_state(folder)
            case _:
                found["train"] = _of_state(folder)
    else:
        for path in sorted(folder.rglob("*.parquet")):
            found.setdefault(_split(re.split("[-.]", path.name)[0]), []).append(path)
    if not any(found.values()):
        raise DataError(f"{folder}: holds no Arrow or Parquet file")
    return {split: tuple(paths) for split, paths in found.items()}


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or Arrow file, a batch of which is held at a time.

    Raises DataError when it is neither, and MissingExtra without pyarrow.
    """
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError as fault:
        raise MissingExtra(
            f'reading Parquet and Arrow needs the extra `data`: pip install "b2ner[data]" ({fault})'
        ) from fault
    try:
        if _is_parquet(path):
            with parquet.ParquetFile(path) as file:
                yield from _rows(file.iter_batches(), file.schema_arrow.metadata)
        else:
            with pyarrow.memory_map(str(path)) as file, ipc.open_stream(file) as stream:
                yield from _rows(stream, stream.schema.metadata)
    except (OSError, pyarrow.ArrowException) as problem:
        raise DataError(f"{path}: no Parquet or Arrow that can be read: {problem}") from problem


def json_lines(paths: tuple[Path, ...]) -> Iterator[str]:
    """The rows of some files as JSON lines; what is written there as JSON is no string any more."""
    for path in paths:
        for row in table_rows(path):
            yield json.dumps({key: _decoded(value) for key, value in row.items()}, default=str)


def _decoded(value: Any) -> Any:
    """A list of entities is often kept as a string of JSON."""
    if isinstance(value, str) and value[:2] in ("[{", "[[", "[]"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _rows(batches: Any, metadata: Mapping[bytes, bytes] | None) -> Iterator[dict[str, Any]]:
    names = _class_names(metadata or {})
    for batch in batches:
        for row in batch.to_pylist():
            for key, classes in names.items():
                row[key] = _named(row.get(key), classes)
            yield row


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """The classes of each column that holds their numbers, or lists of them."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError):
        return {}
    found = {}
    for key, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        match inner:
            case {"_type": "ClassLabel", "names": [*names]}:
                found[key] = tuple(map(str, names))
            case _:
                pass
    return found


def _named(value: Any, classes: tuple[str, ...]) -> Any:
    match value:
        case list():
            return [_named(one, classes) for one in value]
        case int() if 0 <= value < len(classes):
            return classes[value]
        case _:
            return value


def _of_state(folder: Path) -> list[Path]:
    """The files that a `save_to_disk` folder names."""
    state = folder / "state.json"
    match read_json(state):
        case {"_data_files": [*files]}:
            names = [file.get("filename") for file in files if isinstance(file, dict)]
            paths = [folder / name for name in names if isinstance(name, str)]
        case _:
            raise DataError(f"{state}: names no data files")
    for path in paths:
        if path.resolve().parent != folder.resolve() or not path.is_file():
            raise DataError(f"{state}: names {path.name!r}, which is no file of this folder")
    return paths


def _split(name: str) -> str:
    """Our name of a split."""
    return _SPLITS.get(name, name)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET
