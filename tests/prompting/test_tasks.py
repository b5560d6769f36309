"""What each task asks about a sample, and its answer as published. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import segments
from b2ner.prompting import answer, choices, relations, tasks
from b2ner.prompting.tasks import TaskQuestion
from b2ner.records import Entity, Event, Mention, Relation, Sample, Span, Task

pytestmark = pytest.mark.torchfree

LABELS = ("Meet", "Die", "Ada's")


def sample(task, labels=LABELS, text="", **parts):
    return Sample(text, parts.pop("entities", ()), labels, "en", "own:0", task=task, **parts)


def pair(label, head, tail):
    return Relation(label, Mention("", head), Mention("", tail))


def event(label, trigger, *arguments):
    return Event(label, trigger, tuple(Mention(*argument) for argument in arguments))


def test_the_tasks_have_their_published_names():
    names = ["NER", "RE", "EET", "EEA", "newEET", "newEEA", "Sentiment"]
    assert [task.value for task in Task] == names


MEET = event("Meet", "met", ("Place", "Rome"), ("Place", "Rome"))
FELL = event("Die", "fell", ("Time", "May"))


@pytest.mark.parametrize(
    ("task", "events", "question"),
    [
        pytest.param(Task.NER, (), TaskQuestion(Task.NER, LABELS), id="entities"),
        pytest.param(Task.RE, (), TaskQuestion(Task.RE, LABELS), id="relations"),
        pytest.param(Task.EET, (MEET, FELL), TaskQuestion(Task.EET, LABELS), id="events"),
        pytest.param(Task.EEA, (MEET,), TaskQuestion(Task.EEA, LABELS, "Meet", "met"), id="EEA"),
        pytest.param(
            Task.NEW_EEA, (MEET, FELL), TaskQuestion(Task.NEW_EEA, LABELS, "Meet"), id="newEEA"
        ),
        pytest.param(Task.SENTIMENT, (), TaskQuestion(Task.SENTIMENT, LABELS), id="sentiment"),
    ],
)
def test_what_is_asked(task, events, question):
    assert tasks.ask(sample(task, events=events)) == question


REPEATED = (
    event("Meet", "met"),
    event("Die", "Ada's fall"),
    event("Meet", "met"),
    event("Meet", "saw"),
    event("NA", "x"),
    event("Die", ""),
    event("", "x"),
    event("Ada's", "NA"),
)


@pytest.mark.parametrize(
    ("task", "parts", "expected"),
    [
        pytest.param(
            Task.NER,
            {
                "entities": (
                    Entity(Span(4, 7), "Die", "Bob"),
                    Entity(Span(0, 3), "Meet", "Ada"),
                    Entity(Span(0, 3), "Meet", "Ada"),
                )
            },
            " Meet: Ada; Meet: Ada; Die: Bob",
            id="entities by place",
        ),
        pytest.param(Task.NER, {}, " None", id="no entity"),
        pytest.param(
            Task.RE,
            {
                "relations": (
                    pair("Die", "b", "a"),
                    pair("NA", "a", "b"),
                    pair("Meet", "a", "b"),
                    pair("Die", "b", "a"),
                    pair("", "a", "b"),
                )
            },
            " Die: b, a; Meet: a, b; Die: b, a",
            id="relations in file order, repeats kept, NA not",
        ),
        pytest.param(Task.RE, {"relations": (pair("NA", "a", "b"),)}, " None", id="no relation"),
        pytest.param(
            Task.EET,
            {"events": REPEATED},
            " Meet: met; Die: Ada#$%#s fall; Meet: saw",
            id="triggers once, apostrophes spelled out",
        ),
        pytest.param(Task.EET, {}, " None", id="no event"),
        pytest.param(Task.NEW_EET, {"events": REPEATED}, " Meet; Die; Meet", id="types repeat"),
        pytest.param(
            Task.NEW_EET, {"events": (event("Ada's", "x"),)}, " Ada#$%#s", id="an apostrophe"
        ),
        pytest.param(Task.NEW_EET, {}, " None", id="no type"),
        pytest.param(Task.EEA, {"events": (MEET,)}, " Place: Rome; Place: Rome", id="arguments"),
        pytest.param(
            Task.EEA,
            {"events": (event("Die", "x", ("Ada's", "Ada's")),)},
            " Ada's: Ada's",
            id="apostrophes of arguments stay",
        ),
        pytest.param(Task.EEA, {"events": (event("Die", "x"),)}, " None", id="no argument"),
        pytest.param(
            Task.NEW_EEA,
            {"events": (MEET, FELL)},
            " Place: Rome; Place: Rome; Time: May",
            id="arguments of all events",
        ),
        pytest.param(Task.SENTIMENT, {"sentiment": "Meet"}, "Meet", id="no leading blank"),
    ],
)
def test_the_written_answer(task, parts, expected):
    assert tasks.write(sample(task, **parts)) == expected


@pytest.mark.parametrize(
    ("task", "events"),
    [(Task.EEA, ()), (Task.EEA, (MEET, FELL)), (Task.NEW_EEA, ())],
    ids=["no event", "two events", "no event, no trigger"],
)
def test_arguments_need_their_event(task, events):
    for ask in (tasks.ask, tasks.write):
        with pytest.raises(ValueError, match=r"own:0: .* asks about (one|an) event"):
            ask(sample(task, events=events))


def test_a_sentiment_must_be_known():
    with pytest.raises(ValueError, match="own:0: no sentiment"):
        tasks.write(sample(Task.SENTIMENT))


@pytest.mark.parametrize(
    ("task", "parts", "writable"),
    [
        pytest.param(Task.RE, {"relations": (pair("Die", "a b", "c"),)}, True, id="a relation"),
        pytest.param(Task.RE, {"relations": (pair("Die", "c, d, e", "a"),)}, True, id="commas"),
        pytest.param(
            Task.RE, {"relations": (pair("Die", "c, d", "e"),)}, False, id="with two readings"
        ),
        pytest.param(Task.RE, {"relations": (pair("Live", "c", "d"),)}, False, id="label unknown"),
        pytest.param(Task.RE, {"relations": (pair("Die", "x", "c"),)}, False, id="not there"),
        pytest.param(Task.EET, {"events": (event("Ada's", "it's"),)}, True, id="an apostrophe"),
        pytest.param(Task.EET, {"events": (event("Die", "#$%#"),)}, False, id="spelled out"),
        pytest.param(Task.EET, {"events": (event("Die", "a; Die: b"),)}, False, id="two in one"),
        pytest.param(Task.NEW_EET, {"events": (event("Ada's", "x"),)}, True, id="a type"),
        pytest.param(Task.NEW_EET, {"events": (event("Live", "x"),)}, False, id="an unknown type"),
        pytest.param(Task.EEA, {"events": (event("x", "x", ("Die", "b")),)}, True, id="EEA"),
        pytest.param(Task.EEA, {"events": (event("x", "x", ("Die", "b ")),)}, False, id="a blank"),
        pytest.param(Task.SENTIMENT, {"sentiment": "Die"}, True, id="a sentiment"),
        pytest.param(Task.SENTIMENT, {"sentiment": "die"}, False, id="another one"),
        pytest.param(
            Task.NER, {"entities": (Entity(Span(0, 3), "Die", "a b"),)}, True, id="an entity"
        ),
    ],
)
def test_what_can_be_written(task, parts, writable):
    text = "a b c, d, e c, d, c"
    assert tasks.writable(sample(task, text=text, **parts)) == writable


NAMES = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8)
LABEL_NAMES = NAMES.filter(lambda name: name == name.strip() and not segments.is_space(name))


@given(
    st.lists(LABEL_NAMES, min_size=1, max_size=4, unique=True),
    st.sampled_from([Task.RE, Task.EET, Task.NEW_EET, Task.EEA, Task.NEW_EEA]),
    st.data(),
)
def test_what_is_writable_is_read_back(labels, task, data):
    labels = tuple(labels)
    words = data.draw(st.lists(NAMES, min_size=2, max_size=4))
    label = st.sampled_from(labels)
    word = st.sampled_from(words)
    mentions = st.builds(Mention, label, word)
    one = sample(
        task,
        labels,
        " | ".join(words),
        relations=tuple(data.draw(st.lists(st.builds(pair, label, word, word), max_size=3))),
        events=tuple(
            data.draw(
                st.lists(
                    st.builds(Event, label, word, st.lists(mentions, max_size=3).map(tuple)),
                    min_size=1,
                    max_size=1 if task is Task.EEA else 3,
                )
            )
        ),
    )
    if not tasks.writable(one):
        return
    written = tasks.write(one)
    match task:
        case Task.RE:
            read = relations.read(written, labels, segments.chunks(one.text))
            assert read.relations == tuple(tasks.annotated_relations(one))
        case Task.NEW_EET:
            read = choices.read(written, tasks.escaped(labels))
            types = [event.label for event in tasks.annotated_events(one)]
            assert [tasks.unescape(label) for label in read.labels] == types
        case Task.EET:
            read = answer.read(written, tasks.escaped(labels)).mentions
            assert [(tasks.unescape(m.label), tasks.unescape(m.text)) for m in read] == [
                (event.label, event.trigger) for event in tasks.annotated_events(one)
            ]
        case _:
            arguments = [mention for event in one.events for mention in event.arguments]
            assert list(answer.read(written, labels).mentions) == arguments
