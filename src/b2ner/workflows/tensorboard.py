"""TensorBoard event files beside `metrics.jsonl`, where the package `tensorboard` is installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"

_log = logging.getLogger(__name__)


class Events:
    """Writes values by step into a run's folder; does nothing where the package is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._writer: Any = None
        self._there = util.find_spec("tensorboard") is not None
        if not self._there:
            _log.info("no event files: the extra `tensorboard` is not installed")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of a step. Steps from the first one on hide those of a run before."""
        if not self._there:
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # so that a killed run has lost none

    def close(self) -> None:
        """End the writing."""
        if self._writer is not None:
            self._writer.close()
