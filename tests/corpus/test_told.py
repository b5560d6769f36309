"""Rows on their way to samples, and samples on their way to the tasks of the published layout."""

import pytest

from b2ner.corpus.readers import Annotation
from b2ner.corpus.told import Told, for_task, roles_of, together, told_sample
from b2ner.records import Event, Mention, Reason, Relation, Sample, Span, Task

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own")
IN = Relation("lives in", Mention("person", "Ada"), Mention("city", "Turin"))
LEFT = Event("move", "left", (Mention("who", "Ada"), Mention("from", "Turin")))
TEXT = "Ada left Turin"


def sample(told, **options):
    made = told_sample(told, OWN, "own:1", **options)
    assert isinstance(made, Sample), made
    return made


def test_entities_with_and_without_places_relations_and_events_in_one_sample():
    told = Told(TEXT, [(Span(0, 3), "person")], [Mention("city", "Turin")], [IN], [LEFT])
    made = sample(told)
    assert [(e.label, e.text) for e in made.entities] == [("person", "Ada"), ("city", "Turin")]
    assert (made.relations, made.events, made.task) == ((IN,), (LEFT,), Task.NER)


def test_an_entity_told_twice_counts_once():
    told = Told(TEXT, [(Span(9, 14), "city")] * 2, [Mention("city", "Turin")])
    assert len(sample(told).entities) == 1


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(Told(TEXT, named=[Mention("city", "Milan")]), id="entity"),
        pytest.param(
            Told(TEXT, relations=[Relation("in", Mention("", "Milan"), Mention("", "Ada"))]),
            id="head",
        ),
        pytest.param(
            Told(TEXT, relations=[Relation("in", Mention("", "Ada"), Mention("", "Milan"))]),
            id="tail",
        ),
        pytest.param(Told(TEXT, events=[Event("move", "Milan", ())]), id="trigger"),
        pytest.param(
            Told(TEXT, events=[Event("move", "left", (Mention("to", "Milan"),))]), id="argument"
        ),
    ],
)
def test_words_that_do_not_stand_in_the_text(told):
    rejected = told_sample(told, OWN, "own:1")
    assert rejected.reason is Reason.NOT_IN_TEXT
    assert rejected.detail.startswith("'Milan' (")
    made = sample(told, leave_out=True)
    assert "Milan" not in repr((made.entities, made.relations, made.events))


def test_no_text_is_no_row():
    assert told_sample(Told(" \n"), OWN, "own:1").reason is Reason.MALFORMED


def test_rows_of_one_text_told_together():
    both = together(
        Told(TEXT, named=[Mention("city", "Turin")], labels=("city",)),
        Told(TEXT, named=[Mention("city", "Turin")], relations=[IN], labels=("person", "city")),
    )
    assert (both.named, both.relations) == ((Mention("city", "Turin"),), (IN,))
    assert both.labels == ("city", "person")
    assert together(Told(TEXT), Told(TEXT)).labels is None


def test_a_sample_of_several_tasks_is_one_or_more_of_each():
    again = Event("move", "left", (Mention("who", "Ada"),))
    bare = Event("sleep", "left", ())
    made = sample(Told(TEXT, [(Span(0, 3), "person")], (), [IN], [LEFT, again, bare]))
    roles = roles_of([made])
    assert roles == {"move": ("from", "who"), "sleep": ()}

    def of(task, labels=("a", "b")):
        return list(for_task(made, task, labels, roles))

    (ner,) = of(Task.NER)
    assert (ner.entities, ner.relations, ner.labels) == (made.entities, (), ("a", "b"))
    (re,) = of(Task.RE)
    assert (re.relations, re.entities, re.task) == ((IN,), (), Task.RE)
    (eet,) = of(Task.EET)
    assert (eet.events, eet.labels) == ((LEFT, again, bare), ("a", "b"))
    assert [(s.events, s.labels) for s in of(Task.EEA)] == [
        ((LEFT,), ("from", "who")),
        ((again,), ("from", "who")),
    ]
    assert [s.events for s in of(Task.NEW_EEA)] == [(LEFT, again)]


def test_without_relations_nothing_is_asked_about_them():
    assert list(for_task(sample(Told(TEXT)), Task.RE, (), {})) == []
