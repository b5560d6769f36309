"""What data sets mean by a label: in how many of them it stands for which type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from b2ner.taxonomy.mappings import LabelMapping, Means

_WORD_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\s.]+")


def plain(label: str) -> str:
    """The label in small letters, its words apart: `MusicalWork` and `MUSICAL_WORK` are one."""
    return " ".join(_WORD_BORDER.sub(" ", label).casefold().split())


def usage(mappings: Iterable[LabelMapping]) -> Mapping[str, Counter[str]]:
    """For each label in its plain form, the types it means and in how many data sets."""
    found: dict[str, Counter[str]] = {}
    for mapping in mappings:
        meant = {
            (plain(label), decision.type)
            for label, decision in mapping.labels.items()
            if isinstance(decision, Means)
        }
        for label, kind in meant:
            found.setdefault(label, Counter())[kind] += 1
    return found
