"""What the labels of a data set mean: its raw labels, each with a type of the taxonomy.

One file a data set beside this module (`mappings/NAME.toml`), reviewed like code::

    dataset = "wikigold"
    exhaustive = ["person", "organization"]   # of these types the set marks every mention

    [labels]
    PER = "person"
    ORG = { type = "organization", note = "sports teams too" }
    MISC = { drop = "nationalities, events and works under one name" }

A set with an open vocabulary says once, in `keep_others`, why labels that are not listed keep their
own names. Every label is decided: by a type, by a reason to drop it, or by such a sentence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b2ner.errors import DataError
from b2ner.taxonomy.nearest import nearest


@dataclass(frozen=True, slots=True)
class Means:
    """The label means a type; `note` says where its definition differs."""

    type: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Mentions of the label are no entities for us, for a reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The label keeps its own name, for a reason."""

    reason: str


Decision = Means | Dropped | Kept


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """The decisions of one data set.

    `exhaustive` names the types of which the set marks every mention, so that a text of it without
    such a mention has none.
    """

    dataset: str
    labels: Mapping[str, Decision]
    exhaustive: tuple[str, ...]
    keep_others: str = ""

    def decide(self, label: str) -> Decision:
        """What is done with a raw label. Raises DataError, with the closest, when nobody said."""
        if label in self.labels:
            return self.labels[label]
        if self.keep_others:
            return Kept(self.keep_others)
        close = ", ".join(map(repr, nearest(label, self.labels, limit=3)))
        raise DataError(
            f"{self.dataset}: label {label!r} is not mapped; closest: {close or 'none'}"
        )


class _Meaning(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: str
    note: str = Field(default="", min_length=1)


class _Drop(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    drop: str = Field(min_length=1)


class _Keep(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keep: str = Field(min_length=1)


class _Mapping(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str
    exhaustive: list[str] = []
    keep_others: str = ""
    labels: dict[str, str | _Meaning | _Drop | _Keep]


@cache
def mappings() -> Mapping[str, LabelMapping]:
    """All mappings that come with this package, by data set."""
    return read_mappings(files("b2ner.taxonomy") / "mappings")


def read_mappings(folder: Traversable) -> Mapping[str, LabelMapping]:
    """The mappings of a folder, `*.toml`, by data set. Raises DataError that names the place."""
    found: dict[str, LabelMapping] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            mapping = _read(path)
            if f"{mapping.dataset}.toml" != path.name:
                raise DataError(f"{path}: is about {mapping.dataset!r}, not about its own name")
            found[mapping.dataset] = mapping
    return found


def _read(path: Traversable) -> LabelMapping:
    try:
        row = _Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not TOML: {problem}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        where = " ".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}") from problem
    labels = {label: _decision(value) for label, value in row.labels.items()}
    return LabelMapping(row.dataset, labels, tuple(row.exhaustive), row.keep_others)


def _decision(value: str | _Meaning | _Drop | _Keep) -> Decision:
    match value:
        case str():
            return Means(value)
        case _Meaning():
            return Means(value.type, value.note)
        case _Drop():
            return Dropped(value.drop)
        case _Keep():
            return Kept(value.keep)
