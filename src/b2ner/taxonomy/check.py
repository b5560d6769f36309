"""Whether the tree and the mappings keep their promises; every fault is named, none is mended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from b2ner.errors import LabelError
from b2ner.prompting.forms import LABEL_FIRST, MENTION_FIRST
from b2ner.prompting.template import check_labels
from b2ner.taxonomy.mappings import LabelMapping, Means
from b2ner.taxonomy.tree import EntityType, Tree

# What a definition says of something that it leaves out.
_EXCLUSION = re.compile(
    r";|\b(?:not|no|nor|never|without|except|excluding|unlike|rather|but|instead|outside|only)\b"
    r"|left out"
)
_FILLER = frozenset(
    re.findall(r"\w+", "a an the of or and that is in any some kind type one for to as by with")
)
_NEW_WORDS = 6  # so many words a definition adds to its name, or it restates it
_EXAMPLES = 2
_HAN = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that is broken: where, and how."""

    place: str
    detail: str


def check_tree(tree: Tree) -> list[Finding]:
    """What is wrong with the types: names, parents, definitions, examples."""
    findings = list(_names(tree))
    for kind in tree.types:
        findings += [Finding(_where(kind), detail) for detail in _type_faults(kind, tree)]
    return findings


def check_mappings(tree: Tree, mappings: Mapping[str, LabelMapping]) -> list[Finding]:
    """Where mappings name types that do not stand in the tree."""
    findings = []
    for name, mapping in mappings.items():
        for label, decision in mapping.labels.items():
            if isinstance(decision, Means) and decision.type not in tree:
                detail = f"{label!r} is mapped to {decision.type!r}, which is no type"
                findings.append(Finding(f"mappings/{name}", detail))
        findings += [
            Finding(f"mappings/{name}", f"exhaustive for {kind!r}, which is no type")
            for kind in mapping.exhaustive
            if kind not in tree
        ]
    return findings


def targets(mappings: Iterable[LabelMapping]) -> frozenset[str]:
    """The types that some label of some data set means."""
    return frozenset(
        decision.type
        for mapping in mappings
        for decision in mapping.labels.values()
        if isinstance(decision, Means)
    )


def _names(tree: Tree) -> Iterator[Finding]:
    """A name belongs to one type, in whatever capitals, and to it once."""
    owners: dict[str, EntityType] = {}
    for kind in tree.types:
        for name in kind.names:
            owner = owners.setdefault(name.casefold(), kind)
            if owner is not kind:
                yield Finding(_where(kind), f"{name!r} is a name of {_where(owner)} too")
        folded = [name.casefold() for name in kind.names]
        for name in sorted({name for name in folded if folded.count(name) > 1}):
            yield Finding(_where(kind), f"{name!r} stands there twice")


def _type_faults(kind: EntityType, tree: Tree) -> Iterator[str]:
    if kind.parent and kind.parent not in tree:
        yield f"its parent {kind.parent!r} is no type"
    elif kind in tree.ancestors(kind):
        yield "it stands above itself"
    if not _HAN.search(kind.zh):
        yield f"its Chinese name {kind.zh!r} has no Chinese character"
    for name in kind.names:
        yield from _name_faults(name)
    words = set(re.findall("[a-z]+", kind.definition.lower())) - _FILLER
    if len(words - set(re.findall("[a-z]+", kind.name))) < _NEW_WORDS:
        yield "its definition restates its name"
    if not _EXCLUSION.search(kind.definition):
        yield "its definition leaves nothing out"
    if len(kind.examples) != _EXAMPLES:
        yield f"{len(kind.examples)} examples, {_EXAMPLES} expected"
    for sentence in (*kind.examples, kind.near_miss):
        if not re.fullmatch(r"[^][]*\[[^][]+\][^][]*", sentence):
            yield f"{sentence!r} does not have one mention in brackets"
    if kind.near_miss_is and kind.near_miss_is not in tree:
        yield f"its near miss is a {kind.near_miss_is!r}, which is no type"
    if kind.near_miss_is == kind.name:
        yield "its near miss is of the type itself"


def _name_faults(name: str) -> Iterator[str]:
    """Why a prompt or an answer could not hold the name."""
    try:
        if check_labels([name]) != (name,):
            yield f"{name!r} has white space at an edge"
        for form in (LABEL_FIRST, MENTION_FIRST):
            form.check([name])
    except LabelError as problem:
        yield str(problem)


def _where(kind: EntityType) -> str:
    return f"types/{kind.branch}: {kind.name}"
