"""The extractor on scripted answers: every option, every fault, and the order of things."""

from __future__ import annotations

import inspect
import itertools
import math
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from b2ner.errors import EngineError, InputError, LabelError
from b2ner.inference.engine import Capabilities, Completion, Finish, Piece, Request, ScriptedEngine
from b2ner.inference.extractor import Extractor
from b2ner.inference.options import MAX_ANSWER_TOKENS, Options, Question
from b2ner.prompting.template import Prompt
from b2ner.records import Document, Entity, Fault, FaultKind, Sample, Span, Usage
from tests.ground.growth import grows_linearly

pytestmark = pytest.mark.torchfree

LABELS = ["person", "city"]
TEXT = "Ada met Bob in New York; Ada left"
ONCE = "Ada met Bob in New York"  # each name once


class Engine(ScriptedEngine):
    """A scripted engine that says of itself what a test needs."""

    def __init__(
        self,
        *answers: str | Completion,
        grammar: bool = True,
        scores: bool = True,
        fits: int = 1 << 30,
    ) -> None:
        super().__init__(answers or [" None"], max_characters=fits)
        self._can = Capabilities(grammar=grammar, scores=scores, prefix_cache=False)
        self.measured: list[tuple[str, str]] = []

    @property
    def capabilities(self) -> Capabilities:
        return self._can

    def fit(self, prompt: Prompt, text: str) -> int:
        self.measured.append((prompt.head, text))
        return super().fit(prompt, text)


def told(*choices: tuple[str, float], finish: Finish = Finish.STOP) -> Completion:
    """An answer made of choices with their probabilities; a probability of 0 stands for "forced".

    `("", p)` is a choice that writes nothing: to end a mention, or the answer.
    """
    answer, pieces = "", []
    for words, probability in choices:
        if probability:
            piece = Piece(len(answer), len(answer) + len(words), math.log(probability))
            pieces.append(piece)
        answer += words
    return Completion(answer, finish, tuple(pieces), Usage(answer_tokens=len(choices)))


def on(*answers: str | Completion, **engine: Any) -> Extractor:
    return Extractor(Engine(*answers, **engine))


def asked(ner: Extractor) -> list[Request]:
    assert isinstance(ner.engine, Engine)
    return ner.engine.requests


def spans(document: Document) -> list[tuple[int, int, str]]:
    return [(e.start, e.end, e.label) for e in document.entities]


def kinds(document: Document) -> list[FaultKind]:
    return [fault.kind for fault in document.faults]


def found(answer: str | Completion, text: str = TEXT, **options: Any) -> Document:
    return on(answer).extract(text, LABELS, **options)


# -- labels ----------------------------------------------------------------------------------------


def test_labels_stand_in_the_prompt_in_their_order_and_without_blanks_at_their_ends() -> None:
    ner = on(" movie title: Ada")
    document = ner.extract("Ada", (" movie title ", "city"))
    (request,) = asked(ner)
    assert "\nLabel Set: movie title, city \n" in request.prompt.head
    assert spans(document) == [(0, 3, "movie title")]
    assert request.space is not None
    assert request.space.labels == ("movie title", "city")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param([], "no labels", id="none"),
        pytest.param({}, "no labels", id="none, as a mapping"),
        pytest.param("person", "one string", id="a string"),
        pytest.param(["person", " "], "is empty", id="an empty one"),
        pytest.param(["person", "person "], "given twice", id="one twice"),
        pytest.param(["per\nson"], "a line break", id="a line break"),
        pytest.param(["person", 3], "not int", id="a number"),
        pytest.param({"person": None}, "description of 'person' is not a string", id="no text"),
    ],
)
def test_labels_that_cannot_be_asked_for_are_refused_at_once(labels: Any, message: str) -> None:
    def texts() -> Iterator[str]:
        raise AssertionError("a text was read")
        yield ""

    for ask in (
        lambda: on().extract("Ada", labels),
        lambda: on().extract_batch(texts(), labels),
        lambda: on().extract_tokens(["Ada"], labels),
        lambda: on().prompt("Ada", labels),
    ):
        with pytest.raises(InputError, match=message):
            ask()


def test_descriptions_are_asked_with_the_description_prompt() -> None:
    ner = on()
    ner.extract(
        "Ada", {"person": "A human\nbeing,\r\n\n  named.", " city": "a\x00b\ud800c", "x": ""}
    )
    (request,) = asked(ner)
    assert "and their descriptions" in request.prompt.head
    assert "\nLabel Set: person, city, x \n" in request.prompt.head
    expected = 'person means "A human being, named."; city means "a\ufffdb\ufffdc" \n'
    assert f"\nLabel Description: {expected}" in request.prompt.head


