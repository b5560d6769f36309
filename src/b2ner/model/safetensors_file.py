"""The heads of safetensors files: whether a file is what it says, and what a set of weights is.

Standard library only. Source: the safetensors format: eight bytes that give the header's length,
a JSON header, then the tensors' bytes without holes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b2ner.errors import ModelError, UnsafeWeights

_LONGEST_HEADER = 100_000_000  # the format's own limit
_SAMPLES = 16  # places of a tensor that a fingerprint looks at
_SAMPLE_BYTES = 64


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor lies in its file: bytes [start, end)."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorEntry]:
    """The tensors of a file by name. Raises UnsafeWeights when the file is not all safetensors.

    Header and tensors must fill the file exactly, so that nothing else can hide in it.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise _not_safetensors(path, "its first eight bytes give no header length")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        rows = {name: row for name, row in header.items() if name != "__metadata__"}
        entries = {
            name: TensorEntry(
                str(row["dtype"]),
                tuple(int(size) for size in row["shape"]),
                8 + length + int(row["data_offsets"][0]),
                8 + length + int(row["data_offsets"][1]),
            )
            for name, row in rows.items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as fault:
        raise _not_safetensors(path, "its header is no table of tensors") from fault
    place = 8 + length
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.end)):
        if entry.start != place or entry.end < entry.start:
            raise _not_safetensors(path, "its tensors overlap or leave holes")
        place = entry.end
    if place != size:
        raise _not_safetensors(path, f"its header speaks of {place} bytes and it has {size}")
    return entries


def header(tensors: Iterable[tuple[str, str, tuple[int, ...], int]]) -> bytes:
    """The head of a file that holds these tensors in this order: name, type, shape, bytes."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, dtype, shape, size in tensors:
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    raw = json.dumps(table, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # tensors begin at a multiple of eight
    return len(raw).to_bytes(8, "little") + raw


def fingerprint(folder: Path) -> str:
    """A short hash that tells weights apart: names, types, shapes and a sample of each tensor.

    It reads about a kilobyte a tensor, wherever the tensors lie, so that it is quick for any size
    and the same for any sharding. It guards against mix-ups, not against an adversary.
    """
    digest = hashlib.sha256()
    places = {
        name: (path, entry)
        for path in weight_files(folder)
        for name, entry in read_header(path).items()
    }
    for name in sorted(places):
        path, entry = places[name]
        digest.update(json.dumps([name, entry.dtype, entry.shape]).encode())
        length = entry.end - entry.start
        step = max(math.ceil(length / _SAMPLES), _SAMPLE_BYTES)
        with path.open("rb", buffering=0) as stream:
            for offset in range(0, length, step):
                stream.seek(entry.start + offset)
                digest.update(stream.read(min(_SAMPLE_BYTES, length - offset)))
    return digest.hexdigest()[:32]


def weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files, by name. Raises ModelError when there are none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise ModelError(
            f"{folder} holds no *.safetensors weights; convert other formats to safetensors first"
        )
    return found


def _not_safetensors(path: Path, finding: str) -> UnsafeWeights:
    return UnsafeWeights(f"{path} is not a safetensors file: {finding}; it was not opened further")
