"""The house as a whole: a light front door, nothing that ties it to one machine, true papers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest

import b2ner

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "pyarrow", "numpy", "llguidance", "peft", "huggingface_hub")
LIGHT = (
    "b2ner",
    "b2ner.cli.main",
    "b2ner.inference.engine",
    "b2ner.inference.extractor",
    "b2ner.workflows.evaluate",
)
MAX_MB = 40


def _python(code: str) -> str:
    """What a fresh process prints for this code."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@cache
def _tracked() -> list[Path]:
    """The files that git has, or would take."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git here to say which files are ours")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _text_files() -> list[tuple[Path, str]]:
    found = []
    for path in _tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192] and path != Path(__file__):
            found.append((path.relative_to(ROOT), content.decode("utf-8")))
    return found


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_no_model_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    assert _python(code) == "[]"


def test_help_loads_no_model_library() -> None:
    code = f"""
import sys
from b2ner.cli.main import app
for arguments in (["--help"], ["extract", "--help"], ["--version"]):
    try:
        app(arguments)
    except SystemExit as end:
        assert not end.code
print([m for m in {HEAVY} if m in sys.modules])
"""
    assert _python(code).splitlines()[-1] == "[]"


def test_public_names_are_there_and_lead_to_ours() -> None:
    assert sorted(b2ner.__all__) == b2ner.__all__ == dir(b2ner)
    for name in b2ner.__all__:
        assert getattr(b2ner, name) is not None
        if name != "__version__":
            assert getattr(b2ner, name).__module__.startswith("b2ner.")
    with pytest.raises(AttributeError, match="frobnicate"):
        b2ner.frobnicate  # noqa: B018


def test_every_error_of_ours_is_public() -> None:
    from b2ner import errors

    ours = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert ours <= set(b2ner.__all__)


def test_the_version_is_one() -> None:
    project = tomllib.loads(_page("pyproject.toml"))["project"]
    cited = re.findall(r"(?m)^version: (.+)$", _page("CITATION.cff"))
    assert {b2ner.__version__, project["version"], *cited} == {b2ner.__version__}
    assert metadata.version("b2ner") == b2ner.__version__


def test_no_path_of_one_machine_and_no_registry_host() -> None:
    path = re.compile(
        r"(?<![\w.$}\])])/(?:home|root|work|tmp|Users|opt|var|mnt|srv)/\w|\b[A-Z]:\\\w"
    )
    # Spelled in parts, so that this file passes its own test.
    hosts = [rf"{name}\.org" for name in ("pypi", "pythonhosted", "download\\.pytorch")]
    options = [rf"{verb}[-_]{noun}" for verb, noun in (("index", "url"), ("find", "links"))]
    host = re.compile("|".join(hosts + options))
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in _text_files()
        for number, line in enumerate(text.split("\n"), start=1)
        if path.search(line) or host.search(line)
    ]
    assert found == []


def test_no_file_is_too_large_and_none_is_pickled() -> None:
    sizes = {path: path.stat().st_size / 1e6 for path in _tracked()}
    assert {path: size for path, size in sizes.items() if size > MAX_MB} == {}
    assert [p for p in sizes if p.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin")] == []


def test_every_link_in_the_docs_leads_somewhere() -> None:
    link = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
    broken = []
    for name, text in _text_files():
        if name.suffix != ".md":
            continue
        prose = re.sub(r"(?ms)^```.*?^```$", "", text)
        for target in link.findall(prose):
            if re.match(r"https?:|mailto:", target):
                continue
            path, _, anchor = target.partition("#")
            linked = (ROOT / name.parent / path) if path else ROOT / name
            if not linked.exists() or (anchor and anchor not in _anchors(linked)):
                broken.append(f"{name}: {target}")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    """The anchors that headings get: lower case, blanks as dashes, punctuation dropped."""
    headings = re.findall(r"(?m)^#+ +(.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_page_of_the_docs_is_in_the_index() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    pages = [p.relative_to(docs).as_posix() for p in docs.rglob("*.md") if p.name != "index.md"]
    assert [page for page in pages if f"({page})" not in index] == []


def test_the_make_targets_are_there() -> None:
    makefile = _page("Makefile")
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    assert {"demo", "test", "check", "test-model", "test-integrations", "test-lowest"} <= targets
    for name in re.findall(r"(?m)(?:^|`)make ([a-z-]+)", _page("CONTRIBUTING.md")):
        assert name in targets


def test_every_dependency_has_a_lower_bound_and_a_pin() -> None:
    project = tomllib.loads(_page("pyproject.toml"))["project"]
    pinned = re.findall(r"(?m)^([\w.-]+)==", _page("constraints.txt"))
    pins = {name.lower().replace("_", "-") for name in pinned}
    extras = project["optional-dependencies"].values()
    for requirement in chain(project["dependencies"], *extras):
        name = re.match(r"[\w-]+", requirement)
        assert name is not None
        if name[0] != "b2ner":
            assert re.search(r">=\d", requirement), f"{requirement} has no lower bound"
            assert "<" not in requirement, f"{requirement} has an upper bound"
            assert name[0].lower().replace("_", "-") in pins, f"{requirement} is not pinned"


def test_the_command_line_reference_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/cli_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
