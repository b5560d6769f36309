"""The network that learns: a base and the weights that are added to it.

Weights that learn are kept in fp32 whatever the base's format; the arithmetic is in the format
that the device computes fast. Knows no optimiser, no batches and no files beyond loading.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from b2ner.errors import AdapterMismatch, ModelError, UnsupportedModel
from b2ner.model import adapters, embedded, hub, internlm2_folder, safety, tokens
from b2ner.model.card import ADAPTER_FILE, BaseCard, check_adapter_file, read_card
from b2ner.model.safetensors_file import fingerprint
from b2ner.model.weights import NO_ADAPTER, compute_dtype, load_model
from b2ner.prompting.template import Template
from b2ner.training.attention import ATTENTION
from b2ner.training.quantised import is_quantised, quantise
from b2ner.training.settings import Lora, Method, Quantised, TrainSettings

ALL_LINEAR = "all-linear"  # every linear layer but the output head
_EMBEDDED_NAME = "Gemma 3 270M (base), Q4_K_M dequantised to bfloat16"
_EMBEDDED_HUB_ID = "google/gemma-3-270m"

_LLAMA_LIKE = {
    "published": ("q_proj", "k_proj", "v_proj"),
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "feed-forward": ("gate_proj", "up_proj", "down_proj"),
}
_T5_LIKE = {
    "published": ("q", "k", "v"),  # our counterpart: the published code has no names for T5
    "attention": ("q", "k", "v", "o"),
    "feed-forward": ("wi", "wi_0", "wi_1", "wo"),  # T5 has the first, its later kinds the next two
}
# Layers by architecture (`model_type`) and name of a set. InternLM2 is read as a Llama.
TARGETS: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"), _LLAMA_LIKE
        ),
        **dict.fromkeys(("t5", "mt5", "umt5"), _T5_LIKE),
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learner:
    """A network in training and what must be known of it.

    `base_id` is what adapters name as their base, `folder` where it lies.
    """

    network: Any  # a PeftModel, or the base itself
    tokenizer: Any
    base: BaseCard
    base_id: str
    method: Method
    device: torch.device
    compute: torch.dtype
    folder: Path

    @property
    def decoder(self) -> Any:
        return self.plain.get_decoder()

    @property
    def encoder_decoder(self) -> bool:
        return bool(self.plain.config.is_encoder_decoder)

    @property
    def plain(self) -> Any:
        """The network of transformers, adapted layers in it."""
        return self.network.get_base_model() if self.method is Method.LORA else self.network

    def learning(self) -> dict[str, torch.nn.Parameter]:
        """The weights that learn, by name."""
        return {
            name: parameter
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad
        }


def open_learner(settings: TrainSettings, template: Template, device: str) -> Learner:
    """The network of a run on a device, ready for its first step.

    Raises ModelError and its kinds, AdapterMismatch for an adapter to go on from that was made for
    another base, template or tokenizer among them.
    """
    packed = settings.lora.quantised
    compute_name = settings.compute or compute_dtype(device)
    compute = getattr(torch, compute_name)
    model = load_model(
        settings.base,
        adapter=NO_ADAPTER,
        device=device if packed is Quantised.OFF else "cpu",
        dtype=compute_name,
    )
    network = model.network
    if not model.encoder_decoder:
        if not getattr(type(network), "_supports_attention_backend", False):
            raise UnsupportedModel(
                f"{type(network).__name__} does not take its attention from transformers' common "
                "interface, so texts could not be packed into rows"
            )
        network.set_attn_implementation(ATTENTION)
    base, base_id, folder = _identity(settings.base)
    torch.manual_seed(settings.seed)
    match settings.method:
        case Method.FULL:
            network = network.float().requires_grad_(True)
        case Method.LORA:
            if packed is not Quantised.OFF:
                network = quantise(network, packed, torch.device(device), compute)
            network = _with_lora(network, settings.lora)
            if settings.adapter is not None:
                _continue_from(network, settings.adapter, base, template, model.tokenizer)
    if settings.checkpoint_gradients:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    learner = Learner(
        network.train(),
        model.tokenizer,
        base,
        base_id,
        settings.method,
        torch.device(device),
        compute,
        folder,
    )
    count = sum(parameter.numel() for parameter in learner.learning().values())
    _log.info("training method=%s weights=%d compute=%s", settings.method, count, compute)
    return learner


def arithmetic(learner: Learner) -> AbstractContextManager[Any]:
    """The context in which a learner's passes are computed."""
    narrow = learner.compute != torch.float32
    return torch.autocast(learner.device.type, learner.compute, enabled=narrow)


