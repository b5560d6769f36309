"""What each task asks about a sample, and the answer as the published system writes it.

A sample says its task; entities, relations, events or a sentiment stand in it. How answers are put
down and read back is in `answer` (`label: words`: NER, EET, EEA, newEEA), `relations` (RE) and
`choices` (labels alone: newEET, Sentiment); which annotations reach an answer is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from b2ner import segments
from b2ner.prompting import answer, choices, forms, relations
from b2ner.prompting.forms import LABEL_FIRST, AnswerForm
from b2ner.records import Event, Mention, Relation, Sample, Task

NOT_ANNOTATED = ("", "NA")  # the label of what is listed but is nothing
APOSTROPHE = "#$%#"  # how the answers of EET and newEET spell an apostrophe


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """What one prompt asks: all that stands in its head, so texts with one question share it."""

    task: Task
    labels: tuple[str, ...]
    event_type: str = ""
    event_trigger: str = ""


def ask(sample: Sample) -> TaskQuestion:
    """What a sample's task asks about it.

    Raises ValueError for EEA without just one event, and newEEA without any: readers reject those.
    """
    match sample.task:
        case Task.EEA:
            event = _only_event(sample)
            return TaskQuestion(sample.task, sample.labels, event.label, event.trigger)
        case Task.NEW_EEA:
            return TaskQuestion(sample.task, sample.labels, _first_event(sample).label)
        case _:
            return TaskQuestion(sample.task, sample.labels)


def write(sample: Sample, form: AnswerForm = LABEL_FIRST) -> str:
    """The answer to `ask(sample)`, with its leading blank where the form has one.

    Entities stand by place and in the form given, all else in the sample's order. Repeats stay,
    except in EET and newEET: there an event of one type and trigger is answered once. A text
    without relations is answered with ` None`; the published loader stops at it.

    Raises ValueError as `ask` does, and for Sentiment without a label.
    """
    match sample.task:
        case Task.NER:
            entities = answer.order(sample.entities, sample.labels)
            return form.write([Mention(entity.label, entity.text) for entity in entities])
        case Task.RE:
            return relations.write(annotated_relations(sample))
        case Task.EET:
            events = annotated_events(sample)
            return answer.write([Mention(escape(e.label), escape(e.trigger)) for e in events])
        case Task.NEW_EET:
            return choices.write([escape(event.label) for event in annotated_events(sample)])
        case Task.EEA:
            return answer.write(_only_event(sample).arguments)
        case Task.NEW_EEA:
            _first_event(sample)
            return answer.write(list(chain(*(event.arguments for event in sample.events))))
        case Task.SENTIMENT:
            if not sample.sentiment:
                raise ValueError(f"{sample.source}: no sentiment to answer")
            return sample.sentiment


def writable(sample: Sample) -> bool:
    """Whether the answer of a sample, as a model is shown it, is read back the same."""
    match sample.task:
        case Task.NER:
            return forms.writable(
                LABEL_FIRST,
                [Mention(entity.label, entity.text) for entity in sample.entities],
                sample.labels,
            )
        case Task.RE:
            chunks = segments.chunks(segments.shown(sample.text))
            read = relations.read(segments.shown(write(sample)), sample.labels, chunks).relations
            # The words: `a, b, c` is written for `a` and `b, c`, and for `a, b` and `c`.
            return [_shown(found) for found in read] == [
                _shown(relation) for relation in annotated_relations(sample)
            ]
        case Task.EET:
            events = annotated_events(sample)
            mentions = [Mention(escape(e.label), escape(e.trigger)) for e in events]
            doubtful = any(APOSTROPHE in words for e in events for words in (e.label, e.trigger))
            return not doubtful and forms.writable(LABEL_FIRST, mentions, escaped(sample.labels))
        case Task.NEW_EET:
            types = [event.label for event in annotated_events(sample)]
            read_types = choices.read(write(sample), escaped(sample.labels)).labels
            return [unescape(label) for label in read_types] == types
        case Task.EEA | Task.NEW_EEA:
            arguments = chain(*(event.arguments for event in sample.events))
            return forms.writable(LABEL_FIRST, arguments, sample.labels)
        case Task.SENTIMENT:
            return choices.read(sample.sentiment, sample.labels).labels == (sample.sentiment,)


def annotated_relations(sample: Sample) -> list[Relation]:
    """The relations that reach the answer."""
    return [relation for relation in sample.relations if relation.label not in NOT_ANNOTATED]


def annotated_events(sample: Sample) -> list[Event]:
    """The events that reach the answer of EET: of each type and trigger, the first."""
    found: dict[tuple[str, str], Event] = {}
    for event in sample.events:
        if event.label not in NOT_ANNOTATED and event.trigger not in NOT_ANNOTATED:
            found.setdefault((event.label, event.trigger), event)
    return list(found.values())


def escape(words: str) -> str:
    """Words as EET and newEET answer them."""
    return words.replace("'", APOSTROPHE)


def unescape(words: str) -> str:
    """The words that `escape` was given."""
    return words.replace(APOSTROPHE, "'")


def escaped(words: Sequence[str]) -> tuple[str, ...]:
    """Each of them as EET and newEET answer it."""
    return tuple(map(escape, words))


def _shown(relation: Relation) -> tuple[str, str, str]:
    """A relation's label, head and tail as a model is shown them."""
    head, tail = segments.shown(relation.head.text), segments.shown(relation.tail.text)
    return relation.label, head, tail


def _only_event(sample: Sample) -> Event:
    if len(sample.events) != 1:
        raise ValueError(f"{sample.source}: EEA asks about one event, not {len(sample.events)}")
    return sample.events[0]


def _first_event(sample: Sample) -> Event:
    if not sample.events:
        raise ValueError(f"{sample.source}: newEEA asks about an event, and there is none")
    return sample.events[0]
