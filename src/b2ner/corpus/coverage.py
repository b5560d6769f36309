"""How far the mappings decide the labels of the catalog: which are undecided, what is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from b2ner.corpus.catalog import Entry
from b2ner.errors import DataError
from b2ner.taxonomy.mappings import Dropped, LabelMapping, Means


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a mapping does with the mentions of one data set, as the catalog counts them.

    `undecided` are raw labels that nobody decided, `strange` those of the mapping that the catalog
    does not know.
    """

    name: str
    mentions: int
    mapped: int
    dropped: int
    undecided: tuple[str, ...]
    strange: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        found = [f"label {label!r} is not decided" for label in self.undecided]
        return (*found, *(f"{label!r} is no label of the set" for label in self.strange))


def coverage(
    entries: Iterable[Entry], mappings: Mapping[str, LabelMapping]
) -> tuple[Coverage, ...]:
    """The coverage of every set with entities, in the catalog's order."""
    return tuple(
        _covered(entry, mappings.get(entry.name)) for entry in entries if "NER" in entry.tasks
    )


def _covered(entry: Entry, mapping: LabelMapping | None) -> Coverage:
    mapped = dropped = 0
    undecided: list[str] = []
    for label, count in entry.labels.items():
        try:
            decision = mapping.decide(label) if mapping is not None else None
        except DataError:
            decision = None
        match decision:
            case None:
                undecided.append(label)
            case Means():
                mapped += count
            case Dropped():
                dropped += count
            case _:
                pass
    known = mapping.labels if mapping is not None else {}
    strange = tuple(label for label in known if label not in entry.labels)
    total = sum(entry.labels.values())
    return Coverage(entry.name, total, mapped, dropped, tuple(undecided), strange)