def check_against(
    learner: Learner, plain: Callable[[], Tensor], ours: Callable[[], Tensor]
) -> None:
    """Compare the network's own logits of a few tokens with ours. *Shape:* `[tokens, vocab]`.

    Raises UnsupportedModel where a pass fails, or log-probabilities differ by more than rounding.
    """
    name = type(learner.plain).__name__
    learner.network.eval()
    try:
        with torch.no_grad(), arithmetic(learner):
            wanted = plain().float().log_softmax(-1)
            found = ours().log_softmax(-1)
    except (TypeError, AttributeError, KeyError, ValueError, RuntimeError) as fault:
        raise UnsupportedModel(f"{name} cannot be run in batches of ours: {fault}") from fault
    finally:
        learner.network.train()
    gap = float((found - wanted).square().mean().sqrt())
    # bf16 keeps 8 bits, and int8 rounds what it is shown; through many layers that makes some
    # percent. A wrong run is far off.
    exact = learner.compute == torch.float32 and not is_quantised(learner.plain)
    tolerance = 1e-3 if exact else 0.2
    if not gap <= tolerance * float(wanted.std()):
        raise UnsupportedModel(
            f"{name} does not compute the same in batches of ours as alone (log-probabilities "
            f"differ by {gap:.3g} on average), so it would learn the wrong thing"
        )


def _identity(base: str | None) -> tuple[BaseCard, str, Path]:
    """What cards say of the base, the name that adapter_config.json gives it, and its folder."""
    if base is None:
        folder = embedded.embedded_base()
        card = BaseCard(_EMBEDDED_NAME, fingerprint(folder), embedded.GGUF_SHA256)
        return card, _EMBEDDED_HUB_ID, folder
    folder = hub.folder(base)
    name = hub.public_name(base)
    if internlm2_folder.is_internlm2(folder):
        folder = internlm2_folder.llama_folder(folder)
    return BaseCard(name, fingerprint(folder)), name, folder


def _with_lora(network: Any, lora: Lora) -> Any:
    """The network with low-rank weights, in fp32, on the layers that were asked for."""
    import peft

    targets = target_layers(lora.targets, str(network.config.get_text_config().model_type))
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=ALL_LINEAR if targets is None else targets,
        bias="none",
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        task_type="SEQ_2_SEQ_LM" if network.config.is_encoder_decoder else "CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on names that peft itself still uses
            adapted = peft.get_peft_model(network, config)
    except ValueError as fault:
        raise ModelError(
            f"lora.targets {list(lora.targets)} do not fit {type(network).__name__}: {fault}"
        ) from fault
    head = network.get_output_embeddings()
    if isinstance(head, peft.tuners.lora.LoraLayer):
        raise ModelError("lora.targets names the output head, which is not adapted")
    for module in adapted.modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            # The arithmetic's format is the business of autocast; this would widen it to fp32.
            module.cast_input_dtype_enabled = False
    return adapted


def target_layers(asked: Sequence[str], model_type: str) -> list[str] | None:
    """The names of the layers that `lora.targets` asks for; None for all linear ones.

    Raises ModelError for the name of a set that the architecture has no table for.
    """
    if ALL_LINEAR in asked:
        return None
    named = {name for sets in TARGETS.values() for name in sets}
    layers: dict[str, None] = {}
    for name in asked:
        if name in named and model_type not in TARGETS:
            raise ModelError(
                f"lora.targets: which layers are {name!r} in a {model_type!r} is not known (but in "
                f"{', '.join(sorted(TARGETS))}); name the layers themselves, or {ALL_LINEAR!r}"
            )
        layers |= dict.fromkeys(TARGETS.get(model_type, {}).get(name, (name,)))
    return list(layers)


def _continue_from(
    network: Any, adapter: str, base: BaseCard, template: Template, tokenizer: Any
) -> None:
    """Load the weights of an adapter, after the checks that inference makes too."""
    import peft
    from safetensors.torch import load_file

    folder = hub.folder(adapter)
    if not adapters.is_adapter(folder):
        raise ModelError(f"{adapter} is no adapter: it holds no {adapters.CONFIG_FILE}")
    safety.check_folder(folder)
    card = read_card(folder)
    if card is not None:
        check_adapter_file(folder, card)
        for what, theirs, ours in (
            ("base", card.base.fingerprint, base.fingerprint),
            ("template", card.template.sha256, template.sha256),
            ("tokenizer", card.tokenizer, tokens.fingerprint(tokenizer)),
        ):
            if theirs != ours:
                raise AdapterMismatch(
                    f"the adapter {adapter} was made for another {what} ({theirs[:12]}, here "
                    f"{ours[:12]}): it cannot be trained on"
                )
    saved, config = peft.PeftConfig.from_pretrained(str(folder)), network.peft_config["default"]
    for name in ("r", "lora_alpha", "use_rslora", "use_dora"):
        if getattr(saved, name) != getattr(config, name):
            raise AdapterMismatch(
                f"the adapter {adapter} has {name} = {getattr(saved, name)}, the settings "
                f"{getattr(config, name)}: make the settings those of the adapter"
            )
    found = load_file(folder / ADAPTER_FILE)
    expected = peft.get_peft_model_state_dict(network, save_embedding_layers=False)
    if {n: w.shape for n, w in found.items()} != {n: w.shape for n, w in expected.items()}:
        different = sorted(found.keys() ^ expected.keys())
        raise AdapterMismatch(
            f"the adapter {adapter} is on other layers or of another size than lora.targets and "
            f"lora.rank say: {', '.join(different[:3]) or 'the shapes differ'}"
        )
    peft.set_peft_model_state_dict(network, {n: w.float() for n, w in found.items()})
