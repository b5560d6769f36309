"""From GGUF bytes to a folder that loads, checked against the reference library's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM

from b2ner.errors import ModelError
from b2ner.model import conversion, gguf_file
from tests.model.tiny_gguf import LAYERS, TOKENS, WIDTH, write_tiny_gguf


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[gguf_file.GgufFile, dict[str, np.ndarray]]:
    written = write_tiny_gguf(tmp_path / "tiny.gguf")
    return gguf_file.parse(memoryview((tmp_path / "tiny.gguf").read_bytes())), written


def test_metadata_and_tensors_are_read_as_they_were_written(tiny) -> None:
    source, written = tiny
    assert source.metadata["general.architecture"] == "gemma3"
    assert source.metadata["gemma3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    assert source.metadata["tokenizer.ggml.tokens"] == TOKENS
    assert source.tensors.keys() == written.keys()
    for name, values in written.items():
        assert np.array_equal(source.rows(name), values)
    some = source.rows("token_embd.weight", 3, 5)
    assert np.array_equal(some, written["token_embd.weight"][3:8])
    assert source.rows("token_embd.weight", len(TOKENS) - 2, 5).shape == (2, WIDTH)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PK\x03\x04" + bytes(40), id="an archive"),
        pytest.param(b"GGUF\x01\0\0\0" + bytes(40), id="version 1"),
        pytest.param(b"GGUF\x03\0\0\0" + b"\xff" * 40, id="counts beyond the end"),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="GGUF"):
        gguf_file.parse(memoryview(data))


def test_the_converted_folder_loads(tiny, tmp_path: Path) -> None:
    source, written = tiny
    folder = tmp_path / "made"
    folder.mkdir()
    files = conversion.convert(source, folder, report=lambda line: None)
    assert {path.name for path in files} == {path.name for path in folder.iterdir()}

    network, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", use_safetensors=True, output_loading_info=True
    )
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert network.dtype == torch.bfloat16
    assert network.config.layer_types == ["sliding_attention"] * LAYERS
    assert network.lm_head.weight is network.model.embed_tokens.weight
    layer = network.model.layers[1]
    gate = torch.from_numpy(written["blk.1.ffn_gate.weight"]).bfloat16()
    assert torch.equal(layer.mlp.gate_proj.weight, gate)
    norm = torch.from_numpy(written["blk.1.attn_norm.weight"] - 1.0).bfloat16()
    assert torch.equal(layer.input_layernorm.weight, norm)


def test_a_global_layer_comes_every_sixth(tiny) -> None:
    source, _ = tiny
    source.metadata["gemma3.block_count"] = 13
    kinds = conversion.config(source)["layer_types"]
    assert [i for i, kind in enumerate(kinds) if kind == "full_attention"] == [5, 11]


def test_the_tokenizer_merges_earlier_tokens_first(tiny) -> None:
    source, _ = tiny
    made = conversion.tokenizer(source)
    assert isinstance(made, Tokenizer)
    assert made.encode("abc  b<eos>").tokens == ["<bos>", "abc", "▁▁", "b", "<eos>"]
    assert made.encode("a 李é").tokens == ["<bos>", "a", "▁", "李", "<0xC3>", "<0xA9>"]
    assert made.decode(made.encode("a 李é\n\n b").ids) == "a 李é\n\n b"
    special = {t.content for t in made.get_added_tokens_decoder().values() if t.special}
    assert special == {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>"}


PIECES = [
    "a",
    "b",
    "c",
    "ab",
    "bc",
    "ca",
    "abc",
    "cab",
    "bca",
    "aab",
    "abab",
    "ba",
    "aa",
    "bb",
    "cc",
]


@settings(max_examples=400, deadline=None)
@given(
    order=st.permutations(PIECES).flatmap(
        lambda pieces: st.integers(3, len(pieces)).map(lambda kept: pieces[:kept])
    ),
    text=st.text("abc", max_size=14),
)
def test_merges_that_are_left_out_change_no_text(order: list[str], text: str) -> None:
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*"abc", *order]))}
    every = sorted(
        ((piece[:cut], piece[cut:]) for piece in vocabulary for cut in range(1, len(piece))),
        key=lambda pair: (vocabulary["".join(pair)], -len(pair[0])),
    )
    usable = [(a, b) for a, b in every if a in vocabulary and b in vocabulary]
    kept = conversion._merges(vocabulary)
    assert set(kept) <= set(usable)
    assert len({"".join(pair) for pair in kept}) == len(kept)
    full, pruned = Tokenizer(BPE(vocabulary, usable)), Tokenizer(BPE(vocabulary, kept))
    assert pruned.encode(text).tokens == full.encode(text).tokens


def test_other_architectures_are_refused(tiny, tmp_path: Path) -> None:
    source, _ = tiny
    source.metadata["general.architecture"] = "llama"
    with pytest.raises(ModelError, match="expected a GGUF file of a gemma3 network, found 'llama'"):
        conversion.convert(source, tmp_path, report=lambda line: None)


def test_unknown_tensors_are_refused(tiny) -> None:
    source, _ = tiny
    source.tensors["blk.0.ssm.weight"] = source.tensors["output_norm.weight"]
    with pytest.raises(ModelError, match="no Gemma 3 has"):
        conversion.weights(source)
