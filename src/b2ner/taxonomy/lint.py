"""What is wrong with a label set: names that a model, or a person, would not take as meant.

Renaming labels alone moves zero-shot scores by several points, so a set is worth a look before it
is used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from b2ner.taxonomy.nearest import likeness
from b2ner.taxonomy.tree import EntityType, Tree
from b2ner.taxonomy.usage import plain


class Remark(StrEnum):
    """What may be wrong with a label."""

    ABBREVIATION = "abbreviation"  # PER, ORG: write the word
    STYLE = "style"  # capitals, underscores: natural lower-case words are what models were taught
    VAGUE = "vague"  # misc, other, entity: nobody can tell what belongs to it
    AMBIGUOUS = "ambiguous"  # data sets mean different things by it
    SAME = "same meaning"  # two labels of the set are one type
    INSIDE = "one inside the other"  # a general and a specific type: the general takes the rest
    NEAR = "nearly the same"  # two labels that read alike and are not one type
    UNKNOWN = "unknown"  # no type of the taxonomy: not wrong, but nobody has defined it


# Remarks that are worth knowing and ask for no change.
HINTS = frozenset({Remark.INSIDE, Remark.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark on a label; `instead` is what to write, or empty where there is no better name."""

    label: str
    remark: Remark
    detail: str
    instead: str = ""


_VAGUE = frozenset(
    re.findall(
        r"\w+",
        """misc miscellaneous other others entity entities object thing things item items concept
        term name names value unknown none 其他 其它 杂项 实体 名称 未知""",
    )
)
_SHARE = 0.25  # a second meaning that so many data sets share makes a label ambiguous
_ALIKE = 0.85


def lint(
    tree: Tree, uses: Mapping[str, Counter[str]], labels: Sequence[str]
) -> tuple[Finding, ...]:
    """All remarks, label by label, then of pairs."""
    types = [_meant(tree, uses, label) for label in labels]
    findings: list[Finding] = []
    for label, kind in zip(labels, types, strict=True):
        findings += _single(tree, uses, label, kind)
    for number, (label, kind) in enumerate(zip(labels, types, strict=True)):
        for other, other_kind in zip(labels[number + 1 :], types[number + 1 :], strict=True):
            found = _pair(tree, (label, kind), (other, other_kind))
            if found:
                findings.append(found)
    return tuple(findings)


def _meant(tree: Tree, uses: Mapping[str, Counter[str]], label: str) -> EntityType | None:
    """The type of the label: by its name, else by what most data sets mean by it."""
    found = tree.find(label) or tree.find(plain(label))
    meanings = uses.get(plain(label))
    if found is None and meanings:
        name = meanings.most_common(1)[0][0]
        found = tree.type(name) if name in tree else None
    return found


def _single(
    tree: Tree, uses: Mapping[str, Counter[str]], label: str, kind: EntityType | None
) -> list[Finding]:
    written = plain(label)
    if written in _VAGUE:
        detail = "nobody can tell what belongs to it: name what you want, or leave it out"
        return [Finding(label, Remark.VAGUE, detail)]
    findings = []
    meanings = uses.get(written, Counter())
    total = sum(meanings.values())
    shared = [name for name, count in meanings.most_common() if count >= _SHARE * total]
    if len(shared) > 1:
        detail = "data sets mean different things by it: " + ", ".join(
            f"{name} ({meanings[name]})" for name in shared
        )
        findings.append(Finding(label, Remark.AMBIGUOUS, detail, " | ".join(shared)))
    if kind is None:
        detail = "no type of the taxonomy; `b2ner taxonomy suggest` looks for close ones"
        findings.append(Finding(label, Remark.UNKNOWN, detail))
        return findings
    if tree.find(written) is None and re.fullmatch(r"[A-Z][A-Za-z]{0,4}", label):
        detail = f"{meanings[kind.name]} data sets mean {kind.name!r}"
        findings.append(Finding(label, Remark.ABBREVIATION, detail, kind.name))
    elif not _natural(label, kind):
        instead = next((name for name in kind.names if name.casefold() == written), kind.name)
        detail = "natural words in small letters, with blanks between them, are read best"
        findings.append(Finding(label, Remark.STYLE, detail, instead))
    return findings


def _natural(label: str, kind: EntityType) -> bool:
    """Whether the label is written as in prose, as a name of the type is or in small letters."""
    return label in kind.names or (label == label.lower() and "_" not in label)


def _pair(
    tree: Tree, one: tuple[str, EntityType | None], other: tuple[str, EntityType | None]
) -> Finding | None:
    (label, kind), (label_2, kind_2) = one, other
    if kind is not None and kind_2 is not None:
        if kind is kind_2:
            detail = f"means the same as {label_2!r}: keep one of them"
            return Finding(label, Remark.SAME, detail, kind.name)
        for upper, lower, name, name_2 in (
            (kind, kind_2, label, label_2),
            (kind_2, kind, label_2, label),
        ):
            if upper in tree.ancestors(lower):
                detail = f"{name_2!r} is a kind of it: asked together, it takes the rest"
                return Finding(name, Remark.INSIDE, detail)
        return None
    if likeness(plain(label), plain(label_2)) >= _ALIKE:
        detail = f"reads like {label_2!r}: say in what they differ"
        return Finding(label, Remark.NEAR, detail)
    return None
