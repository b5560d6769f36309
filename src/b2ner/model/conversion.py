"""From a Gemma 3 GGUF file to a folder that Hugging Face libraries load, weights in bfloat16.

Knows the one architecture that we embed. No value in the result depends on the versions of the
libraries at hand, so its fingerprint is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b2ner.errors import ModelError
from b2ner.model.gguf_file import GgufFile

if TYPE_CHECKING:
    import torch

# Raise it whenever the same GGUF file gives other files: cached conversions are then made anew.
CONVERSION = 1

_CONTROL, _USER_DEFINED = 3, 4  # token types of the GGUF format
_ROWS = 1 << 15  # rows of a matrix that are dequantised at once: 80 MB at width 640
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def convert(source: GgufFile, folder: Path, *, report: Callable[[str], None]) -> list[Path]:
    """The files written into the folder. Raises ModelError when the file is no Gemma 3."""
    from safetensors.torch import save_file

    architecture = source.metadata.get("general.architecture")
    if architecture != "gemma3":
        raise ModelError(f"expected a GGUF file of a gemma3 network, found {architecture!r}")
    report("writing the tokenizer")
    files = [_write_json(folder / "config.json", config(source))]
    files.append(_write_json(folder / "generation_config.json", _generation_config(source)))
    files.append(_write_json(folder / "tokenizer_config.json", _tokenizer_config(source)))
    files.append(folder / "tokenizer.json")
    tokenizer(source).save(str(files[-1]), pretty=False)
    report("dequantising the weights")
    files.append(folder / "model.safetensors")
    save_file(weights(source), files[-1], metadata={"format": "pt"})
    files[-1].chmod(0o644)  # the library makes it the writer's own
    return files


def config(source: GgufFile) -> dict[str, Any]:
    """The network's `config.json`; what the GGUF file leaves out is alike in small Gemma 3."""
    found = {k.removeprefix("gemma3."): v for k, v in source.metadata.items()}
    layers = found["block_count"]
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": source.metadata["tokenizer.ggml.bos_token_id"],
        "dtype": "bfloat16",
        "eos_token_id": source.metadata["tokenizer.ggml.eos_token_id"],
        "final_logit_softcapping": None,
        "head_dim": found["attention.key_length"],
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": found["embedding_length"],
        "initializer_range": 0.02,
        "intermediate_size": found["feed_forward_length"],
        "layer_types": [
            "full_attention" if (number + 1) % 6 == 0 else "sliding_attention"
            for number in range(layers)
        ],
        "max_position_embeddings": found["context_length"],
        "num_attention_heads": found["attention.head_count"],
        "num_hidden_layers": layers,
        "num_key_value_heads": found["attention.head_count_kv"],
        "pad_token_id": source.metadata["tokenizer.ggml.padding_token_id"],
        "query_pre_attn_scalar": found["attention.key_length"],
        "rms_norm_eps": found["attention.layer_norm_rms_epsilon"],
        "rope_parameters": {
            "full_attention": {"rope_theta": found["rope.freq_base"], "rope_type": "default"},
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        "sliding_window": found["attention.sliding_window"],
        "tie_word_embeddings": True,
        "use_bidirectional_attention": False,
        "use_cache": True,
        "vocab_size": len(source.metadata["tokenizer.ggml.tokens"]),
    }


def weights(source: GgufFile) -> dict[str, torch.Tensor]:
    """The network's tensors by Hugging Face name, bfloat16."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    for name, stored in source.tensors.items():
        target = torch.empty(stored.shape, dtype=torch.bfloat16)
        if len(stored.shape) == 1:  # a norm: the format stores 1 + weight
            target.copy_(torch.from_numpy(source.rows(name) - 1.0))
        else:
            for first in range(0, stored.shape[0], _ROWS):
                rows = torch.from_numpy(source.rows(name, first, _ROWS))
                target[first : first + len(rows)].copy_(rows)
        tensors[_weight_name(name)] = target
    return tensors


def tokenizer(source: GgufFile) -> Any:
    """The `tokenizers.Tokenizer` that the file describes: Gemma's byte-pair encoding.

    The file lists no merges: two pieces merge where their join is a piece, earlier pieces first.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.processors import TemplateProcessing

    metadata = source.metadata
    stored: list[str] = metadata["tokenizer.ggml.tokens"]
    # Runs of blanks are stored as blanks; the vocabulary spells every blank as `▁`.
    pieces = ["▁" * len(p) if " " in p and not p.strip() else p for p in stored]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    bos = pieces[metadata["tokenizer.ggml.bos_token_id"]]
    model = BPE(
        vocabulary,
        _merges(vocabulary),
        unk_token=pieces[metadata["tokenizer.ggml.unknown_token_id"]],
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.post_processor = TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {bos}:1 $B:1",
        special_tokens=[(bos, vocabulary[bos])],
    )
    kinds = list(zip(stored, metadata["tokenizer.ggml.token_type"], strict=True))
    control = [p for p, kind in kinds if kind == _CONTROL]
    user_defined = [p for p, kind in kinds if kind == _USER_DEFINED and p in vocabulary]
    made.add_special_tokens([AddedToken(p, normalized=False) for p in control])
    made.add_tokens([AddedToken(p, normalized=False) for p in user_defined])
    return made


def _merges(vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """The last merge that makes each piece, in the order in which pieces merge.

    The file's rule allows any pair whose join is a piece, twice as many merges. But what merges
    inside a piece does not depend on what stands around it, so each piece is only ever made in the
    way in which it is made alone; without the others the tokenizer loads in two thirds of the time.
    """
    made = (_last_merge(piece, vocabulary) for piece in vocabulary)
    return [pair for pair in made if pair is not None]


def _last_merge(piece: str, vocabulary: dict[str, int]) -> tuple[str, str] | None:
    """The two pieces that join last where byte-pair encoding makes a piece; None if it never does.

    Of all neighbours those join first whose join comes first in the vocabulary, and of several ways
    to the same join the one with the longer left part.
    """
    parts = list(piece)
    last = None
    while len(parts) > 1:
        ways = [
            (vocabulary[join], -len(left), place)
            for place, (left, right) in enumerate(pairwise(parts))
            if (join := left + right) in vocabulary
        ]
        if not ways:
            return None
        *_, place = min(ways)
        last = (parts[place], parts[place + 1])
        parts[place : place + 2] = ["".join(last)]
    return last


def _weight_name(stored: str) -> str:
    match stored.split("."):
        case ["token_embd", "weight"]:
            return "model.embed_tokens.weight"
        case ["output_norm", "weight"]:
            return "model.norm.weight"
        case ["blk", number, part, "weight"] if part in _LAYER_NAMES:
            return f"model.layers.{number}.{_LAYER_NAMES[part]}.weight"
    raise ModelError(f"a tensor that no Gemma 3 has: {stored!r}")


def _generation_config(source: GgufFile) -> dict[str, Any]:
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    ids = {
        f"{ours}_token_id": source.metadata[f"tokenizer.ggml.{theirs}_token_id"]
        for ours, theirs in names.items()
    }
    return {**ids, "use_cache": True}


def _tokenizer_config(source: GgufFile) -> dict[str, Any]:
    pieces = source.metadata["tokenizer.ggml.tokens"]
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    tokens = {
        f"{ours}_token": pieces[source.metadata[f"tokenizer.ggml.{theirs}_token_id"]]
        for ours, theirs in names.items()
    }
    return {
        **tokens,
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": source.metadata["gemma3.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
