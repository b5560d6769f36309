"""Which labels a prompt asks for, and what they are called there.

The label set that texts were annotated with is varied so that a model learns to read labels, not
to know a set by heart. Knows labels and entities; nothing of prompts, tokens or seeds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from b2ner import segments
from b2ner.prompting import answer
from b2ner.records import Entity, Mention
from b2ner.training.settings import Regularisation

# Of a label set that is annotated in full: what a label is called in a coarser set.
Broader = Mapping[tuple[str, ...], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class LabelDraw:
    """The labels of one prompt, in its order.

    `names` says what each gold label that is asked for is called there; the rest of `asked` is
    borrowed and stands for nothing in the text.
    """

    asked: tuple[str, ...]
    names: Mapping[str, str]

    def mentions(self, entities: Iterable[Entity]) -> list[Mention]:
        """The answer of a text, in answer order: its mentions of what is asked."""
        kept = [replace(e, label=self.names[e.label]) for e in entities if e.label in self.names]
        ordered = answer.order(dict.fromkeys(kept), self.asked)
        return [Mention(entity.label, segments.shown(entity.text)) for entity in ordered]


def as_annotated(labels: tuple[str, ...]) -> LabelDraw:
    """The whole label set, as it stands."""
    return LabelDraw(labels, {label: label for label in labels})


def draw_labels(
    labels: Sequence[str],
    own: Iterable[str],
    strangers: Sequence[str],
    settings: Regularisation,
    rng: random.Random,
    *,
    broader: Mapping[str, str] = MappingProxyType({}),
) -> LabelDraw:
    """The label set of one prompt, drawn from the annotated `labels`.

    `own` are the labels that stand in its texts: a set above the limit is cut to them and others
    up to the limit. `strangers` may be borrowed: labels that surely stand for nothing in the texts.
    `broader` names what the labels below it have in common, for which the texts must be annotated
    in full; a mention gets the deepest label that is asked for.
    Source of the first two steps: the published loader; unlike it, a label that left the prompt
    always leaves the answer.
    """
    grained = _grained(labels, broader, rng) if rng.random() < settings.mixed_grain else labels
    chosen = list(grained)
    if len(chosen) > settings.label_limit:
        present = {_deepest(label, grained, broader) for label in own}
        needed = [label for label in chosen if label in present]
        if len(needed) > settings.label_limit:
            needed = rng.sample(needed, settings.label_limit)
        asked = {*needed, *rng.sample(chosen, settings.label_limit - len(needed))}
        chosen = [label for label in chosen if label in asked]
    if settings.fewest_labels:
        most = len(chosen)
        asked = set(rng.sample(chosen, rng.randint(min(settings.fewest_labels, most), most)))
        chosen = [label for label in chosen if label in asked]
    if settings.label_dropout:
        kept = [label for label in chosen if rng.random() >= settings.label_dropout]
        chosen = kept or [rng.choice(chosen)]
    deepest = {label: _deepest(label, chosen, broader) for label in labels}
    names = {label: name for label, name in deepest.items() if name is not None}
    borrowed: list[str] = []
    if settings.borrowed_labels and strangers:
        room = min(settings.borrowed_labels, settings.label_limit - len(chosen), len(strangers))
        borrowed = rng.sample(strangers, rng.randint(0, max(room, 0)))
    if settings.shuffle_labels:
        rng.shuffle(chosen)
    prompt = [*chosen]
    for label in borrowed:
        prompt.insert(rng.randint(0, len(prompt)), label)
    recase = rng.choice((str.lower, str.upper, str.title))
    if rng.random() < settings.recased_prompts:
        recased = {label: recase(label) for label in prompt}
        if len(set(recased.values())) == len(prompt):
            renamed = {label: recased[name] for label, name in names.items()}
            return LabelDraw(tuple(recased.values()), renamed)
    return LabelDraw(tuple(prompt), names)


def _grained(
    labels: Sequence[str], broader: Mapping[str, str], rng: random.Random
) -> tuple[str, ...]:
    """A label set of the same texts in another grain: for each broader name one of three ways.

    The labels below it as they are; the broader name in their place; or some of them beside the
    broader name, which then takes the rest.
    """
    below: dict[str, list[str]] = {}
    for label in labels:
        if label in broader:
            below.setdefault(broader[label], []).append(label)
    names = dict.fromkeys(labels)
    for name, fine in below.items():
        way = rng.randrange(3)
        if way == 0:
            continue
        kept = rng.sample(fine, rng.randint(1, len(fine) - 1)) if way == 2 and fine[1:] else []
        for label in fine:
            if label not in kept:
                del names[label]
        names[name] = None
    return tuple(names)


def _deepest(label: str, asked: Collection[str], broader: Mapping[str, str]) -> str | None:
    """What a label is called in a prompt: itself, else its broader name, else nothing."""
    if label in asked:
        return label
    name = broader.get(label)
    return name if name in asked else None


def strangers_to(labels: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    """Those of the other labels that share no word with a label of the set and are in none.

    That is all that can be told from names; a label that is borrowed for texts it has mentions in
    teaches the wrong thing, which is why borrowing is off unless it is asked for.
    """
    known = {word for label in labels for word in _words(label)}
    names = [label.casefold() for label in labels]
    return tuple(
        other
        for other in dict.fromkeys(others)
        if known.isdisjoint(_words(other))
        and not any(other.casefold() in name or name in other.casefold() for name in names)
    )


def _words(label: str) -> list[str]:
    return re.findall(r"\w+", label.casefold())
