"""Which data sets a release is made of: a recipe's rules, and what they choose of the catalog.

A recipe is a TOML file; those of ours lie beside this module. Every set of the catalog is either
chosen or left out for a reason, and a set whose terms do not fit cannot be named into a release.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from b2ner.corpus.catalog import Entry, LicenceClass, Role
from b2ner.corpus.published_terms import Terms, published_terms
from b2ner.corpus.readers import first_line
from b2ner.errors import DataError

SUFFIX = ".toml"


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Recipe:
    """The rules of a release.

    `stated_for` says for what the licence of a set must be stated (`Entry.stated_for`). `quota` and
    `without_entities` make the pruned part: texts of a data set with each of its types, and texts
    without entities as a share of the others.
    """

    name: str
    about: str
    licence_classes: tuple[LicenceClass, ...]
    stated_for: tuple[str, ...]
    only: tuple[str, ...] = ()  # data sets; empty: all that the rules allow
    leave_out: tuple[str, ...] = ()
    published: bool = False  # only the training sets of the published recipes
    sheets: bool = False  # our own annotated texts take part
    quota: int = Field(default=120, ge=1)
    without_entities: float = Field(default=0.1, ge=0, le=1)
    seed: int = 23


@dataclass(frozen=True, slots=True)
class Choice:
    """What a recipe chooses, what it leaves out and why, and published sets without an entry."""

    entries: tuple[Entry, ...]
    left_out: tuple[tuple[str, str], ...]
    copies: tuple[Terms, ...] = ()


def recipe_names() -> tuple[str, ...]:
    """The recipes of ours."""
    found = (path.name for path in (files("b2ner.corpus") / "recipes").iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX)))


def read_recipe(name: str) -> Recipe:
    """A recipe of ours by its name, or of a file. Raises DataError for what is none."""
    if name in recipe_names():
        text, place = (files("b2ner.corpus") / "recipes" / f"{name}{SUFFIX}").read_text(), name
    else:
        path = Path(name)
        if path.suffix != SUFFIX:
            known = ", ".join(recipe_names())
            raise DataError(f"there is no recipe {name!r}: write {known}, or the path of a .toml")
        try:
            text, place = path.read_text(encoding="utf-8"), path.stem
        except OSError as problem:
            raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    try:
        return TypeAdapter(Recipe).validate_python({"name": place, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"{name}: not TOML: {problem}") from problem
    except ValidationError as problem:
        raise DataError(f"{name}: {first_line(problem)}") from problem


def choose(recipe: Recipe, entries: Iterable[Entry]) -> Choice:
    """What the recipe's rules make of each set of the catalog.

    Raises DataError when it names a set that its own rules keep out, or one that there is not.
    """
    known = list(entries)
    terms = [each for each in published_terms() if each.split == "train"]
    if recipe.published:
        names = {each.name for each in terms} - set(recipe.leave_out)
        known = [entry for entry in known if entry.published in names]
    chosen: list[Entry] = []
    left_out: list[tuple[str, str]] = []
    for entry in known:
        reason = _reason(recipe, entry)
        if not reason:
            chosen.append(entry)
            continue
        left_out.append((entry.name, reason))
        if entry.name in recipe.only:
            raise DataError(f"recipe {recipe.name}: {entry.name} cannot take part: {reason}")
    if strange := set(recipe.only) - {entry.name for entry in known}:
        raise DataError(f"recipe {recipe.name}: no data set {', '.join(sorted(strange))}")
    held = {entry.published for entry in known}
    copies = tuple(
        each for each in terms if recipe.published and each.name in names and each.name not in held
    )
    return Choice(tuple(chosen), tuple(left_out), copies)


def _reason(recipe: Recipe, entry: Entry) -> str:
    """Why a set takes no part, or nothing."""
    if entry.role is not Role.NONE:
        return f"a {entry.role.value} set"
    if entry.licence_class not in recipe.licence_classes:
        return f"its licence class is {entry.licence_class.value}"
    if entry.stated_for not in recipe.stated_for:
        return f"its licence is stated for the {entry.stated_for or 'data nowhere'}"
    if entry.copy_of and not recipe.published:
        return f"it repeats the texts of {entry.copy_of}"
    if recipe.only and entry.name not in recipe.only:
        return "not named by the recipe"
    if entry.name in recipe.leave_out or entry.published in recipe.leave_out:
        return "left out by the recipe"
    return ""
