"""What prompts show beside labels and text is drawn for each prompt, and never gives it away."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from b2ner.prompting import tasks
from b2ner.prompting.template import load_template
from b2ner.prompting.wordings import with_wordings
from b2ner.records import Event, Mention, Reason, Relation, Sample, Task
from b2ner.training.examples import Bundle, Examples, admit
from b2ner.training.settings import Regularisation
from b2ner.training.shown import Lesson, Shown, beside_entities, lesson, shown_with
from tests.tiny import tiny_tokenizer
from tests.training.runs import AS_GIVEN, LABELS, SAMPLES, sample

TEMPLATE = load_template("published")
TOKENIZER = tiny_tokenizer("gemma3")
PLACES = tuple(
    sample(f"{name} is {words}", (name, "location"), labels=LABELS)
    for name, words in (("Oslo", "cold"), ("Lima", "dry"), ("Bern", "calm"), ("Riga", "green"))
)


def shown(sample: Sample, **what: Any) -> Sample:
    return lesson(sample, Shown(**what))


def of_one_set(samples: Any, **what: Any) -> list[Sample]:
    one = Shown(**what)
    return [lesson(sample, one) for sample in samples]


def made(samples: Any, regularisation: Regularisation = AS_GIVEN, **options: Any) -> Examples:
    template = options.pop("template", TEMPLATE)
    options = {"seed": 1, "together": 1, **options}
    return Examples(samples, TOKENIZER, template, regularisation, **options)


def read(bundle: Bundle) -> str:
    """All that a network sees of a bundle's first text, the answer too."""
    (first, *_) = bundle.examples
    return str(TOKENIZER.decode([*bundle.head[1:], *first.body, *first.answer[:-1]]))


def test_descriptions_are_those_of_the_labels_that_are_asked_for() -> None:
    told = {"person": ["a human being"], "location": ["a place"], "galaxy": ["many stars"]}
    (bundle,) = made([shown(SAMPLES[0], descriptions=told)]).epoch(0)
    assert (
        "Label Set: person, location, movie title \n"
        'Label Description: person means "a human being"; location means "a place" \n\nText:'
    ) in read(bundle)


def test_each_prompt_draws_a_wording_anew() -> None:
    told = {"person": ["a human being", "somebody", "a man or woman"]}
    examples = made([shown(SAMPLES[0], descriptions=told)])
    seen = Counter(
        wording
        for epoch in range(60)
        for bundle in examples.epoch(epoch)
        for wording in told["person"]
        if f'person means "{wording}"' in read(bundle)
    )
    assert set(seen) == set(told["person"])
    assert sum(seen.values()) == 60
    assert [*examples.epoch(7)] == [*examples.epoch(7)]


def test_a_share_of_the_prompts_describes_and_names() -> None:
    one = shown(
        SAMPLES[0], descriptions={"person": ["somebody"]}, described=0.3, name="films", named=0.6
    )
    examples = made([one])
    prompts = [read(bundle) for epoch in range(200) for bundle in examples.epoch(epoch)]
    described = sum("Label Description" in prompt for prompt in prompts)
    named = sum(prompt.startswith("Dataset:films\nGiven the label set") for prompt in prompts)
    assert 40 < described < 80
    assert 95 < named < 145
    assert sum("Dataset" in prompt for prompt in prompts) == named
    (bundle,) = made([shown(SAMPLES[0], task_named=1.0, name="films", named=1.0)]).epoch(0)
    assert read(bundle).startswith("Task:NER\nDataset:films\nGiven the label set")


def test_a_label_in_other_capitals_keeps_its_description() -> None:
    settings = replace(AS_GIVEN, recased_prompts=1.0)
    told = {label: [f"the {label} kind"] for label in LABELS}
    examples = made([shown(SAMPLES[0], descriptions=told)], settings)
    for epoch in range(6):
        (bundle,) = examples.epoch(epoch)
        assert 'means "the person kind"' in read(bundle)


def test_examples_are_other_texts_asked_for_the_same() -> None:
    examples = made(of_one_set(PLACES, examples=2), Regularisation())
    for epoch in range(10):
        for bundle in examples.epoch(epoch):
            head, own = TOKENIZER.decode(bundle.head), read(bundle)
            assert "Below are some examples." in head
            texts = [place.text for place in PLACES if f"Text: {place.text} \n" in head]
            assert len(texts) == 2
            assert f"Text: {PLACES[bundle.examples[0].sample].text} \n" not in head
            asked = head.partition("Label Set: ")[2].partition(" \n")[0].split(", ")
            for text in texts:
                told = f" location: {text.split()[0]}" if "location" in asked else " None"
                assert f"Text: {text} \nAnswer:{told} \n\n" in own
    assert len({bundle.head for epoch in range(10) for bundle in examples.epoch(epoch)}) > 20


def test_a_text_that_stands_there_twice_is_not_its_own_example() -> None:
    one = shown(PLACES[0], examples=3)
    (bundle, *_) = made([one, one, one, replace(one, text=one.text)]).epoch(0)
    assert "examples" not in TOKENIZER.decode(bundle.head)


def test_as_many_examples_as_fit() -> None:
    lessons = of_one_set(PLACES, examples=3)
    sizes = [room_for(bundle) for bundle in made(lessons).epoch(0)]
    room = max(sizes) - 1
    shorter = list(made(lessons, places=room).epoch(0))
    assert all(room_for(bundle) <= room for bundle in shorter)
    counts = Counter(TOKENIZER.decode(bundle.head).count("Answer:") for bundle in shorter)
    assert counts[2] == sum(size > room for size in sizes) > 0
    assert counts[2] + counts[3] == len(PLACES)
    for bundle in made(lessons, places=1).epoch(0):
        assert "examples" not in TOKENIZER.decode(bundle.head)


