"""The network that learns: a base, the weights that are added to it, and the loss of a batch.

Weights that learn are kept in fp32 whatever the base's format; the arithmetic is in the format
that the device computes fast. Knows no optimiser and no files beyond loading.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from b2ner.errors import AdapterMismatch, ModelError, UnsupportedModel
from b2ner.model import adapters, embedded, hub, internlm2_folder, safety, tokens
from b2ner.model.card import ADAPTER_FILE, BaseCard, check_adapter_file, read_card
from b2ner.model.output_head import OutputHead
from b2ner.model.safetensors_file import fingerprint
from b2ner.model.weights import NO_ADAPTER, compute_dtype, load_model
from b2ner.prompting.template import Template
from b2ner.training.attention import ATTENTION, Masks, hidden_states, masks, windows
from b2ner.training.batches import IGNORED, Batch
from b2ner.training.settings import Lora, Method, TrainSettings

ALL_LINEAR = "all-linear"  # every linear layer but the output head
_EMBEDDED_NAME = "Gemma 3 270M (base), Q4_K_M dequantised to bfloat16"
_EMBEDDED_HUB_ID = "google/gemma-3-270m"

_LLAMA_LIKE = {
    "published": ("q_proj", "k_proj", "v_proj"),
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "feed-forward": ("gate_proj", "up_proj", "down_proj"),
}
# Layers by architecture (`model_type`) and name of a set. InternLM2 is read as a Llama.
TARGETS: Mapping[str, Mapping[str, Sequence[str]]] = dict.fromkeys(
    ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"), _LLAMA_LIKE
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learner:
    """A network in training and what must be known of it. `base_id` is what adapters name."""

    network: Any  # a PeftModel, or the base itself
    tokenizer: Any
    base: BaseCard
    base_id: str
    method: Method
    device: torch.device
    compute: torch.dtype

    @property
    def decoder(self) -> Any:
        return self.plain.get_decoder()

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


def open_learner(settings: TrainSettings, template: Template, device: str | None) -> Learner:
    """The network of a run on a device, ready for its first step.

    Raises ModelError and its kinds, AdapterMismatch for an adapter to go on from that was made for
    another base, template or tokenizer among them.
    """
    model = load_model(settings.base, adapter=NO_ADAPTER, device=device, dtype=settings.compute)
    if model.encoder_decoder:
        raise UnsupportedModel(
            f"{model.base} is an encoder-decoder; only decoders can be trained with packed rows"
        )
    network = model.network
    if not getattr(type(network), "_supports_attention_backend", False):
        raise UnsupportedModel(
            f"{type(network).__name__} does not take its attention from transformers' common "
            "interface, so texts could not be packed into rows"
        )
    network.set_attn_implementation(ATTENTION)
    base, base_id = _identity(settings.base)
    torch.manual_seed(settings.seed)
    match settings.method:
        case Method.FULL:
            network = network.float().requires_grad_(True)
        case Method.LORA:
            network = _with_lora(network, settings.lora)
            if settings.adapter is not None:
                _continue_from(network, settings.adapter, base, template, model.tokenizer)
    if settings.checkpoint_gradients:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    compute = getattr(torch, settings.compute or compute_dtype(model.device))
    learner = Learner(
        network.train(),
        model.tokenizer,
        base,
        base_id,
        settings.method,
        torch.device(model.device),
        compute,
    )
    count = sum(parameter.numel() for parameter in learner.learning().values())
    _log.info("training method=%s weights=%d compute=%s", settings.method, count, compute)
    return learner


def compile_layers(learner: Learner) -> None:
    """Have torch compile each layer for the one shape of batch that training uses."""
    for layer in learner.decoder.layers:
        layer.compile(dynamic=False)


def _identity(base: str | None) -> tuple[BaseCard, str]:
    """What cards say of the base, and the name that adapter_config.json gives it."""
    if base is None:
        folder = embedded.embedded_base()
        card = BaseCard(_EMBEDDED_NAME, fingerprint(folder), embedded.GGUF_SHA256)
        return card, _EMBEDDED_HUB_ID
    folder = hub.folder(base)
    name = folder.name if Path(base).is_dir() else base
    if internlm2_folder.is_internlm2(folder):
        folder = internlm2_folder.llama_folder(folder)
    return BaseCard(name, fingerprint(folder)), base


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
        task_type="CAUSAL_LM",
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


class Scorer(torch.nn.Module):
    """Maps a batch to the sum of the losses of its answer tokens: what is differentiated."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.network = learner.network  # so that its weights are this module's
        self._learner = learner
        self._head = OutputHead(learner.plain)
        self._windows = windows(learner.plain.config.get_text_config())

    @property
    def vocabulary(self) -> int:
        return self._head.vocabulary

    def masks(self, batch: Batch) -> Masks:
        """What `forward` must be told of each place's sight."""
        return masks(batch, self._windows, self._learner.compute)

    def forward(self, batch: Batch, packed_masks: Masks) -> Tensor:
        """The summed cross-entropy, in fp32; exact where the batch has no candidates."""
        return torch.nn.functional.cross_entropy(
            self.logits(batch, packed_masks), batch.targets, ignore_index=IGNORED, reduction="sum"
        )

    def logits(self, batch: Batch, packed_masks: Masks) -> Tensor:
        """Of each scored place, over the candidates. *Shape:* fp32 `[answers, candidates]`."""
        learner = self._learner
        narrow = learner.compute != torch.float32
        with torch.autocast(learner.device.type, learner.compute, enabled=narrow):
            hidden = hidden_states(learner.decoder, batch, packed_masks)
            chosen = hidden.flatten(0, 1)[batch.scored]
            return self._head.logits(chosen, batch.candidates)


