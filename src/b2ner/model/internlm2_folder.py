"""Folders of InternLM2: copied once into the model cache as Llama folders, for whatever engine.

None of the code that lies in such a folder is run. Rows of weights move as bytes, a few megabytes
at a time, so that a copy takes no memory to speak of; it takes as much disk as the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from b2ner.errors import ModelError, UnsupportedModel
from b2ner.model import cache, internlm2, sentencepiece_file
from b2ner.model.internlm2 import Settings
from b2ner.model.safetensors_file import TensorEntry, fingerprint, header, read_header, weight_files

# Raise it whenever the same folder gives other files: cached conversions are then made anew.
CONVERSION = 1

_CONFIG, _TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
_FILES = (_CONFIG, "tokenizer.json", "tokenizer.model", _TOKENIZER_CONFIG, "added_tokens.json")
_INDEX = "model.safetensors.index.json"
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_TOKENS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
_FLAGS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
_BLOCK = 1 << 22  # bytes that are moved at once
_ROOM = 64_000_000  # bytes for everything that is not weights


@dataclass(frozen=True, slots=True)
class _Weight:
    """A weight to write: its Llama name, and the byte ranges of the source that it is made of."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(end - start for start, end in self.ranges)


def is_internlm2(folder: Path) -> bool:
    """Whether a model folder is one of InternLM2, as published."""
    try:
        return bool(_json(folder / _CONFIG).get("model_type") == internlm2.MODEL_TYPE)
    except ModelError:
        return False


def llama_folder(folder: Path, *, report: Callable[[str], None] = cache.tell) -> Path:
    """The folder of the same network as a Llama, made on the first call and kept in the cache.

    Raises UnsupportedModel for settings that Llama does not have, ModelError for weights that do
    not fit the settings or a tokenizer that cannot be read, CacheError when the disk is full.
    """
    entry = f"{internlm2.MODEL_TYPE}-{_identity(folder)}-{CONVERSION}"
    if (found := cache.find(entry, report=report)) is not None:
        return found
    settings = _settings(folder / _CONFIG)
    shards = _plan(folder, settings)
    needs = sum(weight.size for weights in shards.values() for weight in weights) + _ROOM

    def make(target: Path) -> dict[str, Any]:
        report(f"rewriting {folder} as a Llama folder, once, into {target.parent}")
        _write_tokenizer(folder, target, settings.vocab_size)
        config = internlm2.llama_config(settings)
        config["dtype"] = _DTYPES[next(iter(shards.values()))[0].dtype]
        _write_json(target / _CONFIG, config)
        _write_weights(shards, target, report)
        report("checking what was written")
        return {"source": {"name": folder.name, "kind": internlm2.MODEL_TYPE}}

    return cache.build(entry, make, needs=needs, report=report)


def _identity(folder: Path) -> str:
    """A short hash of all that the conversion reads; weights by their fingerprint."""
    digest = hashlib.sha256(fingerprint(folder).encode())
    for name in _FILES:
        path = folder / name
        digest.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"-")
    return digest.hexdigest()[:16]


def _settings(path: Path) -> Settings:
    try:
        return Settings.model_validate(_json(path))
    except ValidationError as fault:
        places = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg']}"
            for e in fault.errors(include_url=False)
        )
        raise UnsupportedModel(f"{path} is no InternLM2 that can be run: {places}") from fault


def _plan(folder: Path, settings: Settings) -> dict[Path, list[_Weight]]:
    """What to write, by the file that it comes from. Raises ModelError where weights do not fit."""
    found: dict[Path, dict[str, TensorEntry]] = {}
    seen: dict[str, TensorEntry] = {}
    for path in _shards(folder):
        entries = sorted(read_header(path).items(), key=lambda item: item[1].start)
        kept = {name: entry for name, entry in entries if not _is_idle(name, settings)}
        if twice := kept.keys() & seen.keys():
            raise ModelError(f"{path} holds weights that another file holds too: {_some(twice)}")
        seen |= kept
        found[path] = kept
    _check(folder, seen, internlm2.weight_shapes(settings))
    return {
        path: [weight for name, entry in kept.items() for weight in _cut(name, entry, settings)]
        for path, kept in found.items()
        if kept
    }


def _shards(folder: Path) -> list[Path]:
    """The weight files that the folder's index names, or all where it has none."""
    files = weight_files(folder)
    if not (folder / _INDEX).is_file():
        return files
    weight_map = _json(folder / _INDEX).get("weight_map")
    names = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    if missing := names - {path.name for path in files}:
        raise ModelError(f"{folder / _INDEX} names files that are not there: {_some(missing)}")
    return [path for path in files if path.name in names]


def _is_idle(name: str, settings: Settings) -> bool:
    """Whether a stored tensor is one that the network does not read."""
    tied = settings.tie_word_embeddings and name == "output.weight"
    return tied or name.endswith(".rotary_emb.inv_freq")


