"""Bases in 4 or 8 bits under an adapter that learns (QLoRA), through bitsandbytes.

Each linear layer is packed on its way to the device, which so never holds the network in full. The
output head stays as it is, and so do layers that the network wants in fp32. The adapter is one for
the plain base: nothing in it says that the base was packed while it learned.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from b2ner.errors import MissingExtra, ModelError, UnsupportedModel
from b2ner.training.settings import Quantised

OUTLIERS = 6.0  # int8: columns with larger values are computed in 16 bits (the method's own number)


def quantise(network: Any, kind: Quantised, device: torch.device, compute: torch.dtype) -> Any:
    """The network, changed in place: its linear layers packed, all of it on the device.

    Raises MissingExtra without bitsandbytes, ModelError for a device that is not there,
    UnsupportedModel where bitsandbytes cannot pack layers on it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise ModelError(f"device {str(device)!r} cannot be used here: {fault}") from fault
    try:
        import bitsandbytes  # noqa: F401
    except (ImportError, OSError, RuntimeError) as fault:  # the latter: its own library is broken
        raise MissingExtra(
            f"lora.quantised = '{kind}' needs the extra `qlora`, and a GPU to be of use: "
            f'pip install "b2ner[qlora]" ({fault})'
        ) from fault
    # It says for every layer that int8 computes in fp16, which is the method.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    spared = set(getattr(network, "_keep_in_fp32_modules", None) or ())
    head = network.get_output_embeddings()
    try:
        for name, layer in list(network.named_modules()):
            within, _, own = name.rpartition(".")
            if type(layer) is torch.nn.Linear and layer is not head and own not in spared:
                setattr(network.get_submodule(within), own, _packed(layer, kind, device, compute))
    except (RuntimeError, NotImplementedError, AssertionError, ValueError) as fault:
        raise UnsupportedModel(
            f"bitsandbytes cannot pack {type(network).__name__} as {kind} on {device}: {fault}; "
            "use a GPU, or lora.quantised = 'off'"
        ) from fault
    if kind is Quantised.NF4:
        network.is_loaded_in_4bit = True  # peft looks for these two
    else:
        network.is_loaded_in_8bit = True
    return network.to(device)


def is_quantised(network: Any) -> bool:
    """Whether the network was packed."""
    return any(
        getattr(network, name, False) is True for name in ("is_loaded_in_4bit", "is_loaded_in_8bit")
    )


def _packed(
    layer: torch.nn.Linear, kind: Quantised, device: torch.device, compute: torch.dtype
) -> torch.nn.Module:
    """A linear layer as bitsandbytes computes it; the plain weights are let go."""
    import bitsandbytes as bnb

    sizes = layer.in_features, layer.out_features
    packed: Any
    with torch.device("meta"):
        if kind is Quantised.NF4:
            packed = bnb.nn.Linear4bit(
                *sizes,
                bias=False,
                compute_dtype=compute,
                compress_statistics=True,
                quant_type="nf4",
            )
        else:
            packed = bnb.nn.Linear8bitLt(
                *sizes, bias=False, has_fp16_weights=False, threshold=OUTLIERS
            )
    if kind is Quantised.NF4:
        packed.weight = bnb.nn.Params4bit(
            layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4"
        )
        # On some CPUs a pass without gradients would repack the weights for good, in a form that
        # has no backward pass.
        packed.support_avx512bf16_for_cpu = False
    else:
        packed.weight = bnb.nn.Int8Params(
            layer.weight.data, requires_grad=False, has_fp16_weights=False
        )
    packed.bias = layer.bias
    return packed.to(device)  # type: ignore[no-any-return]
