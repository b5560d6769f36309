"""The embedded model's tokenizer, once a session: it takes a second to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def embedded_tokenizer(embedded_folder: Path) -> Any:
    from b2ner.model.weights import load_tokenizer

    return load_tokenizer(embedded_folder)