def test_labels_whose_descriptions_are_all_empty_are_asked_for_plainly() -> None:
    described, plain = on(), on()
    described.extract("Ada", {"person": "", "city": " "})
    plain.extract("Ada", ["person", "city"])
    assert asked(described) == asked(plain)


# -- options ---------------------------------------------------------------------------------------


def test_the_options_are_those_of_a_question() -> None:
    parameters = inspect.signature(Question.of).parameters.values()
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert keywords == list(Options.__annotations__)
    for method in (Extractor.extract, Extractor.extract_batch, Extractor.extract_tokens):
        with pytest.raises(TypeError, match="unexpected keyword argument 'treshold'"):
            method(on(), ["Ada"] if method is not Extractor.extract else "Ada", LABELS, treshold=1)  # type: ignore[call-arg]


SCORED = told(
    (" person: Ada", 0.9), ("; person: Bob", 0.5), ("; city: New York", 0.25), ("", 1.0), ("", 1.0)
)


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [
        pytest.param(None, ["Ada", "Bob", "New York"], id="none"),
        pytest.param(0, ["Ada", "Bob", "New York"], id="zero"),
        pytest.param(0.5, ["Ada", "Bob"], id="one for all; what reaches it is kept"),
        pytest.param(0.6, ["Ada"], id="one for all"),
        pytest.param(1, [], id="nothing is as sure"),
        pytest.param({"city": 0.3}, ["Ada", "Bob"], id="one label"),
        pytest.param({" person": 0.6, "city": 0.2}, ["Ada", "New York"], id="each its own"),
        pytest.param({}, ["Ada", "Bob", "New York"], id="none, as a mapping"),
    ],
)
def test_threshold(threshold: Any, kept: list[str]) -> None:
    document = found(SCORED, threshold=threshold)
    assert [e.text for e in document.entities] == kept
    assert document.faults == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"threshold": {"town": 0.5}}, "'town', which is not among", id="other label"),
        pytest.param({"threshold": 1.5}, "between 0 and 1; that of 'person' is 1.5", id="above"),
        pytest.param({"threshold": -0.1}, "between 0 and 1", id="below"),
        pytest.param({"threshold": math.nan}, "between 0 and 1", id="not a number"),
        pytest.param({"threshold": {"city": "0.5"}}, "between 0 and 1", id="a string"),
        pytest.param({"overlap": "best"}, '"nested" or "flat", not \'best\'', id="overlap"),
        pytest.param({"max_answer_tokens": 0}, "at least 1, got 0", id="no tokens"),
        pytest.param({"examples": ["Ada"]}, "example 0 is a str", id="example that is none"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        on().extract_batch(iter([]), LABELS, **options)


NESTED = told(
    (" city: New York; person: New", 0.5),
    ("", 0.8),  # New ends here
    ("; city: York; person: Ada", 0.9),
    ("; city: Ada", 0.9),
    ("", 1.0),
)


def test_nested_entities_are_kept() -> None:
    document = found(NESTED, ONCE, overlap="nested")
    assert spans(document) == [
        (0, 3, "person"),
        (0, 3, "city"),
        (15, 23, "city"),
        (15, 18, "person"),
        (19, 23, "city"),
    ]


@pytest.mark.parametrize(
    ("york", "ada", "kept"),
    [
        pytest.param(0.9, 0.9, [(0, 3, "person"), (15, 23, "city")], id="on a tie the longer"),
        pytest.param(
            0.95, 0.9, [(0, 3, "person"), (15, 18, "person"), (19, 23, "city")], id="best"
        ),
        pytest.param(0.9, 0.99, [(0, 3, "city"), (15, 23, "city")], id="best of two labels"),
    ],
)
def test_flat_entities_share_no_character(
    york: float, ada: float, kept: list[tuple[int, int, str]]
) -> None:
    answer = told(
        (" city: New York", 0.9),
        ("; person: New", 0.1),
        ("; city: York", york),
        ("; person: Ada", 0.9),
        ("; city: Ada", ada),
    )
    assert spans(found(answer, ONCE, overlap="flat")) == kept


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        pytest.param(" person: b; city: b c", [(2, 5, "city")], id="the longer, told later"),
        pytest.param(" person: a b; city: b c d", [(2, 7, "city")], id="the longer, though later"),
        pytest.param(" person: b c; city: a b", [(0, 3, "city")], id="of one length the earlier"),
        pytest.param(" city: b; person: b", [(2, 3, "city")], id="at one place the first told"),
    ],
)
def test_flat_entities_of_one_score(answer: str, kept: list[tuple[int, int, str]]) -> None:
    assert spans(found(answer, "a b c d", overlap="flat")) == kept


