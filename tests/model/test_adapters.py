"""Merging adapters: the same network as PEFT runs, and a clear word for one that does not fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from b2ner.errors import AdapterMismatch, ModelError, UnsupportedModel
from b2ner.model import adapters
from b2ner.model.card import ADAPTER_FILE
from tests.tiny import tiny_network

IDS = torch.tensor([[5, 90, 120, 260, 261, 7]])


def make_adapter(network: Any, folder: Path, *, seed: int = 1, **settings: Any) -> Any:
    """A LoRA with weights that matter, saved into the folder; the network as PEFT runs it."""
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"]}
    wrapped = peft.get_peft_model(
        copy.deepcopy(network), peft.LoraConfig(**{**chosen, **settings}), low_cpu_mem_usage=False
    ).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.data = torch.randn_like(weight) * 0.2
    wrapped.save_pretrained(folder)
    return wrapped


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        return network(input_ids=IDS).logits


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / adapters.CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        pytest.param("gemma3", {}, id="plain"),
        pytest.param("gemma3", {"target_modules": "all-linear"}, id="all linear layers"),
        pytest.param("llama", {"use_rslora": True}, id="rank-stabilised"),
        pytest.param("llama", {"use_dora": True}, id="weight-decomposed"),
        pytest.param("llama", {"rank_pattern": {"q_proj": 2}}, id="a rank of its own"),
        pytest.param("qwen2", {"bias": "lora_only"}, id="with biases"),
        pytest.param("qwen3", {"modules_to_save": ["lm_head"]}, id="a whole module"),
        pytest.param("mistral", {"target_modules": ["lm_head", "v_proj"]}, id="the output head"),
        pytest.param("llama", {"target_modules": ["embed_tokens"]}, id="one of a tied pair"),
    ],
)
def test_a_merged_adapter_computes_what_peft_computes(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    network = tiny_network(family)
    plain = logits(network)
    expected = logits(make_adapter(network, tmp_path, **settings))
    merged = adapters.merge(network, tmp_path)
    assert not torch.allclose(plain, expected, atol=1e-2)
    torch.testing.assert_close(logits(merged), expected, atol=2e-5, rtol=1e-5)
    assert "lora" not in repr(merged).lower()


def test_sums_are_rounded_once(tmp_path: Path) -> None:
    make_adapter(tiny_network("gemma3"), tmp_path)
    exact = adapters.merge(tiny_network("gemma3").bfloat16().float(), tmp_path)
    rounded = adapters.merge(tiny_network("gemma3").bfloat16(), tmp_path)
    for name, weight in rounded.named_parameters():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, exact.get_parameter(name).bfloat16()), name


def test_an_adapter_that_changes_nothing_is_allowed(tmp_path: Path) -> None:
    network = tiny_network("gemma3")
    make_adapter(network, tmp_path)
    weights = load_file(tmp_path / ADAPTER_FILE)
    zeros = {n: torch.zeros_like(w) if "lora_B" in n else w for n, w in weights.items()}
    save_file(zeros, tmp_path / ADAPTER_FILE)
    before = logits(network)
    assert torch.equal(logits(adapters.merge(network, tmp_path)), before)


def rename(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("layers.0", "layers.7"): weight for name, weight in weights.items()}


def drop_one(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(sorted(weights.items())[1:])


def add_one(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**weights, "base_model.model.extra.lora_A.weight": torch.zeros(4, 4)}


def widen(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n: torch.zeros(w.shape[0] + 1, w.shape[1]) for n, w in weights.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(drop_one, r"it lacks base_model\S+lora_A.weight$", id="one is missing"),
        pytest.param(add_one, r"it has base_model\S+extra\S+, which this base", id="one too many"),
        pytest.param(rename, r"it lacks .*, .*, .* and 1 more; it has .*layers.7", id="misnamed"),
        pytest.param(widen, r"it has other shapes: .* \(5, 48\) instead of \(4, 48\)", id="shapes"),
        pytest.param(lambda weights: {"x": torch.zeros(1)}, "it lacks", id="nothing of it"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: Any, said: str, tmp_path: Path) -> None:
    network = tiny_network("llama")
    make_adapter(network, tmp_path)
    save_file(change(load_file(tmp_path / ADAPTER_FILE)), tmp_path / ADAPTER_FILE)
    with pytest.raises(AdapterMismatch, match=said):
        adapters.merge(network, tmp_path)


def test_an_adapter_for_another_architecture_is_refused(tmp_path: Path) -> None:
    make_adapter(tiny_network("llama"), tmp_path)
    with pytest.raises(AdapterMismatch, match="does not fit the base"):
        adapters.merge(tiny_network("mamba"), tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        pytest.param({"peft_type": "IA3"}, UnsupportedModel, "IA3 adapter", id="not LoRA"),
        pytest.param({"init_lora_weights": "pissa"}, UnsupportedModel, "pissa", id="changes base"),
        pytest.param({"target_modules": ["nope"]}, AdapterMismatch, "nope", id="no such module"),
    ],
)
def test_adapters_that_cannot_be_used_are_refused(
    changes: dict[str, Any], error: type[ModelError], said: str, tmp_path: Path
) -> None:
    network = tiny_network("llama")
    make_adapter(network, tmp_path)
    change_config(tmp_path, **changes)
    with pytest.raises(error, match=said):
        adapters.merge(network, tmp_path)


def test_a_bias_that_a_layer_has_no_place_for_is_refused(tmp_path: Path) -> None:
    network = tiny_network("llama")
    make_adapter(network, tmp_path, lora_bias=True)
    with pytest.raises(UnsupportedModel, match=r"made part of the weights: .*bias"):
        adapters.merge(network, tmp_path)


def test_a_bias_is_added_where_there_is_one(tmp_path: Path) -> None:
    network = tiny_network("qwen2")
    settings = {"target_modules": ["q_proj", "v_proj"], "lora_bias": True}
    expected = logits(make_adapter(network, tmp_path, **settings))
    merged = logits(adapters.merge(network, tmp_path))
    torch.testing.assert_close(merged, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, "LoRA, rank 4, alpha 8, on down_proj, q_proj", id="plain"),
        pytest.param({"use_dora": True}, "DoRA, rank 4, alpha 8, on down_proj, q_proj", id="DoRA"),
        pytest.param(
            {"use_rslora": True, "target_modules": r".*\.q_proj"},
            r"rank-stabilised LoRA, rank 4, alpha 8, on .*\.q_proj",
            id="a pattern",
        ),
    ],
)
def test_an_adapter_is_described(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    make_adapter(tiny_network("llama"), tmp_path)
    change_config(tmp_path, **changes)
    assert adapters.describe(tmp_path) == said


def test_a_configuration_for_others_holds_no_path(tmp_path: Path) -> None:
    make_adapter(tiny_network("llama"), tmp_path)
    change_config(tmp_path, base_model_name_or_path=str(tmp_path / "private" / "llama"))
    config = adapters.public_config(tmp_path)
    assert config["base_model_name_or_path"] == "llama"
    assert config["r"] == 4


def test_a_folder_without_weights_or_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"holds no {adapters.CONFIG_FILE}"):
        adapters.merge(tiny_network("llama"), tmp_path)
    make_adapter(tiny_network("llama"), tmp_path)
    (tmp_path / ADAPTER_FILE).unlink()
    with pytest.raises(ModelError, match=f"holds no {ADAPTER_FILE}"):
        adapters.merge(tiny_network("llama"), tmp_path)
    (tmp_path / adapters.CONFIG_FILE).write_text("[")
    with pytest.raises(ModelError, match="is not JSON"):
        adapters.base_name(tmp_path)


def test_an_encoder_decoder_takes_an_adapter(tmp_path: Path) -> None:
    network = tiny_network("t5")
    wrapped = make_adapter(network, tmp_path, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    with torch.inference_mode():
        expected = wrapped(input_ids=IDS, decoder_input_ids=IDS).logits
        merged = adapters.merge(network, tmp_path)(input_ids=IDS, decoder_input_ids=IDS).logits
    torch.testing.assert_close(merged, expected, atol=2e-5, rtol=1e-5)


def test_the_shipped_adapter_is_found() -> None:
    assert adapters.is_adapter(adapters.default_adapter())
