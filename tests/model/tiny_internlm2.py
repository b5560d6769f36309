"""Tiny InternLM2 folders as they are published, and the network written out from its definition.

`forward` shares nothing with the package or with transformers: it is what the converted network and
its adapters are compared with.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

# Named by the folder's settings; it must never be imported.
REMOTE_CODE = "raise SystemExit('code of a model folder was run')\n"
_CORPUS = (
    "Label set: person, organization, location, date or period, movie title",
    "Text: the actor and the director met in New York, and the movie was a success.",
    "Answer: person: Ada Lovelace; location: London; organization: Analytical Engine Inc.",
    "Given the label set of entities, please recognize all the entities in the text.",
    "人名: 李白; 地名: 长安; 给定实体的标签范围，请识别文本中的所有实体。",
)


@dataclass(frozen=True)
class Shape:
    """The measures of a tiny network."""

    layers: int = 2
    query: int = 6
    key_value: int = 2
    width: int = 8
    inner: int = 40
    vocabulary: int = 420
    longest: int = 512
    bias: bool = False
    tied: bool = False
    theta: float = 1e6
    rope_scaling: tuple[str, float] | None = ("dynamic", 2.0)
    epsilon: float = 1e-5

    @property
    def hidden(self) -> int:
        return self.query * self.width

    @property
    def rows(self) -> int:
        return (self.query + 2 * self.key_value) * self.width


@cache
def pieces(*, dummy_prefix: bool = True) -> bytes:
    """A SentencePiece model of the published kind: byte-pair encoding with bytes for the rest."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_CORPUS * 4),
        model_writer=written,
        model_type="bpe",
        vocab_size=410,
        character_coverage=0.99,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=dummy_prefix,
        user_defined_symbols=["[UNUSED_TOKEN_0]", "[UNUSED_TOKEN_1]", "[UNUSED_TOKEN_2]"],
        num_threads=1,
        minloglevel=2,
    )
    return written.getvalue()


def weights(shape: Shape, *, seed: int = 0) -> dict[str, Tensor]:
    """Random weights by their published names, large enough that answers depend on the prompt."""
    generator = torch.Generator().manual_seed(seed)

    def matrix(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator) * 0.15

    made = {
        "model.tok_embeddings.weight": matrix(shape.vocabulary, shape.hidden),
        "model.norm.weight": 1 + matrix(shape.hidden),
        "output.weight": matrix(shape.vocabulary, shape.hidden),
    }
    for number in range(shape.layers):
        layer = f"model.layers.{number}"
        made |= {
            f"{layer}.attention.wqkv.weight": matrix(shape.rows, shape.hidden),
            f"{layer}.attention.wo.weight": matrix(shape.hidden, shape.hidden),
            f"{layer}.feed_forward.w1.weight": matrix(shape.inner, shape.hidden),
            f"{layer}.feed_forward.w3.weight": matrix(shape.inner, shape.hidden),
            f"{layer}.feed_forward.w2.weight": matrix(shape.hidden, shape.inner),
            f"{layer}.attention_norm.weight": 1 + matrix(shape.hidden),
            f"{layer}.ffn_norm.weight": 1 + matrix(shape.hidden),
        }
        if shape.bias:
            made[f"{layer}.attention.wqkv.bias"] = matrix(shape.rows)
            made[f"{layer}.attention.wo.bias"] = matrix(shape.hidden)
    if shape.tied:
        made["output.weight"] = made["model.tok_embeddings.weight"].clone()
    return made