def test_a_threshold_comes_before_the_choice_of_flat_entities() -> None:
    answer = told((" city: New York", 0.4), ("; person: York", 0.3), ("", 1.0))
    document = found(answer, overlap="flat", threshold={"city": 0.5})
    assert spans(document) == [(19, 23, "person")]


EXAMPLE = Sample(
    "Eve left Rome",
    (Entity(Span(9, 13), "city", "Rome"), Entity(Span(0, 3), "person", "Eve")),
    ("person", "city"),
    "en",
    "test",
)


def test_examples_are_shown_in_the_few_shot_prompt() -> None:
    ner = on()
    ner.extract("Ada", {"person": "a human"}, examples=[EXAMPLE, EXAMPLE])
    (request,) = asked(ner)
    assert "Below are some examples." in request.prompt.head
    assert "a human" not in request.prompt.head
    shot = "Text: Eve left Rome \nAnswer: person: Eve; city: Rome \n\n"
    assert request.prompt.head.endswith(f"{shot}{shot}Text:")


@pytest.mark.parametrize(
    ("text", "language", "cue", "fault"),
    [
        pytest.param("Ada in 北京", None, "Answer:", False, id="mostly Latin"),
        pytest.param("李白在长安", None, "答案:", False, id="mostly Han"),
        pytest.param("李白在长安", "en", "Answer:", False, id="as asked for"),
        pytest.param("Ada", "zh-TW", "答案:", False, id="a region"),
        pytest.param("Ada", "de", "Antwort:", False, id="German"),
        pytest.param("Ada", "", "Answer:", False, id="none named"),
        pytest.param("Ada", "fr", "Answer:", True, id="no template"),
    ],
)
def test_language(text: str, language: str | None, cue: str, fault: bool) -> None:
    ner = on()
    document = ner.extract(text, LABELS, language=language)
    assert asked(ner)[0].prompt.body == f" {text} \n{cue}"
    assert kinds(document) == [FaultKind.LANGUAGE] * fault
    assert [f.place for f in document.faults] == ["template"] * fault
    assert ner.prompt(text, LABELS, language=language) == asked(ner)[0].prompt


def test_a_language_without_this_kind_of_prompt_says_so() -> None:
    document = on().extract("Ada", {"person": "a human"}, language="de")
    assert kinds(document) == [FaultKind.LANGUAGE]
    assert "no zero-shot-with-description prompt in 'de'" in document.faults[0].message


def test_the_language_of_a_long_text_is_that_of_its_beginning() -> None:
    ner = on()
    ner.extract("Ada left. " * 300 + "李白在长安" * 3000, LABELS)
    assert asked(ner)[0].prompt.body.endswith("Answer:")


def test_free_answers_are_read_leniently_and_faults_say_what_they_held() -> None:
    ner = on(" person: Ada; planet: Mars; person: Zoe; nonsense; city: New York")
    document = ner.extract(TEXT, LABELS, constrained=False)
    assert asked(ner)[0].space is None
    assert spans(document) == [(0, 3, "person"), (15, 23, "city")]
    assert kinds(document) == [
        FaultKind.UNKNOWN_LABEL,
        FaultKind.NOT_IN_TEXT,
        FaultKind.MALFORMED,
    ]


def test_an_engine_that_cannot_hold_answers_to_the_text_says_so() -> None:
    ner = on(" person: Zoe", grammar=False)
    document = ner.extract(TEXT, LABELS)
    assert asked(ner)[0].space is None
    assert kinds(document) == [FaultKind.UNCONSTRAINED, FaultKind.NOT_IN_TEXT]
    assert kinds(ner.extract(TEXT, LABELS, constrained=False)) == [FaultKind.NOT_IN_TEXT]


def test_every_occurrence_is_marked_with_the_score_of_the_first() -> None:
    answer = told((" person: Ada", 0.5), ("", 0.5), ("; city: New York", 0.5))
    once, everywhere = (found(answer, every_occurrence=option) for option in (False, True))
    assert spans(once) == [(0, 3, "person"), (15, 23, "city")]
    assert spans(everywhere) == [(0, 3, "person"), (15, 23, "city"), (25, 28, "person")]
    assert [e.score for e in everywhere.entities] == pytest.approx([0.25, 0.5, 0.25])
    assert spans(found(answer, every_occurrence=True, threshold=0.3)) == [(15, 23, "city")]


