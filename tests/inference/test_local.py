"""The local engine against the network itself: the same numbers, whatever the batch."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch

from b2ner import segments
from b2ner.errors import EngineError, LabelError, UnsupportedModel
from b2ner.inference.constraint import ConstrainedAnswer, TokenGrammar
from b2ner.inference.engine import Completion, Finish, Request
from b2ner.inference.local import LocalEngine
from b2ner.model.tokens import bos_ids, encode
from b2ner.model.weights import LoadedModel
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import load_template
from tests.inference.contract import check_contract
from tests.tiny import DECODERS, WINDOW, tiny_network, tiny_tokenizer

LABELS = ("person", "location", "movie title", "organization")
TEXTS = (
    "Ada Lovelace met the director in New York",
    "x",
    "李白在长安写诗; and Moon was there",
    "the actor, the movie and the success of the year 1990 s in London: a story of person: London",
    "New York New York",
    "What is a good romance movie?",
    "A; B; C; D",
    "Analytical Engine Inc., of London, U.S.-based",
)


@cache
def loaded(family: str) -> LoadedModel:
    return LoadedModel(
        network=tiny_network(family),
        tokenizer=tiny_tokenizer(family),
        card=None,
        base=family,
        adapter=None,
        dtype="float32",
        device="cpu",
        encoder_decoder=family == "t5",
    )


def engine(family: str, **options: Any) -> LocalEngine:
    return LocalEngine(loaded(family), **options)


def request(
    text: str, *, labels: Sequence[str] = LABELS, free: bool = False, most: int = 60
) -> Request:
    prompt = load_template("published").render(labels, text, language="en")
    space = None if free else AnswerSpace(tuple(labels), segments.chunks(text))
    return Request(prompt, space, most)


def answers(completions: Sequence[Completion]) -> list[tuple[str, Finish]]:
    return [(completion.answer, completion.finish) for completion in completions]


class Recorder(LocalEngine):
    """Keeps the token ids of what it answered."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.rows: dict[int, Any] = {}
        super().__init__(*args, **options)

    def _completion(self, row: Any, finish: Finish) -> Completion:
        self.rows[row.index] = row
        return super()._completion(row, finish)


def plain_logprob(local: LocalEngine, network: Any, asked: Request, answer: list[int]) -> float:
    """The log-probability of an answer's choices by one plain forward pass: no batch, no cache.

    Also sees that each choice was the best that was allowed.
    """
    head, body = local._tokenise(asked.prompt)
    prompt = [*head, *body]
    logits = network(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 :]
    assert asked.space is not None
    state = local._grammar.answer(asked.space)
    total, number = 0.0, 0
    while (number := number + len(state.forced())) < len(answer):
        (allowed,) = local._grammar.fill([state])
        scores = logits[number][torch.from_numpy(allowed)].double().log_softmax(0)
        place = allowed.tolist().index(answer[number])
        assert scores.max() - scores[place] < 1e-4, "a better token was allowed"
        if len(allowed) > 1:
            total += float(scores[place])
        if answer[number] not in local._end:
            state.take(answer[number])
        number += 1
    return total


@pytest.mark.parametrize("family", DECODERS)
def test_log_probabilities_are_those_of_a_plain_forward_pass(family: str) -> None:
    """Teacher-forced on the same answer, ragged batches, a head longer than the window; to 1e-4."""
    local = Recorder(loaded(family), rows=3, step_tokens=40)
    requests = [request(text) for text in TEXTS]
    completions = list(local.generate(requests))
    network = tiny_network(family)
    for index, (asked, completion) in enumerate(zip(requests, completions, strict=True)):
        assert len(local.rows[index].head) > WINDOW
        with torch.inference_mode():
            expected = plain_logprob(local, network, asked, local.rows[index].answer)
        assert sum(piece.logprob for piece in completion.pieces) == pytest.approx(
            expected, abs=1e-4
        )


@pytest.mark.parametrize("family", DECODERS)
def test_batch_order_and_neighbours_do_not_change_an_answer(family: str) -> None:
    requests = [request(text) for text in TEXTS] + [
        request(text, labels=("person", "date")) for text in TEXTS
    ]
    single = engine(family, rows=1)
    alone = [next(single.generate([one])) for one in requests]
    together = list(engine(family, rows=5, step_tokens=30).generate(requests))
    assert answers(together) == answers(alone)
    for ours, theirs in zip(together, alone, strict=True):
        assert [p.logprob for p in ours.pieces] == pytest.approx(
            [p.logprob for p in theirs.pieces], abs=1e-4
        )
    order = list(range(len(requests)))
    random.Random(7).shuffle(order)
    shuffled = list(engine(family, rows=4, window=6).generate([requests[i] for i in order]))
    assert answers(shuffled) == answers([alone[i] for i in order])