def write_folder(
    folder: Path,
    shape: Shape,
    stored: Mapping[str, Tensor] | None = None,
    *,
    shards: int = 1,
    dummy_prefix: bool = True,
) -> Path:
    """The folder, now holding what a published one holds, code and all."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = weights(shape) if stored is None else stored
    scaling = shape.rope_scaling
    _write(folder / "config.json", {
        "architectures": ["InternLM2ForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_internlm2.InternLM2Config",
            "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
        },
        "attn_implementation": "eager",
        "bias": shape.bias,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.inner,
        "max_position_embeddings": shape.longest,
        "model_type": "internlm2",
        "num_attention_heads": shape.query,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.key_value,
        "pad_token_id": 2,
        "pretraining_tp": 1,
        "rms_norm_eps": shape.epsilon,
        "rope_scaling": scaling and {"type": scaling[0], "factor": scaling[1]},
        "rope_theta": shape.theta,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    })  # fmt: skip
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    names = {0: "<unk>", 1: "<s>", 2: "</s>", 4: "<|im_end|>", 5: "<|im_start|>"}
    _write(folder / "tokenizer_config.json", {
        "auto_map": {
            "AutoTokenizer": [
                "tokenization_internlm2.InternLM2Tokenizer",
                "tokenization_internlm2_fast.InternLM2TokenizerFast",
            ]
        },
        "added_tokens_decoder": {
            str(number): {"content": name, "special": True, **flags}
            for number, name in names.items()
        },
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "decode_with_prefix_space": False,
        "eos_token": "</s>",
        "pad_token": "</s>",
        "sp_model_kwargs": None,
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    })  # fmt: skip
    (folder / "tokenizer.model").write_bytes(pieces(dummy_prefix=dummy_prefix))
    for module in ("configuration", "modeling", "tokenization"):
        (folder / f"{module}_internlm2.py").write_text(REMOTE_CODE)
    if shards == 1:
        save_file(dict(stored), folder / "model.safetensors", {"format": "pt"})
        return folder
    weight_map = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {name: stored[name] for name in sorted(stored)[number::shards]}
        save_file(part, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    _write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return folder


def write_adapter(
    folder: Path, shape: Shape, *, seed: int = 1, base: str = "internlm/internlm2-20b"
) -> dict[str, tuple[Tensor, Tensor]]:
    """A LoRA on `wqkv` as published; its matrices A and B by layer."""
    generator = torch.Generator().manual_seed(seed)
    rank = 4
    folder.mkdir()
    pairs = {
        f"model.layers.{number}.attention.wqkv": (
            torch.randn(rank, shape.hidden, generator=generator) * 0.3,
            torch.randn(shape.rows, rank, generator=generator) * 0.3,
        )
        for number in range(shape.layers)
    }
    stored = {}
    for name, (down, up) in pairs.items():
        stored[f"base_model.model.{name}.lora_A.weight"] = down
        stored[f"base_model.model.{name}.lora_B.weight"] = up
    save_file(stored, folder / "adapter_model.safetensors", {"format": "pt"})
    _write(folder / "adapter_config.json", {
        "alpha_pattern": {},
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.05,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {},
        "revision": None,
        "target_modules": ["wqkv"],
        "task_type": "CAUSAL_LM",
    })  # fmt: skip
    # What a trainer saves beside an adapter: the base's tokenizer, code and all.
    _write(folder / "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x.Y", None]}})
    return pairs


def forward(
    shape: Shape,
    stored: Mapping[str, Tensor],
    ids: Tensor,
    lora: Mapping[str, tuple[Tensor, Tensor]] | None = None,
) -> Tensor:
    """Logits by the definition of InternLM2, fp32. *Shape:* ids `[time]`, `[time, vocabulary]`.

    `lora`: matrices A and B by the name of the projection that they are added to, at scale 2.
    """

    def project(x: Tensor, name: str) -> Tensor:
        y = x @ stored[f"{name}.weight"].T
        if f"{name}.bias" in stored:
            y = y + stored[f"{name}.bias"]
        if lora is not None and name in lora:
            down, up = lora[name]
            y = y + 2.0 * (x @ down.T @ up.T)
        return y

    def normed(x: Tensor, name: str) -> Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + shape.epsilon) * stored[name]

    time = len(ids)
    turn = _turns(shape, time)
    x = stored["model.tok_embeddings.weight"][ids]
    groups = shape.query // shape.key_value
    for number in range(shape.layers):
        layer = f"model.layers.{number}"
        fused = project(normed(x, f"{layer}.attention_norm.weight"), f"{layer}.attention.wqkv")
        fused = fused.reshape(time, shape.key_value, groups + 2, shape.width)
        heads = []
        for head in range(shape.query):
            shared = fused[:, head // groups]  # [time, groups + 2, width]
            query, key = _turned(shared[:, head % groups], turn), _turned(shared[:, -2], turn)
            scores = query @ key.T / shape.width**0.5
            later = torch.ones(time, time).triu(1).bool()
            heads.append(scores.masked_fill(later, float("-inf")).softmax(-1) @ shared[:, -1])
        x = x + project(torch.cat(heads, -1), f"{layer}.attention.wo")
        y = normed(x, f"{layer}.ffn_norm.weight")
        gate = project(y, f"{layer}.feed_forward.w1")
        inner = gate * torch.sigmoid(gate) * project(y, f"{layer}.feed_forward.w3")
        x = x + project(inner, f"{layer}.feed_forward.w2")
    return project(normed(x, "model.norm.weight"), "output")


def _turns(shape: Shape, time: int) -> Tensor:
    """Angles of the rotary embedding. *Shape:* `[time, width / 2]`."""
    theta, positions = shape.theta, torch.arange(time).double()
    match shape.rope_scaling:
        case ("dynamic", factor) if time > shape.longest:
            stretch = factor * time / shape.longest - (factor - 1)
            theta = theta * stretch ** (shape.width / (shape.width - 2))
        case ("linear", factor):
            positions = positions / factor
    speeds = theta ** -(torch.arange(0, shape.width, 2).double() / shape.width)
    return positions[:, None] * speeds[None]


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Pairs (i, i + width / 2) of a head turned by their angles."""
    first, second = x.double().chunk(2, -1)
    cos, sin = turn.cos(), turn.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).float()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content))