def test_max_answer_tokens_goes_to_the_engine() -> None:
    ner = on()
    ner.extract("Ada", LABELS)
    ner.extract("Ada", LABELS, max_answer_tokens=7)
    assert [r.max_answer_tokens for r in asked(ner)] == [MAX_ANSWER_TOKENS, 7]


def test_prompt_is_what_the_model_sees() -> None:
    for options in ({}, {"language": "zh"}, {"examples": [EXAMPLE]}):
        ner = on()
        ner.extract("a\x00b", {"person": "a human"}, **options)  # type: ignore[arg-type]
        shown = ner.prompt("a\x00b", {"person": "a human"}, **options)  # type: ignore[arg-type]
        assert shown == asked(ner)[0].prompt
    assert " \ufffd" not in shown.body
    assert "a\ufffdb" in shown.body
    cut = on(fits=9)
    cut.extract(TEXT, LABELS)
    assert cut.prompt(TEXT, LABELS).body == asked(cut)[0].prompt.body == " Ada met  \nAnswer:"
    assert cut.prompt(" ", LABELS).body == "   \nAnswer:"
    with pytest.raises(InputError, match="a text is a string, not int"):
        cut.prompt(3, LABELS)  # type: ignore[arg-type]


# -- entities and scores ---------------------------------------------------------------------------


def test_entities_stand_in_the_order_of_the_text() -> None:
    answer = " city: New York; city: York; person: Bob; city: Ada; person: Ada; city: New"
    document = found(answer, ONCE)
    assert spans(document) == [
        (0, 3, "person"),
        (0, 3, "city"),
        (8, 11, "person"),
        (15, 23, "city"),
        (15, 18, "city"),
        (19, 23, "city"),
    ]
    assert all(e.text == ONCE[e.start : e.end] for e in document.entities)


def test_a_mention_that_is_told_too_often_is_a_fault() -> None:
    document = found(" person: Ada; person: Ada; person: Ada", constrained=False)
    assert spans(document) == [(0, 3, "person"), (25, 28, "person")]
    assert document.faults == (
        Fault(
            FaultKind.REPEATED,
            "'Ada' is 'person' more often than it stands in the text",
            "answer:27-38",
        ),
    )


@pytest.mark.parametrize(
    ("choices", "scores"),
    [
        pytest.param([(" person: Ada", 0)], [1.0], id="no choice at all"),
        pytest.param(
            [(" ", 0.9), ("person", 0.5), (": ", 0), ("A", 0.5), ("da", 0), ("", 0.5)],
            [0.9 * 0.5 * 0.5 * 0.5],
            id="that there is one, its label, its words, its end",
        ),
        pytest.param(
            [(" person: Ada", 0.5), ("", 0.5), ("; ", 0.3), ("city: New York", 0.5), ("", 0.2)],
            [0.25, 0.3 * 0.5 * 0.2],
            id="each its own; the mark between belongs to what comes",
        ),
        pytest.param(
            [(" person: Ada", 0.5), ("", 0.5), ("", 0.1)],
            [0.25],
            id="the end of the answer is nobody's",
        ),
        pytest.param(
            [(" person: A", 0.5), ("da;", 0.5), (" person: Bob", 0.5)],
            [0.25, 0.5],
            id="a choice that goes over the border belongs where it begins",
        ),
        pytest.param(
            [(" person: Ada", 0.5), ("; person: Zoe", 0.5), ("; person: Bob", 0.5), ("", 0.5)],
            [0.5, 0.5 * 0.5 * 0.5],
            id="given all that was written before",
        ),
        pytest.param([(" person: Ada", 1.0), ("", 1.0)], [1.0], id="certain"),
    ],
)
def test_scores(choices: list[tuple[str, float]], scores: list[float]) -> None:
    document = found(told(*choices), constrained=False)
    assert [e.score for e in document.entities] == pytest.approx(scores)


def test_a_score_is_never_above_one() -> None:
    answer = Completion(" person: Ada", pieces=(Piece(0, 12, 1e-9),))
    assert [e.score for e in found(answer).entities] == [1.0]