def room_for(bundle: Bundle) -> int:
    """The places that a bundle's first text needs; the end of its answer takes none."""
    (first, *_) = bundle.examples
    return len(bundle.head) + len(first.body) + len(first.answer) - 1


def test_texts_with_other_things_to_show_are_not_asked_together() -> None:
    mixed = [*SAMPLES, *of_one_set(PLACES, name="places", named=1.0)]
    for bundle in made(mixed, together=8).epoch(0):
        kinds = {isinstance(mixed[text.sample], Lesson) for text in bundle.examples}
        assert len(kinds) == 1
        assert TOKENIZER.decode(bundle.head[1:]).startswith("Dataset:places") is kinds.pop()


def test_a_lesson_that_shows_nothing_is_its_sample() -> None:
    assert lesson(SAMPLES[0], Shown(name="films")) is SAMPLES[0]
    told = shown(SAMPLES[0], name="films", named=0.1)
    assert shown_with(told).name == "films"
    kept, rejected = admit([told])
    assert kept == [told]
    assert not rejected


def test_what_is_shown_makes_another_run() -> None:
    runs = [
        [SAMPLES[0]],
        [shown(SAMPLES[0], examples=1)],
        [shown(SAMPLES[0], examples=2)],
        [shown(SAMPLES[0], descriptions={"person": ["somebody"]})],
        [shown(SAMPLES[0], descriptions={"person": ["anybody"]})],
    ]
    told = {json.dumps(list(beside_entities(samples))) for samples in runs}
    assert len(told) == len(runs)


WORDINGS = {
    "en": {
        "NER": [
            {
                "instruction_type": "zero-shot",
                "instruction": "Find these: {labels_str} \nText: {text} \n",
            },
        ]
    }
}


def test_each_prompt_draws_one_of_several_instructions(tmp_path: Path) -> None:
    path = tmp_path / "more.json"
    path.write_text(json.dumps(WORDINGS))
    template = with_wordings(TEMPLATE, path)
    assert (template.id, template.sha256) == (TEMPLATE.id, TEMPLATE.sha256)
    examples = made([SAMPLES[0]], template=template)
    prompts = [read(bundle) for epoch in range(40) for bundle in examples.epoch(epoch)]
    ours = sum(prompt.startswith("Find these: person, location") for prompt in prompts)
    assert 10 < ours < 30
    assert sum(prompt.startswith("Given the label set") for prompt in prompts) == 40 - ours
    assert template.render(LABELS, "x", language="en") == TEMPLATE.render(
        LABELS, "x", language="en"
    )


def task_sample(task: Task, labels: tuple[str, ...], **what: Any) -> Sample:
    return Sample("Ada met Moon in Rome", (), labels, "en", f"made:{task}", task=task, **what)


MET = Event("meeting", "met", (Mention("guest", "Moon"), Mention("place", "Rome")))
TASKS = (
    task_sample(
        Task.RE,
        ("knows", "lives in"),
        relations=(Relation("knows", Mention("", "Ada"), Mention("", "Moon")),),
    ),
    task_sample(Task.EET, ("meeting", "war"), events=(MET,)),
    task_sample(Task.EEA, ("guest", "place"), events=(MET,)),
    task_sample(Task.NEW_EET, ("meeting", "war"), events=(MET,)),
    task_sample(Task.NEW_EEA, ("guest", "place"), events=(MET,)),
    task_sample(Task.SENTIMENT, ("good", "bad"), sentiment="good"),
)


@pytest.mark.parametrize("one", TASKS, ids=lambda sample: str(sample.task))
def test_other_tasks_are_asked_as_they_are_at_inference(one: Sample) -> None:
    """Label sets are varied for entities only, as published: order and size stay."""
    kept, _ = admit([one])
    settings = Regularisation(label_dropout=0.9, fewest_labels=1, label_limit=1)
    (bundle,) = made(kept, settings).epoch(3)
    question = tasks.ask(one)
    prompt = TEMPLATE.render(
        question.labels,
        one.text,
        language="en",
        task=one.task,
        event_type=question.event_type,
        event_trigger=question.event_trigger,
    )
    assert read(bundle) == prompt.head + prompt.body + tasks.write(one)


def test_one_epoch_has_all_tasks_and_shows_examples_where_there_is_a_prompt_for_them() -> None:
    samples = [replace(one, text=f"{one.text} {n}") for one in (*TASKS, *SAMPLES) for n in range(2)]
    lessons = of_one_set(samples, examples=1)
    kept, rejected = admit(lessons)
    assert not rejected
    bundles = list(made(kept).epoch(0))
    assert sorted(text.sample for b in bundles for text in b.examples) == list(range(len(kept)))
    few_shot = {
        kept[text.sample].task
        for bundle in bundles
        for text in bundle.examples
        if "some examples" in read(bundle) or "一些例子" in read(bundle)
    }
    assert few_shot == {Task.RE, Task.NEW_EEA, Task.SENTIMENT, Task.NER}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(replace(TASKS[2], events=()), Reason.NOTHING_ASKED, id="no event"),
        pytest.param(replace(TASKS[2], events=(MET, MET)), Reason.NOTHING_ASKED, id="two events"),
        pytest.param(replace(TASKS[0], labels=("likes",)), Reason.UNWRITABLE, id="outside the set"),
    ],
)
def test_what_cannot_be_asked_is_rejected(bad: Sample, reason: Reason) -> None:
    _, (rejected,) = admit([bad])
    assert rejected.reason is reason
