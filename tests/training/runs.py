"""A tiny run for the loop's tests: four samples, a tiny Gemma 3, settings that learn fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from b2ner.records import Entity, Sample, Span
from b2ner.training.settings import (
    Lora,
    Optimiser,
    Regularisation,
    Rows,
    Saving,
    Schedule,
    Softmax,
    TrainSettings,
    Unit,
)
from tests.tiny import tiny_folder

LABELS = ("person", "location", "movie title")
AS_GIVEN = Regularisation(label_dropout=0.0, shuffle_labels=False)


def sample(text: str, *found: tuple[str, str], labels: tuple[str, ...] = LABELS) -> Sample:
    entities = tuple(
        Entity(Span(text.index(words), text.index(words) + len(words)), label, words)
        for words, label in found
    )
    return Sample(text, entities, labels, "en", f"made:{text[:9]}")


SAMPLES = (
    sample("Ada met Moon in London", ("Ada", "person"), ("Moon", "person"), ("London", "location")),
    sample("the movie Success is good", ("Success", "movie title")),
    sample("New York is New York", ("New York", "location")),
    sample("what is the year?"),
)


def tiny_base(folder: Path, family: str = "gemma3") -> str:
    """A base on disk, with weights small enough to be moved."""
    return str(tiny_folder(family, folder / family))


def settings(base: str, *, steps: float = 8, **changes: Any) -> TrainSettings:
    return replace(
        TrainSettings(
            base=base,
            device="cpu",
            compute="float32",
            regularisation=AS_GIVEN,
            rows=Rows(places=384, per_step=2, at_once=1, together=2),
            lora=Lora(rank=8, alpha=16, dropout=0.1),
            optimiser=Optimiser(learning_rate=5e-3),
            schedule=Schedule(length=steps, unit=Unit.STEPS, warmup=0.1),
            softmax=Softmax(exact=True),
            saving=Saving(log_every_steps=1, weights="float32"),
        ),
        **changes,
    )
