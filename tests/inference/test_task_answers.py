"""Answers to the other tasks, asked of an engine directly. What the file says of them is tested in
`tests/workflows/test_predict_tasks.py`."""

from dataclasses import replace
from itertools import count, islice

import pytest

from b2ner.errors import EngineError, InputError, LabelError
from b2ner.inference.engine import ScriptedEngine
from b2ner.inference.extractor import Extractor, load
from b2ner.inference.task_answers import task_answers
from b2ner.prompting import tasks
from b2ner.records import Event, FaultKind, Mention, Relation, Sample, Task
from tests.tiny import tiny_folder

WORKS = Sample("Ada works in London.", (), ("work in",), "en", "own:0", task=Task.RE)
HIT = Sample("It's Ada's fort.", (), ("Attack's", "Die"), "en", "own:1", task=Task.EET)


def scripted(*answers):
    return Extractor(ScriptedEngine(list(answers)))


def test_answers_come_in_order_and_only_as_they_are_drawn():
    drawn = []

    def samples():
        for number in count():
            drawn.append(number)
            yield replace(WORKS, text=" ") if number % 2 else WORKS

    found = task_answers(scripted(" work in: Ada, London"), samples())
    written = [answer.written for answer in islice(found, 4)]
    assert written == [" work in: Ada, London", " None", " work in: Ada, London", " None"]
    assert len(drawn) < 8


def test_what_the_sample_holds_is_not_looked_at():
    known = replace(WORKS, relations=(Relation("work in", Mention("", "Ada"), Mention("", "x")),))
    (found,) = task_answers(scripted(" None"), [known])
    assert (found.written, found.relations) == (" None", ())


def test_an_event_is_asked_about_by_its_type_and_trigger():
    asked = Event("Meet", "met\0", (Mention("Place", "Rome"),))
    sample = Sample("They met.", (), ("Place",), "en", "own:2", events=(asked,), task=Task.EEA)
    (found,) = task_answers(scripted(" None"), [sample])
    assert "Event type: Meet, Trigger word: met\ufffd\n" in found.prompt.head


class SilentEngine(ScriptedEngine):
    """Gives no answer at all."""

    def generate(self, requests):
        return iter(())


def test_an_engine_that_gives_too_few_answers_is_gone():
    with pytest.raises(EngineError, match="fewer answers"):
        list(task_answers(Extractor(SilentEngine([" None"])), [WORKS]))


def test_labels_that_cannot_be_asked_for_are_named_with_their_row():
    with pytest.raises(LabelError, match=r"own:0: .*no labels"):
        list(task_answers(scripted(" None"), [replace(WORKS, labels=())]))


def test_an_event_without_a_type_cannot_be_asked_about():
    sample = replace(WORKS, task=Task.EEA, events=(Event("", "x", ()),))
    with pytest.raises(InputError, match="say its type"):
        list(task_answers(scripted(" None"), [sample]))


def test_a_network_is_held_to_the_published_spelling(tmp_path):
    """Apostrophes of labels and text are spelled out in the answer, and are themselves again."""
    extractor = load(tiny_folder("gemma3", tmp_path))
    (found,) = task_answers(extractor, [HIT])
    assert {fault.kind for fault in found.faults} <= {FaultKind.ANSWER_TRUNCATED}
    assert found.entities
    for entity in found.entities:
        assert entity.label in HIT.labels
        assert entity.text == HIT.text[entity.start : entity.end]
    events = tuple(Event(e.label, e.text, ()) for e in found.entities)
    assert found.written == tasks.write(replace(HIT, events=events))
    assert "'" not in found.written
