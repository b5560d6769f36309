"""What prompts show beside labels and text: descriptions, examples, the name of the data set.

It belongs to the data set that samples come from, and is drawn anew for every prompt. Knows no
words of a template and no tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from b2ner.prompting import tasks
from b2ner.prompting.template import Variation
from b2ner.records import Sample, Task


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the prompts of one data set show.

    All its samples share this one object: an equal one is another data set, whose texts are neither
    asked together with these nor shown as their examples. A prompt with examples has no
    descriptions: the published one has no room for them.
    """

    name: str = ""
    named: float = 0.0  # share of prompts that say the data set's name
    task_named: float = 0.0  # share of prompts that say the task's name
    # Of a label, the wordings of its description, of which a prompt shows one.
    descriptions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    described: float = 1.0  # share of prompts that describe the labels that have a description
    examples: int = 0  # texts with their answers that a prompt shows, where so many fit

    @property
    def empty(self) -> bool:
        """Whether prompts show nothing of it."""
        named = (self.name and self.named) or self.task_named
        return not (named or self.descriptions or self.examples)

    def describe(self, names: Mapping[str, str], rng: random.Random) -> dict[str, str]:
        """The descriptions of one prompt, by the label as it stands there.

        `names` says what the labels that may be described are called in the prompt.
        """
        wanted = rng.random() < self.described
        return {
            name: rng.choice(self.descriptions[label])
            for label, name in names.items()
            if wanted and self.descriptions.get(label)
        }

    def vary(self, rng: random.Random, *, wordings: int) -> Variation:
        """How one prompt says what it says, with one of so many instructions."""
        return Variation(
            wording=rng.randrange(wordings),
            dataset_line=self.name if rng.random() < self.named else "",
            task_line=rng.random() < self.task_named,
        )

    def to_json(self) -> dict[str, object]:
        """All of it, as JSON."""
        return {
            "name": self.name,
            "named": self.named,
            "task_named": self.task_named,
            "descriptions": {label: list(texts) for label, texts in self.descriptions.items()},
            "described": self.described,
            "examples": self.examples,
        }


NOTHING = Shown()  # what plain samples show


@dataclass(frozen=True, slots=True)
class Lesson(Sample):
    """A sample to learn from, and what its prompts show."""

    shown: Shown = NOTHING


def lesson(sample: Sample, shown: Shown) -> Sample:
    """The sample with what its prompts show; itself where that is nothing."""
    if shown.empty:
        return sample
    own: dict[str, Any] = {part.name: getattr(sample, part.name) for part in fields(Sample)}
    return Lesson(**own, shown=shown)


def shown_with(sample: Sample) -> Shown:
    """What prompts show with a sample."""
    return sample.shown if isinstance(sample, Lesson) else NOTHING


def beside_entities(samples: Iterable[Sample]) -> Iterator[object]:
    """All that decides prompts and answers besides texts, labels and entities, as JSON."""
    numbers: dict[Shown, int] = {}
    for sample in samples:
        shown = shown_with(sample)
        number = numbers.setdefault(shown, len(numbers)) if shown is not NOTHING else -1
        if sample.task is Task.NER:
            yield number
        else:
            question = tasks.ask(sample)
            event = question.event_type, question.event_trigger
            yield [number, question.task, *event, tasks.write(sample)]
    for shown in numbers:
        yield shown.to_json()
