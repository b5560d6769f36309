"""Bad input, end to end on a tiny network: a clear error or a fault, and no batch is stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from b2ner import files, segments
from b2ner.errors import InputError, LabelError
from b2ner.inference.engine import Request
from b2ner.inference.extractor import Extractor
from b2ner.inference.local import LocalEngine
from b2ner.model.weights import LoadedModel
from b2ner.records import Document, FaultKind
from tests.ground.growth import grows_linearly
from tests.tiny import tiny_network, tiny_tokenizer

LABELS = ("person", "location")
FAMILIES = ("gemma3", "llama", "qwen2")
MOST = 12  # answer tokens: a random network seldom knows when to stop
CUT = {FaultKind.ANSWER_TRUNCATED}


class Watched(LocalEngine):
    """Keeps what it was asked."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model, rows=4, window=8)
        self.asked: list[Request] = []

    def _prepare(self, index: int, request: Request) -> Any:
        self.asked.append(request)
        return super()._prepare(index, request)


@cache
def tiny(family: str = "gemma3") -> Extractor:
    return Extractor(
        Watched(
            LoadedModel(
                network=tiny_network(family),
                tokenizer=tiny_tokenizer(family),
                card=None,
                base=family,
                adapter=None,
                dtype=torch.float32,
                device="cpu",
                encoder_decoder=False,
            )
        )
    )


def last_asked(ner: Extractor) -> Request:
    assert isinstance(ner.engine, Watched)
    return ner.engine.asked[-1]


def check(document: Document, text: str, labels: Sequence[str] = LABELS) -> None:
    """Assert what holds for every document of a constrained answer."""
    assert document.text == text
    borders = segments.segmented(segments.chunks(text))
    places = set()
    for entity in document.entities:
        assert text[entity.start : entity.end] == entity.text
        assert entity.label in labels
        assert borders.begins[entity.start]
        assert borders.ends[entity.end]
        assert 0 <= entity.score <= 1
        places.add((entity.label, entity.span))
    assert len(places) == len(document.entities)
    assert {f.kind for f in document.faults} <= {FaultKind.TEXT_TRUNCATED, *CUT}
    row = document.to_json()
    assert json.loads(files.encode(row).decode()) == row


NASTY = {
    "empty": "",
    "white space": " \t\r\n\u3000",
    "invisible": "\u200b\ufeff\u2060",
    "NUL": "Ada\x00Bob met\x00 Eve",
    "delete": "\x7fAda\x7f",
    "lone surrogates": "\ud800Ada \udfff\ud83d met",
    "right to left": "עדה פגשה את בוב \u202eabc\u202c في لندن",
    "emoji": "👩\u200d👩\u200d👧 met 🇩🇪🇫🇷 1\ufe0f\u20e3 👍🏽",
    "combining marks": "e\u0301a\u0308 " + "\u0301" * 20,
    "only semicolons": ";" * 40,
    "semicolons apart": "; " * 20,
    "colons": ": :: person: : location:",
    "the prompt's words": "Text: Ada \nAnswer: person: Bob; Label Set: person, location \n\nText:",
    "the prompt's Chinese words": "文本: 李白 \n答案: 人名: 杜甫; 标签范围: 地名",
    "an answer": "person: Ada; location: London; None",
    "none": "None",
    "control tokens": "<eos><bos> <end_of_turn> </s> [INST] <|im_end|> <|endoftext|> <table>",
    "byte tokens": "<0x41><0x0A>▁▁",
    "braces": "{text} {0} {{labels_str}} @@examples@@ %s \\n \\ \"quoted\" 'so'",
    "line ends": "Ada\r\nBob\rEve\u2028Zoe\x85end",
    "one character": "x",
    "beyond the basic plane": "𝒳𐀀𠀀 met 🜁",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("family", FAMILIES)
def test_any_text_gives_a_document(family: str, text: str) -> None:
    ner = tiny(family)
    document = ner.extract(text, LABELS, max_answer_tokens=MOST)
    check(document, text)
    if segments.is_space(segments.shown(text)) or not text:
        assert document == Document(text)
    else:
        body = last_asked(ner).prompt.body
        assert not any(0xD800 <= ord(c) < 0xE000 or c in "\x00\x7f" for c in body)


LABEL_SETS = {
    "the format's marks": ("a: b", "a", "b; c", "x, y", "is->in", "q\"q'q\\q"),
    "the prompt's words": ("Answer", "Text", "Label Set", "None"),
    "control tokens": ("<eos>", "[INST]", "<|im_end|>", "{text}"),
    "other scripts": ("人名", "作品名->游戏作品", "👩\u200d👩\u200d👧", "שם"),
    "one that begins like another": ("person", "person: name", "person; name", "pers"),
}


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS.keys())
@pytest.mark.parametrize("family", FAMILIES)
def test_any_label_can_be_asked_for(family: str, labels: tuple[str, ...]) -> None:
    text = "Ada; a: b met b; c: Bob, x, y None"
    for document in tiny(family).extract_batch([text, NASTY["NUL"]], labels, max_answer_tokens=24):
        check(document, document.text, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param([], "no labels", id="none"),
        pytest.param(["person", ""], "is empty", id="empty"),
        pytest.param(["person", "\u200b"], "is empty", id="invisible"),
        pytest.param(["person", "person"], "given twice", id="twice"),
        pytest.param(["per\nson"], "a line break", id="line break"),
        pytest.param(["per\x00son"], "what no prompt can show", id="NUL"),
        pytest.param(["per\ud800son"], "what no prompt can show", id="surrogate"),
        pytest.param([f"label number {i}" for i in range(300)], "fewer labels", id="too many"),
        pytest.param({"person": "long " * 2000}, "fewer labels", id="too long a description"),
    ],
)
def test_labels_that_cannot_be_asked_for(labels: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        tiny().extract_batch(["Ada"], labels)


def test_good_rows_are_what_they_are_alone() -> None:
    good = ["Ada met Bob", "New York; New York", "李白在长安", "x y z"]
    bad = [*NASTY.values(), "word " * 5000, "x" * 5000, None, 3.5, b"bytes"]
    ner = tiny()
    alone = [ner.extract(text, LABELS, max_answer_tokens=MOST) for text in good]
    assert any(document.entities for document in alone)
    rows: list[Any] = []
    for number, text in enumerate(bad):
        rows += [text, good[number % len(good)]]
    documents = list(ner.extract_batch(rows, LABELS, max_answer_tokens=MOST))
    assert len(documents) == len(rows)
    for number, document in enumerate(documents[1::2]):
        expected = alone[number % len(good)]
        assert [(e.span, e.label) for e in document.entities] == [
            (e.span, e.label) for e in expected.entities
        ]
        assert [e.score for e in document.entities] == pytest.approx(
            [e.score for e in expected.entities], abs=1e-4
        )
        assert document.faults == expected.faults
    for text, document in zip(bad, documents[::2], strict=True):
        if isinstance(text, str):
            check(document, text)
        else:
            assert [fault.kind for fault in document.faults] == [FaultKind.MALFORMED]


LONG = {
    "words": "word ",
    "Chinese": "字",
    "emoji": "👩\u200d👧",
    "semicolons": ";",
    "blanks": "a" + " " * 99,
}


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG.keys())
def test_of_a_million_characters_only_what_fits_is_worked_on(unit: str) -> None:
    text = (unit * 1_000_000)[:1_000_000]
    ner = tiny()
    document = ner.extract(text, LABELS, max_answer_tokens=MOST)
    check(document, text)
    truncated = document.faults[0]
    assert truncated.kind is FaultKind.TEXT_TRUNCATED
    read = int(truncated.place.removeprefix("text:"))
    assert truncated.message.startswith(f"only the first {read} of 1000000 characters")
    request = last_asked(ner)
    assert request.space is not None
    assert "".join(request.space.chunks) == text[:read]
    assert request.prompt.body.startswith(f" {text[:read]} \n")
    assert 300 < document.usage.prompt_tokens <= 768 or unit == LONG["blanks"]
    assert all(entity.end <= read for entity in document.entities)


