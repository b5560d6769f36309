"""Sharing: a merged folder answers as base and adapter do, a README says what is known, and what is
pushed names nothing of this machine."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from tests.training.runs import SAMPLES, settings, tiny_base
from tests.workflows import hub_stand_in

import b2ner
from b2ner.errors import AdapterMismatch, DataError, ModelError, UnsafeWeights
from b2ner.model.card import CARD_FILE, LicenceClass, Status, read_card, write_card
from b2ner.training import train
from b2ner.training.settings import CardText, Lora, Optimiser, Schedule, Unit
from b2ner.workflows import share

TEXTS = ("Ada met Moon in London", "New York is New York", "李白在长安", "what is the year?")
LABELS = ["person", "location", "movie title"]
FAMILIES = ("gemma3", "llama", "t5")
SCORES = {
    "checkpoint": "step-00000012",
    "step": 12,
    "scores": {
        "NER_en": {
            "films": {"surface_set": {"f1": 0.5, "precision": 0.5, "recall": 0.5}, "span": None},
            "average": {"surface_set": 0.5},
        },
        "average": {"surface_set": 0.4567},
    },
}


@dataclasses.dataclass(frozen=True)
class Made:
    """A base, and an adapter of a run that taught it something, in a folder called private."""

    home: Path
    base: Path
    adapter: Path

    @property
    def run(self) -> Path:
        return self.adapter.parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    found = {}
    for family in FAMILIES:
        home = tmp_path_factory.mktemp("private")
        base = tiny_base(home, family)
        plan = settings(
            base,
            lora=Lora(rank=4, alpha=8, dropout=0.0),
            schedule=Schedule(length=12, unit=Unit.STEPS),
            optimiser=Optimiser(learning_rate=1e-2),
            card=CardText(licence=LicenceClass.OPEN, training="Four texts of our own."),
        )
        done = train(plan, SAMPLES, home / "run")
        found[family] = Made(home, Path(base), done.checkpoint)
    return found


@pytest.fixture
def adapter(made: dict[str, Made], tmp_path: Path) -> Made:
    """A copy of one, in a run that explains itself."""
    one = made["gemma3"]
    home = tmp_path / "private"
    copy = home / "run" / "checkpoints" / one.adapter.name
    for path in (p for p in one.adapter.rglob("*") if p.is_file()):
        target = copy / path.relative_to(one.adapter)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    told = {
        "config": {
            "method": "lora",
            "optimiser": {"learning_rate": 0.01},
            "rows": {"places": 384, "samples_per_step": 0},
            "card": {"licences": {"sheets": "CC-BY-4.0", "films": "research only"}},
        },
        "data": [
            {"path": f"{home}/sheets/en-a.txt", "sha256": "", "samples": 3, "rejected": 0},
            {"path": f"{home}/sheets/en-b.txt", "sha256": "", "samples": 4, "rejected": 1},
            {"path": f"{home}/build/NER_en/films/train.json", "samples": 5},
            {"path": f"{home}/build/NER_en/news/train.json", "samples": 6},
        ],
        "versions": {"torch": "2.13", "peft": "0.21"},
    }
    (home / "run" / "run.json").write_text(json.dumps(told))
    (home / "run" / "eval-0").mkdir()
    other = {**SCORES, "checkpoint": "step-00000010", "scores": {}}
    (home / "run" / "eval-0" / "scores.json").write_text(json.dumps(other))
    (home / "run" / "eval-1").mkdir()
    (home / "run" / "eval-1" / "scores.json").write_text(json.dumps(SCORES))
    return Made(home, one.base, copy)


def answers(ner: Any) -> list[Any]:
    documents = ner.extract_batch(TEXTS, LABELS, max_answer_tokens=24)
    return [[(entity.span, entity.label) for entity in found.entities] for found in documents]


# -- merging -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_folder_answers_as_both_do(
    family: str, made: dict[str, Made], tmp_path: Path
) -> None:
    one = made[family]
    folder = share.merge(one.adapter, tmp_path / "merged", base=one.base)
    both = b2ner.load(one.base, adapter=one.adapter, dtype="fp32", device="cpu")
    merged = b2ner.load(folder, dtype="fp32", device="cpu")
    assert answers(merged) == answers(both)
    plain = b2ner.load(one.base, adapter="none", dtype="fp32", device="cpu")
    assert family == "t5" or answers(plain) != answers(both)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_folder_is_one_for_everybody(
    family: str, made: dict[str, Made], tmp_path: Path
) -> None:
    one = made[family]
    folder = share.merge(one.adapter, tmp_path / "merged", base=one.base)
    loader = (
        transformers.AutoModelForSeq2SeqLM if family == "t5" else transformers.AutoModelForCausalLM
    )
    network = loader.from_pretrained(folder)
    ours = b2ner.load(one.base, adapter=one.adapter, dtype="fp32").engine._model.network
    for name, weight in ours.named_parameters():
        assert torch.equal(weight, network.get_parameter(name)), name
    for name in ("tokenizer.json", "tokenizer_config.json"):  # not as they were in use here
        assert (folder / name).read_bytes() == (one.base / name).read_bytes()
    assert (folder / "generation_config.json").is_file()
    assert not any(path.suffix in (".bin", ".pt") for path in folder.iterdir())
    for path in folder.iterdir():
        assert b"private" not in path.read_bytes()


def test_weights_keep_their_format_unless_told(made: dict[str, Made], tmp_path: Path) -> None:
    one = made["llama"]
    folder = share.merge(one.adapter, tmp_path / "narrow", base=one.base, dtype="bf16")
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
    again = share.merge(one.adapter, tmp_path / "wide", base=one.base)
    assert json.loads((again / "config.json").read_text())["dtype"] == "float32"


def test_the_base_is_found_by_the_name_that_the_adapter_gives(
    made: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made["llama"]
    with pytest.raises(ModelError, match=r"for 'llama', which cannot be had.*base="):
        share.merge(one.adapter, tmp_path / "merged")
    monkeypatch.chdir(one.base.parent)
    assert (share.merge(one.adapter, tmp_path / "merged") / "model.safetensors").is_file()


def test_a_merged_model_has_a_card_and_a_readme(made: dict[str, Made], tmp_path: Path) -> None:
    one = made["gemma3"]
    (one.base / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    folder = share.merge(one.adapter, tmp_path / "mine", base=one.base)
    (one.base / "README.md").unlink()
    before, card = read_card(one.adapter), read_card(folder)
    assert before is not None
    assert card is not None
    assert card.template == before.template
    assert (card.tokenisation, card.adapter_sha256) == ("apart", "")
    facts, text = split((folder / "README.md").read_text())
    assert facts["license"] == "apache-2.0"
    assert facts["base_model_relation"] == "finetune"
    assert 'b2ner.load("mine")' in text


def test_what_cannot_be_merged_is_refused(
    made: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made["llama"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(DataError, match="is there already"):
        share.merge(one.adapter, tmp_path / "full", base=one.base)
    with pytest.raises(ModelError, match="is no adapter"):
        share.merge(one.base, tmp_path / "merged")
    with pytest.raises(AdapterMismatch, match="the weights of"):
        share.merge(one.adapter, tmp_path / "merged", base=made["gemma3"].base)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("b2ner.model.model_folder.write_model", full)
    with pytest.raises(DataError, match="merged cannot be written: No space left"):
        share.merge(one.adapter, tmp_path / "merged", base=one.base)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


# -- describing --------------------------------------------------------------------------------


def split(readme: str) -> tuple[dict[str, Any], str]:
    """The facts that the hub reads, and the text below them."""
    empty, facts, text = readme.split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(facts), text


def test_a_checkpoint_is_described_by_its_run(adapter: Made) -> None:
    facts, text = split(share.describe(adapter.adapter))
    assert facts == {
        "license": "gemma",
        "base_model": "gemma3",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "token-classification",
        "language": ["en"],
        "tags": ["named-entity-recognition", "zero-shot", "b2ner", "lora"],
        "datasets": ["sheets", "films", "news"],
    }
    for line in (
        "| sheets | 7 | CC-BY-4.0 |",
        "| films | 5 | research only |",
        "| news | 6 | not stated |",
        "| films | 50.0 |",
        "| mean | 45.7 |",
        "- optimiser.learning_rate: 0.01",
        "- It was shown at most 384 tokens at once, prompt included.",
        "Made with torch 2.13, peft 0.21.",
    ):
        assert line in text.splitlines()
    assert "rank 4, alpha 8" in text
    assert "Four texts of our own." in text
    assert "Gemma Terms of Use" in text
    assert "samples_per_step" not in text  # off
    assert "private" not in text
    assert re.search(r"\d+ samples were shown in 12 steps", text)


def test_the_code_in_it_runs(
    adapter: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (adapter.home / "gemma3").symlink_to(adapter.base)
    (adapter.home / "mine").symlink_to(adapter.adapter)
    monkeypatch.chdir(adapter.home)
    found = re.search(r"```python\n(.*?)```", share.describe(adapter.adapter, place="mine"), re.S)
    assert found is not None
    exec(found[1], {})
    assert "b2ner.load(" in found[1]
    capsys.readouterr()


def test_a_run_may_be_named_and_must_be_one(adapter: Made, tmp_path: Path) -> None:
    moved = adapter.adapter.rename(tmp_path / "step-00000012")
    assert "It was not scored" in share.describe(moved)
    assert "| films | 50.0 |" in share.describe(moved, run=adapter.run)
    with pytest.raises(DataError, match=r"run\.json: cannot be read"):
        share.describe(moved, run=tmp_path)
    (tmp_path / "run.json").write_text('{"data": [{"path": 1}]}')
    with pytest.raises(DataError, match=r"run\.json is not what b2ner writes: data\.0\.path"):
        share.describe(moved, run=tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"status": Status.PROVISIONAL}, "**Provisional**", id="provisional"),
        pytest.param({"licence": LicenceClass.RESEARCH}, "**For research only**", id="research"),
    ],
)
def test_what_the_card_warns_of_is_said(changes: Any, said: str, adapter: Made) -> None:
    card = read_card(adapter.adapter)
    assert card is not None
    plain = {"status": Status.RELEASED, "licence": LicenceClass.OPEN}
    write_card(adapter.adapter, dataclasses.replace(card, **plain))
    assert said not in share.describe(adapter.adapter)
    write_card(adapter.adapter, dataclasses.replace(card, **{**plain, **changes}))
    assert said in share.describe(adapter.adapter)


def test_an_adapter_of_others_is_described_by_what_it_says(adapter: Made, tmp_path: Path) -> None:
    moved = adapter.adapter.rename(tmp_path / "theirs")
    (moved / CARD_FILE).unlink()
    config = json.loads((moved / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "someone/some-model"
    (moved / "adapter_config.json").write_text(json.dumps(config))
    facts, text = split(share.describe(moved))
    assert (facts["license"], facts["base_model"]) == ("other", "someone/some-model")
    assert "Its makers do not say." in text
    assert "whose licence applies; what it is, its page says" in text
    facts, text = split(share.describe(moved, licence="apache-2.0"))
    assert facts["license"] == "apache-2.0"
    assert "whose licence (`apache-2.0`) applies" in text
    with pytest.raises(ModelError, match="is no adapter"):
        share.describe(tmp_path)


def test_an_encoder_decoder_says_what_it_lacks(made: dict[str, Made]) -> None:
    assert "its answers are not held to the labels" in share.describe(made["t5"].adapter)
    assert "its answers are not held to the labels" not in share.describe(made["llama"].adapter)


# -- pushing -----------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_stand_in.Hub]:
    with hub_stand_in.running() as stand_in:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", stand_in.url)
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        yield stand_in


def test_a_push_is_all_that_others_need_and_no_more(adapter: Made, hub: hub_stand_in.Hub) -> None:
    path = adapter.adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = str(adapter.home / "models" / "gemma3")
    path.write_text(json.dumps(config))
    (adapter.adapter / "LICENSE.txt").write_text("Ours.\n")
    pushed = share.push(adapter.adapter, "me/mine")
    assert pushed.url == f"{hub.url}/me/mine"
    assert hub.tokens == {"Bearer hf_of_the_test"}
    assert hub.visibilities == ["private"]
    as_they_are = ("LICENSE.txt", "adapter_model.safetensors", "b2ner.json")
    made = ("NOTICE", "README.md", "adapter_config.json")
    assert pushed.files == tuple(sorted(hub.files)) == tuple(sorted((*as_they_are, *made)))
    for name, content in hub.files.items():
        assert b"private" not in content, name
        if name in as_they_are:
            assert content == (adapter.adapter / name).read_bytes()
    assert json.loads(hub.files["adapter_config.json"])["base_model_name_or_path"] == "gemma3"
    assert b"subject to the Gemma Terms of Use" in hub.files["NOTICE"]
    assert 'adapter="me/mine"' in hub.files["README.md"].decode()
    assert hub.messages == [f"Adapter, written by b2ner {b2ner.__version__}"]
    assert not (adapter.adapter / "README.md").exists()


def test_a_readme_that_is_there_is_sent_as_it_is(adapter: Made, hub: hub_stand_in.Hub) -> None:
    (adapter.adapter / "README.md").write_text("---\nlicense: gemma\n---\nOur own words.\n")
    (adapter.adapter / "NOTICE.txt").write_text("Our own notice.\n")
    share.push(adapter.adapter, "me/mine", public=True)
    assert hub.files["README.md"].endswith(b"Our own words.\n")
    assert hub.files["NOTICE.txt"] == b"Our own notice.\n"
    assert "NOTICE" not in hub.files
    assert hub.visibilities == ["public"]


def test_what_cannot_be_pushed_is_refused(
    adapter: Made, hub: hub_stand_in.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.refuses = True
    with pytest.raises(ModelError, match=r"could not be pushed to 'me/mine': .*403.*HF_TOKEN"):
        share.push(adapter.adapter, "me/mine")
    hub.refuses = False
    with pytest.raises(ModelError, match="could not be pushed to 'a/b/c'"):
        share.push(adapter.adapter, "a/b/c")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="could not be pushed"):
        share.push(adapter.adapter, "me/mine")
    torch.save({}, adapter.adapter / "more.pt")
    with pytest.raises(UnsafeWeights):
        share.push(adapter.adapter, "me/mine")
    (adapter.adapter / "more.pt").unlink()
    weights = adapter.adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(ModelError):
        share.push(adapter.adapter, "me/mine")
    with pytest.raises(ModelError, match="is no adapter"):
        share.push(adapter.home, "me/mine")
    assert hub.files == {}
