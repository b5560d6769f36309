"""Encoder-decoders: plain generation, said to be such."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from b2ner.errors import EngineError, LabelError, UnsupportedModel
from b2ner.inference.engine import Completion, Finish, Request
from b2ner.inference.extractor import Extractor
from b2ner.inference.seq2seq import Seq2SeqEngine
from b2ner.model import tokens
from b2ner.model.card import BaseCard, Card, LicenceClass, Status, TemplateCard, Tokenisation
from b2ner.model.weights import LoadedModel
from b2ner.prompting.template import Prompt, load_template
from b2ner.records import FaultKind
from tests.inference.contract import check_contract
from tests.tiny import tiny_network, tiny_tokenizer

LABELS = ("person", "location")
TEXTS = ("Ada Lovelace met the director in New York", "x", "李白在长安", "<pad> </s> <extra_id_0>")


@cache
def loaded(family: str = "t5") -> LoadedModel:
    return LoadedModel(
        network=tiny_network(family),
        tokenizer=tiny_tokenizer(family),
        card=None,
        base=family,
        adapter=None,
        dtype=torch.float32,
        device="cpu",
        encoder_decoder=family == "t5",
    )


def engine(**options: Any) -> Seq2SeqEngine:
    return Seq2SeqEngine(loaded(), **options)


def request(text: str, *, most: int = 12) -> Request:
    return Request(load_template("published").render(LABELS, text, language="en"), None, most)


def generated(asked: Request) -> list[int]:
    """What the network says to one request alone: its ids, up to the end."""
    model = loaded()
    prompt = asked.prompt.head + asked.prompt.body
    ids = torch.tensor([[*tokens.encode(model.tokenizer, prompt), model.tokenizer.eos_token_id]])
    made = model.network.generate(ids, max_new_tokens=asked.max_answer_tokens, do_sample=False)
    answer: list[int] = made[0, 1:].tolist()
    end = model.tokenizer.eos_token_id
    return answer[: answer.index(end)] if end in answer else answer


def test_it_keeps_the_engine_contract() -> None:
    check_contract(engine(rows=3))


def test_answers_are_those_of_plain_generation() -> None:
    requests = [request(text, most=most) for text in TEXTS for most in (12, 3)]
    for rows in (1, 3, 16):
        for asked, completion in zip(requests, engine(rows=rows).generate(requests), strict=True):
            ids = generated(asked)
            text = loaded().tokenizer.decode(ids, skip_special_tokens=True)
            assert completion.answer == " " + text.lstrip()
            assert completion.usage.answer_tokens == len(ids)
            ended = len(ids) < asked.max_answer_tokens
            assert completion.finish is (Finish.STOP if ended else Finish.LENGTH)


@pytest.mark.parametrize("tokenisation", ["apart", "joint"])
def test_prompts_are_tokenised_as_the_card_says(tokenisation: Tokenisation) -> None:
    card = Card(
        base=BaseCard("tiny", ""),
        template=TemplateCard("published", ""),
        tokenisation=tokenisation,
        tokenizer="",
        adapter_sha256="",
        status=Status.PROVISIONAL,
        licence=LicenceClass.OPEN,
        languages=("en",),
        training="",
    )
    asked = Prompt(head="Text: so", body="me movie")  # cut where tokens cross
    got = Seq2SeqEngine(replace(loaded(), card=card))._encode(asked)
    tokenizer = loaded().tokenizer
    parts = ["Text: so", "me movie"] if tokenisation == "apart" else ["Text: some movie"]
    expected = [token for part in parts for token in tokens.encode(tokenizer, part)]
    assert got == [*expected, tokenizer.eos_token_id]


def test_what_stands_behind_the_end_is_no_answer() -> None:
    class Ending(Seq2SeqEngine):
        def _generate(self, prompts: Any, most: int) -> list[list[int]]:
            end = self._end[0]
            word = tokens.encode(self._model.tokenizer, "person: Ada")
            return [[*word, end, 0, 0], [end, *word], [*word, 0, 0]]

    asked = [request("Ada", most=len(tokens.encode(loaded().tokenizer, "person: Ada")) + 1)] * 3
    first, second, third = Ending(loaded()).generate(asked)
    assert (first.answer, first.finish) == (" person: Ada", Finish.STOP)
    assert (second.answer, second.finish) == (" ", Finish.STOP)
    assert (third.answer, third.finish) == (" person: Ada", Finish.LENGTH)


def test_one_prompt_too_long_does_not_stop_the_others() -> None:
    requests = [request("x"), request("word " * 2000), request("New York")]
    for number in (1, 3):
        first, long, last = engine(rows=number, context=300).generate(requests)
        assert long.finish is Finish.ERROR
        assert "does not fit a context of 300" in long.error
        assert Finish.ERROR not in (first.finish, last.finish)


def test_a_text_is_cut_to_the_encoder() -> None:
    document = Extractor(engine(context=300)).extract("romance movie " * 500, LABELS)
    assert FaultKind.TEXT_TRUNCATED in {fault.kind for fault in document.faults}
    assert 200 < document.usage.prompt_tokens <= 300
    with pytest.raises(LabelError, match="fewer labels"):
        Extractor(engine(context=100)).extract("x", LABELS)


def test_the_networks_own_limit_counts() -> None:
    network = tiny_network("t5")
    network.config.max_position_embeddings = 200
    model = LoadedModel(network, tiny_tokenizer("t5"), None, "", None, torch.float32, "cpu", True)
    (completion,) = Seq2SeqEngine(model).generate([request("word " * 100)])
    assert "a context of 200" in completion.error


def test_the_document_says_what_the_engine_cannot() -> None:
    document = Extractor(engine()).extract("Ada", LABELS, threshold=0.5, max_answer_tokens=4)
    kinds = [fault.kind for fault in document.faults]
    assert kinds[:2] == [FaultKind.UNCONSTRAINED, FaultKind.UNSCORED]


def test_answers_come_lazily() -> None:
    drawn = 0

    def requests() -> Any:
        nonlocal drawn
        for _ in range(50):
            drawn += 1
            yield request("x", most=2)

    next(engine(rows=5).generate(requests()))
    assert drawn == 5


def test_threads_take_turns() -> None:
    shared = engine(rows=2)
    requests = [request(text, most=5) for text in TEXTS]
    alone = list(shared.generate(requests))
    got: list[list[Completion]] = []
    threads = [
        threading.Thread(target=lambda: got.append(list(shared.generate(requests))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [alone] * 3


def test_a_network_that_fails_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("out of memory")

    broken = engine()
    monkeypatch.setattr(broken, "_generate", fail)
    with pytest.raises(EngineError, match="the network failed: out of memory"):
        list(broken.generate([request("x")]))


def test_decoders_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="use the local engine"):
        Seq2SeqEngine(loaded("llama"))
