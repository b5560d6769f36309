"""Between text and token ids, such that plain text stays plain text.

Texts and labels come from anywhere, and tokenizers turn `<eos>`, `[INST]` or `<|im_start|>` in them
into the control tokens of that name. Here they are spelled out instead: no id of `control_ids` ever
comes out of `encode`. Knows tokenizers of the Hugging Face kind, no network and no prompt.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from b2ner.errors import ModelError

# A little of everything that tokenizers disagree about; part of every fingerprint ever written.
_PROBE = (
    "Text: Ada Lovelace met Zoë in New York (U.S.-based Inc., 1,234.50 €)\tin 1990 s; "
    "what's  the   answer?\n\n暴雪中国时隔多年之后再次举办了官方比赛，而Moon发挥不是很理想。 "
    "Привет, мир! مرحبا 안녕하세요 こんにちは नमस्ते 👩‍👩‍👧 e\u0301 <eos> </s> "
    "<|im_end|> [INST]\r\n Answer:"
)


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text, without a beginning or an end, none of them in `control_ids`.

    Added tokens that are mere white space (runs of line breaks) are text, not control; the token
    for what a vocabulary lacks stands for just that. The first call with a tokenizer sets it, for
    good, to take special tokens in texts for text.
    """
    plain = _plain(tokenizer)
    if plain.backend is None:
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
        sources = [""] * len(ids)
    else:
        plain.backend.encode_special_tokens = True  # others may have set it back
        encoding = plain.backend.encode(text, add_special_tokens=False)
        ids = encoding.ids
        if plain.control.isdisjoint(ids):
            return list(ids)
        sources = [text[start:end] for start, end in encoding.offsets]
    # Some vocabularies can build a control token from text in the ordinary way: Unigram models list
    # them among their pieces, and merges may lead to them.
    plain_ids: list[int] = []
    for token, source in zip(ids, sources, strict=True):
        unknown = token == tokenizer.unk_token_id and tokenizer.unk_token not in source
        if token in plain.control and not unknown:
            plain_ids += _spelled(tokenizer, token)
        else:
            plain_ids.append(token)
    return plain_ids


def bos_ids(tokenizer: Any) -> list[int]:
    """What a prompt begins with: the token of the tokenizer's choice, or nothing.

    Source: the published training code, which puts the token's text before the prompt whether or
    not the tokenizer would, and nothing for Qwen.
    """
    first = tokenizer.bos_token_id
    return [] if first is None or "Qwen" in type(tokenizer).__name__ else [int(first)]


def eos_ids(tokenizer: Any, network: Any = None) -> list[int]:
    """The ids that end an answer: the tokenizer's first, then those of the network's settings.

    Raises ModelError when there is none, for such an answer would never end.
    """
    places = [tokenizer, getattr(network, "generation_config", None)]
    places.append(getattr(network, "config", None))
    found: dict[int, None] = {}
    for place in places:
        ids = getattr(place, "eos_token_id", None)
        if ids is not None:
            found |= dict.fromkeys(ids if isinstance(ids, Sequence) else [ids])
    if not found:
        name = type(tokenizer).__name__
        raise ModelError(f"neither the tokenizer ({name}) nor the network names a token that ends")
    return list(found)


def control_ids(tokenizer: Any) -> frozenset[int]:
    """The ids that no text stands for: special tokens, and added tokens with visible characters.

    The latter include what tokenizers do not call special: `<start_of_image>`, `<tool_call>`.
    """
    return _plain(tokenizer).control


def token_bytes(tokenizer: Any) -> list[bytes]:
    """What each id writes, by id; the name itself for control tokens, nothing for unused ids.

    Raises ModelError for tokenizers without a `tokenizers` backend, or whose decoder is of a kind
    that gives no bytes.
    """
    backend = _plain(tokenizer).backend
    if backend is None:
        raise ModelError(f"{type(tokenizer).__name__} is not a fast tokenizer: no bytes by id")
    vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    added = tokenizer.added_tokens_decoder
    kinds = set(_decoder_kinds(json.loads(backend.decoder.__getstate__())))
    table = [b""] * (max(vocabulary.values()) + 1)
    if "ByteLevel" in kinds:
        letters = {letter: byte for byte, letter in enumerate(_byte_letters())}
        for piece, number in vocabulary.items():
            if number not in added and all(letter in letters for letter in piece):
                table[number] = bytes(letters[letter] for letter in piece)
            else:
                table[number] = piece.encode()
    elif "ByteFallback" in kinds or "Metaspace" in kinds:
        for piece, number in vocabulary.items():
            if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
                table[number] = bytes([int(piece[3:5], 16)])
            else:
                table[number] = piece.replace("▁", " ").encode()
    else:
        raise ModelError(f"a tokenizer whose decoder is of an unknown kind: {sorted(kinds)}")
    return table


def fingerprint(tokenizer: Any) -> str:
    """A short hash of how the tokenizer works: a fixed text's ids, its size, where texts end.

    Two tokenizers with one fingerprint give the same ids for all but contrived texts. It does not
    depend on the library's version or on how the tokenizer is stored.
    """
    ends = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    seen = json.dumps([encode(tokenizer, _PROBE), len(tokenizer), ends])
    return hashlib.sha256(seen.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Plain:
    backend: Any  # tokenizers.Tokenizer; None for tokenizers written in Python
    control: frozenset[int]


_known: WeakKeyDictionary[Any, _Plain] = WeakKeyDictionary()
_lock = threading.Lock()


def _plain(tokenizer: Any) -> _Plain:
    with _lock:
        if tokenizer not in _known:
            _known[tokenizer] = _tame(tokenizer)
        return _known[tokenizer]


def _tame(tokenizer: Any) -> _Plain:
    """Have the tokenizer take every visible added token for text, and say which ids those are."""
    added = tokenizer.added_tokens_decoder
    visible = {i: token for i, token in added.items() if token.content.strip(" \t\r\n▁")}
    control = frozenset({*tokenizer.all_special_ids, *visible})
    tokenizer.split_special_tokens = True
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        from tokenizers import AddedToken

        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        # The switch above concerns special tokens only, so the visible ones must be special.
        backend.add_special_tokens(
            [
                AddedToken(
                    token.content,
                    single_word=token.single_word,
                    lstrip=token.lstrip,
                    rstrip=token.rstrip,
                    normalized=token.normalized,
                    special=True,
                )
                for token in visible.values()
                if not token.special
            ]
        )
    return _Plain(backend, control)


def _spelled(tokenizer: Any, control: int) -> Iterator[int]:
    """Ids that write the control token's name, one character or byte at a time."""
    vocabulary = tokenizer.get_vocab()
    letters = _byte_letters()
    name = tokenizer.convert_ids_to_tokens(control)
    for character in name:
        in_bytes = character.encode()
        for parts in (
            [character],
            [f"<0x{byte:02X}>" for byte in in_bytes],
            [letters[byte] for byte in in_bytes],
            [tokenizer.unk_token],
        ):
            if all(part in vocabulary for part in parts):
                yield from (vocabulary[part] for part in parts)
                break
        else:
            raise ModelError(
                f"the tokenizer turns the text {name!r} into a control token and cannot spell it"
            )


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in byte-level vocabularies: itself, where visible."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(hidden)) for byte in range(256)]


def _decoder_kinds(decoder: dict[str, Any]) -> Iterator[str]:
    yield decoder["type"]
    for part in decoder.get("decoders", ()):
        yield from _decoder_kinds(part)
