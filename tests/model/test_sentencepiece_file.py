"""A SentencePiece file read without SentencePiece: its ids, its text, and nothing of its code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from b2ner.errors import ModelError, UnsupportedModel
from b2ner.model import tokens
from b2ner.model.internlm2_folder import llama_folder
from b2ner.model.sentencepiece_file import Kind, Piece, PieceModel, read_pieces, tokenizer
from b2ner.model.weights import load_tokenizer
from tests.model.tiny_internlm2 import Shape, pieces, write_folder

characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0▁")
words = st.sampled_from(
    ("the movie ", "person", "Ada ", "李白", "New York", "  ", "\n\n", "<0x0A>")
)
texts = st.lists(words | st.text(characters, max_size=6), max_size=8).map("".join)


@cache
def reference(dummy_prefix: bool) -> Any:
    return sentencepiece.SentencePieceProcessor(model_proto=pieces(dummy_prefix=dummy_prefix))


@cache
def ours(dummy_prefix: bool, folder: Path) -> Tokenizer:
    path = folder / f"{dummy_prefix}.model"
    path.write_bytes(pieces(dummy_prefix=dummy_prefix))
    made = tokenizer(read_pieces(path), {})
    made.encode_special_tokens = True  # `<s>` in a text is text, as for SentencePiece
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pieces")


@pytest.mark.parametrize("dummy_prefix", [True, False])
@given(text=texts)
@example(text="")
@example(text=" ")
@example(text="  the movie was a success. 李白 ☃\t")
@example(text="<s> a</s><unk><0x0A>")
@settings(max_examples=300, deadline=None)
def test_ids_and_text_are_those_of_sentencepiece(
    dummy_prefix: bool, folder: Path, text: str
) -> None:
    made = ours(dummy_prefix, folder)
    ids = made.encode(text, add_special_tokens=False).ids
    assert ids == reference(dummy_prefix).encode(text)
    assert made.decode(ids) == text


def test_pieces_are_read_as_they_were_written(folder: Path) -> None:
    (folder / "x.model").write_bytes(pieces())
    model, written = read_pieces(folder / "x.model"), reference(True)
    assert [piece.text for piece in model.pieces] == [
        written.id_to_piece(i) for i in range(written.get_piece_size())
    ]
    assert [piece.score for piece in model.pieces] == [
        written.get_score(i) for i in range(written.get_piece_size())
    ]
    kinds = [piece.kind for piece in model.pieces]
    assert kinds[:4] == [Kind.UNKNOWN, Kind.CONTROL, Kind.CONTROL, Kind.USER_DEFINED]
    assert kinds.count(Kind.BYTE) == 256
    assert kinds.count(Kind.NORMAL) == 410 - 256 - 6


@given(
    st.lists(st.text("abc", min_size=2, max_size=4), unique=True, max_size=14),
    st.text("abc ", max_size=14),
)
@settings(max_examples=400, deadline=None)
def test_the_best_join_is_made_first_and_of_equals_the_leftmost(
    joins: list[str], text: str
) -> None:
    found = [Piece("<unk>", 0.0, Kind.UNKNOWN), *(Piece(c, -99.0, Kind.NORMAL) for c in "abc▁")]
    found += [Piece(join, -float(rank), Kind.NORMAL) for rank, join in enumerate(joins)]
    made = tokenizer(PieceModel(tuple(found), dummy_prefix=False), {})
    scores = {piece.text: piece.score for piece in found[1:]}
    parts = list(text.replace(" ", "▁"))
    while ways := [
        (-scores[parts[i] + parts[i + 1]], i)
        for i in range(len(parts) - 1)
        if parts[i] + parts[i + 1] in scores
    ]:
        _, place = min(ways)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    assert made.encode(text).tokens == parts


def test_added_tokens_take_places_and_follow(folder: Path) -> None:
    (folder / "y.model").write_bytes(pieces())
    model = read_pieces(folder / "y.model")
    added = {4: AddedToken("<|im_end|>", special=True), 410: AddedToken("<new>", special=True)}
    made = tokenizer(model, added)
    assert made.encode("a<|im_end|><new>").ids[-2:] == [4, 410]
    assert made.token_to_id("[UNUSED_TOKEN_1]") is None
    assert made.token_to_id("[UNUSED_TOKEN_0]") == 3
    for number, name in ((411, "<far>"), (4, "▁person"), (410, "<s>")):
        with pytest.raises(ModelError, match=f"{name}.* cannot have the id {number}"):
            tokenizer(model, {number: AddedToken(name)})


@given(text=texts)
@example(text="<s></s><unk><|im_start|><|im_end|>[UNUSED_TOKEN_0]<0x0A>")
@settings(max_examples=200, deadline=None)
def test_no_text_gives_a_control_token(whole: Any, text: str) -> None:
    ids = tokens.encode(whole, text)
    assert tokens.control_ids(whole).isdisjoint(ids)
    assert whole.decode(ids) == text
    if "UNUSED" not in text:  # which SentencePiece takes for the unused token
        assert ids == reference(True).encode(text)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Any:
    """The tokenizer of a rewritten InternLM2 folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("B2NER_CACHE", str(folder / "cache"))
        return load_tokenizer(llama_folder(write_folder(folder / "base", Shape())))


