"""Which model a workflow runs: named by the user, opened once, and described in what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import b2ner
from b2ner import files

if TYPE_CHECKING:
    from b2ner.inference.extractor import Extractor

BATCH_SIZE = 32  # texts in work at once
_WEIGHTS = 1 << 30  # bytes; a larger file is described by its size, not by its hash


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What to load; None is the default of `b2ner.load`."""

    base: str | None = None
    adapter: Path | None = None
    template: str | None = None
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    batch_size: int = BATCH_SIZE

    def open(self) -> Extractor:
        """The extractor. Raises ModelError when it cannot be loaded."""
        from b2ner.inference.extractor import load

        return load(
            self.base,
            adapter=self.adapter,
            template=self.template,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            batch_size=self.batch_size,
        )

    def describe(self) -> dict[str, object]:
        """All that may change an answer, as JSON: folders by the hashes of their files."""
        described: dict[str, object] = {"b2ner": b2ner.__version__}
        for name, value in (("base", self.base), ("adapter", self.adapter)):
            if value is not None:
                described[name] = str(value)
                described[f"{name}_files"] = _fingerprints(Path(value))
        for name, option in (
            ("template", self.template),
            ("device", self.device),
            ("dtype", self.dtype),
        ):
            if option is not None:
                described[name] = option
        return described


def _fingerprints(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of each file in a folder; nothing for a name that is no folder here."""
    if not folder.is_dir():
        return {}
    return {
        path.name: files.sha256(path)
        if path.stat().st_size < _WEIGHTS
        else f"{path.stat().st_size}"
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
