"""The published scores of each task, rule by rule: what is compared, and how it is counted.

NER, RE, EEA and newEEA are counted as sets of items. Of EET, newEET and Sentiment a text is right
or wrong as a whole: the published report has their accuracy where others have F1. Source: as
`published`, whose normal form is used here.
"""

from __future__ import annotations

import re
from collections.abc import Set

from b2ner.evaluation import published
from b2ner.evaluation.match import Counts, count_sets
from b2ner.records import Task

# Tasks whose texts are right or wrong as a whole.
WHOLE = frozenset({Task.EET, Task.NEW_EET, Task.SENTIMENT})

_NA = ",na,"
_NA_MARKS = (_NA, ",没有关系,")


def gold_items(task: Task, answer: str) -> frozenset[str]:
    """What the gold answer of a text is compared by."""
    match task:
        case Task.EEA | Task.NEW_EEA:
            # Cut before it is normalised: full-width marks neither end an item nor make one.
            pieces = (piece for piece in answer.split(";") if ":" in piece)
            return frozenset(map(published.normalise, pieces))
        case Task.SENTIMENT:
            return frozenset({published.tighten(answer).lower()})
        case _:
            return predicted_items(task, answer)


def predicted_items(task: Task, answer: str) -> frozenset[str]:
    """What the predicted answer of a text is compared by."""
    match task:
        case Task.EET | Task.NEW_EET:
            # The event types; triggers play no part, and an answer without `:` is a type.
            pieces = map(published.normalise, published.normalise(answer).split(";"))
            return frozenset(piece.partition(":")[0] for piece in pieces)
        case Task.SENTIMENT:
            parts = published.tighten(answer).lower().split(":")
            return frozenset({parts[1] if len(parts) > 1 else parts[0]})
        case _:
            return published.items(answer)


def count(task: Task, gold: Set[str], predicted: Set[str]) -> Counts:
    """The counts of one text, for a task that is not right or wrong as a whole."""
    return _count_relations(gold, predicted) if task is Task.RE else count_sets(gold, predicted)


def stops_the_published(task: Task, gold: Set[str], predicted: Set[str]) -> list[str]:
    """What the published scorer stops at in the items of one text, although they are counted."""
    if task is not Task.RE:
        return []
    if predicted and not gold:
        return ["relations where the gold answer has none: the published scorer stops here"]
    absent = [item for item in gold if _says_no_relation(item)]
    pairs = [(found, item) for item in absent for found in predicted]
    if len(absent) == len(gold):
        pairs += [(item, found) for item in gold for found in predicted]
    if any(_NA not in form and text.startswith(form) for text, form in pairs):
        return ["a `wild` match without an `,na,`: the published scorer stops here"]
    return []


def _count_relations(gold: Set[str], predicted: Set[str]) -> Counts:
    """Counts with the published rule for gold items that say there is no relation.

    Such an item (`relation:head,na,tail`) is right unless a prediction fills its place with
    something else, and never missed. Where all gold items are such, a wrong prediction counts only
    if it has a `,na,` whose place one of them fills. Where some are, the published scorer takes
    either rule, as the order of a set falls; here it is the one for ordinary items.
    """
    absent = {item for item in gold if _says_no_relation(item)}
    ordinary = gold - absent
    kept = {item for item in absent if not any(_fills(item, found) for found in predicted)}
    if absent and not ordinary:
        wrong = {found for found in predicted if any(_fills(found, item) for item in gold)}
    else:
        wrong = set(predicted - gold)
    return Counts(len(kept) + len(ordinary & predicted), len(wrong), len(ordinary - predicted))


def _says_no_relation(item: str) -> bool:
    return any(mark in item for mark in _NA_MARKS)


def _fills(item: str, other: str) -> bool:
    """Whether the other begins as the item does, with something in place of its first `na`."""
    form = re.escape(item).replace(_NA, ",(.+),")
    found = re.match(form, other)
    return found is not None and bool(found.lastindex) and found[1] != "na"
