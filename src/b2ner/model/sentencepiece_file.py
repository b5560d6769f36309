"""What a SentencePiece `tokenizer.model` holds, and the same byte-pair encoding for `tokenizers`.

Reads the few fields that matter out of the protocol buffer, so that neither SentencePiece nor
protobuf need be installed. Of the file's rules for normalising only the leading blank is kept, as
in the fast tokenizers that Llama 2 and InternLM2 are published with.
Source: `sentencepiece_model.proto`; protocol buffers, wire format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from b2ner.errors import ModelError, UnsupportedModel

_BPE = 2  # model types are unigram, bpe, word, char


class Kind(IntEnum):
    """What a piece stands for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary. Of two joins the one with the higher score is made first."""

    text: str
    score: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class PieceModel:
    """A byte-pair encoding: its pieces by id, and whether every text gets a leading blank."""

    pieces: tuple[Piece, ...]
    dummy_prefix: bool


def read_pieces(path: Path) -> PieceModel:
    """The file's model. Raises UnsupportedModel for other kinds than byte-pair encoding."""
    pieces: list[Piece] = []
    model_type, dummy_prefix = 1, True  # the format's own defaults
    try:
        for number, value in _fields(path.read_bytes()):
            if number == 1:
                pieces.append(_piece(value))
            elif number == 2:
                model_type = dict(_fields(value)).get(3, model_type)
            elif number == 3:
                dummy_prefix = bool(dict(_fields(value)).get(3, dummy_prefix))
    except (IndexError, ValueError, TypeError, AttributeError, struct.error) as fault:
        raise ModelError(f"{path} is no SentencePiece model: {fault}") from fault
    if not any(piece.kind is Kind.UNKNOWN for piece in pieces):
        raise ModelError(f"{path} is no SentencePiece model: it names no unknown token")
    if model_type != _BPE:
        raise UnsupportedModel(
            f"{path} is a SentencePiece model of type {model_type}; only byte-pair encoding (type "
            f"{_BPE}) can be read: put the tokenizer.json of the same tokenizer beside it"
        )
    return PieceModel(tuple(pieces), dummy_prefix)


def tokenizer(model: PieceModel, added: Mapping[int, Any]) -> Any:
    """A `tokenizers.Tokenizer` that gives the ids of the file.

    `added`: `tokenizers.AddedToken` by id, which take the place of the pieces with these ids or
    follow the last one. Raises ModelError where they leave a hole or share a name with a piece.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers
    from tokenizers.models import BPE

    own = {
        number: AddedToken(
            piece.text, normalized=False, special=piece.kind is not Kind.USER_DEFINED
        )
        for number, piece in enumerate(model.pieces)
        if piece.kind in (Kind.UNKNOWN, Kind.CONTROL, Kind.USER_DEFINED)
    }
    named = {**own, **added}
    names = [named[i].content if i in named else piece.text for i, piece in enumerate(model.pieces)]
    vocabulary = {name: number for number, name in enumerate(names)}
    normal = {
        piece.text: piece.score
        for number, piece in enumerate(model.pieces)
        if piece.kind is Kind.NORMAL and number not in named
    }
    unknown = next(i for i, piece in enumerate(model.pieces) if piece.kind is Kind.UNKNOWN)
    made = Tokenizer(
        BPE(
            vocabulary,
            _merges(normal),
            unk_token=names[unknown],
            fuse_unk=True,
            byte_fallback=any(piece.kind is Kind.BYTE for piece in model.pieces),
        )
    )
    blanks: list[Any] = [normalizers.Replace(" ", "▁")]
    writing: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.dummy_prefix:
        blanks.insert(0, normalizers.Prepend("▁"))
        writing.append(decoders.Strip(" ", 1, 0))
    made.normalizer = normalizers.Sequence(blanks)
    made.decoder = decoders.Sequence(writing)
    made.add_tokens([named[number] for number in sorted(named)])
    for number, token in sorted(named.items()):
        if made.token_to_id(token.content) != number:
            raise ModelError(
                f"the added token {token.content!r} cannot have the id {number} in a vocabulary of "
                f"{len(names)} pieces: its name is taken, or ids before it are missing"
            )
    return made


def _merges(normal: Mapping[str, float]) -> list[tuple[str, str]]:
    """The last merge that makes each piece, the best piece first.

    One way to each piece is enough: what merges inside a piece does not depend on what stands
    around it, so a piece is only ever made as it is made alone.
    """
    made = ((_last_merge(piece, normal), score) for piece, score in normal.items())
    ranked = sorted(((pair, score) for pair, score in made if pair), key=lambda row: -row[1])
    return [pair for pair, _ in ranked]


def _last_merge(piece: str, scores: Mapping[str, float]) -> tuple[str, str] | None:
    """The two pieces that join last where a piece is made; None if it never is.

    Of all neighbours those join first whose join scores best, and of equals the leftmost.
    """
    parts = list(piece)
    last = None
    while len(parts) > 1:
        ways = [
            (-scores[join], place)
            for place, (left, right) in enumerate(pairwise(parts))
            if (join := left + right) in scores
        ]
        if not ways:
            return None
        _, place = min(ways)
        last = (parts[place], parts[place + 1])
        parts[place : place + 2] = ["".join(last)]
    return last


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    (score,) = struct.unpack("<f", fields.get(2, bytes(4)))
    return Piece(fields[1].decode() if 1 in fields else "", score, Kind(fields.get(3, Kind.NORMAL)))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers as int, everything else as bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        value: int | bytes
        match tag & 7:
            case 0:
                value, place = _varint(data, place)
            case 1 | 5 as fixed:
                size = 8 if fixed == 1 else 4
                value, place = data[place : place + size], place + size
            case 2:
                size, place = _varint(data, place)
                value, place = data[place : place + size], place + size
            case other:
                raise ValueError(f"a field of wire type {other}")
        if place > len(data):
            raise ValueError("it ends inside a field")
        yield tag >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
