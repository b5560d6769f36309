"""`load`: the engine that suits a model, and the template that its adapter was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import b2ner
from b2ner.errors import AdapterMismatch, InputError
from b2ner.inference.extractor import Extractor
from b2ner.inference.local import LocalEngine
from b2ner.inference.seq2seq import Seq2SeqEngine
from b2ner.model import tokens
from b2ner.model.card import (
    BaseCard,
    Card,
    LicenceClass,
    Status,
    TemplateCard,
    adapter_sha256,
    write_card,
)
from b2ner.model.safetensors_file import fingerprint
from b2ner.prompting.template import load_template
from tests.model.test_adapters import make_adapter
from tests.tiny import tiny_folder, tiny_network, tiny_tokenizer

LABELS = ("person", "location")
TEXTS = ("Ada Lovelace met the director in New York", "x", "李白在长安", "<pad> </s> <extra_id_0>")


@pytest.mark.parametrize(
    ("family", "kind"), [("t5", Seq2SeqEngine), ("llama", LocalEngine)], ids=["t5", "llama"]
)
def test_a_bare_folder_loads_and_extracts(family: str, kind: type, tmp_path: Path) -> None:
    ner = b2ner.load(tiny_folder(family, tmp_path), device="cpu", dtype="fp32", batch_size=2)
    assert type(ner.engine) is kind
    assert ner.template.id == "published"
    documents = list(ner.extract_batch(TEXTS, LABELS, max_answer_tokens=6))
    assert [document.text for document in documents] == list(TEXTS)
    for document in documents:
        for entity in document.entities:
            assert document.text[entity.start : entity.end] == entity.text


def test_the_number_of_threads_is_torchs(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        b2ner.load(tiny_folder("t5", tmp_path), device="cpu", dtype="fp32", threads=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("option", ["threads", "batch_size"])
def test_there_is_at_least_one_of_each(option: str) -> None:
    with pytest.raises(InputError, match=f"{option} must be at least 1, got 0"):
        b2ner.load(**{option: 0})


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter without a card, beside its base."""
    tiny_folder("llama", tmp_path / "base")
    make_adapter(tiny_network("llama"), tmp_path / "adapter")
    return tmp_path / "adapter"


def give_card(adapter: Path, template: TemplateCard) -> None:
    card = Card(
        base=BaseCard("tiny", fingerprint(adapter.parent / "base")),
        template=template,
        tokenisation="apart",
        tokenizer=tokens.fingerprint(tiny_tokenizer("llama")),
        adapter_sha256=adapter_sha256(adapter),
        status=Status.PROVISIONAL,
        licence=LicenceClass.OPEN,
        languages=("en",),
        training="On nothing.",
    )
    write_card(adapter, card)


def load(adapter: Path, **options: Any) -> Extractor:
    return b2ner.load(
        adapter.parent / "base", adapter=adapter, device="cpu", dtype="fp32", **options
    )


def test_an_adapter_brings_its_template(adapter: Path) -> None:
    published = load_template("published")
    assert load(adapter).template == published
    give_card(adapter, TemplateCard("published", published.sha256))
    assert load(adapter).template == load(adapter, template="published").template == published


def test_an_adapter_made_for_another_template_is_refused(adapter: Path) -> None:
    give_card(adapter, TemplateCard("published", "0" * 64))
    with pytest.raises(AdapterMismatch, match="not as it was when this adapter was trained"):
        load(adapter)
    give_card(adapter, TemplateCard("published", load_template("published").sha256))
    with pytest.raises(AdapterMismatch, match="the template 'published', not 'mine'"):
        load(adapter, template="mine")


def test_a_template_that_there_is_not_is_refused(adapter: Path) -> None:
    with pytest.raises(InputError, match="no template 'mine'"):
        load(adapter, template="mine")
    give_card(adapter, TemplateCard("next", "0" * 64))
    with pytest.raises(AdapterMismatch, match=r"trained with a template .* no template 'next'"):
        load(adapter)
