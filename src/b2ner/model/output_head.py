"""The output head of a network: its largest matrix, asked only for the tokens that matter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from b2ner.errors import UnsupportedModel


class OutputHead:
    """Logits as the network's own head gives them, for all tokens or for some."""

    def __init__(self, network: Any) -> None:
        """Raises UnsupportedModel for a network without an output head."""
        output = network.get_output_embeddings()
        if output is None:
            raise UnsupportedModel(f"{type(network).__name__} has no output head")
        config = network.config.get_text_config()
        self._output = output
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)
        # Granite divides its logits, Cohere multiplies them.
        self._scale = getattr(config, "logit_scale", None) or 1 / (
            getattr(config, "logits_scaling", None) or 1
        )

    @property
    def vocabulary(self) -> int:
        return int(self._output.weight.shape[0])

    def logits(self, hidden: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits in fp32 of some token ids, or of all. *Shape:* `[places, ids]`.

        Hidden states are `[places, width]`. The products are made in the type of the hidden states.
        """
        weight: Tensor = self._output.weight
        bias: Tensor | None = getattr(self._output, "bias", None)
        if ids is not None:
            weight = weight[ids]
            bias = None if bias is None else bias[ids]
        return self._shape(torch.nn.functional.linear(hidden, weight, bias).float())

    def pairs(self, hidden: Tensor, owners: Tensor, ids: Tensor) -> Tensor:
        """One logit for each pair of a place (in `owners`) and a token id. *Shape:* `[pairs]`.

        The products are made in fp32: in bf16 logits near 20 come in steps of 0.125.
        """
        weight: Tensor = self._output.weight
        bias: Tensor | None = getattr(self._output, "bias", None)
        logits = (weight[ids].float() * hidden.float()[owners]).sum(-1)
        return self._shape(logits if bias is None else logits + bias[ids].float())

    def _shape(self, logits: Tensor) -> Tensor:
        if self._scale != 1:
            logits = logits * self._scale
        if self._cap is not None:
            logits = self._cap * torch.tanh(logits / self._cap)
        return logits
