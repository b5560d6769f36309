"""Loading: what fits loads, and what does not is refused with a word that helps."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM
from transformers.utils import logging as hf_logging

from b2ner.errors import AdapterMismatch, MissingExtra, ModelError, UnsafeWeights, UnsupportedModel
from b2ner.model import tokens, weights
from b2ner.model.adapters import default_adapter
from b2ner.model.card import (
    BaseCard,
    Card,
    LicenceClass,
    Status,
    TemplateCard,
    adapter_sha256,
    read_card,
    write_card,
)
from b2ner.model.safetensors_file import fingerprint
from b2ner.model.weights import NO_ADAPTER, compute_dtype, load_model
from tests.model.test_adapters import logits, make_adapter
from tests.tiny import DECODERS, tiny_folder, tiny_network, tiny_tokenizer


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_folder("gemma3", tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter for `base`, without a card."""
    make_adapter(tiny_network("gemma3"), tmp_path / "adapter")
    return tmp_path / "adapter"


def card_for(base: Path, adapter: Path) -> Card:
    return Card(
        base=BaseCard("tiny", fingerprint(base)),
        template=TemplateCard("published", "00"),
        tokenisation="apart",
        tokenizer=tokens.fingerprint(tiny_tokenizer("gemma3")),
        adapter_sha256=adapter_sha256(adapter),
        status=Status.PROVISIONAL,
        licence=LicenceClass.OPEN,
        languages=("en",),
        training="On nothing.",
    )


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_folder_loads(family: str, tmp_path: Path) -> None:
    folder = tiny_folder(family, tmp_path)
    model = load_model(folder, device="cpu", dtype="fp32")
    assert torch.equal(logits(model.network), logits(tiny_network(family)))
    assert not model.network.training
    assert not any(weight.requires_grad for weight in model.network.parameters())
    assert tokens.fingerprint(model.tokenizer) == tokens.fingerprint(tiny_tokenizer(family))
    assert (model.card, model.adapter, model.encoder_decoder) == (None, None, False)
    assert (model.base, model.device, model.dtype) == (str(folder), "cpu", torch.float32)


@pytest.mark.parametrize(
    ("family", "published"),
    [
        pytest.param("gemma3", "GemmaTokenizerFast", id="Gemma 3"),
        pytest.param("gemma2", "GemmaTokenizerFast", id="Gemma 2"),
        pytest.param("llama", "LlamaTokenizer", id="Llama 2"),
        pytest.param("mistral", "LlamaTokenizer", id="Mistral"),
        pytest.param("qwen2", "Qwen2Tokenizer", id="Qwen2"),
        pytest.param("qwen3", "Qwen2Tokenizer", id="Qwen3"),
    ],
)
def test_a_folder_with_the_tokenizer_of_its_family_loads(
    family: str, published: str, tmp_path: Path
) -> None:
    """Families publish their tokenizers by class name; the ids are those of the file."""
    folder = tiny_folder(family, tmp_path)
    config = folder / "tokenizer_config.json"
    settings = {**json.loads(config.read_text()), "tokenizer_class": published}
    settings.pop("backend", None)  # what newer libraries add
    config.write_text(json.dumps(settings))
    model = load_model(folder, device="cpu", dtype="fp32")
    text = "Label set: person\nText: Ada met 李白 in New York  (12)\n\nAnswer:"
    assert tokens.encode(model.tokenizer, text) == tokens.encode(tiny_tokenizer(family), text)
    assert tokens.eos_ids(model.tokenizer) == tokens.eos_ids(tiny_tokenizer(family))


def test_a_llama_3_folder_loads(tmp_path: Path) -> None:
    """Llama with a byte-level tokenizer and its own way with long positions."""
    tokenizer = tiny_tokenizer("llama3")
    tokenizer.save_pretrained(tmp_path)
    config = tiny_network("llama").config
    config.vocab_size = len(tokenizer)
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    network = LlamaForCausalLM(config).eval()
    network.save_pretrained(tmp_path)
    model = load_model(tmp_path, device="cpu", dtype="fp32")
    assert torch.equal(logits(model.network), logits(network))
    assert tokens.fingerprint(model.tokenizer) == tokens.fingerprint(tokenizer)


def test_an_encoder_decoder_folder_loads(tmp_path: Path) -> None:
    model = load_model(str(tiny_folder("t5", tmp_path)), device="cpu", dtype="fp32")
    assert model.encoder_decoder
    assert type(model.network).__name__ == "T5ForConditionalGeneration"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("bf16", torch.bfloat16, id="bf16"),
        pytest.param("float16", torch.float16, id="by its long name"),
        pytest.param(None, getattr(torch, compute_dtype("cpu")), id="what the processor has"),
    ],
)
def test_number_formats(asked: str | None, expected: torch.dtype, base: Path) -> None:
    model = load_model(base, device="cpu", dtype=asked)
    assert model.dtype == expected
    assert {weight.dtype for weight in model.network.parameters()} == {expected}


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        pytest.param({"_is_amx_tile_supported": True}, "bfloat16", id="AMX"),
        pytest.param({"_is_avx512_bf16_supported": True}, "bfloat16", id="AVX-512"),
        pytest.param({}, "float32", id="neither"),
        pytest.param(None, "float32", id="a torch without these probes"),
    ],
)
def test_the_number_format_follows_the_processor(
    probes: dict[str, bool] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        if probes is None:
            monkeypatch.delattr(torch.cpu, name)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda name=name: probes.get(name, False))
    assert compute_dtype("cpu") == expected
    assert compute_dtype("mps") == "float32"


