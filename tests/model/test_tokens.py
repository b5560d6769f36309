"""Text stays text: whatever a text says, no control token comes out of it."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from b2ner.errors import ModelError
from b2ner.model.tokens import bos_ids, control_ids, encode, eos_ids, fingerprint, token_bytes
from tests.tiny import TOKENIZERS, tiny_network, tiny_tokenizer

tiny = cache(tiny_tokenizer)
# Names of control tokens of many families; most are plain text to most tokenizers.
NAMES = (
    *("<eos>", "<bos>", "<pad>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
    *("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[multimodal]", "<unused0>", "<sep>"),
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>"),
    *("<tool_call>", "<table>", "<start_of_image>", "<extra_id_0>", "\n\n", "▁▁", "<0x0A>"),
)
characters = st.characters(exclude_categories=("Cs",))
texts = st.lists(st.sampled_from(NAMES) | st.text(characters, max_size=6), max_size=8).map("".join)


@pytest.mark.parametrize("family", TOKENIZERS)
@given(text=texts)
@example(text="".join(NAMES))
@example(text=" ".join(NAMES))
def test_no_text_gives_a_control_token(family: str, text: str) -> None:
    check_plain(tiny(family), text)


@given(text=texts)
@settings(max_examples=300, deadline=None)
def test_no_text_gives_a_control_token_of_the_embedded_model(
    embedded_tokenizer: Any, text: str
) -> None:
    check_plain(embedded_tokenizer, text)
    assert embedded_tokenizer.decode(encode(embedded_tokenizer, text)) == text.replace("▁", " ")


def check_plain(tokenizer: Any, text: str) -> None:
    assert control_ids(tokenizer).isdisjoint(encode(tokenizer, text))


@pytest.mark.parametrize("family", ["gemma", "llama2", "llama3", "mistral"])
@given(text=texts)
def test_what_is_encoded_decodes_to_the_text(family: str, text: str) -> None:
    tokenizer = tiny(family)
    spelled = text.replace("▁", " ") if family != "llama3" else text
    assert tokenizer.decode(encode(tokenizer, text)) == spelled


@pytest.mark.parametrize("family", TOKENIZERS)
def test_every_added_token_is_spelled_out(family: str) -> None:
    tokenizer = tiny(family)
    for token in tokenizer.added_tokens_decoder.values():
        check_plain(tokenizer, token.content)
        check_plain(tokenizer, f"a{token.content}b {token.content} ")


@pytest.mark.parametrize(
    ("family", "begin", "end"),
    [
        pytest.param("gemma", ["<bos>"], ["<eos>"], id="gemma"),
        pytest.param("llama2", ["<s>"], ["</s>"], id="llama 2"),
        pytest.param("llama3", ["<|begin_of_text|>"], ["<|end_of_text|>"], id="llama 3"),
        pytest.param("qwen2", [], ["<|im_end|>"], id="qwen has no beginning"),
        pytest.param("mistral", ["<s>"], ["</s>"], id="mistral"),
        pytest.param("t5", [], ["</s>"], id="t5 has no beginning"),
    ],
)
def test_beginning_and_end(family: str, begin: list[str], end: list[str]) -> None:
    tokenizer = tiny(family)
    assert bos_ids(tokenizer) == tokenizer.convert_tokens_to_ids(begin)
    assert eos_ids(tokenizer) == tokenizer.convert_tokens_to_ids(end)
    assert {*bos_ids(tokenizer), *eos_ids(tokenizer)} <= control_ids(tokenizer)


def test_qwen_begins_with_nothing_even_if_its_tokenizer_names_a_beginning() -> None:
    class QwenTokenizer(PreTrainedTokenizerFast):  # type: ignore[misc]
        pass

    backend = tiny_tokenizer("qwen2").backend_tokenizer
    assert bos_ids(QwenTokenizer(tokenizer_object=backend, bos_token="<|endoftext|>")) == []


def test_the_network_adds_ends_behind_the_tokenizers_own() -> None:
    network = tiny_network("gemma3")
    network.generation_config.eos_token_id = [1, 6]
    assert eos_ids(tiny("gemma"), network) == [1, 6]


def test_no_end_is_an_error() -> None:
    endless = PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer("qwen2").backend_tokenizer)
    with pytest.raises(ModelError, match="names a token that ends"):
        eos_ids(endless)


def test_added_tokens_that_are_not_called_special_are_control_too() -> None:
    tokenizer = tiny("gemma")
    named = set(tokenizer.convert_ids_to_tokens(sorted(control_ids(tokenizer))))
    assert {"[multimodal]", "<unused0>", "<table>", "<end_of_turn>"} <= named
    assert not {"\n\n", "▁▁"} & named  # white space is text


def test_a_control_token_that_merges_lead_to_is_spelled() -> None:
    vocabulary = {piece: i for i, piece in enumerate(["<", "e", ">", "<e", "<e>", "<pad>"])}
    backend = Tokenizer(BPE(vocabulary, [("<", "e"), ("<e", ">")]))
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens([AddedToken("<e>", normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<e>")
    assert tokenizer.convert_ids_to_tokens(encode(tokenizer, "<<e>e")) == ["<", "<", "e", ">", "e"]


def test_what_the_vocabulary_lacks_stays_unknown() -> None:
    vocabulary = {piece: i for i, piece in enumerate(["<unk>", "a", "u", "n", "k", "<", ">", "#"])}
    backend = Tokenizer(BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="#")
    pieces = tokenizer.convert_ids_to_tokens(encode(tokenizer, "a?<unk>"))
    assert pieces == ["a", "<unk>", "<", "u", "n", "k", ">"]


def test_neither_limits_nor_padding_of_the_file_apply() -> None:
    tokenizer = tiny_tokenizer("llama3")
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    assert tokenizer.decode(encode(tokenizer, "the movie was a success")) == (
        "the movie was a success"
    )


def test_another_use_of_the_tokenizer_does_not_disturb() -> None:
    """The library's own call switches special tokens on again, for every thread."""
    tokenizer = tiny_tokenizer("llama3")
    control = control_ids(tokenizer)
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            tokenizer("<|eot_id|>", split_special_tokens=False)

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(300):
            assert control.isdisjoint(encode(tokenizer, "a <|eot_id|> b"))
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("family", ["gemma", "llama3", "qwen2", "llama2", "mistral", "t5"])
def test_bytes_of_tokens(family: str) -> None:
    tokenizer = tiny(family)
    table = token_bytes(tokenizer)
    text = " Ada met 李白 in New York 😀; <eos> </s>"
    written = b"".join(table[i] for i in encode(tokenizer, text)).decode()
    assert written.lstrip(" ") == text.lstrip(" ")  # some families begin every text with a blank
    assert len(table) == len(tokenizer)
    assert table[eos_ids(tokenizer)[0]] == tokenizer.eos_token.encode()


def test_bytes_of_tokens_need_a_known_decoder() -> None:
    tokenizer = tiny_tokenizer("llama3")
    tokenizer.backend_tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ModelError, match="WordPiece"):
        token_bytes(tokenizer)


def test_fingerprints_tell_tokenizers_apart(tmp_path: Path) -> None:
    prints = {family: fingerprint(tiny(family)) for family in TOKENIZERS}
    assert len(set(prints.values())) == len(TOKENIZERS)
    for family in TOKENIZERS:
        tiny_tokenizer(family).save_pretrained(tmp_path / family)
        stored = PreTrainedTokenizerFast.from_pretrained(tmp_path / family)
        assert fingerprint(stored) == prints[family]