def _check(
    folder: Path, found: Mapping[str, TensorEntry], expected: Mapping[str, tuple[int, ...]]
) -> None:
    common = expected.keys() & found.keys()
    problems = {
        "missing": expected.keys() - found.keys(),
        "without a place": found.keys() - expected.keys(),
        "of another shape": {name for name in common if found[name].shape != expected[name]},
        f"neither {' nor '.join(_DTYPES)}": {n for n in found if found[n].dtype not in _DTYPES},
    }
    if said := [f"{problem}: {_some(names)}" for problem, names in problems.items() if names]:
        raise ModelError(f"the weights of {folder} do not fit its {_CONFIG}: {'; '.join(said)}")


def _cut(name: str, entry: TensorEntry, settings: Settings) -> Iterator[_Weight]:
    """The weight under its Llama name, or the three that a fused one is made of."""
    if not internlm2.is_fused(name):
        whole = ((entry.start, entry.end),)
        yield _Weight(internlm2.llama_name(name), entry.dtype, entry.shape, whole)
        return
    row = (entry.end - entry.start) // entry.shape[0]
    for part, blocks in settings.heads.blocks().items():
        shape = (sum(last - first for first, last in blocks), *entry.shape[1:])
        ranges = tuple((entry.start + a * row, entry.start + b * row) for a, b in blocks)
        yield _Weight(internlm2.llama_name(name, part), entry.dtype, shape, ranges)


def _write_weights(
    shards: Mapping[Path, Sequence[_Weight]], target: Path, report: Callable[[str], None]
) -> None:
    """Write one file for each of the source's, with an index where there are several."""
    weight_map: dict[str, str] = {}
    for number, (source, weights) in enumerate(shards.items(), start=1):
        alone = len(shards) == 1
        place = target / (
            "model.safetensors" if alone else f"model-{number:05}-of-{len(shards):05}.safetensors"
        )
        report(f"writing weights, file {number} of {len(shards)}")
        with source.open("rb") as reading, place.open("wb") as writing:
            writing.write(header((w.name, w.dtype, w.shape, w.size) for w in weights))
            for start, end in (bounds for weight in weights for bounds in weight.ranges):
                _move(reading, writing, start, end)
        weight_map |= {weight.name: place.name for weight in weights}
    if len(shards) > 1:
        total = sum(weight.size for weights in shards.values() for weight in weights)
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        _write_json(target / _INDEX, index)


def _move(reading: BinaryIO, writing: BinaryIO, start: int, end: int) -> None:
    reading.seek(start)
    while start < end:
        block = reading.read(min(_BLOCK, end - start))
        if not block:
            raise ModelError(f"{reading.name} ended while it was read")
        writing.write(block)
        start += len(block)


def _write_tokenizer(folder: Path, target: Path, vocabulary: int) -> None:
    """Write the folder's tokenizer without its code: from tokenizer.json, else tokenizer.model."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    path = folder / _TOKENIZER_CONFIG
    config = _json(path) if path.is_file() else {}
    named = {key: _content(config.get(key) or default) for key, default in _TOKENS.items()}
    if (folder / "tokenizer.json").is_file():
        try:
            made = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as fault:  # the library raises nothing more exact
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {fault}") from fault
    elif (folder / "tokenizer.model").is_file():
        pieces = sentencepiece_file.read_pieces(folder / "tokenizer.model")
        made = sentencepiece_file.tokenizer(pieces, _added(folder, config))
        bos = named["bos_token"]
        if config.get("add_bos_token", True) and made.token_to_id(bos) is not None:
            made.post_processor = TemplateProcessing(
                single=f"{bos} $A",
                pair=f"{bos} $A {bos}:1 $B:1",
                special_tokens=[(bos, made.token_to_id(bos))],
            )
    else:
        raise ModelError(f"{folder} holds no tokenizer: neither tokenizer.json nor tokenizer.model")
    if unknown := [token for token in named.values() if made.token_to_id(token) is None]:
        raise ModelError(f"the tokenizer of {folder} does not know {_some(unknown)}")
    if (size := made.get_vocab_size(with_added_tokens=True)) > vocabulary:
        raise ModelError(f"the tokenizer of {folder} has {size} tokens, the network {vocabulary}")
    made.save(str(target / "tokenizer.json"), pretty=False)
    kept = {**named, "tokenizer_class": "PreTrainedTokenizerFast"}
    _write_json(target / _TOKENIZER_CONFIG, {**kept, "clean_up_tokenization_spaces": False})


def _added(folder: Path, config: Mapping[str, Any]) -> dict[int, Any]:
    """`tokenizers.AddedToken` by id, from either of the places where folders keep them."""
    from tokenizers import AddedToken

    plain = {"normalized": False, "special": True}
    rows: dict[int, dict[str, Any]] = {}
    if (folder / "added_tokens.json").is_file():
        for content, number in _json(folder / "added_tokens.json").items():
            rows[int(number)] = {"content": content, **plain}
    for number, row in config.get("added_tokens_decoder", {}).items():
        rows[int(number)] = plain | {key: row[key] for key in _FLAGS if key in row}
    return {number: AddedToken(**row) for number, row in rows.items()}


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    rest = len(listed) - 3
    return ", ".join(listed[:3]) + (f" and {rest} more" if rest > 0 else "")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise ModelError(f"{path} cannot be read as JSON: {fault}") from fault
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no settings")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