def test_unknown_formats_and_devices_are_refused(base: Path) -> None:
    with pytest.raises(ModelError, match="dtype 'int3' is none of bf16, "):
        load_model(base, dtype="int3")
    with pytest.raises(ModelError, match="device 'abacus' cannot be used here"):
        load_model(base, device="abacus")


def test_an_adapter_without_a_card_loads_unverified(base: Path, adapter: Path) -> None:
    model = load_model(base, adapter=adapter, device="cpu", dtype="fp32")
    assert model.card is None
    assert model.adapter == str(adapter)
    merged = logits(model.network)
    assert not torch.allclose(merged, logits(tiny_network("gemma3")), atol=1e-2)
    plain = load_model(base, adapter=NO_ADAPTER, device="cpu", dtype="fp32")
    assert torch.equal(logits(plain.network), logits(tiny_network("gemma3")))
    assert plain.adapter is None


def test_an_adapter_with_a_card_is_checked(base: Path, adapter: Path) -> None:
    card = card_for(base, adapter)
    write_card(adapter, card)
    assert load_model(base, adapter=adapter, device="cpu").card == card == read_card(adapter)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"base": BaseCard("big", "77")}, "trained on big .*are others", id="base"),
        pytest.param({"tokenizer": "77"}, "with another tokenizer", id="tokenizer"),
        pytest.param({"adapter_sha256": "77"}, "is not the file that its card", id="weights"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    changes: dict[str, Any], said: str, base: Path, adapter: Path
) -> None:
    write_card(adapter, dataclasses.replace(card_for(base, adapter), **changes))
    with pytest.raises(AdapterMismatch, match=said):
        load_model(base, adapter=adapter, device="cpu")


def test_our_adapter_is_refused_for_another_base(base: Path) -> None:
    from b2ner.model.adapters import default_adapter

    with pytest.raises(AdapterMismatch, match="trained on Gemma 3 270M"):
        load_model(base, adapter=default_adapter(), device="cpu")


def name_base(adapter: Path, name: str) -> None:
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "base_model_name_or_path": name}))


def test_an_adapter_given_as_base_brings_the_base_it_names(base: Path, adapter: Path) -> None:
    name_base(adapter, str(base))
    model = load_model(adapter, device="cpu", dtype="fp32")
    expected = load_model(base, adapter=adapter, device="cpu", dtype="fp32")
    assert torch.equal(logits(model.network), logits(expected.network))
    assert model.adapter == str(adapter)
    with pytest.raises(ModelError, match="is an adapter itself"):
        load_model(adapter, adapter=adapter, device="cpu")


def test_an_adapter_whose_base_is_not_here_says_what_to_give(adapter: Path) -> None:
    name_base(adapter, "/nowhere/base")
    with pytest.raises(
        ModelError, match=r"is an adapter for '/nowhere/base'.*base= and this folder"
    ):
        load_model(adapter, device="cpu")
    name_base(adapter, "")
    with pytest.raises(ModelError, match="names no base model"):
        load_model(adapter, device="cpu")


def test_a_model_given_as_adapter_is_refused(base: Path) -> None:
    with pytest.raises(ModelError, match=r"is no adapter.*a whole model is given as base="):
        load_model(base, adapter=base, device="cpu")


def remove(*names: str) -> Any:
    return lambda folder: [(folder / name).unlink() for name in names]


def drop_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {n: w for n, w in load_file(path).items() if "layers.1.mlp.up" not in n}
    save_file(kept, path, metadata={"format": "pt"})


def widen_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = load_file(path)
    kept["model.norm.weight"] = torch.ones(7)
    save_file(kept, path, metadata={"format": "pt"})


def set_config(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def only_pickles(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        pytest.param(remove("tokenizer.json"), ModelError, "holds no tokenizer", id="no tokenizer"),
        pytest.param(remove("config.json"), ModelError, "no model folder", id="no settings"),
        pytest.param(remove("model.safetensors"), ModelError, "no .*weights", id="no weights"),
        pytest.param(only_pickles, UnsafeWeights, "pytorch_model.bin is a PyTorch", id="pickles"),
        pytest.param(drop_a_weight, ModelError, "do not fit its config.json: 1 missing", id="gap"),
        pytest.param(widen_a_weight, ModelError, "model.norm.weight", id="another shape"),
        pytest.param(set_config(model_type="nope"), UnsupportedModel, "nope", id="unknown type"),
        pytest.param(set_config(model_type="vit"), UnsupportedModel, "vit", id="no text model"),
        pytest.param(
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            ModelError,
            "the tokenizer of .* cannot be loaded",
            id="a broken tokenizer",
        ),
    ],
)
def test_folders_that_cannot_be_used(
    change: Any, error: type[ModelError], said: str, base: Path
) -> None:
    change(base)
    with pytest.raises(error, match=said):
        load_model(base, device="cpu")


