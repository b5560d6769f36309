"""What could run code is refused by its bytes, whatever it is called."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from b2ner.errors import ModelError, UnsafeWeights
from b2ner.model.safetensors_file import fingerprint, read_header, weight_files
from b2ner.model.safety import check_folder
from tests.tiny import tiny_network

TENSORS = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(5, dtype=torch.bfloat16)}


def torch_archive(path: Path) -> None:
    torch.save(TENSORS, path)


def old_torch(path: Path) -> None:
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def plain(protocol: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol=protocol)) and None


def archive_of_pickles(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a" * 5000, b"")  # the name of interest is far from the start
        archive.writestr("weights.pkl", pickle.dumps([1]))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "notes.txt", "weights"])
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(torch_archive, id="a PyTorch archive"),
        pytest.param(old_torch, id="an old PyTorch file"),
        pytest.param(plain(2), id="protocol 2"),
        pytest.param(plain(3), id="protocol 3"),
        pytest.param(plain(4), id="protocol 4"),
        pytest.param(plain(5), id="protocol 5"),
        pytest.param(archive_of_pickles, id="an archive of pickles"),
    ],
)
def test_pickles_are_refused(write: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "good.safetensors")
    write(tmp_path / name)
    with pytest.raises(UnsafeWeights, match=f"{name} is .*pickle.*could run code"):
        check_folder(tmp_path)
    with pytest.raises(UnsafeWeights):  # trust in code is no trust in pickles
        check_folder(tmp_path, trust_remote_code=True)


def test_trainer_state_is_passed_over(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    for name in ("training_args.bin", "optimizer.pt", "rng_state_0.pth"):
        torch_archive(tmp_path / name)
    check_folder(tmp_path)


def test_harmless_files_pass(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    (tmp_path / "README.md").write_text("# A model")
    (tmp_path / "empty").touch()
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\2")
    with zipfile.ZipFile(tmp_path / "figures.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "onnx").mkdir()
    check_folder(tmp_path)


def test_a_header_length_that_looks_like_a_pickle_is_none(tmp_path: Path) -> None:
    """A length of 0x480 begins with the bytes of a pickle of protocol 4."""
    raw = json.dumps({"a": entry(0, 4)}).encode().ljust(0x480)
    header(tmp_path / "model.safetensors", raw, b"1234")
    assert (tmp_path / "model.safetensors").read_bytes()[:2] == pickle.dumps([1], protocol=4)[:2]
    check_folder(tmp_path)


def header(path: Path, table: object, data: bytes, *, length: int | None = None) -> None:
    raw = json.dumps(table).encode() if not isinstance(table, bytes) else table
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)


def entry(start: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("table", "data", "length"),
    [
        pytest.param({"a": entry(0, 4)}, b"1234" + pickle.dumps([1]), None, id="a pickle appended"),
        pytest.param({"a": entry(0, 4)}, b"123", None, id="cut short"),
        pytest.param({"a": entry(0, 4), "b": entry(6, 8)}, b"12345678", None, id="a hole"),
        pytest.param({"a": entry(0, 4), "b": entry(2, 8)}, b"12345678", None, id="an overlap"),
        pytest.param({"a": entry(4, 0)}, b"", None, id="backwards"),
        pytest.param({"a": entry(0, 4)}, b"1234", 1 << 40, id="a length beyond the end"),
        pytest.param([1, 2], b"", None, id="no table"),
        pytest.param({"a": {"dtype": "U8"}}, b"", None, id="a row without offsets"),
        pytest.param(b"\xff\xfe{}", b"", None, id="no text"),
        pytest.param(b"[" * 100_000, b"", None, id="a bomb of brackets"),
    ],
)
def test_false_safetensors_are_refused(
    table: object, data: bytes, length: int | None, tmp_path: Path
) -> None:
    header(tmp_path / "model.safetensors", table, data, length=length)
    with pytest.raises(UnsafeWeights, match=r"model\.safetensors is not a safetensors file"):
        check_folder(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 8, 9])
def test_tiny_files_are_refused(size: int, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(size))
    with pytest.raises(UnsafeWeights, match="header length"):
        check_folder(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_is_refused_unless_trusted(name: str, tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    (tmp_path / name).write_text(json.dumps({"auto_map": {"AutoConfig": "evil.Config"}}))
    with pytest.raises(UnsafeWeights, match=r"evil\.Config.*was not run.*trust_remote_code=True"):
        check_folder(tmp_path)
    check_folder(tmp_path, trust_remote_code=True)


def test_settings_that_are_no_json_are_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is not JSON"):
        check_folder(tmp_path)


def test_headers_are_read_as_written(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "m.safetensors", metadata={"format": "pt"})
    entries = read_header(tmp_path / "m.safetensors")
    assert {name: (e.dtype, e.shape, e.end - e.start) for name, e in entries.items()} == {
        "a": ("F32", (3, 4), 48),
        "b": ("BF16", (5,), 10),
    }


def test_a_fingerprint_is_of_the_weights_alone(tmp_path: Path) -> None:
    weights = {name: w.clone() for name, w in tiny_network("mistral").state_dict().items()}
    whole, shards, other = (tmp_path / name for name in ("whole", "shards", "other"))
    for folder in (whole, shards, other):
        folder.mkdir()
    save_file(weights, whole / "model.safetensors")
    names = sorted(weights)
    for number, part in enumerate((names[1::2], names[::2])):
        save_file({n: weights[n] for n in part}, shards / f"{number}.safetensors", {"n": "1"})
    assert fingerprint(whole) == fingerprint(shards)

    weights[names[3]] = weights[names[3]] + 1
    save_file(weights, other / "model.safetensors")
    assert fingerprint(other) != fingerprint(whole)
    with pytest.raises(ModelError, match=r"holds no \*.safetensors weights"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: {"renamed": w["a"], "b": w["b"]}, id="a name"),
        pytest.param(lambda w: {**w, "a": w["a"].reshape(4, 3)}, id="a shape"),
        pytest.param(lambda w: {**w, "b": w["b"].half()}, id="a type"),
        pytest.param(lambda w: {"a": w["a"]}, id="a tensor less"),
    ],
)
def test_fingerprints_see(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    save_file(TENSORS, tmp_path / "m.safetensors")
    before = fingerprint(tmp_path)
    save_file(change(TENSORS), tmp_path / "m.safetensors")
    assert fingerprint(tmp_path) != before
