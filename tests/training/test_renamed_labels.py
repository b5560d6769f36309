"""Labels go by other names that mean the same: drawn anew, never unclear, in prompt and answer."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import segments
from b2ner.prompting import answer
from b2ner.prompting.template import load_template
from b2ner.records import Entity, Mention, Sample, Span
from b2ner.training.examples import Examples
from b2ner.training.label_sets import LabelDraw, OtherNames, draw_labels, strangers_to
from b2ner.training.settings import Regularisation
from b2ner.training.shown import Shown, lesson
from tests.tiny import tiny_tokenizer
from tests.training.runs import AS_GIVEN, SAMPLES

TOKENIZER = tiny_tokenizer("gemma3")
GROUPS = (
    ("person", "human being", "individual"),
    ("settlement", "town or city", "populated place"),
    ("city", "urban settlement"),
    ("film", "movie", "motion picture"),
    ("award", "prize"),
    ("人名", "人物"),
)
PLAIN = ("kind 1", "kind 2", "Town", "tune")
NAMES = [name for group in GROUPS for name in group]


def other_names(*groups: tuple[str, ...], **broader: Any) -> OtherNames:
    return OtherNames(
        synonyms={name.casefold(): group for group in groups for name in group}, **broader
    )


ALL = other_names(*GROUPS)


def group_of(name: str) -> tuple[str, ...]:
    return ALL.alike(name)


def renaming(share: float = 1.0, **more: Any) -> Regularisation:
    return Regularisation(**{"label_dropout": 0.0, "renamed_labels": share, **more})


@st.composite
def drawings(draw: Any) -> tuple[tuple[str, ...], tuple[str, ...], OtherNames, Regularisation, int]:
    """A label set, what may be borrowed, other names, settings and a seed."""
    spelling = draw(st.sampled_from([str, str.title, str.upper]))
    labels = draw(st.lists(st.sampled_from([*NAMES, *PLAIN]), min_size=1, max_size=9, unique=True))
    labels = tuple(dict.fromkeys(map(spelling, labels)))
    broader = {}
    if draw(st.booleans()):
        below = draw(st.lists(st.sampled_from(labels), unique=True))
        broader = {labels: dict.fromkeys(below, draw(st.sampled_from(["being", "person", "work"])))}
    names = OtherNames(broader, ALL.synonyms)
    settings = Regularisation(
        label_limit=draw(st.integers(2, 12)),
        label_dropout=draw(st.sampled_from([0.0, 0.3])),
        shuffle_labels=draw(st.booleans()),
        mixed_grain=draw(st.sampled_from([0.0, 1.0])),
        renamed_labels=draw(st.sampled_from([0.3, 1.0])),
        borrowed_labels=draw(st.integers(0, 4)),
        recased_prompts=draw(st.sampled_from([0.0, 1.0])),
    )
    others = draw(st.permutations([*NAMES, "galaxy", "spice"]))
    return labels, strangers_to(labels, others, names), names, settings, draw(st.integers(0, 9999))


def drawn_of(drawing: Any) -> LabelDraw:
    labels, strangers, names, settings, seed = drawing
    return draw_labels(labels, labels, strangers, settings, random.Random(seed), names=names)


@given(drawings())
def test_a_label_goes_by_a_name_of_its_group(drawing: Any) -> None:
    labels, _, names, settings, _ = drawing
    drawn = drawn_of(drawing)
    assert drawn == drawn_of(drawing)
    assert len(set(drawn.asked)) == len(drawn.asked) <= settings.label_limit
    broader = names.broader.get(labels, {})
    for label, name in drawn.names.items():
        meant = broader[label] if label in drawn.broadened else label
        assert name.casefold() in [other.casefold() for other in group_of(meant)]
    for label, name in drawn.described.items():
        assert group_of(label) == group_of(name) or label.casefold() == name.casefold()


@given(drawings())
def test_two_labels_of_one_group_stand_together_only_where_both_were_annotated(
    drawing: Any,
) -> None:
    labels, _, names, _, _ = drawing
    known = {name.casefold() for name in (*labels, *names.broader.get(labels, {}).values())}
    asked = [name.casefold() for name in drawn_of(drawing).asked]
    counts = Counter(map(group_of, asked))
    for name in asked:
        if counts[group_of(name)] > 1:
            assert name in known
        elif name not in known:  # renamed or borrowed: no other label of the set is called so
            assert sum(group_of(name) == group_of(other) for other in known) <= 1


@given(drawings())
def test_answers_use_exactly_the_names_of_the_prompt(drawing: Any) -> None:
    labels = drawing[0]
    words = [f"word{number}" for number in range(len(labels))]
    text = " ".join(words)
    entities = [
        Entity(Span(text.index(word), text.index(word) + len(word)), label, word)
        for word, label in zip(words, labels, strict=True)
    ]
    drawn = drawn_of(drawing)
    mentions = drawn.mentions(entities)
    assert mentions == [
        Mention(drawn.names[entity.label], entity.text)
        for entity in entities
        if entity.label in drawn.names
    ]
    assert {mention.label for mention in mentions} <= set(drawn.asked)
    read = answer.read(answer.write(mentions), drawn.asked, segments.chunks(text))
    assert read.mentions == tuple(mentions)
    assert not read.faults


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        pytest.param(("award", "kind 1"), ("prize", "kind 1"), id="the other name"),
        pytest.param(("Award", "kind 1"), ("prize", "kind 1"), id="whatever its capitals"),
        pytest.param(("award", "Prize"), ("award", "Prize"), id="told apart in this set"),
        pytest.param(("city", "settlement"), ("city", "populated place"), id="a word in common"),
        pytest.param(("人名", "kind 1"), ("人物", "kind 1"), id="chinese"),
        pytest.param(("人名", "人名->歌手"), ("人名", "人名->歌手"), id="a label below it"),
    ],
)
def test_what_a_whole_prompt_of_other_names_asks(
    labels: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    settings = renaming(shuffle_labels=False)
    seen = {
        draw_labels(labels, labels, (), settings, random.Random(seed), names=ALL).asked
        for seed in range(30)
    }
    assert seen == {asked}


def test_a_label_that_left_the_prompt_still_bars_its_name() -> None:
    settings = renaming(label_dropout=0.5)
    for seed in range(100):
        rng = random.Random(seed)
        drawn = draw_labels(("award", "prize", "person"), (), (), settings, rng, names=ALL)
        assert all(drawn.names[label] == label for label in ("award", "prize") & drawn.names.keys())


def test_about_as_many_labels_are_renamed_as_asked() -> None:
    labels = ("person", "film", "award", "人名", "kind 1")
    renamed = [
        sum(label != name for label, name in drawn.names.items())
        for seed in range(2000)
        if (drawn := draw_labels(labels, (), (), renaming(0.2), random.Random(seed), names=ALL))
    ]
    assert 0.75 < sum(renamed) / len(renamed) < 0.85  # of the four that have other names


def test_a_broader_name_goes_by_other_names_too() -> None:
    names = OtherNames(
        {("singer", "painter"): {"singer": "person", "painter": "person"}}, ALL.synonyms
    )
    seen = set()
    for seed in range(60):
        settings = renaming(mixed_grain=1.0)
        rng = random.Random(seed)
        drawn = draw_labels(("singer", "painter"), (), (), settings, rng, names=names)
        if drawn.broadened == {"singer", "painter"}:
            assert drawn.names["singer"] == drawn.names["painter"]
            assert not drawn.described
            seen.add(drawn.names["singer"])
    assert seen == {"human being", "individual"}


@pytest.mark.parametrize(
    ("others", "strange"),
    [
        pytest.param(["movie"], (), id="another name of a label"),
        pytest.param(["motion"], (), id="a word of another name"),
        pytest.param(["award", "prize", "tune"], ("award", "tune"), id="one of a group"),
    ],
)
def test_what_may_be_borrowed(others: list[str], strange: tuple[str, ...]) -> None:
    assert strangers_to(("film",), others, ALL) == strange


# What the draws were before labels could be renamed.
BEFORE = [
    ("Person", "Spice", "Product", "Place"),
    ("person", "spice", "place", "product"),
    ("galaxy", "product", "person", "spice"),
    ("Product", "Movie", "Place", "Person"),
    ("spice", "place"),
]


@pytest.mark.parametrize("names", [OtherNames(), ALL], ids=["no names", "names"])
def test_without_a_share_the_draws_are_as_before(names: OtherNames) -> None:
    labels = ("person", "place", "movie", "product")
    settings = Regularisation(label_dropout=0.3, borrowed_labels=2, recased_prompts=0.5)
    strangers = ("galaxy", "spice")
    for seed, asked in enumerate(BEFORE):
        drawn = draw_labels(labels, labels, strangers, settings, random.Random(seed), names=names)
        assert drawn.asked == asked


def made(samples: Any, settings: Regularisation, names: OtherNames) -> Examples:
    template = load_template("published")
    return Examples(samples, TOKENIZER, template, settings, seed=1, together=2, names=names)


def test_without_a_share_the_bundles_are_the_same() -> None:
    other = Sample("a prize", (Entity(Span(2, 7), "prize", "prize"),), ("prize", "film"), "en", "x")
    samples = [*SAMPLES, other] * 3
    settings = Regularisation(borrowed_labels=3, recased_prompts=0.5)
    names = other_names(*GROUPS, ("location", "place"), ("movie title", "film title"))
    plain = list(made(samples, settings, OtherNames()).epoch(2))
    assert list(made(samples, settings, names).epoch(2)) == plain
    renamed = made(samples, renaming(borrowed_labels=3, recased_prompts=0.5), names)
    assert list(renamed.epoch(2)) != plain
    assert list(renamed.epoch(2)) == list(renamed.epoch(2)) != list(renamed.epoch(3))


def test_prompt_description_and_answer_say_the_same_name() -> None:
    told = Shown(descriptions={"person": ["somebody"]})
    names = other_names(("person", "human being"))
    settings = replace(AS_GIVEN, renamed_labels=1.0)
    (bundle,) = made([lesson(SAMPLES[0], told)], settings, names).epoch(0)
    head = TOKENIZER.decode(bundle.head[1:])
    assert "Label Set: human being, location, movie title" in head
    assert 'human being means "somebody"' in head
    (example,) = bundle.examples
    written = TOKENIZER.decode(example.answer[:-1])
    assert written.strip() == "human being: Ada; human being: Moon; location: London"


@pytest.mark.parametrize(
    ("synonyms", "message"),
    [
        pytest.param({"film": ("film", "movie")}, "'movie' must stand in one", id="half a group"),
        pytest.param({"song": ("film",)}, "'song' is not among", id="another's group"),
    ],
)
def test_a_name_stands_in_one_group(synonyms: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OtherNames(synonyms=synonyms)