def test_a_word_of_a_million_characters_is_not_cut() -> None:
    document = tiny().extract("x" * 1_000_000, LABELS)
    (fault,) = document.faults
    assert (fault.kind, fault.place, document.entities) == (FaultKind.TEXT_TRUNCATED, "text:0", ())


def test_the_time_for_a_long_text_grows_linearly() -> None:
    def work(text: str) -> Document:
        return tiny().extract(text, LABELS, max_answer_tokens=2)

    assert grows_linearly(lambda size: "word " * (size // 5), work, 100_000)


def test_tokens_of_any_kind() -> None:
    tokens = ["Ada", "", "\x00", " Bob", "\ud800", "; person:", "👩\u200d👧", "\u200b", "O'Brien"]
    made = tiny().extract_tokens(tokens, LABELS, max_answer_tokens=30)
    for entity, (first, last) in zip(made.document.entities, made.token_spans, strict=True):
        assert 0 <= first < last <= len(tokens)
        assert " ".join(tokens[first:last]).strip(" \u200b") == entity.text
    with pytest.raises(InputError, match="token 1 is not a string: None"):
        tiny().extract_tokens(["Ada", None], LABELS)  # type: ignore[list-item]


words = st.sampled_from(
    [
        "Ada",
        "New York",
        "; ",
        ";",
        ": ",
        " ",
        "person: ",
        "李白",
        "\x00",
        "\ud800",
        "e\u0301",
        "None",
    ]
)
texts = st.one_of(st.text(st.characters(), max_size=30), st.lists(words, max_size=12).map("".join))
label = st.one_of(
    st.sampled_from(["person", "person: name", "a; b", "None", "人名", "x->y"]),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(
        lambda name: segments.shown(name) == name and not segments.is_space(name)
    ),
)
label_sets = st.lists(label, min_size=1, max_size=4, unique=True).map(tuple)


@given(st.lists(texts, min_size=1, max_size=4), label_sets, st.sampled_from(FAMILIES))
@settings(max_examples=60, deadline=None)
def test_every_entity_stands_in_its_text(
    batch: list[str], labels: tuple[str, ...], family: str
) -> None:
    documents = list(tiny(family).extract_batch(batch, labels, max_answer_tokens=30))
    assert len(documents) == len(batch)
    for text, document in zip(batch, documents, strict=True):
        check(document, text, labels)


@given(texts, label_sets)
@settings(max_examples=30, deadline=None)
def test_free_answers_too_are_grounded(text: str, labels: tuple[str, ...]) -> None:
    document = tiny().extract(text, labels, max_answer_tokens=20, constrained=False)
    check(Document(text, document.entities), text, labels)
