"""The network that learns: named layers are there, bases are packed, names give no path away."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

import b2ner
from b2ner.errors import DataError, MissingExtra, ModelError
from b2ner.prompting.template import load_template
from b2ner.training import train
from b2ner.training.network import TARGETS, Learner, open_learner, target_layers
from b2ner.training.settings import Lora, Method, Optimiser, Quantised, TrainSettings, parse
from tests.model.tiny_internlm2 import Shape, weights, write_folder
from tests.tiny import DECODERS
from tests.training.runs import LABELS, SAMPLES, settings, tiny_base

QUANTISED = [Quantised.NF4, Quantised.INT8]


def learner(base: str, targets: tuple[str, ...], **changes: Any) -> Learner:
    plan = settings(base, lora=Lora(rank=2, targets=targets), **changes)
    return open_learner(plan, load_template("published"), "cpu")


def adapted(network: Any) -> set[str]:
    """The last part of the name of each layer that an adapter is on."""
    return {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, peft.tuners.lora.LoraLayer)
    }


def internlm2(folder: Path) -> str:
    shape = Shape()
    return str(write_folder(folder, shape, weights(shape)))


MAKERS: dict[str, Callable[[Path], str]] = {
    **{family: lambda folder, family=family: tiny_base(folder, family) for family in DECODERS},
    "t5": lambda folder: tiny_base(folder, "t5"),
    "t5-gated": lambda folder: tiny_base(folder, "t5-gated"),
    "internlm2": lambda folder: internlm2(folder / "internlm2"),
}
# What of the sets of T5 stands in which of its kinds.
ABSENT = {"t5": {"wi_0", "wi_1"}, "t5-gated": {"wi"}}


@pytest.mark.parametrize("family", MAKERS)
def test_the_layers_that_the_table_names_are_there(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    base = MAKERS[family](tmp_path)
    model_type = learner(base, ("all-linear",)).plain.config.get_text_config().model_type
    for name, layers in TARGETS[model_type].items():
        assert adapted(learner(base, (name,)).network) == set(layers) - ABSENT.get(family, set())
    both = learner(base, ("attention", "feed-forward"))
    assert adapted(both.network) == adapted(learner(base, ("all-linear",)).network)


def test_every_architecture_of_the_table_was_tried_or_is_a_kin() -> None:
    tried = {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "t5"}
    kin = {"gemma": "gemma2", "mt5": "t5", "umt5": "t5"}
    assert set(TARGETS) == tried | set(kin)
    assert all(TARGETS[name] == TARGETS[other] for name, other in kin.items())


@pytest.mark.parametrize(
    ("asked", "model_type", "layers"),
    [
        pytest.param(("published",), "qwen2", ["q_proj", "k_proj", "v_proj"], id="a set"),
        pytest.param(("up_proj", "published"), "t5", ["up_proj", "q", "k", "v"], id="and a name"),
        pytest.param(("x", "all-linear"), "mamba", None, id="all of them"),
        pytest.param(("in_proj",), "mamba", ["in_proj"], id="a name where there is no table"),
    ],
)
def test_targets(asked: tuple[str, ...], model_type: str, layers: list[str] | None) -> None:
    assert target_layers(asked, model_type) == layers


def test_a_set_without_a_table_is_refused() -> None:
    with pytest.raises(ModelError, match="'attention' in a 'mamba' is not known"):
        target_layers(("attention",), "mamba")


def test_an_internlm2_learns_and_its_adapter_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    base = internlm2(tmp_path / "internlm2")
    plan = settings(base, steps=2, lora=Lora(rank=4, targets=("published",)))
    done = train(plan, SAMPLES, tmp_path / "run")
    ner = b2ner.load(base, adapter=done.checkpoint, dtype="fp32")
    assert ner.extract("Ada", LABELS).text == "Ada"


def test_an_adapter_names_its_base_and_not_its_place(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "private", "llama")
    done = train(settings(base, steps=1), SAMPLES, tmp_path / "run")
    config = json.loads((done.checkpoint / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "llama"
    for path in done.checkpoint.iterdir():
        assert path.is_dir() or b"private" not in path.read_bytes()


# -- bases in fewer bits ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", QUANTISED)
def test_without_bitsandbytes_the_extra_is_named(
    kind: Quantised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    plan = settings(tiny_base(tmp_path, "llama"), lora=Lora(quantised=kind))
    with pytest.raises(MissingExtra, match=rf"'{kind}' needs the extra `qlora`, and a GPU"):
        train(plan, SAMPLES, tmp_path / "run")


def test_a_device_that_is_not_there_is_said_first(tmp_path: Path) -> None:
    plan = settings(
        tiny_base(tmp_path, "llama"), device="cuda:77", lora=Lora(quantised=Quantised.NF4)
    )
    with pytest.raises(ModelError, match="cuda:77"):
        train(plan, SAMPLES, tmp_path / "run")


def test_a_base_that_learns_is_not_packed() -> None:
    values = {"method": "full", "lora": {"quantised": "nf4"}}
    with pytest.raises(DataError, match=r"leave lora\.quantised out"):
        parse(values, TrainSettings, "run.toml")


@pytest.mark.integration
@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("kind", QUANTISED)
@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_an_adapter_on_a_packed_base_learns_and_loads(
    family: str, kind: Quantised, compute: Any, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="needs the extra `qlora`")
    base = tiny_base(tmp_path, family)
    lora = Lora(rank=16, alpha=32, dropout=0.0, quantised=kind)
    plan = settings(
        base, steps=15, compute=compute, lora=lora, optimiser=Optimiser(learning_rate=1e-2)
    )
    done = train(plan, SAMPLES, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.8 * losses[0]
    again = train(
        settings(base, steps=17, compute=compute, lora=lora), SAMPLES, tmp_path / "run", resume=True
    )
    assert again.progress.step == 17
    ner = b2ner.load(base, adapter=done.checkpoint, dtype="fp32")  # on the plain base
    assert ner.extract("Ada met Moon", LABELS).text == "Ada met Moon"


@pytest.mark.integration
@pytest.mark.parametrize("kind", QUANTISED)
def test_a_packed_base_computes_with_what_its_bits_stand_for(
    kind: Quantised, tmp_path: Path
) -> None:
    bnb = pytest.importorskip("bitsandbytes", reason="needs the extra `qlora`")
    base = tiny_base(tmp_path, "llama")

    def opened(quantised: Quantised) -> Any:
        plan = settings(base, lora=Lora(rank=2, quantised=quantised))
        network = open_learner(plan, load_template("published"), "cpu").plain
        network.set_attn_implementation("eager")
        return network.eval()

    plain, packed = opened(Quantised.OFF), opened(kind)
    for name, layer in packed.named_modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            weight = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        elif isinstance(layer, bnb.nn.Linear8bitLt):
            weight = layer.weight.data * (layer.weight.SCB / 127)[:, None]
        else:
            continue
        plain.get_submodule(name).weight.data = weight
    ids = torch.tensor([[5, 90, 120, 260, 261, 7]])
    with torch.no_grad():
        wanted, found = plain(input_ids=ids).logits, packed(input_ids=ids).logits
    gap = float((found - wanted).square().mean().sqrt() / wanted.std())
    assert gap < {Quantised.NF4: 1e-5, Quantised.INT8: 0.05}[kind]  # int8 rounds inputs as well


def test_full_training_leaves_the_lora_settings_alone() -> None:
    assert parse({"method": "full"}, TrainSettings, "run.toml").method is Method.FULL
