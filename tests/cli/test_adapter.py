"""`b2ner adapter`: what the commands print, write and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import b2ner
from b2ner.cli.main import app
from b2ner.training import train
from b2ner.training.settings import Saving
from tests.model.test_adapters import make_adapter
from tests.tiny import tiny_folder, tiny_network
from tests.training.runs import SAMPLES, settings, tiny_base
from tests.workflows import hub_stand_in

BASE = ("--base", "someone/llama")


def command(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["adapter", *map(str, arguments)], prog_name="b2ner")
    return done.exit_code, done.stdout.strip(), done.stderr


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA without a card, that names no base, beside its base."""
    tiny_folder("llama", tmp_path / "llama")
    make_adapter(tiny_network("llama"), tmp_path / "mine")
    return tmp_path / "mine"


def test_merge(adapter: Path, tmp_path: Path) -> None:
    base, merged = tmp_path / "llama", tmp_path / "merged"
    assert command("merge", adapter, "-o", merged, "--base", base)[:2] == (0, str(merged))
    assert b2ner.load(merged).extract("Ada", ["person"]).text == "Ada"
    code, _, err = command("merge", adapter, "-o", merged, "--base", base)
    assert (code, "is there already" in err) == (2, True)
    code, _, err = command("merge", adapter, "-o", tmp_path / "other", "--base", tmp_path / "no")
    assert (code, "is no folder" in err) == (3, True)
    code, _, err = command("merge", adapter, "-o", tmp_path / "other", "--base", base, "--dtype=x")
    assert (code, "none of bf16" in err) == (3, True)


def test_average(tmp_path: Path) -> None:
    run = tmp_path / "run"
    plan = settings(tiny_base(tmp_path), steps=3, saving=Saving(every_steps=1, keep_last=3))
    train(plan, SAMPLES, run)
    made = sorted((run / "checkpoints").glob("step-*"))
    mean = tmp_path / "mean"
    assert command("average", *made, "-o", mean)[:2] == (0, str(mean))
    assert b2ner.load(tmp_path / "gemma3", adapter=mean).extract("Ada", ["person"]).text == "Ada"
    code, _, err = command("average", made[0], "-o", mean)
    assert (code, "two checkpoints" in err) == (2, True)


def test_card(adapter: Path) -> None:
    path = adapter / "README.md"
    path.unlink(missing_ok=True)  # peft leaves one of its own
    code, out, _ = command(
        "card", adapter, *BASE, "--place", "me/mine", "--base-licence=apache-2.0"
    )
    assert (code, out) == (0, str(path))
    assert 'adapter="me/mine"' in path.read_text()
    assert "apache-2.0" in path.read_text()
    code, _, err = command("card", adapter, *BASE)
    assert (code, "--overwrite" in err) == (2, True)
    assert command("card", adapter, *BASE, "--overwrite")[0] == 0
    assert 'adapter="mine"' in path.read_text()
    code, _, err = command("card", adapter, "--overwrite")
    assert (code, "names no base model" in err) == (3, True)
    code, _, err = command("card", adapter.parent)
    assert (code, "is no adapter" in err) == (3, True)


def test_push(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_stand_in.running() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        code, out, err = command("push", adapter, "me/mine", *BASE)
        assert (code, out) == (0, f"{hub.url}/me/mine")
        assert "sent README.md, adapter_config.json, adapter_model.safetensors" in err
        assert hub.visibilities == ["private"]
        command("push", adapter, "me/mine", "--public", *BASE)
        assert hub.visibilities == ["private", "public"]
        hub.refuses = True
        code, _, err = command("push", adapter, "me/mine", *BASE)
    assert (code, "HF_TOKEN" in err) == (3, True)