@pytest.mark.parametrize("threshold", [0.5, {"person": 0.9}])
def test_without_scores_a_threshold_is_a_fault_and_drops_nothing(threshold: Any) -> None:
    ner = on(SCORED, scores=False)
    document = ner.extract(TEXT, LABELS, threshold=threshold)
    assert len(document.entities) == 3
    assert kinds(document) == [FaultKind.UNSCORED]
    assert {e.score for e in document.entities} == {1.0}
    for harmless in (None, 0, {"person": 0.0}):
        assert ner.extract(TEXT, LABELS, threshold=harmless).faults == ()


def test_an_answer_of_many_items_takes_linear_time() -> None:
    def answer(items: int) -> tuple[Extractor, str]:
        names = [f"n{number}" for number in range(items)]
        choices = [(f"{'; ' if n else ' '}person: {name}", 0.9) for n, name in enumerate(names)]
        return on(told(*itertools.chain(*([c, ("", 0.9)] for c in choices)))), " ".join(names)

    assert grows_linearly(answer, lambda made: made[0].extract(made[1], LABELS), 60)


# -- answers that were cut or failed ---------------------------------------------------------------


def cut(answer: str) -> Completion:
    return Completion(answer, Finish.LENGTH, usage=Usage(answer_tokens=9))


@pytest.mark.parametrize(
    ("answer", "kept", "left_out"),
    [
        pytest.param(
            " person: Ada; city: New", ["Ada"], "city: New", id="a word, maybe unfinished"
        ),
        pytest.param(" person: Ada; city: New Yo", ["Ada"], "city: New Yo", id="inside a word"),
        pytest.param(" person: Ada; ci", ["Ada"], "ci", id="inside a label"),
        pytest.param(" person: Ada; city:", ["Ada"], "city:", id="behind a label"),
        pytest.param(" person: Ada; ", ["Ada"], "", id="behind a mark"),
        pytest.param(" person: Ada", [], "person: Ada", id="the only item"),
        pytest.param(" per", [], "per", id="before any item"),
        pytest.param("", [], "", id="before anything"),
        pytest.param(
            " city: New York;", [], "city: New York;", id="a mark that a mention may hold"
        ),
        pytest.param(" city: New York; A", [], "city: New York; A", id="words of a longer mention"),
        pytest.param(" city: New York; p", ["New York"], "p", id="not words of the text"),
    ],
)
@pytest.mark.parametrize("constrained", [True, False])
def test_an_answer_that_was_cut(
    answer: str, kept: list[str], left_out: str, constrained: bool
) -> None:
    document = found(cut(answer), constrained=constrained)
    assert [e.text for e in document.entities] == kept
    (fault,) = document.faults
    said = f"; its unfinished end was left out: {left_out!r}" if left_out else ""
    assert fault.kind is FaultKind.ANSWER_TRUNCATED
    assert fault.message == "the answer was cut at 9 tokens" + said
    begin, end = fault.place.removeprefix("answer:").split("-")
    assert int(end) == len(answer)
    assert answer[int(begin) : int(end)].strip("; ") == left_out.strip("; ")


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        pytest.param(" b; c: ", [], id="behind a label"),
        pytest.param(" a: x; b; ", ["x"], id="inside a label"),
        pytest.param(" a: x; a: y; b", ["x"], id="inside a label, or a mention"),
        pytest.param(" a: y; b z; a", [], id="inside a label, and the mention before is unsure"),
        pytest.param(" a: y; b z; a: x", ["y; b z"], id="inside a mention"),
    ],
)
def test_a_cut_among_labels_and_mentions_that_hold_marks(answer: str, kept: list[str]) -> None:
    document = on(cut(answer)).extract("x y; b z", ["a", "b; c", "b; d"])
    assert [e.text for e in document.entities] == kept
    assert kinds(document) == [FaultKind.ANSWER_TRUNCATED]


def test_a_mark_that_ends_a_mention_before_the_cut_is_the_mentions() -> None:
    document = found(cut(" city: x;; person: y"), "x; y z")
    assert spans(document) == [(0, 2, "city")]


def test_what_is_wrong_in_front_of_the_cut_is_still_said() -> None:
    document = found(cut(" planet: Mars; person: Ada; " + "x" * 100), constrained=False)
    assert kinds(document) == [FaultKind.UNKNOWN_LABEL, FaultKind.ANSWER_TRUNCATED]
    assert document.faults[1].message.endswith(f"{'x' * 57 + '...'!r}")
    assert spans(document) == [(0, 3, "person")]


def test_the_scores_in_front_of_the_cut_stay() -> None:
    answer = told(
        (" person: Ada", 0.5), ("", 0.5), ("; city: New", 0.9), (" Yo", 0.9), finish=Finish.LENGTH
    )
    assert [e.score for e in found(answer).entities] == pytest.approx([0.25])


