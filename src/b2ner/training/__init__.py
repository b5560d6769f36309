"""From samples to an adapter: one readable loop. Importing this loads no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from b2ner.training.settings import TrainSettings

if TYPE_CHECKING:
    from b2ner.training.loop import Trained, train

__all__ = ["TrainSettings", "Trained", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from b2ner.training import loop

        return getattr(loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
