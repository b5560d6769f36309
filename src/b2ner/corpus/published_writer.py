"""Samples as rows of the published layout, and the labels file beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from b2ner.records import Sample, Task


def labels_file(task: Task, labels: Sequence[str], roles: Mapping[str, tuple[str, ...]]) -> object:
    """What `labels.json` holds: names, or for events an object from types to argument roles."""
    match task:
        case Task.EET | Task.NEW_EET | Task.EEA | Task.NEW_EEA:
            return {label: [*roles.get(label, ())] for label in labels}
        case _:
            return list(labels)


def annotated(sample: Sample) -> list[str]:
    """The labels of what a sample's task asks for, repeats included."""
    match sample.task:
        case Task.NER:
            return [entity.label for entity in sample.entities]
        case Task.RE:
            return [relation.label for relation in sample.relations]
        case Task.SENTIMENT:
            return [sample.sentiment]
        case _:
            return [event.label for event in sample.events]


def published_row(sample: Sample, labels: Sequence[str]) -> dict[str, object]:
    """The row of a split file; it names its labels where they are not all of its data set's."""
    match sample.task:
        case Task.NER:
            entities = [
                {"name": entity.text, "type": entity.label, "pos": [entity.start, entity.end]}
                for entity in sample.entities
            ]
            made: dict[str, object] = {"sentence": sample.text, "entities": entities}
            return made if sample.labels == tuple(labels) else made | {"labels": [*sample.labels]}
        case Task.RE:
            relations = [
                {
                    "head": {"name": relation.head.text},
                    "type": relation.label,
                    "tail": {"name": relation.tail.text},
                }
                for relation in sample.relations
            ]
            return {"sentence": sample.text, "relations": relations}
        case Task.SENTIMENT:
            return {"text": sample.text, "label": sample.sentiment}
        case _:
            events = [
                {
                    "trigger": event.trigger,
                    "type": event.label,
                    "arguments": [{"name": a.text, "role": a.label} for a in event.arguments],
                }
                for event in sample.events
            ]
            return {"sentence": sample.text, "events": events}
