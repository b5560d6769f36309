"""InternLM2 by its definition: the rewritten folder computes the same, adapters and all."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from b2ner.errors import AdapterMismatch, ModelError, UnsafeWeights, UnsupportedModel
from b2ner.inference.engine import Finish
from b2ner.model import cache, internlm2_folder
from b2ner.model.adapters import merge
from b2ner.model.card import ADAPTER_FILE
from b2ner.model.internlm2 import Heads, Settings, llama_name
from b2ner.model.safetensors_file import read_header
from b2ner.model.weights import LoadedModel, load_model
from tests.inference.test_local import TEXTS, Recorder, plain_logprob, request
from tests.model.test_weights import name_base
from tests.model.tiny_internlm2 import Shape, forward, weights, write_adapter, write_folder
from tests.tiny import tiny_network

IDS = torch.tensor([1, 90, 120, 260, 261, 7, 7, 300, 41, 5])
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
SHAPE = Shape()


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))


def loaded(base: Path, adapter: Path | None = None) -> LoadedModel:
    return load_model(base, adapter=adapter, device="cpu", dtype="fp32")


def logits(model: LoadedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.inference_mode():
        return model.network(input_ids=ids[None]).logits[0]


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(SHAPE, id="three query heads a key"),
        pytest.param(Shape(query=4, key_value=4), id="a key a query head"),
        pytest.param(Shape(query=4, key_value=1, rope_scaling=None), id="one key for all"),
        pytest.param(Shape(bias=True), id="biases"),
        pytest.param(Shape(tied=True), id="tied embeddings"),
        pytest.param(Shape(rope_scaling=("linear", 4.0), theta=1e4), id="positions scaled"),
        pytest.param(Shape(epsilon=1e-1, vocabulary=500), id="another epsilon and vocabulary"),
    ],
)
@pytest.mark.parametrize("shards", [1, 3])
def test_the_rewritten_network_computes_the_same(shape: Shape, shards: int, tmp_path: Path) -> None:
    model = loaded(write_folder(tmp_path / "base", shape, shards=shards))
    assert type(model.network).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(logits(model), forward(shape, weights(shape), IDS), **CLOSE)
    assert (model.base, model.card) == (str(tmp_path / "base"), None)


@pytest.mark.parametrize("time", [64, 65, 150])
def test_positions_beyond_the_trained_length(time: int, tmp_path: Path) -> None:
    shape = Shape(longest=64, theta=1e4)
    ids = torch.arange(time) * 7 % 400
    model = loaded(write_folder(tmp_path / "base", shape))
    expected = forward(shape, weights(shape), ids)
    torch.testing.assert_close(logits(model, ids), expected, **CLOSE)
    unscaled = forward(Shape(longest=64, theta=1e4, rope_scaling=None), weights(shape), ids)
    assert torch.allclose(unscaled, expected, atol=1e-3) == (time == 64)


def test_rope_as_newer_libraries_write_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "base", Shape(longest=8))
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}
    change(folder / "config.json", rope_scaling=None, rope_theta=None, rope_parameters=rope)
    expected = forward(Shape(longest=8), weights(SHAPE), IDS)
    torch.testing.assert_close(logits(loaded(folder)), expected, **CLOSE)


@pytest.mark.parametrize("shape", [SHAPE, Shape(bias=True)])
def test_a_published_adapter_is_the_same_merged_as_beside_the_weights(
    shape: Shape, tmp_path: Path
) -> None:
    base = write_folder(tmp_path / "base", shape, shards=2)
    lora = write_adapter(tmp_path / "adapter", shape)
    expected = forward(shape, weights(shape), IDS, lora)
    assert not torch.allclose(expected, forward(shape, weights(shape), IDS), atol=1e-1)
    torch.testing.assert_close(logits(loaded(base, tmp_path / "adapter")), expected, **CLOSE)


def test_a_published_adapter_brings_the_base_it_names(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    lora = write_adapter(tmp_path / "adapter", SHAPE)
    with pytest.raises(ModelError, match=r"adapter for 'internlm/internlm2-20b', which cannot"):
        load_model(tmp_path / "adapter", device="cpu")
    name_base(tmp_path / "adapter", str(base))
    expected = forward(SHAPE, weights(SHAPE), IDS, lora)
    torch.testing.assert_close(logits(loaded(tmp_path / "adapter")), expected, **CLOSE)


def test_adapters_of_other_modules_are_renamed(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    write_adapter(tmp_path / "adapter", SHAPE)
    generator = torch.Generator().manual_seed(5)
    lora, stored = {}, {}
    measures = {"attention.wo": (48, 48), "feed_forward.w1": (48, 40), "feed_forward.w2": (40, 48)}
    for part, (ins, outs) in measures.items():
        name = f"model.layers.1.{part}"
        lora[name] = (
            torch.randn(4, ins, generator=generator),
            torch.randn(outs, 4, generator=generator) * 0.1,
        )
        stored |= {
            f"base_model.model.{name}.lora_A.weight": lora[name][0],
            f"base_model.model.{name}.lora_B.weight": lora[name][1],
        }
    save_file(stored, tmp_path / "adapter" / ADAPTER_FILE)
    change(
        tmp_path / "adapter" / "adapter_config.json",
        target_modules=r"model\.layers\.1\.(attention\.wo|feed_forward\.(w1|w2))",
        alpha_pattern={"layers.1.feed_forward.w1": 8, "wo|w2": 8},
        lora_alpha=99,
    )
    expected = forward(SHAPE, weights(SHAPE), IDS, lora)
    torch.testing.assert_close(logits(loaded(base, tmp_path / "adapter")), expected, **CLOSE)


def test_a_whole_output_head_of_an_adapter_is_renamed(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    lora = write_adapter(tmp_path / "adapter", SHAPE)
    path = tmp_path / "adapter" / ADAPTER_FILE
    head = weights(SHAPE, seed=9)["output.weight"]
    save_file({**load_file(path), "base_model.model.output.weight": head}, path)
    change(tmp_path / "adapter" / "adapter_config.json", modules_to_save=["output"])
    expected = forward(SHAPE, {**weights(SHAPE), "output.weight": head}, IDS, lora)
    torch.testing.assert_close(logits(loaded(base, tmp_path / "adapter")), expected, **CLOSE)


@pytest.mark.parametrize(
    "settings",
    [{"trainable_token_indices": {"tok_embeddings": [3]}}, {"layer_replication": [[0, 1]]}],
)
def test_adapters_that_cannot_be_renamed_are_refused(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    write_adapter(tmp_path / "adapter", SHAPE)
    change(tmp_path / "adapter" / "adapter_config.json", **settings)
    with pytest.raises(UnsupportedModel, match="single tokens or repeats layers"):
        loaded(base, tmp_path / "adapter")


class Fused(torch.nn.Module):
    """A stand-in for the published network, for PEFT to work on: one fused projection."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.wqkv = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        self.wqkv.weight.data = weight
        if bias is not None:
            self.wqkv.bias.data = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wqkv(x)


