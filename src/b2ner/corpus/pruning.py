"""Fewer texts of a data set: a quota for each of its types, and a share without any.

A plain choice by seed: texts in a shuffled order, each kept when one of its types, the rarest
first, is still below its quota.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from b2ner.corpus.published_writer import annotated
from b2ner.records import Sample


def within_quota(
    samples: Sequence[Sample], quota: int, *, without_entities: float, seed: str
) -> list[Sample]:
    """The samples kept, in their order.

    Every type has `quota` texts or all that there are. Of texts without an annotation, as many as
    the share says of those with one, so far as there are any.
    """
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    types = [sorted(set(annotated(sample))) for sample in samples]
    frequency = Counter(label for labels in types for label in labels)
    by_type: dict[str, list[int]] = {}
    for number in order:
        for label in types[number]:
            by_type.setdefault(label, []).append(number)
    kept: set[int] = set()
    have: Counter[str] = Counter()
    for label in sorted(by_type, key=lambda label: (frequency[label], label)):
        for number in by_type[label]:
            if have[label] >= quota:
                break
            if number not in kept:
                kept.add(number)
                have.update(types[number])
    empty = [number for number in order if not types[number]]
    kept.update(empty[: round(without_entities * len(kept))])
    return [sample for number, sample in enumerate(samples) if number in kept]
