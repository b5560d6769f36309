"""What a model may be called where others read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2ner.model import hub

SNAPSHOT = "hub/models--google--gemma-3-270m/snapshots/0a1b2c"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param("google/gemma-3-270m", "google/gemma-3-270m", id="a hub id"),
        pytest.param("gpt2", "gpt2", id="a short one"),
        pytest.param("/no/such/place/llama", "llama", id="a folder that is elsewhere"),
        pytest.param("C:\\models\\llama", "llama", id="one of another system"),
        pytest.param("~/models/llama/", "llama", id="one of a home"),
        pytest.param(f"/some/cache/{SNAPSHOT}", "google/gemma-3-270m", id="the hub's own cache"),
    ],
)
def test_a_public_name_holds_no_path(place: str, name: str) -> None:
    assert hub.public_name(place) == name


def test_a_folder_that_is_here_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / SNAPSHOT).mkdir(parents=True)
    assert hub.public_name(tmp_path / "models" / "mine") == "mine"
    assert hub.public_name(tmp_path / SNAPSHOT) == "google/gemma-3-270m"
    monkeypatch.chdir(tmp_path)
    assert hub.public_name("models/mine") == "mine"  # though it looks like a hub id
    assert hub.public_name(".") == tmp_path.name
