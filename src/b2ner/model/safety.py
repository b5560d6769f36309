"""What of a model folder could run code: pickles and modules. Looks at bytes, opens no weights.

Loading reads safetensors only; what is refused here would not have been opened, but a folder that
brings it deserves a clear word instead of a later surprise.
"""

from __future__ import annotations

import json
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from b2ner.errors import ModelError, UnsafeWeights
from b2ner.model.safetensors_file import read_header

# What trainers leave beside their weights. Nothing here or below ever opens these.
_TRAINER_STATE = (
    "training_args.bin",
    "optimizer.*",
    "scheduler.*",
    "scaler.pt",
    "rng_state*.pth",
    "random_states_*.pkl",
)
_CONFIGS = ("config.json", "tokenizer_config.json", "adapter_config.json")


def check_folder(folder: Path, *, trust_remote_code: bool = False) -> None:
    """Raises UnsafeWeights when a folder holds pickles, false safetensors or code to be run.

    `trust_remote_code` lets the code pass, never the pickles.
    """
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        if path.suffix == ".safetensors":
            if (kind := pickle_kind(path)) is not None:
                raise _pickled(path, kind)
            read_header(path)
        elif not any(fnmatch(path.name, pattern) for pattern in _TRAINER_STATE):
            kind = pickle_kind(path)
            if kind is not None:
                raise _pickled(path, kind)
    if not trust_remote_code:
        for name in _CONFIGS:
            _check_code(folder / name)


def pickle_kind(path: Path) -> str | None:
    """What sort of pickle the file's bytes are; `None` for anything else."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(b"PK\x03\x04"):
        if b"data.pkl" in head:
            return "a PyTorch archive with a pickle inside"
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(name.endswith((".pkl", ".pickle")) for name in archive.namelist()):
                    return "an archive with a pickle inside"
        return None
    # Protocol 2 and later. The length of a safetensors header may begin alike, but zeros follow,
    # and no pickle goes on with a zero.
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5") and head[2:3] != b"\0":
        return f"a pickle of protocol {head[1]}"
    return None


def _pickled(path: Path, kind: str) -> UnsafeWeights:
    return UnsafeWeights(
        f"{path} is {kind}, and reading it could run code: convert the weights to safetensors "
        f"where you trust them, and use a folder without it"
    )


def _check_code(path: Path) -> None:
    """Raises UnsafeWeights when a configuration names code of its own."""
    if not path.is_file():
        return
    try:
        config = json.loads(path.read_bytes())
    except ValueError as fault:
        raise ModelError(f"{path} is not JSON: {fault}") from fault
    if isinstance(config, dict) and config.get("auto_map"):
        raise UnsafeWeights(
            f"{path} asks for code of its own ({json.dumps(config['auto_map'])}), which would run "
            f"on this machine. It was not run. Read it, and pass trust_remote_code=True if you "
            f"trust it; or take `auto_map` out if the transformers library has this model built in"
        )