@pytest.mark.parametrize("constrained", [True, False])
def test_a_cut_answer_says_nothing_that_the_whole_does_not(constrained: bool) -> None:
    whole = " person: Ada; person: Bob; city: New York; person: Ada; city: New York; Ada"
    complete = found(whole, constrained=constrained)
    assert complete.faults == ()
    for place in range(len(whole)):
        document = found(cut(whole[:place]), constrained=constrained)
        assert set(document.entities) <= set(complete.entities)
        assert kinds(document) == [FaultKind.ANSWER_TRUNCATED]


AMBIGUOUS = " person: Ada; person: Bob"


def test_ambiguity_is_a_fault_of_free_answers_only() -> None:
    text = "Ada; person: Bob said Bob to Ada"
    free, bound = (found(AMBIGUOUS, text, constrained=option) for option in (False, True))
    assert FaultKind.AMBIGUOUS in kinds(free)
    assert bound.faults == ()
    assert free.entities == bound.entities
    unbound = on(AMBIGUOUS, grammar=False).extract(text, LABELS)
    assert kinds(unbound) == [FaultKind.UNCONSTRAINED, FaultKind.AMBIGUOUS]


def test_an_error_on_one_text_is_its_fault_and_the_others_go_on() -> None:
    broken = Completion("", Finish.ERROR, error="the text broke it", usage=Usage(5))
    ner = on(" person: Ada", broken, " person: Bob")
    good, bad, also_good = ner.extract_batch([TEXT] * 3, LABELS)
    assert spans(good) == [(0, 3, "person")]
    assert bad == Document(TEXT, faults=(Fault(FaultKind.ENGINE, "the text broke it", "engine"),))
    assert bad.usage == Usage(5)
    assert spans(also_good) == [(8, 11, "person")]


class Leaving(Engine):
    """Gives some answers and is gone; `silently`: without an error."""

    def __init__(self, answers: int, *, silently: bool = False) -> None:
        super().__init__(" person: Ada")
        self._good, self._silently = answers, silently

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        yield from itertools.islice(super().generate(requests), self._good)
        if not self._silently:
            raise EngineError("gone")


@pytest.mark.parametrize("silently", [False, True])
def test_when_the_engine_is_gone_so_is_the_batch_but_not_what_came_before(silently: bool) -> None:
    documents = Extractor(Leaving(2, silently=silently)).extract_batch(["Ada"] * 3, LABELS)
    assert [spans(next(documents)) for _ in range(2)] == [[(0, 3, "person")]] * 2
    with pytest.raises(
        EngineError, match="fewer answers than it was asked" if silently else "gone"
    ):
        next(documents)


# -- batches ---------------------------------------------------------------------------------------


