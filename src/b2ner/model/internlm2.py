"""InternLM2 and InternLM2.5 in the words of Llama: settings, names, and the fused projection.

InternLM2 is Llama under other names, its queries, keys and values in one matrix `wqkv`. Its rows
stand in groups: for each key-value head the query heads that share it, then the key, then the
value. Knows weights and adapters by name; files are the business of `internlm2_folder`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from b2ner.errors import AdapterMismatch, UnsupportedModel

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "internlm2"
FUSED = "wqkv"

_MARK = "converted_from"  # in the settings of a converted network
_PARTS = ("q_proj", "k_proj", "v_proj")
_NAMES = {
    "attention": "self_attn",
    "attention_norm": "input_layernorm",
    "feed_forward": "mlp",
    "ffn_norm": "post_attention_layernorm",
    "output": "lm_head",
    "tok_embeddings": "embed_tokens",
    "w1": "gate_proj",
    "w2": "down_proj",
    "w3": "up_proj",
    "wo": "o_proj",
}
_WORDS = re.compile(rf"\b({'|'.join(_NAMES)})\b")
_FUSED_WORD = re.compile(rf"\b{FUSED}\b")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RopeScaling(_Strict):
    """How positions beyond the trained length are read."""

    type: Literal["dynamic", "linear"] = Field(validation_alias=AliasChoices("type", "rope_type"))
    factor: float = Field(ge=1)


class Settings(BaseModel):
    """An InternLM2 `config.json`: the keys that change what is computed, and defaults as published.

    Source: `configuration_internlm2.py` of the published folders.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    vocab_size: PositiveInt
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    max_position_embeddings: PositiveInt = 2048
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    bias: bool = True
    tie_word_embeddings: bool = False
    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = None
    quantization_config: None = None  # packed weights are none of ours

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, row: Any) -> Any:
        """The row with one key-value head a query head where it names none, and one way of rope."""
        if not isinstance(row, dict):
            return row
        row = dict(row)
        if row.get("num_key_value_heads") is None:
            row["num_key_value_heads"] = row.get("num_attention_heads")
        if isinstance(rope := row.get("rope_parameters"), dict):  # as newer libraries write it
            rest = {key: value for key, value in rope.items() if key != "rope_theta"}
            row["rope_scaling"] = None if rest.get("rope_type") == "default" else rest or None
            row["rope_theta"] = rope.get("rope_theta", row.get("rope_theta", 10000.0))
        return row

    @model_validator(mode="after")
    def _divisible(self) -> Settings:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size is no multiple of num_attention_heads")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads is no multiple of num_key_value_heads")
        return self

    @property
    def heads(self) -> Heads:
        width = self.hidden_size // self.num_attention_heads
        return Heads(self.num_attention_heads, self.num_key_value_heads, width)


@dataclass(frozen=True, slots=True)
class Heads:
    """Numbers of query heads and key-value heads, and the width of each."""

    query: int
    key_value: int
    width: int

    @property
    def rows(self) -> int:
        """Rows of the fused projection."""
        return (self.query + 2 * self.key_value) * self.width

    def blocks(self) -> dict[str, list[tuple[int, int]]]:
        """Where the rows of each projection stand in the fused one: half-open ranges, in order."""
        queries = self.query // self.key_value * self.width
        group = queries + 2 * self.width
        borders = (0, queries, queries + self.width, group)
        starts = range(0, self.rows, group)
        return {
            part: [(start + first, start + last) for start in starts]
            for part, first, last in zip(_PARTS, borders, borders[1:], strict=False)
        }


def llama_config(settings: Settings) -> dict[str, Any]:
    """The `config.json` of a Llama that computes the same."""
    same = (
        *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
        *("num_attention_heads", "num_key_value_heads", "max_position_embeddings"),
        *("hidden_act", "rms_norm_eps", "tie_word_embeddings"),
        *("bos_token_id", "eos_token_id", "pad_token_id"),
    )
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": settings.rope_theta}
    if settings.rope_scaling is not None:
        rope |= {"rope_type": settings.rope_scaling.type, "factor": settings.rope_scaling.factor}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        _MARK: MODEL_TYPE,
        **{name: getattr(settings, name) for name in same},
        "attention_bias": settings.bias,
        "head_dim": settings.heads.width,
        "mlp_bias": False,
        "rope_parameters": rope,
    }


