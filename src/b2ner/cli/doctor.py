"""`b2ner doctor`: what this machine can do, and whether all is in place for the default model.

Each check is a value, a failed one too: nothing is raised. Works without the extras, and says then
what is missing.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

import b2ner
from b2ner.cli.render import megabytes
from b2ner.errors import B2nerError

if TYPE_CHECKING:
    from b2ner.model.weights import LoadedModel

EXTRAS = ("local", "embedded")
SPEED_SECONDS = 1.0
# One label set, texts of everyday length in both languages: what `extract_batch` is made for.
SPEED_LABELS = ("person", "organization", "location")
SPEED_TEXTS = (
    "The orchestra will tour Norway in May, with Ingrid Solberg as its conductor.",
    "After eleven years at Brightwater Bank, Tomas left for a start-up in Lisbon.",
    "The museum in Leeds has bought three letters that Charlotte Brontë wrote in 1848.",
    "昨天，李明在上海的新华书店遇见了他的老师王教授。",
) * 4


class State(StrEnum):
    """How a check came out. FAIL: the default model will not run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: State
    detail: str


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("doctor")(doctor_command)


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this machine: versions, processor, threads, cache, model, speed.

    Loads the default model, and for a second runs it. Exit code 1: something will not work; what to
    do stands beside it.
    """
    checks = []
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for check in examine():
        checks.append(check)
        if not as_json:
            colour = {State.OK: "green", State.WARN: "yellow", State.FAIL: "bold red"}[check.state]
            console.print(
                Text.assemble((f"{check.state:5}", colour), f"{check.name:11}{check.detail}")
            )
    if as_json:
        report = {"version": b2ner.__version__, "checks": [asdict(check) for check in checks]}
        typer.echo(json.dumps(report, ensure_ascii=True))
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(1)


def examine() -> Iterator[Check]:
    """All checks, each as soon as it is made."""
    yield Check("b2ner", State.OK, f"{b2ner.__version__} in {Path(b2ner.__file__).parent}")
    yield Check("python", State.OK, f"{platform.python_version()} on {platform.platform()}")
    packages = _packages()
    yield packages
    yield _cache()
    if packages.state is State.FAIL:
        return
    yield _processor()
    yield _threads()
    try:
        model, seconds = _load()
    except B2nerError as problem:
        yield Check("model", State.FAIL, str(problem))
        return
    yield _described(model, seconds)
    yield _adapter(model)
    yield _speed(model)


def _packages() -> Check:
    """The packages of the extras, against the lower bounds that we declare for them."""
    try:
        bounds = _bounds()
    except metadata.PackageNotFoundError:
        return Check("packages", State.WARN, "b2ner runs from its source and is not installed")
    found, missing, old = [], [], []
    for name, bound in bounds.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        found.append(f"{name} {version}")
        if _release(version) < _release(bound):
            old.append(f"{name} {version} (needs {bound})")
    if missing:
        install = f'missing {", ".join(missing)}: pip install "b2ner[embedded]"'
        return Check("packages", State.FAIL, install)
    if old:
        return Check("packages", State.WARN, f"too old: {', '.join(old)}")
    return Check("packages", State.OK, ", ".join(found))


def _bounds() -> dict[str, str]:
    """Name and lower bound of each package that the extras of the default model ask for."""
    form = re.compile(r"""([\w.-]+)>=([\d.]+); extra == ['"](\w+)['"]""")
    stated = map(form.match, metadata.requires("b2ner") or ())
    return {match[1]: match[2] for match in stated if match and match[3] in EXTRAS}


def _release(version: str) -> tuple[int, ...]:
    """The numbers a version begins with."""
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin[0].split("."))) if begin else ()


def _cache() -> Check:
    from b2ner.model import cache, embedded

    try:
        root = cache.cache_root()
        entries = cache.cache_entries()
    except B2nerError as problem:
        return Check("cache", State.FAIL, str(problem))
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free = megabytes(shutil.disk_usage(there).free)
    size = megabytes(sum(entry.bytes for entry in entries))
    if any(entry.name == embedded.ENTRY and entry.complete for entry in entries):
        left_over = sum(not entry.complete for entry in entries)
        if left_over:
            detail = f"{root}: {size}, with {left_over} left over: b2ner cache clear"
            return Check("cache", State.WARN, detail)
        return Check("cache", State.OK, f"{root}: {size}, {free} free")
    if not os.access(there, os.W_OK):
        detail = f"{there} cannot be written: set B2NER_CACHE to a folder that can"
        return Check("cache", State.FAIL, detail)
    return Check("cache", State.WARN, f"{root}: no model yet, {free} free; the first load makes it")


def _processor() -> Check:
    """The processor, and the number format that it computes in."""
    import torch

    from b2ner.model.weights import compute_dtype

    name = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    units = torch.backends.cpu.get_cpu_capability()
    devices = f", GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    detail = f"{name}, {units}; computes in {compute_dtype('cpu')}{devices}"
    return Check("processor", State.OK, detail)


def _threads() -> Check:
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    detail = f"{threads} threads on {cores} usable cores"
    if threads > cores:
        detail += f": more threads than cores slow it down; --threads {cores}, or OMP_NUM_THREADS"
        return Check("threads", State.WARN, detail)
    if threads < cores and os.environ.get("OMP_NUM_THREADS"):
        detail += " (OMP_NUM_THREADS says so)"
    return Check("threads", State.OK, detail)


def _cores() -> int:
    """The cores that this process may use: of the machine, of its own, of its container's share."""
    cores = os.cpu_count() or 1
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    for line in _lines("/sys/fs/cgroup/cpu.max"):
        quota, _, period = line.partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def _lines(path: str) -> list[str]:
    """The lines of a file that only some systems have."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _load() -> tuple[LoadedModel, float]:
    """The default model, and the seconds that it took to load."""
    from b2ner.model.weights import load_model

    start = time.perf_counter()
    model = load_model()
    return model, time.perf_counter() - start


def _described(model: LoadedModel, seconds: float) -> Check:
    from b2ner.model import embedded

    kind = str(model.dtype).removeprefix("torch.")
    detail = f"{model.base} (GGUF {embedded.GGUF_SHA256[:12]}), {kind} on {model.device}"
    return Check("model", State.OK, f"{detail}, loaded in {seconds:.1f} s")


def _adapter(model: LoadedModel) -> Check:
    card = model.card
    if card is None:
        return Check("adapter", State.WARN, f"{model.adapter} has no card: unverified")
    detail = (
        f"{card.status.value}, {card.licence.value} use, {' and '.join(card.languages)}, weights "
        f"{card.adapter_sha256[:12]}, template {card.template.id} {card.template.sha256[:12]}"
    )
    return Check("adapter", State.OK, detail)


def _speed(model: LoadedModel) -> Check:
    """Documents a second of a second's work, the first texts apart: they warm the machine up."""
    from b2ner.inference.extractor import Extractor
    from b2ner.inference.local import LocalEngine

    ner = Extractor(LocalEngine(model))
    list(ner.extract_batch(SPEED_TEXTS, SPEED_LABELS))
    done = 0
    start = time.perf_counter()
    while (seconds := time.perf_counter() - start) < SPEED_SECONDS:
        done += sum(1 for _ in ner.extract_batch(SPEED_TEXTS, SPEED_LABELS))
    return Check("speed", State.OK, f"{done / seconds:.1f} documents/s ({done} short texts)")
