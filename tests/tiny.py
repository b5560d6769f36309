"""Tiny tokenizers and networks in the style of the families we support: random, seeded, in memory.

`tiny_tokenizer(family)` and `tiny_network(family)` go together: the network's vocabulary is the
tokenizer's. Every tokenizer is byte complete (any text has ids and, but for Unicode normalisation
in `qwen2` and a leading blank in `t5`, comes back), knows some longer pieces, and carries control
tokens and added tokens that its family is known for. Networks have two to four layers, windows of
16 where the family has a window, and weights large enough for answers to depend on the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

WINDOW = 16
CONTEXT = 1024

# Families of networks; each has a tokenizer in the style of its first users.
DECODERS = ("gemma3", "gemma2", "llama", "qwen2", "qwen3", "mistral")
TOKENIZERS = ("gemma", "llama2", "llama3", "qwen2", "mistral", "t5")
_TOKENIZER_OF = {
    "gemma3": "gemma",
    "gemma2": "gemma",
    "llama": "llama2",
    "qwen3": "qwen2",
    "mamba": "llama3",
    "t5-gated": "t5",
}

_CORPUS = (
    "Label set: person, organization, location, date or period, movie title",
    "Text: the actor and the director met in New York, and the movie was a success.",
    "Answer: person: Ada Lovelace; location: London; organization: Analytical Engine Inc.",
    "Given the label set of entities, please recognize all the entities in the text.",
    "What is a good romance movie starring the actor of the year 1990 s",
    "人名 地名 组织机构名 给定实体的标签范围，请识别文本中的所有实体。标签范围: 文本: 答案:",
    "人名: 李白; 地名: 长安",
) * 3

_CONTROL: dict[str, tuple[str, ...]] = {
    # the ids of the first ones are the family's: pad 0, eos 1, bos 2 for Gemma, and so on
    "gemma": ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
    "llama2": ("<unk>", "<s>", "</s>"),
    "llama3": ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>"),
    "qwen2": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "mistral": ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"),
    "t5": ("<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"),
}

_ADDED: dict[str, tuple[AddedToken, ...]] = {
    # not special, yet matched before anything else: the places where user text could turn into them
    "gemma": (
        AddedToken("[multimodal]", normalized=False),
        AddedToken("<unused0>", normalized=False),
        AddedToken("\n\n", normalized=False),
        AddedToken("▁▁", normalized=False),
        AddedToken("<table>", normalized=False),
    ),
    "qwen2": (AddedToken("<tool_call>", normalized=False),),
    "t5": (AddedToken("<sep>", lstrip=True, rstrip=True, normalized=True),),
}

_NAMED: dict[str, dict[str, str]] = {
    "gemma": {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"},
    "llama2": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "llama3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
    "qwen2": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "mistral": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "t5": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
}


def tiny_tokenizer(family: str) -> Any:
    """A `PreTrainedTokenizerFast` of a few hundred pieces for a network or tokenizer family."""
    from transformers import PreTrainedTokenizerFast

    style = _TOKENIZER_OF.get(family, family)
    fresh = Tokenizer.from_str(_backend(style))
    return PreTrainedTokenizerFast(
        tokenizer_object=fresh, clean_up_tokenization_spaces=False, **_NAMED[style]
    )


def tiny_network(family: str, *, seed: int = 0) -> Any:
    """A random network of the family on the CPU, fp32, in evaluation mode.

    `DECODERS` are causal; `t5` and `t5-gated` (T5 1.1: other feed-forward layers, ends not tied)
    are encoder-decoders and `mamba` has no key-value cache: engines refuse those or say what they
    cannot do.
    """
    import torch
    import transformers as hf

    tokenizer = tiny_tokenizer(family)
    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    decoder: dict[str, Any] = {
        **shared,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.15,
        "tie_word_embeddings": True,
    }
    gemma: dict[str, Any] = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": WINDOW}
    sliding, full = "sliding_attention", "full_attention"
    config: Any
    match family:
        case "gemma3":
            layers = [sliding, sliding, full, sliding]
            config = hf.Gemma3TextConfig(
                **decoder, **gemma, num_hidden_layers=4, layer_types=layers
            )
        case "gemma2":
            config = hf.Gemma2Config(
                **decoder,
                **gemma,
                num_hidden_layers=3,
                layer_types=[sliding, full, sliding],
                attn_logit_softcapping=5.0,
                final_logit_softcapping=10.0,
            )
        case "llama":
            config = hf.LlamaConfig(**decoder, num_hidden_layers=2)
        case "qwen2":
            config = hf.Qwen2Config(**decoder, num_hidden_layers=2)
        case "qwen3":
            config = hf.Qwen3Config(**decoder, num_hidden_layers=2, head_dim=16)
        case "mistral":
            untied = {**decoder, "tie_word_embeddings": False}
            config = hf.MistralConfig(**untied, num_hidden_layers=3, sliding_window=WINDOW)
        case "mamba":
            config = hf.MambaConfig(**shared, hidden_size=32, state_size=8, num_hidden_layers=2)
        case "t5" | "t5-gated":
            later = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
            config = hf.T5Config(
                **shared,
                **(later if family == "t5-gated" else {}),
                d_model=32,
                d_kv=8,
                d_ff=64,
                num_layers=2,
                num_heads=4,
                decoder_start_token_id=tokenizer.pad_token_id,
            )
        case _:
            raise ValueError(f"no tiny network for {family!r}")
    build = hf.AutoModelForSeq2SeqLM if family.startswith("t5") else hf.AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build.from_config(config, dtype=torch.float32)
        # Norms and biases start at constants in most families; noise makes their use visible.
        for name, weight in network.named_parameters():
            if "norm" in name or name.endswith("bias"):
                weight.data.add_(torch.randn_like(weight) * 0.1)
    return network.eval()


def tiny_folder(family: str, folder: Path, *, seed: int = 0) -> Path:
    """The folder, now holding a tiny network and its tokenizer as Hugging Face saves them."""
    tiny_network(family, seed=seed).save_pretrained(folder)
    tiny_tokenizer(family).save_pretrained(folder)
    return folder


@cache
def _backend(style: str) -> str:
    """The `tokenizer.json` of a style."""
    match style:
        case "gemma":
            backend = _sentencepiece(style, normalizers.Replace(" ", "▁"))
            backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
            backend.decoder = decoders.Sequence(
                [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
            )
            _put_first(backend, "<bos>")
        case "llama2" | "mistral":
            prefix = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            backend = _sentencepiece(style, prefix)
            backend.decoder = decoders.Sequence(
                [
                    decoders.Replace("▁", " "),
                    decoders.ByteFallback(),
                    decoders.Fuse(),
                    decoders.Strip(" ", 1, 0),
                ]
            )
            _put_first(backend, "<s>")
        case "llama3":
            backend = _byte_level(style)
            _put_first(backend, "<|begin_of_text|>")
        case "qwen2":
            backend = _byte_level(style)
            backend.normalizer = normalizers.NFC()
        case "t5":
            backend = _unigram(style)
        case _:
            raise ValueError(f"no tiny tokenizer for {style!r}")
    backend.add_tokens(list(_ADDED.get(style, ())))
    return backend.to_str()


def _sentencepiece(style: str, normalizer: Any) -> Tokenizer:
    """A SentencePiece-like BPE: blanks are `▁`, what the vocabulary lacks falls back to bytes."""
    learned = Tokenizer(BPE())
    learned.normalizer = normalizer
    # Merges stop at blanks only for learning; Gemma and Llama 2 merge across them as well.
    learned.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    learned.train_from_iterator(_CORPUS, BpeTrainer(vocab_size=300, show_progress=False))
    merges = [tuple(pair) for pair in _model(learned)["merges"]]
    pieces = sorted(_model(learned)["vocab"], key=_model(learned)["vocab"].__getitem__)
    in_bytes = [piece for piece in pieces if piece.isascii() or piece == "▁" or "▁" in piece]
    kept = set(in_bytes)  # Chinese characters stay out: they are written as bytes
    vocabulary = _numbered([*_CONTROL[style], *(f"<0x{b:02X}>" for b in range(256)), *in_bytes])
    usable = [(a, b) for a, b in merges if a in kept and b in kept and a + b in kept]
    backend = Tokenizer(
        BPE(vocabulary, usable, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    backend.normalizer = normalizer
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in _CONTROL[style]])
    return backend


def _byte_level(style: str) -> Tokenizer:
    """A byte-level BPE behind the usual splitting rule: words carry their leading blank."""
    words = Regex(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = splitter
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        _CORPUS,
        BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False),
    )
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in _CONTROL[style]])
    return backend


def _unigram(style: str) -> Tokenizer:
    """A SentencePiece-like Unigram with bytes for the rest; every encoded text ends with `</s>`."""
    # Pieces and costs are our own: the library's Unigram training differs from run to run.
    learned = Tokenizer(BPE())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    learned.train_from_iterator(_CORPUS, BpeTrainer(vocab_size=300, show_progress=False))
    taken = {*_CONTROL[style]}
    pieces = [
        (piece, -1.0 - number / 1000)
        for piece, number in _model(learned)["vocab"].items()
        if piece not in taken and piece.replace("▁", "").isascii()
    ]
    all_bytes = [(f"<0x{b:02X}>", -20.0) for b in range(256)]
    control = [(token, 0.0) for token in _CONTROL[style]]
    unknown = _CONTROL[style].index("<unk>")
    backend = Tokenizer(Unigram([*control, *all_bytes, *pieces], unknown, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in _CONTROL[style]])
    backend.post_processor = TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", backend.token_to_id("</s>"))]
    )
    return backend


def _put_first(backend: Tokenizer, token: str) -> None:
    """Have the token begin every encoded text, as the published tokenizers do."""
    backend.post_processor = TemplateProcessing(
        single=f"{token} $A", special_tokens=[(token, backend.token_to_id(token))]
    )


def _model(backend: Tokenizer) -> dict[str, Any]:
    model: dict[str, Any] = json.loads(backend.to_str())["model"]
    return model


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
