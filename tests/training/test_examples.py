"""The laws of regularisation: nothing is invented, nothing is lost but by a rule, all is drawn."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import segments
from b2ner.errors import DataError
from b2ner.model.tokens import encode
from b2ner.prompting import answer
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.prompting.template import load_template
from b2ner.records import Entity, Mention, Reason, Sample, Span
from b2ner.training.examples import Examples, admit
from b2ner.training.label_sets import OtherNames, draw_labels, strangers_to
from b2ner.training.settings import Regularisation
from tests.tiny import TOKENIZERS, tiny_tokenizer
from tests.training.runs import AS_GIVEN, LABELS, SAMPLES, sample

MANY = tuple(f"kind {number}" for number in range(30))
OTHERS = ("galaxy", "spice", "Protein", "虫")

label_sets = st.lists(st.sampled_from(MANY), min_size=1, unique=True)
regularisations = st.builds(
    Regularisation,
    label_limit=st.integers(3, 20),
    fewest_labels=st.integers(0, 3),
    label_dropout=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    shuffle_labels=st.booleans(),
    renamed_labels=st.sampled_from([0.0, 0.5]),  # no label has another name here
    borrowed_labels=st.integers(0, 4),
    recased_prompts=st.sampled_from([0.0, 0.5, 1.0]),
)


@st.composite
def drawings(draw: Any) -> tuple[tuple[str, ...], set[str], Regularisation, int]:
    labels = draw(label_sets)
    own = set(draw(st.lists(st.sampled_from(labels))))
    return tuple(labels), own, draw(regularisations), draw(st.integers(0, 10_000))


@given(drawings())
def test_a_prompt_s_labels(drawing: tuple[tuple[str, ...], set[str], Regularisation, int]) -> None:
    labels, own, settings, seed = drawing
    drawn = draw_labels(labels, own, OTHERS, settings, random.Random(seed))
    again = draw_labels(labels, own, OTHERS, settings, random.Random(seed))
    assert drawn == again
    assert len(set(drawn.asked)) == len(drawn.asked) <= settings.label_limit
    assert set(drawn.names) <= set(labels)
    assert drawn.names  # something real is always asked for
    assert {name.casefold() for name in drawn.names} == {
        name.casefold() for name in drawn.names.values()
    }
    borrowed = set(drawn.asked) - set(drawn.names.values())
    assert {name.casefold() for name in borrowed} <= {name.casefold() for name in OTHERS}
    assert len(borrowed) <= settings.borrowed_labels
    if not settings.shuffle_labels:
        standing = [label for label in drawn.asked if label not in borrowed]
        assert standing == [drawn.names[label] for label in labels if label in drawn.names]
    if not (settings.label_dropout or settings.fewest_labels) and len(own) <= settings.label_limit:
        assert own <= set(drawn.names)


@given(drawings())
def test_an_answer_is_the_gold_mentions_of_what_is_asked(
    drawing: tuple[tuple[str, ...], set[str], Regularisation, int],
) -> None:
    labels, own, settings, seed = drawing
    text = " ".join(f"word{number}" for number in range(len(own)))
    entities = []
    for number, label in enumerate(sorted(own)):
        words = f"word{number}"
        start = text.index(words)
        entities.append(Entity(Span(start, start + len(words)), label, words))
    drawn = draw_labels(labels, own, OTHERS, settings, random.Random(seed))
    mentions = drawn.mentions(entities)
    assert mentions == [
        Mention(drawn.names[e.label], e.text)
        for e in sorted(entities, key=lambda e: e.start)
        if e.label in drawn.names
    ]
    assert writable(LABEL_FIRST, mentions, drawn.asked)
    read = answer.read(answer.write(mentions), drawn.asked, segments.chunks(text or "x"))
    assert read.mentions == tuple(mentions)
    assert not read.faults


def test_without_any_switch_the_prompt_is_the_label_set() -> None:
    drawn = draw_labels(MANY[:9], (), OTHERS, AS_GIVEN, random.Random(0))
    assert drawn.asked == MANY[:9]
    assert drawn.names == {label: label for label in MANY[:9]}


def test_a_large_set_is_cut_around_what_stands_in_the_texts() -> None:
    settings = Regularisation(label_dropout=0.0)
    for seed in range(50):
        drawn = draw_labels(MANY, MANY[20:25], (), settings, random.Random(seed))
        assert set(MANY[20:25]) <= set(drawn.asked)
        assert len(drawn.asked) <= 18


def test_about_as_many_labels_drop_as_asked() -> None:
    settings = Regularisation(label_dropout=0.1)
    kept = [
        len(draw_labels(MANY[:10], (), (), settings, random.Random(seed)).asked)
        for seed in range(2000)
    ]
    assert 8.9 < sum(kept) / len(kept) < 9.1


@pytest.mark.parametrize(
    ("other", "strange"),
    [
        pytest.param("galaxy", True, id="unrelated"),
        pytest.param("movie actor", False, id="a word in common"),
        pytest.param("PERSON", False, id="the same in capitals"),
        pytest.param("persona", False, id="one inside the other"),
    ],
)
def test_what_may_be_borrowed(other: str, strange: bool) -> None:
    assert (other in strangers_to(("person", "movie title"), [other])) is strange


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(sample("  \n"), Reason.MALFORMED, id="no text"),
        pytest.param(sample("a", labels=()), Reason.MALFORMED, id="no labels"),
        pytest.param(sample("a", labels=("x", "x")), Reason.MALFORMED, id="a label twice"),
        pytest.param(sample("Ada", ("Ada", "poet")), Reason.UNKNOWN_LABEL, id="outside the set"),
        pytest.param(
            Sample("Ada", (Entity(Span(0, 2), "person", "Ada"),), LABELS, "en", "x"),
            Reason.SPAN_MISMATCH,
            id="beside its words",
        ),
        pytest.param(
            sample("a; person: b", ("a; person: b", "person")), Reason.UNWRITABLE, id="misread"
        ),
        pytest.param(sample("a b ", ("b ", "person")), Reason.UNWRITABLE, id="space at an edge"),
    ],
)
def test_what_is_rejected(bad: Sample, reason: Reason) -> None:
    kept, rejected = admit([SAMPLES[0], bad])
    assert kept == [SAMPLES[0]]
    assert [(row.reason, row.place) for row in rejected] == [(reason, bad.source)]


def examples(samples: Any, regularisation: Regularisation = AS_GIVEN, **options: Any) -> Examples:
    options = {"seed": 1, "together": 2, **options}
    tokenizer = options.pop("tokenizer", None) or tiny_tokenizer("gemma3")
    return Examples(samples, tokenizer, load_template("published"), regularisation, **options)


def test_an_epoch_shows_every_sample_once_and_can_be_had_again() -> None:
    made = examples([*SAMPLES] * 3, Regularisation())
    first, second = list(made.epoch(0)), list(made.epoch(1))
    assert sorted(e.sample for bundle in first for e in bundle.examples) == list(range(12))
    assert sorted(e.sample for bundle in second for e in bundle.examples) == list(range(12))
    assert first != second
    assert list(examples([*SAMPLES] * 3, Regularisation()).epoch(1)) == second
    assert first[-1].progress == 1
    assert max(len(bundle.examples) for bundle in first) == 2


def test_texts_behind_one_head_have_their_labels_within_the_limit() -> None:
    samples = [
        sample(f"word{n} and x{n}", (f"word{n}", MANY[n]), (f"x{n}", MANY[-1 - n]), labels=MANY)
        for n in range(12)
    ]
    settings = Regularisation(label_limit=5, label_dropout=0.0)
    made = examples(samples, settings, together=8)
    shown = [example for bundle in made.epoch(0) for example in bundle.examples]
    tokenizer = tiny_tokenizer("gemma3")
    for example in shown:
        written = tokenizer.decode(example.answer[:-1])
        assert written.count(": ") == 2  # no mention was lost to the cut


def test_a_share_of_the_texts_without_entities_is_kept() -> None:
    samples = [sample(f"nothing to see {number}") for number in range(400)] + [SAMPLES[0]]
    made = examples(samples, Regularisation(label_dropout=0.0, kept_without_entities=0.3))
    shown = {e.sample for bundle in made.epoch(0) for e in bundle.examples}
    assert 80 < len(shown) < 160
    assert 400 in shown
    assert made.left_out["without entities"] == 401 - len(shown)
    other = {e.sample for bundle in made.epoch(1) for e in bundle.examples}
    assert shown != other


@pytest.mark.parametrize("family", [name for name in TOKENIZERS if name != "t5"])
def test_prompt_and_answer_are_those_of_inference(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    (bundle,) = examples([SAMPLES[0]], tokenizer=tokenizer).epoch(0)
    prompt = load_template("published").render(LABELS, SAMPLES[0].text, language="en")
    begin = [] if family == "qwen2" else [tokenizer.bos_token_id]
    (example,) = bundle.examples
    assert [*bundle.head] == [*begin, *encode(tokenizer, prompt.head)] or family == "qwen2"
    assert [*example.body] == encode(tokenizer, prompt.body)
    assert example.answer[-1] == tokenizer.eos_token_id
    from b2ner.model.tokens import token_bytes

    table = token_bytes(tokenizer)
    written = b"".join(table[token] for token in example.answer[:-1]).decode()
    assert written == " person: Ada; person: Moon; location: London"


def test_an_answer_that_the_tokenizer_changes_is_left_out() -> None:
    decomposed = sample("Zoe\u0301 in London", ("Zoe\u0301", "person"))
    made = examples([decomposed], tokenizer=tiny_tokenizer("qwen2"))
    assert [example for bundle in made.epoch(0) for example in bundle.examples] == []
    assert made.left_out == {"cannot be spelled": 1}


def test_a_language_without_a_prompt_of_its_own_is_asked_in_english() -> None:
    german = Sample("Ada", (), LABELS, "de", "x")
    chinese = Sample("李白在长安", (), LABELS, "zh-CN", "y")
    heads = {}
    for one in (german, chinese):
        (bundle,) = examples([one]).epoch(0)
        heads[one.language] = tiny_tokenizer("gemma3").decode(bundle.head)
    assert "Given the label set" in heads["de"]
    assert "给定实体" in heads["zh-CN"]
    (own,) = examples([german], own_prompts=("de",)).epoch(0)
    assert "Gegeben" in tiny_tokenizer("gemma3").decode(own.head)


def test_no_samples() -> None:
    with pytest.raises(DataError, match="no sample to train on"):
        examples([])


FINE = ("singer", "painter", "other person", "city")
PEOPLE = {"singer": "person", "painter": "person", "other person": "person"}
COARSER = OtherNames(broader={FINE: PEOPLE})


def grained(**more: Any) -> Regularisation:
    return Regularisation(label_dropout=0.0, mixed_grain=1.0, **more)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.4]))
def test_the_deepest_label_that_is_asked_for_is_the_answer(seed: int, dropout: float) -> None:
    settings = Regularisation(label_dropout=dropout, mixed_grain=1.0)
    drawn = draw_labels(FINE, FINE, (), settings, random.Random(seed), names=COARSER)
    assert set(drawn.asked) <= {*FINE, "person"}
    for label in FINE:
        if label in drawn.asked:
            assert drawn.names[label] == label
        elif label in PEOPLE and "person" in drawn.asked:
            assert drawn.names[label] == "person"
        else:
            assert label not in drawn.names


@given(st.integers(0, 10_000))
def test_a_mention_goes_by_the_nearest_name_on_its_way_up(seed: int) -> None:
    labels = ("footballer", "athlete", "singer", "city")
    above = {"footballer": "athlete", "athlete": "person", "singer": "artist", "artist": "person"}
    names = OtherNames({labels: above})
    settings = Regularisation(label_dropout=0.3, mixed_grain=1.0)
    drawn = draw_labels(labels, labels, (), settings, random.Random(seed), names=names)
    ways = {
        "footballer": ("footballer", "athlete", "person"),
        "athlete": ("athlete", "person"),
        "singer": ("singer", "artist", "person"),
        "city": ("city",),
    }
    for label, way in ways.items():
        nearest = next((name for name in way if name in drawn.asked), None)
        assert drawn.names.get(label) == nearest


def test_broader_names_stand_alone_or_beside_some_of_theirs() -> None:
    seen = {
        frozenset(draw_labels(FINE, FINE, (), grained(), random.Random(seed), names=COARSER).asked)
        for seed in range(200)
    }
    assert frozenset(FINE) in seen
    assert frozenset({"person", "city"}) in seen
    assert frozenset({"person", "singer", "city"}) in seen
    assert frozenset({*FINE, "person"}) not in seen  # nothing would be left for it


def test_a_label_set_without_broader_names_keeps_its_grain() -> None:
    assert set(draw_labels(FINE, FINE, (), grained(), random.Random(1)).asked) == set(FINE)
