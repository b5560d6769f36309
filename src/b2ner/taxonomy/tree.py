"""The tree of entity types: one canonical name for each type, in English and in Chinese.

Types are data beside this file (`types/*.toml`, one file a branch) and are reviewed like code. This
module turns them into records and answers where a type stands and which type a name means; whether
the data keep their promises is asked in `check`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, ValidationError

from b2ner.errors import DataError, InputError
from b2ner.taxonomy.nearest import nearest

SEPARATOR = " -> "  # between the types of a path in English, as published label names have it
SEPARATOR_ZH = "->"


@dataclass(frozen=True, slots=True)
class EntityType:
    """One type. `examples` and `near_miss` are sentences with one mention in square brackets.

    The mention of `near_miss` looks like one of this type and is of the type `near_miss_is`, or of
    none when that is empty. `parent` is empty for a root.
    """

    name: str
    zh: str
    parent: str
    definition: str
    aliases: tuple[str, ...]
    zh_aliases: tuple[str, ...]
    examples: tuple[str, ...]
    near_miss: str
    near_miss_is: str
    branch: str  # the file that it stands in, without its suffix

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the type in either language, the canonical ones first."""
        return (self.name, self.zh, *self.aliases, *self.zh_aliases)

    def to_json(self) -> dict[str, object]:
        """The type as `b2ner taxonomy export` writes it, without its path."""
        return {
            "name": self.name,
            "zh": self.zh,
            "parent": self.parent,
            "definition": self.definition,
            "aliases": list(self.aliases),
            "zh_aliases": list(self.zh_aliases),
            "examples": list(self.examples),
            "near_miss": self.near_miss,
            "near_miss_is": self.near_miss_is,
        }


class Tree:
    """All types, and the ways between them."""

    def __init__(self, types: Iterable[EntityType]) -> None:
        self.types: tuple[EntityType, ...] = tuple(types)
        self._by_name: dict[str, EntityType] = {}
        for kind in self.types:
            self._by_name.setdefault(kind.name, kind)

    def __len__(self) -> int:
        return len(self.types)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def type(self, name: str) -> EntityType:
        """The type of this canonical English name. Raises InputError that lists the closest."""
        found = self._by_name.get(name)
        if found is None:
            close = ", ".join(nearest(name, self._by_name, limit=3))
            raise InputError(f"{name!r} is no type of the taxonomy; closest: {close or 'none'}")
        return found

    def find(self, label: str) -> EntityType | None:
        """The type that has the label for a name or an alias, or for its path; capitals apart."""
        return self._by_label.get(_key(label))

    def parent(self, kind: EntityType) -> EntityType | None:
        """The type above, or None for a root."""
        return self._by_name.get(kind.parent)

    def children(self, kind: EntityType) -> tuple[EntityType, ...]:
        """The types right below, in the order of the files."""
        return self._children.get(kind.name, ())

    def ancestors(self, kind: EntityType) -> tuple[EntityType, ...]:
        """The types above, the nearest first."""
        above: list[EntityType] = []
        while (up := self.parent(kind)) is not None and up not in above:
            above.append(up)
            kind = up
        return tuple(above)

    def below(self, kind: EntityType) -> tuple[EntityType, ...]:
        """The type and all types under it, a parent before its children."""
        found = [kind]
        for child in self.children(kind):
            found += self.below(child)
        return tuple(found)

    def roots(self) -> tuple[EntityType, ...]:
        """The types without a parent."""
        return tuple(kind for kind in self.types if not kind.parent)

    def path(self, kind: EntityType) -> str:
        """The names from the root to the type: `person -> athlete -> footballer`."""
        return SEPARATOR.join(up.name for up in (*reversed(self.ancestors(kind)), kind))

    def path_zh(self, kind: EntityType) -> str:
        """The same in Chinese: `人物->运动员->足球运动员`."""
        return SEPARATOR_ZH.join(up.zh for up in (*reversed(self.ancestors(kind)), kind))

    @cached_property
    def _by_label(self) -> Mapping[str, EntityType]:
        found: dict[str, EntityType] = {}
        for kind in self.types:
            for name in (*kind.names, self.path(kind), self.path_zh(kind)):
                found.setdefault(_key(name), kind)
        return found

    @cached_property
    def _children(self) -> Mapping[str, tuple[EntityType, ...]]:
        found: dict[str, list[EntityType]] = {}
        for kind in self.types:
            found.setdefault(kind.parent, []).append(kind)
        return {name: tuple(kinds) for name, kinds in found.items()}


class _Type(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    zh: str
    parent: str = ""
    definition: str
    aliases: list[str] = []
    zh_aliases: list[str] = []
    examples: list[str]
    near_miss: str
    near_miss_is: str


class _Branch(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: list[_Type]


@cache
def taxonomy() -> Tree:
    """The tree that comes with this package."""
    return read_tree(files("b2ner.taxonomy") / "types")


def read_tree(folder: Traversable) -> Tree:
    """The tree of a folder of branches, `*.toml`. Raises DataError that names file and entry."""
    types: list[EntityType] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            types += _branch(path)
    return Tree(types)


def _branch(path: Traversable) -> list[EntityType]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = _Branch.model_validate(values).type
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not TOML: {problem}") from problem
    except ValidationError as problem:
        raise DataError(f"{path}: {_place(values, problem)}") from problem
    name = path.name.removesuffix(".toml")
    return [
        EntityType(
            row.name,
            row.zh,
            row.parent,
            row.definition,
            tuple(row.aliases),
            tuple(row.zh_aliases),
            tuple(row.examples),
            row.near_miss,
            row.near_miss_is,
            name,
        )
        for row in rows
    ]


def _place(values: Mapping[str, object], problem: ValidationError) -> str:
    """What is wrong first, with the name of the type where it has one."""
    first = problem.errors()[0]
    where = [str(part) for part in first["loc"]]
    rows = values.get("type")
    match first["loc"]:
        case ("type", int(number), *_) if isinstance(rows, list) and isinstance(rows[number], dict):
            where[:2] = [f"type {rows[number].get('name', number + 1)!r}"]
        case _:
            pass
    return f"{' '.join(where)}: {first['msg']}"


def _key(label: str) -> str:
    return " ".join(label.casefold().split())