class ReadingAhead(Engine):
    """Draws requests three at a time, as real engines do."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        source = iter(requests)
        while window := list(itertools.islice(source, 3)):
            yield from super().generate(window)


def test_a_batch_is_lazy_and_in_order() -> None:
    drawn = 0

    def texts() -> Iterator[str]:
        nonlocal drawn
        for number in itertools.count():
            drawn += 1
            yield f"Ada {number}"

    documents = Extractor(ReadingAhead(" person: Ada")).extract_batch(texts(), LABELS)
    assert drawn == 0
    assert next(documents).text == "Ada 0"
    assert drawn == 3
    assert [next(documents).text for _ in range(3)] == ["Ada 1", "Ada 2", "Ada 3"]
    assert drawn == 6


def test_texts_with_nothing_to_ask_keep_their_places() -> None:
    ner = Extractor(ReadingAhead(*(f" person: {name}" for name in "ABCDE")))
    texts = ["", "A", " \n", "\u200b\ufeff", "B", "C", "", "D", "E", "\t"]
    documents = list(ner.extract_batch((text for text in texts), LABELS))
    assert [d.text for d in documents] == texts
    assert [[e.text for e in d.entities] for d in documents] == [
        [text] if text.strip("\u200b\ufeff \n\t") else [] for text in texts
    ]
    assert all(d.faults == () for d in documents)
    assert len(asked(ner)) == 5


def test_an_empty_batch_asks_nothing() -> None:
    ner = on()
    assert list(ner.extract_batch([], LABELS)) == []
    assert list(ner.extract_batch(["", " "], LABELS)) == [Document(""), Document(" ")]
    assert asked(ner) == []


def test_a_string_is_no_batch() -> None:
    with pytest.raises(InputError, match="list of texts; for one text call extract"):
        on().extract_batch("Ada", LABELS)
    with pytest.raises(InputError, match="list of tokens; for a text call extract"):
        on().extract_tokens("Ada", LABELS)


@pytest.mark.parametrize("odd", [None, 3, math.nan, b"Ada", ["Ada"]])
def test_what_is_no_text_is_an_empty_document_that_says_so(odd: Any) -> None:
    ner = on(" person: Ada")
    first, second, third = ner.extract_batch(["Ada", odd, "Ada"], LABELS)
    assert spans(first) == spans(third) == [(0, 3, "person")]
    kind = type(odd).__name__
    message = f"text 1 is not a string but {kind}: it was not read"
    assert second == Document("", faults=(Fault(FaultKind.MALFORMED, message, "batch:1"),))
    with pytest.raises(InputError, match=f"a text is a string, not {kind}"):
        ner.extract(odd, LABELS)


def test_an_error_of_the_callers_own_generator_is_passed_on() -> None:
    def texts() -> Iterator[str]:
        yield "Ada"
        raise OSError("disk")

    documents = on(" person: Ada").extract_batch(texts(), LABELS)
    assert spans(next(documents)) == [(0, 3, "person")]
    with pytest.raises(OSError, match="disk"):
        next(documents)


def test_threads_may_share_an_extractor() -> None:
    class Repeating(Engine):
        def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
            for request in requests:
                yield Completion(f" person: {request.prompt.body.split()[0]}")

    ner = Extractor(Repeating())
    wrong: list[str] = []

    def work(name: str) -> None:
        for document in ner.extract_batch([f"{name} left"] * 50, LABELS):
            wrong.extend(e.text for e in document.entities if e.text != name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("Ada", "Bob", "Eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- what fits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fits", "read"),
    [
        pytest.param("Ada met Bob", 11, 11, id="all of it"),
        pytest.param("Ada met Bob", 10, 8, id="inside a word"),
        pytest.param("Ada met Bob", 7, 7, id="at a word's end"),
        pytest.param("Ada met Bob", 8, 8, id="at a word's beginning"),
        pytest.param("Ada met Bob", 2, 0, id="inside the first word"),
        pytest.param("Ada met Bob", 0, 0, id="nothing"),
        pytest.param("李白在长安", 3, 3, id="between characters"),
        pytest.param("a 👩\u200d👩\u200d👧 b", 4, 2, id="inside an emoji"),
        pytest.param("a e\u0301 b", 3, 2, id="before a combining mark"),
        pytest.param("a 1\ufe0f\u20e3 b", 3, 2, id="inside a keycap"),
        pytest.param("a 🇩🇪🇫🇷", 4, 4, id="between two flags"),
        pytest.param("a 🇩🇪🇫🇷", 5, 4, id="inside a flag"),
        pytest.param("x" * 500, 300, 0, id="a word longer than what fits"),
        pytest.param(" " * 50 + "x" * 500, 300, 50, id="white space and such a word"),
    ],
)
def test_a_text_is_cut_between_words(text: str, fits: int, read: int) -> None:
    ner = on(" None", fits=fits)
    document = ner.extract(text, LABELS, language="en")
    assert document.text == text
    if read == len(text):
        assert document.faults == ()
    else:
        message = f"only the first {read} of {len(text)} characters fit the model's context"
        assert document.faults == (Fault(FaultKind.TEXT_TRUNCATED, message, f"text:{read}"),)
    if text[:read].strip():
        (request,) = asked(ner)
        assert request.prompt.body == f" {text[:read]} \nAnswer:"
        assert request.space is not None
        assert "".join(request.space.chunks) == text[:read]
    else:
        assert asked(ner) == []


def test_what_was_cut_off_is_not_searched() -> None:
    document = on(" person: Ada; person: Ada", fits=20).extract(TEXT, LABELS, constrained=False)
    assert spans(document) == [(0, 3, "person")]
    assert kinds(document) == [FaultKind.TEXT_TRUNCATED, FaultKind.REPEATED]


class Full(Engine):
    """Has no room behind the head in one language."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word

    def fit(self, prompt: Prompt, text: str) -> int:
        if self._word in prompt.head:
            raise LabelError("ask for fewer labels at once")
        return super().fit(prompt, text)


