"""Folders of models: on this machine, or of the Hugging Face hub, fetched when asked for."""

from __future__ import annotations

import re
from pathlib import Path

from b2ner.errors import MissingExtra, ModelError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SNAPSHOT = re.compile(r"/models--([\w.-]+)/snapshots/[^/]+$")  # a folder of the hub's own cache
# Never pickles; code only where the caller trusts it.
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.tiktoken", "*.jinja", "README.md")


def folder(place: str | Path, *, code: bool = False) -> Path:
    """The folder at a path or, for a hub id, the fetched snapshot. Raises ModelError without one.

    `code`: whether the snapshot's Python files may be fetched as well. The hub is asked for news of
    a snapshot that is here already, unless HF_HUB_OFFLINE is set or there is no network.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return path.resolve()
    if isinstance(place, Path) or path.exists() or not _HUB_ID.fullmatch(place):
        raise ModelError(f"{place} is no folder")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as fault:
        raise MissingExtra(
            f'fetching models needs the extra `local`: pip install "b2ner[local]" ({fault})'
        ) from fault
    files = [*_FILES, "*.py"] if code else list(_FILES)
    try:
        return Path(snapshot_download(place, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, OSError, RuntimeError) as fault:
        reason = str(fault).strip().splitlines()[0] if str(fault).strip() else repr(fault)
        raise ModelError(
            f"{place!r} is neither a folder here nor a model that the Hugging Face hub gave us: "
            f"{reason}. Offline, give a folder"
        ) from fault


def public_name(place: str | Path) -> str:
    """What a model may be called where others read it: its hub id, else its folder's name.

    No path of a machine is left in the name, also where the folder is on another one.
    """
    path = Path(place).expanduser()
    whole = path.resolve().as_posix() if path.is_dir() else str(place).replace("\\", "/")
    if whole == place and _HUB_ID.fullmatch(whole):
        return whole
    cached = _SNAPSHOT.search(whole)
    return cached[1].replace("--", "/", 1) if cached else whole.rstrip("/").rpartition("/")[2]