def check_packing(scorer: Scorer) -> None:
    """Compare a packed row with the network's own plain passes on a few tokens.

    Raises UnsupportedModel when they differ: a network whose layers look at more than positions
    and what attention gives them.
    """
    from b2ner.training.batches import Row, collate
    from b2ner.training.examples import Bundle, Example

    learner = scorer._learner
    generator = torch.Generator().manual_seed(0)

    def some(count: int) -> tuple[int, ...]:
        drawn = torch.randint(3, scorer.vocabulary, (count,), generator=generator)
        return tuple(drawn.tolist())

    head = some(9)
    examples = tuple(Example(n, some(5 + n), some(4)) for n in range(2))
    batch = collate([Row((Bundle(head, examples, 0.0),), 0.0)], 48).to(learner.device)
    learner.network.eval()
    learner.plain.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            plain = []
            for example in examples:
                row = torch.tensor(
                    [[*head, *example.body, *example.answer[:-1]]], device=learner.device
                )
                with torch.autocast(
                    learner.device.type, learner.compute, enabled=learner.compute != torch.float32
                ):
                    plain.append(learner.plain(input_ids=row).logits[0, -4:].float())
            learner.plain.set_attn_implementation(ATTENTION)
            ours = scorer.logits(batch, scorer.masks(batch))[:8].log_softmax(-1)
    except (TypeError, AttributeError, KeyError, ValueError, RuntimeError) as fault:
        raise UnsupportedModel(
            f"{type(learner.plain).__name__} cannot be run on packed rows: {fault}"
        ) from fault
    finally:
        learner.plain.set_attn_implementation(ATTENTION)
        learner.network.train()
    wanted = torch.cat(plain).log_softmax(-1)
    gap = float((ours - wanted).square().mean().sqrt())
    # bf16 keeps 8 bits; through many layers that makes some percent. A wrong run is far off.
    tolerance = 1e-3 if learner.compute == torch.float32 else 0.2
    if not gap <= tolerance * float(wanted.std()):
        raise UnsupportedModel(
            f"{type(learner.plain).__name__} does not compute the same on packed rows as alone "
            f"(log-probabilities differ by {gap:.3g} on average), so it would learn the wrong thing"
        )