@pytest.mark.parametrize("family", DECODERS)
def test_free_answers_are_those_of_plain_greedy_generation(family: str) -> None:
    local = engine(family, rows=4)
    network, tokenizer = tiny_network(family), tiny_tokenizer(family)
    for asked, completion in zip(
        [request(text, free=True, most=12) for text in TEXTS],
        local.generate(request(text, free=True, most=12) for text in TEXTS),
        strict=True,
    ):
        prompt = asked.prompt.head + asked.prompt.body
        ids = torch.tensor([[*bos_ids(tokenizer), *encode(tokenizer, prompt)]])
        made = network.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :].tolist()
        kept = [token for token in made if token not in local._end]
        expected = b"".join(local._grammar.bytes_of(token) for token in kept)
        assert completion.answer == expected.decode(errors="replace")


@pytest.mark.parametrize("family", ["gemma3", "qwen2"])
def test_it_keeps_the_engine_contract(family: str) -> None:
    check_contract(engine(family, rows=3, window=4))


def test_every_answer_is_in_its_space() -> None:
    requests = [request(text, most=400) for text in TEXTS]
    for asked, completion in zip(requests, engine("gemma3").generate(requests), strict=True):
        if completion.finish is Finish.STOP:
            assert asked.space is not None
            assert asked.space.accepts(completion.answer)


def test_reaching_the_token_limit_is_said() -> None:
    (completion,) = engine("gemma3").generate([request(TEXTS[3], most=3)])
    assert completion.finish is Finish.LENGTH
    assert completion.usage.answer_tokens >= 3


def test_one_prompt_too_long_does_not_stop_the_others() -> None:
    requests = [request("x"), request("word " * 2000), request("New York")]
    first, long, last = engine("llama", context=300).generate(requests)
    assert long.finish is Finish.ERROR
    assert "does not fit a context of 300" in long.error
    assert Finish.ERROR not in (first.finish, last.finish)


@pytest.mark.parametrize("broken", ["take", "fill"])
def test_one_row_whose_grammar_fails_does_not_stop_the_others(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [request("x"), request("Ada met Bob in London"), request("New York")]
    expected = answers(list(engine("gemma3").generate(requests)))
    local = engine("gemma3")
    whole = "Ada met Bob in London"

    def is_ours(state: Any) -> bool:
        return "".join(state.progress._lexicon._chunks) == whole

    take, fill = ConstrainedAnswer.take, TokenGrammar.fill

    def failing_take(self: ConstrainedAnswer, token: int) -> None:
        if is_ours(self):
            raise EngineError("made to fail")
        take(self, token)

    def failing_fill(self: TokenGrammar, states: Sequence[ConstrainedAnswer]) -> list[Any]:
        return [
            ids[:0] if is_ours(state) else ids
            for state, ids in zip(states, fill(self, states), strict=True)
        ]

    if broken == "take":
        monkeypatch.setattr(ConstrainedAnswer, "take", failing_take)
    else:
        monkeypatch.setattr(TokenGrammar, "fill", failing_fill)
    got = list(local.generate(requests))
    assert got[1].finish is Finish.ERROR
    assert "made to fail" in got[1].error or "no token may follow" in got[1].error
    assert answers([got[0], got[2]]) == [expected[0], expected[2]]


def test_fit_leaves_room_for_the_answer_and_counts_tokens() -> None:
    local = engine("llama", context=400)
    prompt = load_template("published").render(LABELS, "", language="en")
    text = "romance movie " * 1000
    fits = local.fit(prompt, text)
    assert 0 < fits < len(text)
    (completion,) = local.generate([request(text[:fits], most=5)])
    assert completion.usage.prompt_tokens <= 300
    assert local.fit(prompt, "short") == 5


def test_labels_that_fill_the_context_are_refused() -> None:
    prompt = load_template("published").render([f"label {i}" for i in range(99)], "", language="en")
    with pytest.raises(LabelError, match="fewer labels"):
        engine("llama", context=200).fit(prompt, "x")


@pytest.mark.parametrize("family", ["t5", "mamba"])
def test_other_networks_are_refused(family: str) -> None:
    with pytest.raises(UnsupportedModel):
        engine(family)


def test_a_network_that_computes_something_else_is_refused() -> None:
    model = loaded("llama")
    network = tiny_network("llama")
    network.lm_head.register_forward_hook(lambda module, args, out: out * 1.5)
    odd = LoadedModel(network, model.tokenizer, None, "odd", None, model.dtype, model.device, False)
    with pytest.raises(UnsupportedModel, match="could not be trusted"):
        LocalEngine(odd)


def test_threads_take_turns() -> None:
    local = engine("gemma3", rows=2, window=3)
    requests = [request(text) for text in TEXTS]
    alone = answers(list(local.generate(requests)))
    got: dict[int, list[tuple[str, Finish]]] = {}

    def work(number: int) -> None:
        got[number] = answers(list(local.generate(requests)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got[n] == alone for n in range(4))


def test_answers_come_lazily() -> None:
    drawn = 0

    def requests() -> Any:
        nonlocal drawn
        for _ in range(50):
            drawn += 1
            yield request("x", most=4)

    stream = engine("llama", window=5).generate(requests())
    next(stream)
    assert drawn == 5