CANARY = """
from pathlib import Path
from transformers import Gemma3TextConfig, Gemma3ForCausalLM

Path({mark!r}).write_text("was run")

class CanaryConfig(Gemma3TextConfig):
    model_type = "canary"

class CanaryModel(Gemma3ForCausalLM):
    config_class = CanaryConfig
"""


@pytest.mark.parametrize("kind", ["canary", "gemma3_text"])
def test_code_beside_a_model_runs_only_when_trusted(
    kind: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hf"))
    mark = tmp_path / "mark"
    (base / "canary.py").write_text(CANARY.format(mark=str(mark)))
    names = {"AutoConfig": "canary.CanaryConfig", "AutoModelForCausalLM": "canary.CanaryModel"}
    set_config(model_type=kind, auto_map=names)(base)
    with pytest.raises(UnsafeWeights, match="trust_remote_code=True"):
        load_model(base, device="cpu")
    assert not mark.exists()
    model = load_model(base, device="cpu", trust_remote_code=True)
    assert mark.exists()
    assert type(model.network).__name__ == "CanaryModel"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("./no/such/folder", id="a path"),
        pytest.param("C:\\models\\x", id="a path of another system"),
        pytest.param(Path("nowhere"), id="a Path"),
    ],
)
def test_a_folder_that_is_not_there(place: str | Path) -> None:
    with pytest.raises(ModelError, match="is no folder"):
        load_model(place)


def test_a_file_is_no_folder(base: Path) -> None:
    with pytest.raises(ModelError, match="is no folder"):
        load_model(str(base / "model.safetensors"))


def test_a_hub_id_offline_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"'some/model' is neither a folder here.*give a folder"):
        load_model("some/model")


def test_a_hub_id_fetches_no_pickles_and_no_code(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def snapshot(repo: str, *, allow_patterns: list[str]) -> str:
        assert repo == "some/model"
        asked.append(allow_patterns)
        return str(base)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    load_model("some/model", device="cpu")
    load_model("some/model", device="cpu", trust_remote_code=True)
    assert ["*.py" in patterns for patterns in asked] == [False, True]
    assert not any("bin" in pattern or "pt" in pattern for pattern in asked[1])
    torch.save({}, base / "x.pt")  # what the hub gives is checked like any folder
    with pytest.raises(UnsafeWeights):
        load_model("some/model", device="cpu")


def test_a_whole_model_with_a_card_is_held_to_it(base: Path) -> None:
    card = dataclasses.replace(
        card_for(base, default_adapter()), adapter_sha256="", tokenisation="joint"
    )
    write_card(base, card)
    assert load_model(base, device="cpu").card == card
    stranger = dataclasses.replace(card, tokenizer="00")
    write_card(base, stranger)
    with pytest.raises(AdapterMismatch, match="was trained with another tokenizer"):
        load_model(base, device="cpu")
    write_card(base, card)
    tiny_network("gemma3", seed=5).save_pretrained(base)
    with pytest.raises(ModelError, match=r"not those that its card b2ner\.json describes"):
        load_model(base, device="cpu")


def test_an_adapter_s_card_counts_more_than_its_base_s(base: Path, adapter: Path) -> None:
    mine = card_for(base, adapter)
    write_card(adapter, mine)
    write_card(base, dataclasses.replace(mine, adapter_sha256="", training="Of the base."))
    assert load_model(base, adapter=adapter, device="cpu").card == mine
    write_card(base, dataclasses.replace(mine, adapter_sha256="", tokenizer="00"))
    with pytest.raises(AdapterMismatch, match="another tokenizer"):
        load_model(base, adapter=NO_ADAPTER, device="cpu")


def test_a_symlinked_folder_loads(base: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(base, target_is_directory=True)
    assert load_model(link, device="cpu").network is not None


def test_loading_is_silent_and_leaves_the_librarys_setting(base: Path, capfd: Any) -> None:
    hf_logging.enable_progress_bar()
    load_model(base, device="cpu")
    out, err = capfd.readouterr()
    assert out == ""
    assert "%|" not in err
    assert hf_logging.is_progress_bar_enabled()


def test_missing_libraries_name_the_extra(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r'pip install "b2ner\[embedded\]"'):
        load_model(base)


def test_the_module_itself_loads_no_torch() -> None:
    code = (
        "import sys, b2ner.model.weights, b2ner.model.embedded, b2ner.model.tokens;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_does_not_change_the_folder(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "before")
    make_adapter(tiny_network("gemma3"), tmp_path / "a")
    load_model(base, adapter=tmp_path / "a", device="cpu")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (base / path.name).read_bytes()
    assert weights.load_tokenizer(base).eos_token == "<eos>"
