"""Checkpoints: an adapter that can be used, and beside it all that training needs to go on.

A checkpoint is a folder `step-NUMBER`, there whole or not at all::

    adapter_config.json, adapter_model.safetensors, b2ner.json   what `load` reads
    resume/state.safetensors    the weights that learn and their moments
    resume/state.json           how far the run had come

With `method = "full"` it is a model folder in place of an adapter. What a process that was killed
left half written or half removed is called `.NAME.PROCESS.part`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from b2ner import files
from b2ner.errors import DataError, ModelError
from b2ner.model.adapters import CONFIG_FILE
from b2ner.model.card import ADAPTER_FILE, Card, adapter_sha256, read_card, write_card
from b2ner.model.model_folder import write_model
from b2ner.training.network import Learner
from b2ner.training.settings import Method, Precision

_NAME = re.compile(r"step-(\d{8})")
_STATE = "resume/state"
_SCORES = "scores.json"
_PARTS = ("weight", "exp_avg", "exp_avg_sq")  # of each weight that learns


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. The fingerprints are of all that decides what is learned, in order.

    `rows` were taken from the current epoch; `data` is `batches.chain` over all rows so far;
    `epochs` are those that are over, the share of the current one included.
    """

    run: str
    data: str = ""
    step: int = 0
    epoch: int = 0
    rows: int = 0
    samples: int = 0
    epochs: float = 0.0
    elapsed_s: float = 0.0


