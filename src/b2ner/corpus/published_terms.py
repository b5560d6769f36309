"""The data sets of the published release and their terms: what the catalog or a table here knows.

The release states one licence for itself and asks its users to have those of its sources. So the
terms shown are the sources'; a set whose source is under no open licence needs a yes.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from b2ner.corpus import catalog
from b2ner.corpus.catalog import LicenceClass


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms the source of a published set can be used.

    `licence` is empty where none could be established.
    """

    name: str  # of its folder in the release
    task: str  # the task key above it
    split: str  # what the published recipes use it for
    licence: str
    licence_class: LicenceClass
    note: str = ""

    @property
    def needs_yes(self) -> bool:
        """Whether somebody must say that they may use it."""
        return self.licence_class is not LicenceClass.OPEN

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "task": self.task,
            "split": self.split,
            "licence": self.licence,
            "licence_class": self.licence_class.value,
            "note": self.note,
            "needs_yes": self.needs_yes,
        }


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Known(_Row):
    licence: str
    licence_class: LicenceClass


class _Table(_Row):
    train: dict[str, tuple[str, ...]]
    test: dict[str, tuple[str, ...]]
    terms: dict[str, _Known]


def published_terms() -> tuple[Terms, ...]:
    """The terms of all sets of the published recipes, in their order."""
    table = tomllib.loads((files("b2ner.corpus") / "published_sets.toml").read_text("utf-8"))
    known = _Table.model_validate(table)
    by_name: dict[str, list[catalog.Entry]] = {}
    for entry in catalog.entries():
        if entry.published:
            by_name.setdefault(entry.published, []).append(entry)
    return tuple(
        _terms(name, task, split, by_name.get(name, []), known.terms.get(name))
        for split, tasks in (("train", known.train), ("test", known.test))
        for task, names in tasks.items()
        for name in names
    )


def _terms(
    name: str, task: str, split: str, entries: list[catalog.Entry], known: _Known | None
) -> Terms:
    """Of several entries, the terms that ask most."""
    if entries:
        order = list(LicenceClass)
        strictest = max(entries, key=lambda entry: order.index(entry.licence_class))
        stated = strictest.licence, strictest.licence_class, strictest.licence_note
        return Terms(name, task, split, *stated)
    if known:
        return Terms(name, task, split, known.licence, known.licence_class)
    return Terms(name, task, split, "", LicenceClass.UNSTATED)
