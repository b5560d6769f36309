"""Open named entity recognition: your labels in your own words, entities grounded by construction.

    >>> import b2ner
    >>> ner = b2ner.load()
    >>> ner.extract("Ada Lovelace wrote to Babbage.", ["person"])

Public names only. Importing this loads no model library; `load` does, when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from b2ner.errors import (
    AdapterMismatch,
    B2nerError,
    CacheError,
    DataError,
    EngineError,
    InputError,
    LabelError,
    MissingExtra,
    ModelError,
    UnsafeWeights,
    UnsupportedModel,
)
from b2ner.records import (
    Document,
    Entity,
    Event,
    Fault,
    FaultKind,
    Mention,
    Prediction,
    Reason,
    Rejected,
    Relation,
    Sample,
    Span,
    Task,
    Usage,
)

if TYPE_CHECKING:
    from b2ner.inference.extractor import Extractor, TokenDocument, load

__version__ = "0.1.0"

__all__ = [
    "AdapterMismatch",
    "B2nerError",
    "CacheError",
    "DataError",
    "Document",
    "EngineError",
    "Entity",
    "Event",
    "Extractor",
    "Fault",
    "FaultKind",
    "InputError",
    "LabelError",
    "Mention",
    "MissingExtra",
    "ModelError",
    "Prediction",
    "Reason",
    "Rejected",
    "Relation",
    "Sample",
    "Span",
    "Task",
    "TokenDocument",
    "UnsafeWeights",
    "UnsupportedModel",
    "Usage",
    "__version__",
    "load",
]

_EXTRACTOR = ("Extractor", "TokenDocument", "load")  # looked up when first asked for


def __getattr__(name: str) -> Any:
    if name in _EXTRACTOR:
        from b2ner.inference import extractor

        return getattr(extractor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
