"""LoRA adapters: where ours is, what a folder's is for, and merging one into a network."""

from __future__ import annotations

import json
import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b2ner.errors import AdapterMismatch, ModelError, UnsupportedModel
from b2ner.model import hub, internlm2
from b2ner.model.card import ADAPTER_FILE

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "adapter_config.json"
_SHOWN = 3  # names in a message
# Ways of starting LoRA weights that leave the base's weights alone; the others change them.
_HARMLESS_STARTS = (True, False, "gaussian", "orthogonal")


def default_adapter() -> Path:
    """The folder of the adapter that comes with b2ner, for the embedded base."""
    packed = Path(str(files("b2ner"))) / "adapters" / "gemma3-270m"
    checkout = Path(__file__).parents[3] / "adapters" / "gemma3-270m"
    for folder in (packed, checkout):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise ModelError(
        f"the adapter that comes with b2ner is missing from {packed}; install b2ner again"
    )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, not a model."""
    return (folder / CONFIG_FILE).is_file()


def base_name(folder: Path) -> str:
    """The base model that an adapter's configuration names. Raises ModelError for none."""
    name = _config(folder).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ModelError(f"{folder / CONFIG_FILE} names no base model; give one with base=")
    return name


def describe(folder: Path) -> str:
    """What kind of adapter a folder holds, for people: "LoRA, rank 32, alpha 64, on q_proj"."""
    config = _config(folder)
    targets = config.get("target_modules") or ()
    layers = targets if isinstance(targets, str) else ", ".join(sorted(map(str, targets)))
    kinds = {"use_dora": "DoRA", "use_rslora": "rank-stabilised LoRA"}
    kind = next((name for key, name in kinds.items() if config.get(key)), "LoRA")
    return f"{kind}, rank {config.get('r')}, alpha {config.get('lora_alpha')}, on {layers}"


def is_for_encoder_decoder(folder: Path) -> bool:
    """Whether an adapter's configuration says that it is for an encoder-decoder."""
    return _config(folder).get("task_type") == "SEQ_2_SEQ_LM"


def public_config(folder: Path, *, base: str | None = None) -> dict[str, Any]:
    """The adapter's configuration as others may read it: no path of this machine in it.

    `base` is what it names as its base, where that is not what it does already.
    """
    name = hub.public_name(base or base_name(folder))
    return {**_config(folder), "base_model_name_or_path": name}


def merge(network: Any, folder: Path) -> Any:
    """The network with the adapter added into its weights, as if there were none.

    Sums are made in fp32 and rounded once, to each weight's own type. The network is changed in
    place and is of no use when this raises AdapterMismatch: a name or a shape that differs, a
    weight that is missing or that no part of the network takes. An adapter that changes nothing is
    allowed.
    """
    import peft
    from safetensors.torch import load_file

    _check_kind(folder)
    found = load_file(folder / ADAPTER_FILE)
    config = peft.PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    if internlm2.is_converted(network.config):
        found = internlm2.adapter_weights(found, network.config)
        internlm2.rename_modules(config)
    ends = (network.get_input_embeddings(), network.get_output_embeddings())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on settings that concern training only
        try:
            wrapped = peft.get_peft_model(network, config)
        except ValueError as fault:
            raise AdapterMismatch(f"the adapter {folder} does not fit the base: {fault}") from fault
        layers = [m for m in wrapped.modules() if isinstance(m, peft.tuners.lora.LoraLayer)]
        kinds = [layer.get_base_layer().weight.dtype for layer in layers]
        at_ends = any(layer.get_base_layer() in ends for layer in layers)
        expected = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=at_ends)
        _compare(folder, found, expected)
        if at_ends:
            _untie(network, *ends)
        wide = {name: weight.float() for name, weight in found.items()}
        peft.set_peft_model_state_dict(wrapped, wide)
        try:
            for layer, kind in zip(layers, kinds, strict=True):
                _add(layer, kind)
            return wrapped.merge_and_unload()
        except RuntimeError as fault:  # PEFT's word for kinds of LoRA that stay beside a layer
            raise UnsupportedModel(
                f"the adapter {folder} cannot be made part of the weights: {fault}"
            ) from fault


def _add(layer: Any, kind: torch.dtype) -> None:
    """Merge one layer: its weights widened for the sum, then rounded to their own type."""
    base = layer.get_base_layer()
    parameters = [base.weight] if getattr(base, "bias", None) is None else [base.weight, base.bias]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    layer.merge()
    for parameter in parameters:
        parameter.data = parameter.data.to(kind)


def _untie(network: Any, embedding: Any, head: Any) -> None:
    """Give the output head weights of its own, since an adapter changes one of a tied pair."""
    import torch

    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        network.config.tie_word_embeddings = False


def _check_kind(folder: Path) -> None:
    """Raises UnsupportedModel for adapters that are not plain additions to weights."""
    config = _config(folder)
    kind = config.get("peft_type")
    start = config.get("init_lora_weights", True)
    if kind != "LORA":
        raise UnsupportedModel(f"{folder} is a {kind} adapter; only LoRA adapters can be used")
    if start not in _HARMLESS_STARTS:
        raise UnsupportedModel(
            f"{folder} was started with {start!r}, which changes the base's weights; save it with "
            f"peft's path_initial_model_for_weight_conversion first"
        )
    if not (folder / ADAPTER_FILE).is_file():
        raise ModelError(f"{folder} holds no {ADAPTER_FILE}")


def _compare(
    folder: Path, found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> None:
    """Raises AdapterMismatch when names or shapes differ."""
    problems = []
    if missing := sorted(expected.keys() - found.keys()):
        problems.append(f"lacks {_some(missing)}")
    if unexpected := sorted(found.keys() - expected.keys()):
        problems.append(f"has {_some(unexpected)}, which this base has no place for")
    other = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & found.keys())
        if found[name].shape != expected[name].shape
    ]
    if other:
        problems.append(f"has other shapes: {_some(other)}")
    if problems:
        raise AdapterMismatch(
            f"the adapter {folder} was made for another base: it {'; it '.join(problems)}"
        )


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError as fault:
        raise ModelError(f"{folder} is no adapter: it holds no {CONFIG_FILE}") from fault
    except ValueError as fault:
        raise ModelError(f"{path} is not JSON: {fault}") from fault
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds no settings")
    return config
