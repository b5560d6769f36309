"""What a GGUF file holds: its metadata and where its tensors lie. Knows the format, no model.

The `gguf` package reads the same, but makes several objects of every string: half a minute for a
vocabulary of 262,144 tokens, against a second here. Its dequantisation is what we use.
Source: the GGUF specification, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from b2ner.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}
_SCALARS |= {11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: its shape (slowest dimension first), its storage type and its first byte."""

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The parsed head of a GGUF file and the bytes it came from."""

    data: memoryview
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]

    def rows(self, name: str, first: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """float32[count, width]: some rows of a matrix (or a whole vector), dequantised."""
        import gguf
        import numpy as np

        tensor = self.tensors[name]
        kind = gguf.GGMLQuantizationType(tensor.kind)
        block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        *outer, width = tensor.shape
        height = 1
        for size in outer:
            height *= size
        count = height - first if count is None else min(count, height - first)
        row_bytes = width // block_values * block_bytes
        start = tensor.start + first * row_bytes
        raw = np.frombuffer(self.data[start : start + count * row_bytes], dtype=np.uint8)
        if kind == gguf.GGMLQuantizationType.F32:
            values = raw.view(np.float32)
        elif kind == gguf.GGMLQuantizationType.F16:
            values = raw.view(np.float16).astype(np.float32)
        else:
            values = gguf.dequantize(raw.reshape(count, row_bytes), kind)
        return values.reshape(count, width) if outer else values.reshape(width)


def parse(data: memoryview) -> GgufFile:
    """The head of a GGUF file held in memory. Raises ModelError when the bytes are none."""
    try:
        return _parse(data)
    except (struct.error, IndexError, UnicodeDecodeError, KeyError) as fault:
        raise ModelError(f"a GGUF file that cannot be read: {fault!r}") from fault


def _parse(data: memoryview) -> GgufFile:
    magic, version, tensor_count, pair_count = struct.unpack_from("<4sIQQ", data, 0)
    if magic != b"GGUF" or version not in (2, 3):
        raise ModelError(f"expected a GGUF file of version 2 or 3, found {magic!r} and {version}")
    place = 24
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key, place = _string(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        metadata[key], place = _value(data, place + 4, kind)
    found: list[tuple[str, tuple[int, ...], int, int]] = []
    for _ in range(tensor_count):
        name, place = _string(data, place)
        (dimensions,) = struct.unpack_from("<I", data, place)
        sizes = struct.unpack_from(f"<{dimensions}Q", data, place + 4)
        kind, offset = struct.unpack_from("<IQ", data, place + 4 + 8 * dimensions)
        place += 4 + 8 * dimensions + 12
        found.append((name, sizes[::-1], kind, offset))
    alignment = metadata.get("general.alignment", 32)
    first = -(-place // alignment) * alignment
    tensors = {name: Tensor(shape, kind, first + at) for name, shape, kind, at in found}
    return GgufFile(data, metadata, tensors)


def _string(data: memoryview, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, place)
    end = place + 8 + length
    return str(data[place + 8 : end], "utf-8"), end


def _value(data: memoryview, place: int, kind: int) -> tuple[Any, int]:
    """A metadata value and the place behind it."""
    if kind == _STRING:
        return _string(data, place)
    if kind != _ARRAY:
        form = _SCALARS[kind]
        return struct.unpack_from(form, data, place)[0], place + struct.calcsize(form)
    item_kind, count = struct.unpack_from("<IQ", data, place)
    place += 12
    if item_kind in _SCALARS:
        form = f"<{count}{_SCALARS[item_kind][1]}"
        return list(struct.unpack_from(form, data, place)), place + struct.calcsize(form)
    items = []
    for _ in range(count):
        item, place = _value(data, place, item_kind)
        items.append(item)
    return items, place