def weight_shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The weights that an InternLM2 folder holds, by their names there."""
    width, inner = settings.hidden_size, settings.intermediate_size
    layer: dict[str, tuple[int, ...]] = {
        f"attention.{FUSED}.weight": (settings.heads.rows, width),
        "attention.wo.weight": (width, width),
        "attention_norm.weight": (width,),
        "feed_forward.w1.weight": (inner, width),
        "feed_forward.w2.weight": (width, inner),
        "feed_forward.w3.weight": (inner, width),
        "ffn_norm.weight": (width,),
    }
    if settings.bias:
        layer |= {f"attention.{FUSED}.bias": (settings.heads.rows,), "attention.wo.bias": (width,)}
    shapes: dict[str, tuple[int, ...]] = {
        "model.tok_embeddings.weight": (settings.vocab_size, width),
        "model.norm.weight": (width,),
    }
    if not settings.tie_word_embeddings:
        shapes["output.weight"] = (settings.vocab_size, width)
    for number in range(settings.num_hidden_layers):
        shapes |= {f"model.layers.{number}.{name}": shape for name, shape in layer.items()}
    return shapes


def is_fused(name: str) -> bool:
    """Whether a weight or module belongs to the fused projection."""
    return _FUSED_WORD.search(name) is not None


def llama_name(name: str, part: str = FUSED) -> str:
    """Llama's name of a weight or module; `part` takes the place of the fused projection's name.

    Names that are Llama's already stay.
    """
    return _FUSED_WORD.sub(part, _WORDS.sub(lambda word: _NAMES[word[0]], name))


def is_converted(network_config: Any) -> bool:
    """Whether a network's settings say that it was an InternLM2."""
    return getattr(network_config, _MARK, None) == MODEL_TYPE


def adapter_weights(
    weights: Mapping[str, torch.Tensor], network_config: Any
) -> dict[str, torch.Tensor]:
    """An adapter's weights by Llama's names, for a converted network.

    What the fused projection's adapter makes of its input (A) serves all three parts; what goes
    into rows of the projection (B, bias, magnitude) is cut along them. Raises AdapterMismatch
    where it has other rows than the network.
    """
    import torch

    config = network_config
    heads = Heads(config.num_attention_heads, config.num_key_value_heads, config.head_dim)
    renamed: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        if not is_fused(name):
            renamed[llama_name(name)] = weight
        elif ".lora_A." in name:
            renamed |= {llama_name(name, part): weight for part in _PARTS}
        elif weight.ndim and len(weight) == heads.rows:
            for part, blocks in heads.blocks().items():
                cut = torch.cat([weight[first:last] for first, last in blocks])
                renamed[llama_name(name, part)] = cut
        else:
            raise AdapterMismatch(
                f"the adapter was made for another base: its {name} has the shape "
                f"{tuple(weight.shape)}, and the base's {FUSED} has {heads.rows} rows"
            )
    return renamed


def rename_modules(config: Any) -> None:
    """Have a PEFT configuration name Llama's modules. Raises UnsupportedModel where it cannot."""
    for field in ("target_modules", "exclude_modules", "modules_to_save"):
        setattr(config, field, _modules(getattr(config, field, None)))
    for field in ("rank_pattern", "alpha_pattern"):
        patterns = getattr(config, field, None) or {}
        setattr(config, field, {_pattern(key): value for key, value in patterns.items()})
    if getattr(config, "trainable_token_indices", None) or getattr(
        config, "layer_replication", None
    ):
        raise UnsupportedModel(
            "an adapter that trains single tokens or repeats layers of an InternLM2; only LoRA on "
            "its weights can be used"
        )


def _modules(names: Any) -> Any:
    if isinstance(names, str):
        return _pattern(names)
    if names is None:
        return None
    parts = {name: _PARTS if is_fused(name) else (FUSED,) for name in names}
    return type(names)(llama_name(name, part) for name in names for part in parts[name])


def _pattern(pattern: str) -> str:
    """A regular expression of module names."""
    return llama_name(pattern, f"(?:{'|'.join(_PARTS)})")
