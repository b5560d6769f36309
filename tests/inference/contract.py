"""What every engine must do: one suite for all of them."""

from __future__ import annotations

from b2ner import segments
from b2ner.inference.engine import Completion, Engine, Finish, Request
from b2ner.prompting.grammar import AnswerSpace
from b2ner.prompting.template import load_template

LABELS = ("person", "location")
TEXTS = ("Ada met Bob in London", "nothing", "李白在长安", "A; B", "New York " * 12)


def _request(text: str, *, constrained: bool) -> Request:
    prompt = load_template("published").render(LABELS, text, language="en")
    space = AnswerSpace(LABELS, segments.chunks(text)) if constrained else None
    return Request(prompt, space, max_answer_tokens=40)


def check_contract(engine: Engine) -> None:
    """Assert the promises of the `Engine` protocol, as far as its capabilities go."""
    can = engine.capabilities
    free = [_request(text, constrained=False) for text in TEXTS]
    once = list(engine.generate(free))
    assert len(once) == len(free), "one completion a request"
    assert all(isinstance(completion, Completion) for completion in once)
    assert list(engine.generate([])) == []
    assert [c.answer for c in engine.generate(iter(free))] == [c.answer for c in once]
    for completion in once:
        for piece in completion.pieces:
            assert 0 <= piece.start <= piece.end <= len(completion.answer)
            assert piece.logprob <= 0
    if can.grammar:
        bound = [_request(text, constrained=True) for text in TEXTS]
        for request, completion in zip(bound, engine.generate(bound), strict=True):
            assert request.space is not None
            if completion.finish is Finish.STOP:
                assert request.space.accepts(completion.answer)
    if not can.scores:
        assert all(not completion.pieces for completion in once)
    prompt = load_template("published").render(LABELS, "", language="en")
    assert engine.fit(prompt, "Ada met Bob") == len("Ada met Bob")
    assert 0 <= engine.fit(prompt, "word " * 100_000) <= 500_000
