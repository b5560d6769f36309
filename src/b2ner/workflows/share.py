"""Adapters for others: merged into one model folder, described in a README, pushed to the hub.

What leaves this machine names no folder of it. A README is made from what lies beside the weights:
the card `b2ner.json`, and, for a checkpoint, the folder of its run (`run.json`, the scores).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import b2ner
from b2ner import files
from b2ner.errors import DataError, MissingExtra, ModelError
from b2ner.model import adapters, embedded, hub, safety
from b2ner.model.card import ADAPTER_FILE, CARD_FILE, check_adapter_file, read_card
from b2ner.model.readme import Facts, licence_of, notice, readme, stated_licence
from b2ner.workflows.run_facts import run_facts, run_of

README = "README.md"
NOTICE = "NOTICE"
# What of an adapter's folder goes out as it is.
_ALONG = (ADAPTER_FILE, CARD_FILE, README, "LICENSE*", f"{NOTICE}*")


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where an adapter went."""

    url: str
    files: tuple[str, ...]


def merge(
    adapter: str | Path,
    folder: Path,
    *,
    base: str | Path | None = None,
    dtype: str | None = None,
) -> Path:
    """The folder, now a plain Hugging Face model: the base with the adapter in its weights.

    Without a `base` it is the one that the adapter names, and without a `dtype` (bf16, fp32, fp16)
    the weights keep their format. Takes the memory of the model and one copy.

    Raises DataError for a folder that holds something or cannot be written, ModelError and its
    kinds as loading does.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already: name a folder that is not")
    from b2ner.model.model_folder import stored_dtype, write_model
    from b2ner.model.weights import load_model, places

    if base is None:
        base_folder, adapter_folder = places(adapter)
    else:
        base_folder, adapter_folder = places(base, adapter=adapter)
    if adapter_folder is None:
        raise ModelError(f"{adapter} is no adapter: it holds no {adapters.CONFIG_FILE}")
    model = load_model(
        base_folder, adapter=adapter_folder, device="cpu", dtype=dtype or stored_dtype(base_folder)
    )
    told = _facts(
        adapter_folder,
        base=None if base is None else str(base),
        run=None,
        place=folder.name,
        licence=_licence(base_folder),
    )
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        write_model(model.network, base_folder, part, dtype=model.dtype, card=model.card)
        _describe_in(part, replace(told, merged=True))
        with suppress(FileNotFoundError):
            folder.rmdir()
        part.replace(folder)
    except OSError as problem:
        raise DataError(f"{folder} cannot be written: {problem.strerror or problem}") from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def describe(
    adapter: Path,
    *,
    base: str | None = None,
    run: Path | None = None,
    place: str | None = None,
    licence: str | None = None,
) -> str:
    """The README of an adapter.

    `base` is what to call its base, where that is not what it says itself. `run` is the folder of
    the run that made it; without one it is found for a checkpoint where it was saved. `place` is
    what users will load: a hub id, else the folder's name. `licence` is the base's, as an id of the
    hub.

    Raises ModelError for a folder that is no adapter, DataError for a run's folder that is none.
    """
    name = place or adapter.resolve().name
    return readme(_facts(adapter, base=base, run=run, place=name, licence=licence or ""))


def push(
    adapter: Path,
    repository: str,
    *,
    public: bool = False,
    base: str | None = None,
    run: Path | None = None,
    licence: str | None = None,
) -> Pushed:
    """Upload an adapter to a repository of the Hugging Face hub, made if it is not there.

    A new repository is private unless it shall be public; one that is there stays as it is. The
    token is that of the environment (HF_TOKEN) or of `hf auth login`. Sent are the weights, their
    configuration with no path of this machine in it, the card, licence files and a README: the
    folder's own, else one that `describe` makes, which says what `base`, `run` and `licence` are.

    Raises ModelError for a folder that is no adapter and for a hub that refuses, UnsafeWeights for
    pickles in it.
    """
    facts = _facts(adapter, base=base, run=run, place=repository, licence=licence or "")
    safety.check_folder(adapter, trust_remote_code=True)
    card = read_card(adapter)
    if card is not None:
        check_adapter_file(adapter, card)
    try:
        from huggingface_hub import HfApi
    except ImportError as fault:
        raise MissingExtra(
            f'pushing needs the extra `local`: pip install "b2ner[local]" ({fault})'
        ) from fault
    with tempfile.TemporaryDirectory() as made:
        stage = Path(made)
        for path in _going_out(adapter):
            shutil.copyfile(path, stage / path.name)
        files.write_json(stage / adapters.CONFIG_FILE, adapters.public_config(adapter, base=base))
        _describe_in(stage, facts)
        sent = tuple(sorted(path.name for path in stage.iterdir()))
        api = HfApi()
        try:
            url = api.create_repo(repository, private=not public, exist_ok=True)
            api.upload_folder(
                repo_id=url.repo_id,
                folder_path=stage,
                commit_message=f"Adapter, written by b2ner {b2ner.__version__}",
            )
        except Exception as fault:  # among them those of whatever HTTP library the hub's one uses
            reason = next(iter(str(fault).strip().splitlines()), "") or repr(fault)
            raise ModelError(
                f"{adapter} could not be pushed to {repository!r}: {reason}. Is HF_TOKEN set to a "
                "token that may write there?"
            ) from fault
    return Pushed(str(url), sent)


def _going_out(adapter: Path) -> list[Path]:
    """The files of an adapter's folder that others get as they are."""
    if not (adapter / ADAPTER_FILE).is_file():
        raise ModelError(f"{adapter} holds no {ADAPTER_FILE}")
    return [path for pattern in _ALONG for path in adapter.glob(pattern) if path.is_file()]


def _describe_in(folder: Path, facts: Facts) -> None:
    """Put a README, and the notice that the base's licence wants, where there is none yet."""
    for name, text in ((README, readme(facts)), (NOTICE, notice(facts.base_licence))):
        if text and not any(folder.glob(f"{name}*")):
            (folder / name).write_text(text, encoding="utf-8")


def _licence(base: Path) -> str:
    """The licence that a base's own README states; empty where none does."""
    path = base / README
    return stated_licence(path.read_text(encoding="utf-8")) if path.is_file() else ""


def _facts(adapter: Path, *, base: str | None, run: Path | None, place: str, licence: str) -> Facts:
    card = read_card(adapter)
    run = run or run_of(adapter)
    name = hub.public_name(base or adapters.base_name(adapter))
    return Facts(
        place=place,
        base=name,
        base_licence=licence or licence_of(name),
        embedded=card is not None and card.base.gguf_sha256 == embedded.GGUF_SHA256,
        encoder_decoder=adapters.is_for_encoder_decoder(adapter),
        merged=False,
        adapter=adapters.describe(adapter),
        template="published" if card is None else card.template.id,
        languages=() if card is None else card.languages,
        status=None if card is None else card.status,
        licence=None if card is None else card.licence,
        training="" if card is None else card.training,
        run=None if run is None else run_facts(run, adapter),
    )
