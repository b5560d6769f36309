"""Split files of the published layout as one Parquet table: a row a text, entities with offsets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from b2ner import files
from b2ner.errors import DataError, MissingExtra

_BATCH = 10_000  # rows of a row group


def write_table(path: Path, sources: Iterable[tuple[str, str, str, Path]]) -> str:
    """Write the table and give its SHA-256; a source is task key, data set, split and file.

    Columns: task, dataset, split, text, entities (start, end, label, text), relations and events as
    JSON where there are any. Raises MissingExtra without pyarrow.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as problem:
        raise MissingExtra("Parquet needs pyarrow: pip install 'b2ner[data]'") from problem
    entity = arrow.struct(
        [
            ("start", arrow.int32()),
            ("end", arrow.int32()),
            ("label", arrow.string()),
            ("text", arrow.string()),
        ]
    )
    schema = arrow.schema(
        [
            ("task", arrow.string()),
            ("dataset", arrow.string()),
            ("split", arrow.string()),
            ("text", arrow.string()),
            ("entities", arrow.list_(entity)),
            ("relations", arrow.string()),
            ("events", arrow.string()),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            batch: list[dict[str, Any]] = []
            for task, dataset, split, source in sources:
                for row in files.read_json_array(source):
                    batch.append(_columns(task, dataset, split, row))
                    if len(batch) == _BATCH:
                        writer.write_table(arrow.Table.from_pylist(batch, schema))
                        batch.clear()
            if batch:
                writer.write_table(arrow.Table.from_pylist(batch, schema))
        temporary.replace(path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror or problem}") from problem
    finally:
        temporary.unlink(missing_ok=True)
    return files.sha256(path)


def _columns(task: str, dataset: str, split: str, row: Any) -> dict[str, Any]:
    entities = [
        {"start": e["pos"][0], "end": e["pos"][1], "label": e["type"], "text": e["name"]}
        for e in row.get("entities", ())
    ]
    told = {
        name: json.dumps(row[name], ensure_ascii=False) if name in row else None
        for name in ("relations", "events")
    }
    place = {"task": task, "dataset": dataset, "split": split}
    return {**place, "text": row["sentence"], "entities": entities, **told}
