"""Counts of right, wrong and missed items, for one text: counts first, ratios derived.

Knows nothing of files or answers: items are any hashable values, spans and labels among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Set
from dataclasses import dataclass
from itertools import zip_longest

MISSED = ""  # no label: what the other side of a confusion has when nothing stands against it


@dataclass(frozen=True, slots=True)
class Counts:
    """Items found and right (tp), found and wrong (fp), not found (fn). Counts of texts add up."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """tp / (tp + fp); 0 when nothing was found."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """tp / (tp + fn); 0 when there was nothing to find."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 when undefined; multiplied in the published order."""
        recall, precision = self.recall, self.precision
        return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Texts that are right as a whole, of how many. Counts of texts add up."""

    right: int = 0
    total: int = 0

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(self.right + other.right, self.total + other.total)

    @property
    def accuracy(self) -> float:
        """right / total; 0 without texts."""
        return self.right / self.total if self.total else 0.0


def count_sets(gold: Set[str], predicted: Set[str]) -> Counts:
    """Counts over distinct items: a repeat on either side is seen once."""
    return Counts(len(gold & predicted), len(predicted - gold), len(gold - predicted))


def count_items(gold: Iterable[Hashable], predicted: Iterable[Hashable]) -> Counts:
    """Counts over all items, each gold item matched at most once: a repeat too many is wrong."""
    wanted, found = Counter(gold), Counter(predicted)
    right = (wanted & found).total()
    return Counts(right, found.total() - right, wanted.total() - right)


def confusions(
    gold: Set[tuple[str, str]], predicted: Set[tuple[str, str]]
) -> Counter[tuple[str, str]]:
    """How often words of one label were given another: (gold label, predicted label) -> count.

    Items are (words, label). Words that only one side has stand against `MISSED`. Where the same
    words have several labels, equal ones are paired first and the rest in alphabetical order, so
    each gold and each predicted item is counted exactly once.
    """
    labels: dict[str, tuple[set[str], set[str]]] = {}
    for side, items in enumerate((gold, predicted)):
        for words, label in items:
            labels.setdefault(words, (set(), set()))[side].add(label)
    pairs: Counter[tuple[str, str]] = Counter()
    for wanted, found in labels.values():
        pairs.update((label, label) for label in wanted & found)
        left, right = sorted(wanted - found), sorted(found - wanted)
        pairs.update(zip_longest(left, right, fillvalue=MISSED))
    return pairs
