"""A Gemma 3 GGUF file of some kilobytes, written by the reference library, and what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

WIDTH, HEAD, INNER, LAYERS = 64, 32, 128, 2
NAMED = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "\n\n", "<start_of_turn>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]
PIECES = ["\n", "a", "b", "c", "▁", "ab", "  ", "abc", "▁a", "bc", "李"]  # runs of blanks as blanks
TOKENS = [*NAMED, *BYTES, *PIECES]


def write_tiny_gguf(path: Path, *, seed: int = 0) -> dict[str, Any]:
    """The matrices and vectors by GGUF name, fp32, as a reader must find them."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_name("tiny")
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([-float(i) for i in range(len(TOKENS))])
    kinds = [3, 3, 3, 3, 3, 4, 4, 3] + [6] * len(BYTES) + [1] * len(PIECES)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(0)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (len(TOKENS), WIDTH),
        "output_norm": (WIDTH,),
    }
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.{part}": shape
            for part, shape in {
                "attn_norm": (WIDTH,),
                "attn_q": (2 * HEAD, WIDTH),
                "attn_k": (HEAD, WIDTH),
                "attn_v": (HEAD, WIDTH),
                "attn_q_norm": (HEAD,),
                "attn_k_norm": (HEAD,),
                "attn_output": (WIDTH, 2 * HEAD),
                "post_attention_norm": (WIDTH,),
                "ffn_norm": (WIDTH,),
                "ffn_gate": (INNER, WIDTH),
                "ffn_up": (INNER, WIDTH),
                "ffn_down": (WIDTH, INNER),
                "post_ffw_norm": (WIDTH,),
            }.items()
        }
    found = {}
    for name, shape in shapes.items():
        values = rng.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            stored, kind = values + 1.0, None
            values = stored
        elif name.endswith("attn_k"):
            stored, kind = values.astype(np.float16), None
            values = stored.astype(np.float32)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            stored = gguf.quantize(values, kind)
            values = gguf.dequantize(stored, kind)
        writer.add_tensor(f"{name}.weight", stored, raw_dtype=kind)
        found[f"{name}.weight"] = values
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return found
