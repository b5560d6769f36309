"""Guidance for a new label: which types come close, what it is easily taken for, how to name it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from b2ner.taxonomy.nearest import likeness
from b2ner.taxonomy.tree import SEPARATOR, EntityType, Tree
from b2ner.taxonomy.usage import plain

_CLOSEST = 5
_LEAST = 0.45  # a type that scores less has nothing to do with the label
_DESCRIBED = 0.5  # how much a description counts beside the name
_MANY = 2  # a word that stands for so many types says too little alone


@dataclass(frozen=True, slots=True)
class Close:
    """A type that comes close, and how close, in [0, 1]."""

    type: EntityType
    score: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to know before a label is used.

    `exact` has the label for a name already. `near_misses` are what the closest types are taken
    for. `meanings` counts the data sets in which the label stands for a type. `name` is what to
    call it, in the style of the taxonomy.
    """

    label: str
    exact: EntityType | None
    closest: tuple[Close, ...]
    near_misses: tuple[EntityType, ...]
    meanings: Mapping[str, int]
    name: str


def suggest(
    tree: Tree, uses: Mapping[str, Counter[str]], label: str, description: str = ""
) -> Suggestion:
    """What the taxonomy has to say of a label; the description helps where the name does not."""
    exact = tree.find(label) or tree.find(plain(label))
    meanings = uses.get(plain(label), Counter())
    closest = _closest(tree, plain(label), description, meanings)
    first = exact or (closest[0].type if closest else None)
    return Suggestion(
        label,
        exact,
        closest,
        _near_misses(tree, first) if first else (),
        dict(meanings.most_common()),
        _name(plain(label), exact, closest, meanings),
    )


def _closest(
    tree: Tree, label: str, description: str, meanings: Mapping[str, int]
) -> tuple[Close, ...]:
    wanted = _words(description)
    scored = []
    for kind in tree.types:
        score = max(likeness(label, name) for name in kind.names)
        if kind.name in meanings:
            score = max(score, 0.9)
        if wanted:
            said = _words(" ".join((kind.name, *kind.aliases, kind.definition)))
            score += _DESCRIBED * len(wanted & said) / len(wanted)
        if score >= _LEAST:
            scored.append(Close(kind, min(score, 1.0)))
    scored.sort(key=lambda close: (-close.score, close.type.name))
    return tuple(scored[:_CLOSEST])


def _near_misses(tree: Tree, kind: EntityType) -> tuple[EntityType, ...]:
    """What is taken for the type: its own near miss, types that miss it, and its siblings."""
    found: dict[str, EntityType] = {}
    if kind.near_miss_is in tree:
        found[kind.near_miss_is] = tree.type(kind.near_miss_is)
    for other in tree.types:
        if other.near_miss_is == kind.name:
            found.setdefault(other.name, other)
    parent = tree.parent(kind)
    for sibling in tree.children(parent) if parent else ():
        found.setdefault(sibling.name, sibling)
    found.pop(kind.name, None)
    return tuple(found.values())[:_CLOSEST]


def _name(
    label: str,
    exact: EntityType | None,
    closest: tuple[Close, ...],
    meanings: Mapping[str, int],
) -> str:
    """A type's own name; of a label with several meanings, the commonest; else `above -> label`."""
    if exact is not None:
        return exact.name
    if meanings:
        return max(meanings, key=lambda name: (meanings[name], name))
    if not closest or closest[0].type.name == label:
        return label
    top = closest[0].type
    words = label.split()
    if len(words) >= _MANY and words[-1] in top.name.split():
        return label
    return f"{top.parent or top.name}{SEPARATOR}{label}"


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > _MANY}
