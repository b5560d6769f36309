"""Cards: written and read back, and refused when they say what no card says."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from b2ner.errors import AdapterMismatch, ModelError
from b2ner.model.card import (
    ADAPTER_FILE,
    CARD_FILE,
    BaseCard,
    Card,
    LicenceClass,
    Status,
    TemplateCard,
    adapter_sha256,
    check_adapter_file,
    read_card,
    write_card,
)

CARD = Card(
    base=BaseCard("a base", "0123", None),
    template=TemplateCard("published", "4567"),
    tokenisation="apart",
    tokenizer="89ab",
    adapter_sha256="cdef",
    status=Status.PROVISIONAL,
    licence=LicenceClass.RESEARCH,
    languages=("en", "zh"),
    training="On texts of our own. 用我们自己的文本。",
)


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(CARD, id="a provisional one"),
        pytest.param(
            dataclasses.replace(
                CARD,
                base=BaseCard("b", "00", "11"),
                tokenisation="joint",
                status=Status.RELEASED,
                licence=LicenceClass.OPEN,
                languages=(),
            ),
            id="a released one",
        ),
    ],
)
def test_a_written_card_reads_back(card: Card, tmp_path: Path) -> None:
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


def test_no_card_is_an_everyday_answer(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"format": 2}, "format", id="a later format"),
        pytest.param({"tokenisation": "both"}, "tokenisation", id="no such tokenisation"),
        pytest.param({"status": "final"}, "status", id="no such status"),
        pytest.param({"mood": "good"}, "mood", id="an unknown field"),
        pytest.param({"base": {"name": "x"}}, "base.fingerprint", id="a field is missing"),
    ],
)
def test_a_bad_card_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    row = json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps(row | change))
    with pytest.raises(ModelError, match=f"{CARD_FILE} is not a card of format 1: {said}"):
        read_card(tmp_path)


def test_a_card_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes(b"\xff{")
    with pytest.raises(ModelError, match="is not a card"):
        read_card(tmp_path)


def test_the_weights_must_be_those_of_the_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"holds no {ADAPTER_FILE}"):
        adapter_sha256(tmp_path)
    (tmp_path / ADAPTER_FILE).write_bytes(b"weights")
    card = dataclasses.replace(CARD, adapter_sha256=adapter_sha256(tmp_path))
    check_adapter_file(tmp_path, card)
    (tmp_path / ADAPTER_FILE).write_bytes(b"other weights")
    with pytest.raises(AdapterMismatch, match="is not the file that its card"):
        check_adapter_file(tmp_path, card)


def test_reading_cards_loads_no_torch() -> None:
    code = "import sys, b2ner.model.card; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
