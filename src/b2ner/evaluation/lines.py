"""One line of a predictions file, checked: what the scores need of it, and what is wrong with it.

A line that lacks what is needed is `UnusableLineError`. What stops only the published scorer, or
only the exact-offset score, is told and does not keep the line from being scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from b2ner.records import Task


@dataclass(frozen=True, slots=True)
class PredictionLine:
    """What the scorer reads of one line."""

    task: Task
    group: str
    dataset: str
    language: str
    sample_id: object
    sentence: str
    ground_truth: str
    prediction: str
    gold: tuple[tuple[int, int, str], ...] | None
    entities: tuple[tuple[int, int, str], ...] | None
    told: tuple[str, ...]  # kinds of the faults that the extractor told


class UnusableLineError(ValueError):
    """A line, or a part of it, that cannot be read; the message is the fault's."""


def read(value: object) -> tuple[PredictionLine, list[str]]:
    """The line, and what is wrong with it although it can be scored.

    Stricter than needed only where guessing would be needed: text that is not a string.
    """
    row = _mapping(value, "a line")
    instance = _mapping(row.get("Instance"), "Instance")
    task = _task(_string(row, "Task"))
    language = _string(row, "Language") if "Language" in row else ""
    problems = []
    if task in (Task.NER, Task.RE) and not isinstance(instance.get("instruction"), str):
        problems.append("Instance.instruction is no text: the published scorer stops here")
    if _holds_null(value):
        problems.append("a null in the line: the published scorer stops here")
    dataset = _string(row, "Dataset")
    if "/" in dataset:
        problems.append(f"'/' in the data set name {dataset!r}: the published scorer stops here")
    sentence = _string(instance, "sentence")
    places = {}
    for name in ("Gold", "Entities"):
        there = task is Task.NER and name in row
        try:
            places[name] = _places(row[name], name, sentence) if there else None
        except UnusableLineError as problem:
            problems.append(str(problem))
            places[name] = None
    line = PredictionLine(
        task=task,
        group=f"{task}_{language}",
        dataset=dataset,
        language=language,
        sample_id=instance.get("id"),
        sentence=sentence,
        ground_truth=_string(instance, "ground_truth"),
        prediction=_string(row, "Prediction"),
        gold=places["Gold"],
        entities=places["Entities"],
        told=_told(row.get("Faults")),
    )
    return line, problems


def _task(name: str) -> Task:
    try:
        return Task(name)
    except ValueError:
        raise UnusableLineError(f"task {name!r} is not scored; {', '.join(Task)} are") from None


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UnusableLineError(f"{name} should be an object, found {_kind(value)}")
    return value


def _string(row: Mapping[str, object], name: str) -> str:
    if name not in row:
        raise UnusableLineError(f"{name} is missing")
    value = row[name]
    if not isinstance(value, str):
        raise UnusableLineError(f"{name} should be text, found {_kind(value)}")
    return value


def _places(value: object, name: str, sentence: str) -> tuple[tuple[int, int, str], ...]:
    """(start, end, label) of each. Raises UnusableLineError for one not in the sentence."""
    if not isinstance(value, list):
        raise UnusableLineError(f"{name} should be an array, found {_kind(value)}")
    places = []
    for entity in value:
        match entity:
            case {"start": int(start), "end": int(end), "label": str(label), "text": str(text)} if (
                0 <= start < end <= len(sentence) and sentence[start:end] == text
            ):
                places.append((start, end, label))
            case _:
                raise UnusableLineError(
                    f"{name} holds no entity of this sentence: {str(entity)[:80]}"
                )
    return tuple(places)


def _told(value: object) -> tuple[str, ...]:
    """The kinds in `Faults`; other things there are for whoever reads them."""
    kinds = []
    for fault in value if isinstance(value, list) else ():
        match fault:
            case {"kind": str(kind)}:
                kinds.append(kind)
    return tuple(kinds)


def _holds_null(value: object) -> bool:
    """Whether there is a null at any depth."""
    pending = [value]
    while pending:
        match pending.pop():
            case None:
                return True
            case dict(members):
                pending.extend(members.values())
            case list(elements):
                pending.extend(elements)
            case _:
                pass
    return False


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        str: "text",
        list: "an array",
        dict: "an object",
        bool: "a boolean",
    }
    return names.get(type(value), "a number")
