"""Writing a whole model as one plain Hugging Face folder, which other programs read as well.

The tokenizer's files are copied from where the network came from: a tokenizer that was in use here
takes control tokens for text, and saved, it would do so everywhere.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b2ner.errors import ModelError
from b2ner.model.card import BaseCard, Card, write_card
from b2ner.model.safetensors_file import fingerprint
from b2ner.model.weights import quiet

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
_COPIED = (
    "tokenizer*",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tekken.json",
    "*.tiktoken",
    "chat_template.*",
)
_SHARD = "5GB"  # the largest weights file


def write_model(
    network: Any, source: Path, folder: Path, *, dtype: torch.dtype, card: Card | None
) -> None:
    """Fill a folder with a network, the tokenizer of the folder it came from, and a card of ours.

    `card` says how the network is asked, and from which base it was made; the card that is written
    names what is written as its base. Raises OSError where the disk is full.
    """
    from safetensors import SafetensorError

    weights = {name: weight.to(dtype) for name, weight in network.state_dict().items()}
    try:
        with quiet():
            network.save_pretrained(folder, state_dict=weights, max_shard_size=_SHARD)
    except SafetensorError as fault:
        raise OSError(str(fault)) from fault
    config = json.loads((folder / CONFIG_FILE).read_bytes())
    config["dtype"] = str(dtype).removeprefix("torch.")
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for pattern in _COPIED:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    if card is not None:
        base = BaseCard(f"made from {card.base.name}", fingerprint(folder))
        write_card(folder, replace(card, base=base, adapter_sha256=""))


def stored_dtype(folder: Path) -> str:
    """The number format that a model folder's weights are stored in, as its settings say."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
    except (OSError, ValueError) as fault:
        raise ModelError(f"{folder / CONFIG_FILE} cannot be read: {fault}") from fault
    name = config.get("dtype") or config.get("torch_dtype")
    return name if name in ("bfloat16", "float16") else "float32"