@pytest.mark.filterwarnings("ignore:.*invalid shape")  # PEFT does not expect its own biases
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"use_dora": True}, id="weight-decomposed"),
        pytest.param({"use_rslora": True}, id="rank-stabilised"),
        pytest.param({"rank_pattern": {"wqkv": 2}, "alpha_pattern": {"wqkv": 5}}, id="patterns"),
        pytest.param({"lora_bias": True, "lora_alpha": 3}, id="a bias of its own"),
    ],
)
def test_kinds_of_lora_on_the_fused_projection(settings: dict[str, Any], tmp_path: Path) -> None:
    """What PEFT makes of the fused projection, cut afterwards, is what is merged."""
    shape = Shape(layers=1, bias="lora_bias" in settings)
    base = write_folder(tmp_path / "base", shape)
    place = "model.layers.0.attention.wqkv"
    stored = weights(shape)
    config = peft.LoraConfig(r=4, target_modules=["wqkv"], **settings)
    whole = Fused(stored[f"{place}.weight"], stored.get(f"{place}.bias"))
    wrapped = peft.get_peft_model(whole, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.data = torch.rand_like(weight) + 0.5
    wrapped.save_pretrained(tmp_path / "adapter")
    stored = load_file(tmp_path / "adapter" / ADAPTER_FILE)
    save_file(
        {name.replace("wqkv", place): weight for name, weight in stored.items()},
        tmp_path / "adapter" / ADAPTER_FILE,
    )

    merged = wrapped.merge_and_unload().wqkv
    # The bias stands as one more column beside the weights.
    columns = [merged.weight] if merged.bias is None else [merged.weight, merged.bias[:, None]]
    expected = torch.cat(columns, -1).reshape(2, 5, 8, -1)
    attention = loaded(base, tmp_path / "adapter").network.model.layers[0].self_attn
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    for part, rows in zip(parts, (slice(0, 3), slice(3, 4), slice(4, 5)), strict=True):
        columns = [part.weight] if part.bias is None else [part.weight, part.bias[:, None]]
        got = torch.cat(columns, -1)
        torch.testing.assert_close(got, expected[:, rows].reshape(got.shape), **CLOSE)


def test_llama_adapters_fit_a_rewritten_base(tmp_path: Path) -> None:
    """Such as one trained on it here."""
    base = write_folder(tmp_path / "base", SHAPE)
    network = loaded(base).network
    wrapped = peft.get_peft_model(network, peft.LoraConfig(target_modules=["q_proj", "up_proj"]))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            weight.data = torch.ones_like(weight)
    wrapped.save_pretrained(tmp_path / "adapter")
    with torch.inference_mode():
        expected = wrapped(input_ids=IDS[None]).logits[0]
    torch.testing.assert_close(logits(loaded(base, tmp_path / "adapter")), expected, **CLOSE)


def test_an_adapter_of_other_heads_is_refused(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    write_adapter(tmp_path / "heads", Shape(query=6, key_value=3))
    with pytest.raises(AdapterMismatch, match=r"\(96, 4\), and the base's wqkv has 80 rows"):
        loaded(base, tmp_path / "heads")
    write_adapter(tmp_path / "layers", Shape(layers=3))
    with pytest.raises(AdapterMismatch, match=r"another base: it has .*layers\.2\.self_attn"):
        loaded(base, tmp_path / "layers")


def test_a_fused_adapter_is_refused_by_any_other_llama(tmp_path: Path) -> None:
    """Even where its shapes would fit: InternLM2.5-7B and Llama 3 8B are of one shape."""
    network = tiny_network("llama")
    write_adapter(tmp_path / "adapter", Shape(query=4, key_value=2, width=12))
    with pytest.raises(AdapterMismatch, match="does not fit the base"):
        merge(network, tmp_path / "adapter")


def test_answers_are_constrained_and_score_as_defined(tmp_path: Path) -> None:
    shape = Shape(longest=2048)
    base = write_folder(tmp_path / "base", shape, shards=2)
    lora = write_adapter(tmp_path / "adapter", shape)
    engine = Recorder(loaded(base, tmp_path / "adapter"), rows=3)
    requests = [request(text, most=200) for text in TEXTS]
    completions = list(engine.generate(requests))

    def defined(input_ids: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=forward(shape, weights(shape), input_ids[0], lora)[None])

    for index, (asked, completion) in enumerate(zip(requests, completions, strict=True)):
        assert completion.finish is Finish.STOP
        assert asked.space is not None
        assert asked.space.accepts(completion.answer)
        expected = plain_logprob(engine, defined, asked, engine.rows[index].answer)
        found = sum(piece.logprob for piece in completion.pieces)
        assert found == pytest.approx(expected, abs=1e-4)
    assert len({completion.answer for completion in completions}) > 3


def test_a_folder_is_rewritten_once(tmp_path: Path, capfd: Any) -> None:
    base = write_folder(tmp_path / "base", SHAPE, shards=3)
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    first = internlm2_folder.llama_folder(base)
    assert "rewriting" in capfd.readouterr().err
    assert internlm2_folder.llama_folder(base) == first
    assert capfd.readouterr().err == ""
    moved = internlm2_folder.llama_folder(shutil.copytree(base, tmp_path / "elsewhere"))
    assert moved == first
    assert [entry.path for entry in cache.cache_entries() if entry.complete] == [first]
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    assert not list(first.glob("*.py"))
    assert "auto_map" not in "".join(path.read_text() for path in first.glob("*config.json"))
    other = weights(SHAPE, seed=1)
    assert internlm2_folder.llama_folder(write_folder(tmp_path / "b", SHAPE, other)) != first
    assert internlm2_folder.llama_folder(write_folder(tmp_path / "c", Shape(theta=7.0))) != first


def test_the_folder_is_one_that_any_library_loads(tmp_path: Path) -> None:
    """A plain Llama, sharded as its source, with an index."""
    import transformers

    base = write_folder(tmp_path / "base", SHAPE, shards=3)
    folder = internlm2_folder.llama_folder(base)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    found = {n: p.name for p in folder.glob("*.safetensors") for n in read_header(p)}
    assert index["weight_map"] == found
    assert len(set(found.values())) == 3
    sizes = sum(w.numel() * 4 for w in weights(SHAPE).values())
    assert index["metadata"]["total_size"] == sizes
    network, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("a", add_special_tokens=True).input_ids[0] == 1
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") == 5
    with torch.inference_mode():
        got = network(input_ids=IDS[None]).logits[0]
    torch.testing.assert_close(got, forward(SHAPE, weights(SHAPE), IDS), **CLOSE)


def test_rewriting_takes_less_memory_than_one_shard(tmp_path: Path) -> None:
    shape = Shape(layers=4, inner=9000, vocabulary=420)
    stored = {name: weight.bfloat16() for name, weight in weights(shape).items()}
    base = write_folder(tmp_path / "base", shape, stored, shards=2)
    smallest = min(path.stat().st_size for path in base.glob("*.safetensors"))
    assert smallest > 4e6
    write_folder(tmp_path / "small", SHAPE)  # what a first call imports is not counted
    internlm2_folder.llama_folder(tmp_path / "small")
    tracemalloc.start()
    try:
        folder = internlm2_folder.llama_folder(base)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < smallest
    written = {n: w for path in folder.glob("*.safetensors") for n, w in load_file(path).items()}
    assert {weight.dtype for weight in written.values()} == {torch.bfloat16}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    gate = stored["model.layers.3.feed_forward.w1.weight"]
    assert torch.equal(written["model.layers.3.mlp.gate_proj.weight"], gate)


def test_a_conversion_cut_short_leaves_nothing_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_folder(tmp_path / "base", SHAPE)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(internlm2_folder, "_move", stop)
        with pytest.raises(KeyboardInterrupt):
            internlm2_folder.llama_folder(base)
    assert cache.cache_entries() == []
    assert (internlm2_folder.llama_folder(base) / "model.safetensors").is_file()


def change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def settings_of(**settings: Any) -> Any:
    return lambda folder: change(folder / "config.json", **settings)


def weights_of(alter: Any) -> Any:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        stored = load_file(path)
        alter(stored)
        save_file(stored, path)

    return apply


def only_pickles(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    torch.save(stored, folder / "pytorch_model-00001-of-00001.bin")
    (folder / "model.safetensors").unlink()


def second_copy(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")


def wrong_index(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.model").unlink()


def many_tokens(folder: Path) -> None:
    change(folder / "tokenizer_config.json", added_tokens_decoder={"480": {"content": "<far>"}})


SCALING = "rope_scaling"


@pytest.mark.parametrize(
    ("alter", "error", "said"),
    [
        pytest.param(only_pickles, UnsafeWeights, "pytorch_model", id="pickles only"),
        pytest.param(no_weights, ModelError, r"holds no \*.safetensors", id="no weights"),
        pytest.param(no_tokenizer, ModelError, "holds no tokenizer", id="no tokenizer"),
        pytest.param(many_tokens, ModelError, "'<far>' cannot have the id 480", id="a hole in ids"),
        pytest.param(second_copy, ModelError, "another file holds too", id="weights twice"),
        pytest.param(wrong_index, ModelError, "names files that are not", id="an index elsewhere"),
        pytest.param(
            weights_of(lambda stored: stored.pop("output.weight")),
            ModelError,
            "missing: output.weight",
            id="a weight less",
        ),
        pytest.param(
            weights_of(lambda stored: stored.update({"v_head.weight": torch.ones(3)})),
            ModelError,
            "without a place: v_head.weight",
            id="a reward model",
        ),
        pytest.param(
            weights_of(lambda stored: stored.update({"output.weight": torch.ones(420, 48).char()})),
            ModelError,
            "neither F32 nor F16 nor BF16: output.weight",
            id="eight bits",
        ),
        pytest.param(
            settings_of(num_key_value_heads=3), ModelError, "another shape.*wqkv", id="other heads"
        ),
        pytest.param(settings_of(bias=True), ModelError, "missing.*wo.bias", id="no biases"),
        pytest.param(
            settings_of(num_key_value_heads=4), UnsupportedModel, "no multiple", id="odd heads"
        ),
        pytest.param(
            settings_of(rope_scaling={"type": "yarn", "factor": 2.0}),
            UnsupportedModel,
            "rope_scaling.type: Input should be 'dynamic' or 'linear'",
            id="another rope",
        ),
        pytest.param(
            settings_of(rope_scaling={"type": "dynamic"}),
            UnsupportedModel,
            "factor",
            id="half rope",
        ),
        pytest.param(
            settings_of(quantization_config={"bits": 4}), UnsupportedModel, "quant", id="packed"
        ),
        pytest.param(settings_of(vocab_size=None), UnsupportedModel, "vocab_size", id="no size"),
    ],
)
def test_folders_that_cannot_be_used(
    alter: Any, error: type[ModelError], said: str, tmp_path: Path
) -> None:
    base = write_folder(tmp_path / "base", SHAPE)
    alter(base)
    with pytest.raises(error, match=said):
        loaded(base)
    assert cache.cache_entries() == []


def test_a_tokenizer_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", Shape(vocabulary=400))
    with pytest.raises(ModelError, match="has 410 tokens, the network 400"):
        loaded(base)


def test_what_older_libraries_stored_beside_the_weights_is_left_out(tmp_path: Path) -> None:
    stored = weights(SHAPE)
    stored["model.layers.0.attention.rotary_emb.inv_freq"] = torch.ones(4)
    folder = internlm2_folder.llama_folder(write_folder(tmp_path / "base", SHAPE, stored))
    assert not any("rotary" in name for name in read_header(folder / "model.safetensors"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.layers.3.attention.wo.weight", "model.layers.3.self_attn.o_proj.weight"),
        ("model.layers.3.feed_forward.w3.weight", "model.layers.3.mlp.up_proj.weight"),
        ("model.layers.3.attention_norm.weight", "model.layers.3.input_layernorm.weight"),
        ("base_model.model.output.lora_A.weight", "base_model.model.lm_head.lora_A.weight"),
        ("model.layers.3.self_attn.o_proj", "model.layers.3.self_attn.o_proj"),
        ("model.norm.weight", "model.norm.weight"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert llama_name(name) == expected


def test_the_rows_of_the_parts_are_all_rows_once() -> None:
    heads = Heads(6, 2, 8)
    taken = [row for blocks in heads.blocks().values() for a, b in blocks for row in range(a, b)]
    assert sorted(taken) == list(range(heads.rows))
    assert heads.blocks()["k_proj"] == [(24, 32), (64, 72)]


def test_defaults_are_those_of_the_published_settings() -> None:
    sizes = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    settings = Settings.model_validate({**sizes, "num_attention_heads": 2})
    assert (settings.bias, settings.rope_theta, settings.num_key_value_heads) == (True, 1e4, 2)
