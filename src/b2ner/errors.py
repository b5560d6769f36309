"""The exceptions of b2ner: broken promises only.

Bad *data* is never an exception: a row that cannot be kept is a `Rejected`, an answer that cannot
be read is a `Fault`. What is raised is drawn here, and every message names the thing, what was
found, what was expected and what to do next::

    B2nerError
    ├── InputError        what the caller gave cannot be used
    │   ├── LabelError        an empty, duplicate or unprintable label, or too many labels
    │   └── DataError         a file or folder that is not what it should be
    ├── ModelError        weights, tokenizers, adapters
    │   ├── MissingExtra      an optional dependency is not installed
    │   ├── UnsafeWeights     pickled weights, or remote code that nobody asked for
    │   ├── AdapterMismatch   an adapter made for another base, template or tokenizer
    │   ├── UnsupportedModel  a network that the engine cannot run correctly
    │   └── CacheError        the model cache cannot be written or read
    └── EngineError       the engine is gone; the rows it was working on have no answer
"""

from __future__ import annotations


class B2nerError(Exception):
    """Root of everything that b2ner raises on purpose."""


class InputError(B2nerError, ValueError):
    """What the caller gave cannot be used."""


class LabelError(InputError):
    """A label set that cannot be asked for."""


class DataError(InputError):
    """A file or folder that is not what it should be; the message names the place."""


class ModelError(B2nerError):
    """Weights, a tokenizer or an adapter that cannot be used."""


class MissingExtra(ModelError, ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""


class UnsafeWeights(ModelError):
    """Weights that could run code: pickles, or a model folder with remote code."""


class AdapterMismatch(ModelError):
    """An adapter that was made for another base, template or tokenizer."""


class UnsupportedModel(ModelError):
    """A network whose answers the engine cannot promise to be right."""


class CacheError(ModelError, OSError):
    """The model cache cannot be written or read."""


class EngineError(B2nerError):
    """The engine is gone; the requests it was working on have no answer."""