def test_the_tokenizer_of_a_rewritten_folder(whole: Any) -> None:
    assert (tokens.bos_ids(whole), tokens.eos_ids(whole)) == ([1], [2])
    assert (whole.unk_token_id, whole.pad_token_id, len(whole)) == (0, 2, 410)
    assert {0, 1, 2, 3, 4, 5} <= tokens.control_ids(whole)
    assert whole.convert_ids_to_tokens([4, 5]) == ["<|im_end|>", "<|im_start|>"]
    text = "Ada met 李白 in New York"
    assert tokens.encode(whole, text) == reference(True).encode(text)
    written = b"".join(tokens.token_bytes(whole)[i] for i in tokens.encode(whole, text))
    assert written.decode() == f" {text}"


def test_a_tokenizer_json_beside_it_comes_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    base = write_folder(tmp_path / "base", Shape())
    ours(False, folder).save(str(base / "tokenizer.json"))
    made = load_tokenizer(llama_folder(base))
    assert tokens.encode(made, "person") == reference(False).encode("person")
    assert tokens.encode(made, "person") != reference(True).encode("person")
    (base / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        llama_folder(base)


def test_added_tokens_of_older_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2NER_CACHE", str(tmp_path / "cache"))
    base = write_folder(tmp_path / "base", Shape())
    (base / "tokenizer_config.json").unlink()
    (base / "added_tokens.json").write_text(json.dumps({"<|im_start|>": 411, "<|im_end|>": 410}))
    made = load_tokenizer(llama_folder(base))
    assert made.convert_ids_to_tokens([410, 411]) == ["<|im_end|>", "<|im_start|>"]
    assert {410, 411} <= tokens.control_ids(made)
    assert tokens.eos_ids(made) == [2]


def cut_short(data: bytes) -> bytes:
    return data[:-7]


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        pytest.param(cut_short, "no SentencePiece model", id="cut short"),
        pytest.param(lambda data: b"", "names no unknown token", id="empty"),
        pytest.param(lambda data: b"\x0b" + data, "wire type 3", id="another format"),
        pytest.param(lambda data: b"\xff" * 9, "no SentencePiece model", id="an endless number"),
        pytest.param(lambda data: b"\x08\x01" + data, "no SentencePiece model", id="another type"),
    ],
)
def test_other_bytes_are_refused(
    alter: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(alter(pieces()))
    with pytest.raises(ModelError, match=said):
        read_pieces(path)


def test_other_kinds_of_model_are_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a few words of a text", "some more words"] * 9),
        model_writer=written,
        model_type="unigram",
        vocab_size=17,
        minloglevel=2,
    )
    (tmp_path / "tokenizer.model").write_bytes(written.getvalue())
    with pytest.raises(UnsupportedModel, match="of type 1; only byte-pair encoding"):
        read_pieces(tmp_path / "tokenizer.model")