def found(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def save(
    folder: Path,
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    card: Card,
    *,
    weights: Precision,
    state: Precision,
) -> Path:
    """The checkpoint written. `card` is completed with the hash of the adapter's file.

    Raises DataError when it cannot be written; the checkpoints before it stay.
    """
    path = folder / f"step-{progress.step:08d}"
    part = _part(path)
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / _STATE).parent.mkdir(parents=True)
        _write_network(part, learner, card, getattr(torch, weights))
        tensors = _state(learner.learning(), optimiser, getattr(torch, state))
        _write_tensors(part / f"{_STATE}.safetensors", tensors)
        files.write_json(part / f"{_STATE}.json", asdict(progress))
        for written in part.rglob("*"):
            if written.is_file():
                _sync(written)
        shutil.rmtree(path, ignore_errors=True)  # of a run that was resumed before it
        part.replace(path)
        _sync(folder)
    except (OSError, DataError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else None
        kept = found(folder)
        raise DataError(
            f"the checkpoint {path} cannot be written: {reason or problem}; "
            + (f"the last whole one is {kept[-1].name}" if kept else "there is none before it")
        ) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def restore(path: Path, learner: Learner, optimiser: torch.optim.Optimizer) -> Progress:
    """Put a checkpoint's weights and moments in place. Raises DataError when it does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    progress = progress_of(path)
    try:
        tensors = load_file(path / f"{_STATE}.safetensors")
        learning = learner.learning()
        expected = {f"{part}:{name}" for name in learning for part in _PARTS}
        if tensors.keys() != expected:
            raise TypeError(f"it holds {len(tensors)} tensors, expected {len(expected)}")
        with torch.no_grad():
            for name, parameter in learning.items():
                saved = [
                    tensors[f"{part}:{name}"].to(parameter.device, torch.float32) for part in _PARTS
                ]
                parameter.copy_(saved[0])
                optimiser.state[parameter] = {
                    "step": torch.tensor(float(progress.step), device=parameter.device),
                    "exp_avg": saved[1],
                    "exp_avg_sq": saved[2],
                }
    except (OSError, TypeError, RuntimeError, SafetensorError) as problem:
        raise DataError(f"the checkpoint {path} cannot be gone on from: {problem}") from problem
    return progress


def progress_of(path: Path) -> Progress:
    """How far the run had come. Raises DataError for a folder that is no checkpoint of ours."""
    row = files.read_json(path / f"{_STATE}.json")
    if not isinstance(row, dict) or not {"run"} <= row.keys() <= set(Progress.__slots__):
        raise DataError(f"{path}: {_STATE}.json is not what a checkpoint of b2ner holds")
    return Progress(**row)


def scores(folder: Path) -> dict[str, float]:
    """The scores of checkpoints by name, as far as they were scored."""
    path = folder / _SCORES
    if not path.is_file():
        return {}
    match files.read_json(path):
        case {**rows} if all(isinstance(score, float) for score in rows.values()):
            return {str(name): float(str(score)) for name, score in rows.items()}
        case _:
            raise DataError(f"{path}: expected an object of scores by checkpoint")


def note_score(folder: Path, path: Path, score: float | None) -> None:
    """Put a checkpoint's score among those of the run, or take it away."""
    before = scores(folder)
    others = {name: value for name, value in before.items() if name != path.name}
    after = others if score is None else {**others, path.name: score}
    if after != before:
        files.write_json(folder / _SCORES, after)


def best(folder: Path) -> Path | None:
    """The checkpoint with the highest score, the later of equals; None where none was scored."""
    kept = {path.name: path for path in found(folder)}
    ranked = _ranked(scores(folder), kept)
    return kept[ranked[0]] if ranked else None


def prune(folder: Path, *, keep_last: int, keep_best: int) -> None:
    """Remove all checkpoints but the last ones and the best ones."""
    there = found(folder)
    names = [path.name for path in there]
    kept = {*names[-keep_last:], *_ranked(scores(folder), names)[:keep_best]}
    for path in there:
        if path.name not in kept:
            part = path.replace(_part(path))  # so that none is ever half there
            shutil.rmtree(part)


def clear(folder: Path) -> None:
    """Remove what killed processes left half done in a folder that no process works in."""
    for left_over in folder.glob(".*.part"):
        if left_over.is_dir():
            shutil.rmtree(left_over)
        else:
            left_over.unlink()


def average(paths: Sequence[Path], folder: Path) -> Path:
    """The folder, now an adapter whose weights are the means of those of a run's checkpoints.

    An adapter adds the product of two factors to a layer, and the mean of products is not the
    product of means. Close together, as the last checkpoints of one run are, the two hardly differ,
    and to average the factors is the common practice; across runs it would be meaningless.

    Raises DataError for fewer than two checkpoints, for those of several runs or of whole models,
    and for a folder that cannot be written; ModelError for an adapter without a card.
    """
    from safetensors.torch import load_file

    if len(paths) < 2:
        raise DataError(f"a mean takes two checkpoints at least, got {len(paths)}")
    for path in paths:
        if not (path / ADAPTER_FILE).is_file():
            raise DataError(f"{path}: holds no {ADAPTER_FILE}; only adapters can be averaged")
        if progress_of(path).run != progress_of(paths[0]).run:
            raise DataError(f"{path} and {paths[0]} are of two runs: their factors have no mean")
    card = read_card(paths[0])
    if card is None:
        raise ModelError(f"the adapter {paths[0]} has no card")
    adapters = [load_file(path / ADAPTER_FILE) for path in paths]
    means = {
        name: torch.stack([adapter[name].float() for adapter in adapters]).mean(0).to(weight.dtype)
        for name, weight in adapters[0].items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths[0] / CONFIG_FILE, folder / CONFIG_FILE)
        _write_tensors(folder / ADAPTER_FILE, means)
    except OSError as problem:
        raise DataError(f"{folder}: cannot be written: {problem.strerror or problem}") from problem
    names = ", ".join(path.name for path in paths)
    write_card(
        folder,
        replace(
            card,
            adapter_sha256=adapter_sha256(folder),
            training=f"{card.training} The mean of the checkpoints {names} of one run.",
        ),
    )
    return folder


def _part(path: Path) -> Path:
    """What a checkpoint is called while it is not whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _ranked(scored: Mapping[str, float], names: Iterable[str]) -> list[str]:
    return sorted(
        (name for name in names if name in scored), key=lambda n: (scored[n], n), reverse=True
    )


def _state(
    learning: Mapping[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """Weights and moments by part and name; moments are zero before the first step."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in learning.items():
        moments = optimiser.state.get(parameter, {})
        for part in _PARTS:
            value = parameter if part == "weight" else moments.get(part)
            value = torch.zeros_like(parameter) if value is None else value
            tensors[f"{part}:{name}"] = value.detach().to("cpu", dtype).contiguous()
    return tensors


def _write_network(folder: Path, learner: Learner, card: Card, dtype: torch.dtype) -> None:
    """Write the adapter with its card, or the whole model."""
    if learner.method is Method.FULL:
        write_model(learner.plain, learner.folder, folder, dtype=dtype, card=card)
        return
    import peft

    config = learner.network.peft_config["default"].to_dict()
    config |= {"inference_mode": True, "base_model_name_or_path": learner.base_id}
    files.write_json(folder / CONFIG_FILE, json.loads(json.dumps(config, default=_plain)))
    adapter = peft.get_peft_model_state_dict(learner.network, save_embedding_layers=False)
    tensors = {n: w.detach().to("cpu", dtype).contiguous() for n, w in sorted(adapter.items())}
    _write_tensors(folder / ADAPTER_FILE, tensors)
    write_card(folder, replace(card, adapter_sha256=adapter_sha256(folder)))


def _plain(value: Any) -> Any:
    """A value of the adapter's configuration that JSON does not know."""
    return sorted(value) if isinstance(value, set) else str(value)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file. Raises OSError when it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path, {"format": "pt"})
    except SafetensorError as problem:
        raise OSError(str(problem)) from problem


def _sync(path: Path) -> None:
    """Have what was written survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