@pytest.mark.parametrize("word", ["Label Set", "标签范围"])
def test_labels_that_fill_the_context_are_refused_at_once(word: str) -> None:
    for ask in (
        lambda: Extractor(Full(word)).extract("Ada", LABELS),
        lambda: Extractor(Full(word)).extract_batch(iter([""]), LABELS),
        lambda: Extractor(Full(word)).extract_tokens([], LABELS),
    ):
        with pytest.raises(LabelError, match="fewer labels"):
            ask()
    other = "en" if word == "标签范围" else "zh"
    assert Extractor(Full(word)).extract("Ada", LABELS, language=other).faults == ()


# -- tokens ----------------------------------------------------------------------------------------

TOKENS = ["Ada", "met", "O'Brien", "-", "Smith", "in", "New", "York"]


def test_token_spans() -> None:
    answer = " person: Ada; person: O'Brien - Smith; city: New York"
    made = on(answer).extract_tokens(TOKENS, LABELS)
    assert made.tokens == tuple(TOKENS)
    assert made.document.text == "Ada met O'Brien - Smith in New York"
    assert [e.text for e in made.document.entities] == ["Ada", "O'Brien - Smith", "New York"]
    assert made.token_spans == ((0, 1), (2, 5), (6, 8))


def test_no_entity_begins_or_ends_inside_a_token() -> None:
    ner = on(" person: Brien; person: O'Brien; city: York")
    made = ner.extract_tokens(TOKENS, LABELS, constrained=False)
    assert [e.text for e in made.document.entities] == ["O'Brien", "York"]
    assert kinds(made.document) == [FaultKind.NOT_IN_TEXT]
    bound = on()
    bound.extract_tokens(["O'Brien", "李白"], LABELS)
    space = asked(bound)[0].space
    assert space is not None
    assert space.chunks == ("O'Brien", " ", "李白")


def test_tokens_may_be_joined_by_nothing() -> None:
    made = on(" person: 李白; city: 长安").extract_tokens(
        ["李白", "在", "长", "安"], LABELS, separator=""
    )
    assert made.document.text == "李白在长安"
    assert made.token_spans == ((0, 1), (2, 4))


@pytest.mark.parametrize("separator", ["", " "])
@pytest.mark.parametrize(
    "odd", ["", " ", "\n", "\u200b", "\u3000", " Bob", "Bob ", "\ufeffBob\u00a0", "\x00", "Bob"]
)
def test_odd_tokens_do_no_harm(odd: str, separator: str) -> None:
    tokens = ["Ada", odd, "Eve", odd]
    everything = " city: \ufffd; person: Ada; person: Bob; person: Eve; person: Bob"
    made = on(everything).extract_tokens(tokens, LABELS, separator=separator)
    document = made.document
    assert document.text == separator.join(tokens)
    own = {"Ada": [(0, 1)], "Eve": [(2, 3)], "Bob": [(1, 2), (3, 4)], "\x00": [(1, 2)]}
    for entity, span in zip(document.entities, made.token_spans, strict=True):
        assert document.text[entity.start : entity.end] == entity.text
        assert span in own[entity.text]
    words = [e.text for e in document.entities]
    assert words.count("Ada") == words.count("Eve") == 1
    assert words.count("Bob") == 2 * ("Bob" in odd)
    assert words.count("\x00") == (odd == "\x00")


@pytest.mark.parametrize("tokens", [[], [""], [" ", "\u200b"]])
def test_tokens_without_anything_to_see_ask_nothing(tokens: list[str]) -> None:
    ner = on()
    made = ner.extract_tokens(tokens, LABELS)
    assert (made.document.entities, made.token_spans, asked(ner)) == ((), (), [])


def test_tokens_are_cut_whole() -> None:
    ner = on(" person: Ada; person: Bob-Eve", fits=8)
    made = ner.extract_tokens(["Ada", "Bob-Eve", "x"], LABELS, constrained=False)
    assert asked(ner)[0].prompt.body == " Ada  \nAnswer:"
    assert made.token_spans == ((0, 1),)
    assert made.document.faults[0].place == "text:4"


def test_tokens_take_the_options_of_texts() -> None:
    ner = on(SCORED)
    made = ner.extract_tokens(ONCE.split(), LABELS, threshold=0.5, language="de", examples=[])
    assert made.token_spans == ((0, 1), (2, 3))
    assert asked(ner)[0].prompt.body.endswith("Antwort:")


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        pytest.param(["Ada", None], {}, "token 1 is not a string: None", id="no string"),
        pytest.param(["Ada"], {"separator": "_"}, "a blank or by nothing, not by '_'", id="joined"),
    ],
)
def test_tokens_that_are_none(tokens: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        on().extract_tokens(tokens, LABELS, **options)
