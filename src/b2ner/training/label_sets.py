"""Which labels a prompt asks for, and what they are called there.

The label set that texts were annotated with is varied so that a model learns to read labels, not
to know a set by heart. Knows labels and entities; nothing of prompts, tokens or seeds.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from b2ner import segments
from b2ner.prompting import answer
from b2ner.records import Entity, Mention
from b2ner.training.settings import Regularisation

_BELOW = "->"  # between a label and one that is written below it


@dataclass(frozen=True, slots=True)
class OtherNames:
    """What labels may be called besides their own names.

    `broader`, of a label set that is annotated in full: what a label is called in a coarser set,
    and such a name in a still coarser one; no name is above itself.
    `synonyms`, of a name in lower case: its group, all names that mean the same, itself too. No
    name is in two groups. Raises ValueError where one is.
    """

    broader: Mapping[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, group in self.synonyms.items():
            if key not in (name.casefold() for name in group):
                raise ValueError(f"{key!r} is not among the names that mean the same: {group}")
            for name in group:
                if self.synonyms.get(name.casefold()) != group:
                    raise ValueError(f"{name!r} must stand in one group of synonyms, and in one")

    def alike(self, label: str) -> tuple[str, ...]:
        """All names that mean the same as a label, in any capitals; itself where it has none."""
        return self.synonyms.get(label.casefold(), (label,))

    def to_json(self) -> list[object]:
        """All of it, as JSON."""
        sets = sorted(self.broader.items())
        broader = [[labels, sorted(names.items())] for labels, names in sets]
        return [broader, sorted(self.synonyms.items())]


OWN_NAMES = OtherNames()  # labels go by their own names only


@dataclass(frozen=True, slots=True)
class LabelDraw:
    """The labels of one prompt, in its order.

    `names` says what each gold label that is asked for is called there, and `broadened` which of
    them go by a broader name; the rest of `asked` is borrowed and stands for nothing in the text.
    """

    asked: tuple[str, ...]
    names: Mapping[str, str]
    broadened: frozenset[str] = frozenset()

    @property
    def described(self) -> dict[str, str]:
        """Of the labels whose descriptions hold here, what they are called.

        A broader name stands for several labels, so that none of their descriptions is its own.
        """
        return {k: name for k, name in self.names.items() if k not in self.broadened}

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
    names: OtherNames = OWN_NAMES,
) -> LabelDraw:
    """The label set of one prompt, drawn from the annotated `labels`.

    `own` are the labels that stand in its texts: a set above the limit is cut to them and others
    up to the limit. `strangers` may be borrowed: labels that surely stand for nothing in the texts.
    A broader name of the set says what the labels below it have in common, for which the texts must
    be annotated in full; a mention gets the deepest label that is asked for. What is asked for may
    then go by a synonym.
    Source of the first two steps: the published loader; unlike it, a label that left the prompt
    always leaves the answer.
    """
    broader = names.broader.get(tuple(labels), MappingProxyType({}))
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
    asked_as = {label: name for label, name in deepest.items() if name is not None}
    broadened = frozenset(label for label, name in asked_as.items() if name != label)
    borrowed: list[str] = []
    if settings.borrowed_labels and strangers:
        room = min(settings.borrowed_labels, settings.label_limit - len(chosen), len(strangers))
        borrowed = rng.sample(strangers, rng.randint(0, max(room, 0)))
    if settings.shuffle_labels:
        rng.shuffle(chosen)
    prompt = [*chosen]
    for label in borrowed:
        prompt.insert(rng.randint(0, len(prompt)), label)
    called = {label: label for label in prompt}
    recase = rng.choice((str.lower, str.upper, str.title))
    recased = rng.random() < settings.recased_prompts
    if settings.renamed_labels:
        known = {*labels, *broader.values(), *prompt}
        called = _renamed(prompt, known, names, settings.renamed_labels, rng)
    if recased and len({recase(name) for name in called.values()}) == len(prompt):
        called = {label: recase(name) for label, name in called.items()}
    shown = {label: called[name] for label, name in asked_as.items()}
    return LabelDraw(tuple(called.values()), shown, broadened)


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
    """What a label is called in a prompt: itself, else the nearest broader name, else nothing."""
    name: str | None = label
    while name is not None and name not in asked:
        name = broader.get(name)
    return name


def _renamed(
    prompt: Iterable[str],
    known: Collection[str],
    names: OtherNames,
    share: float,
    rng: random.Random,
) -> dict[str, str]:
    """What each label of a prompt is called there: itself, or for a share another of its names.

    `known` is all that the texts are annotated with, asked for or not: two of these that mean the
    same elsewhere are told apart here, so both keep their names. So does a label that others are
    written below ("place" beside "place->city"). Nor is there a name with a word of another label:
    "town or city" beside "city" would not be clear.
    """
    heads = {label.partition(_BELOW)[0] for label in known if _BELOW in label}
    standing = Counter(names.alike(label) for label in known)
    words = {word for label in known for word in _long_words(label)}
    called: dict[str, str] = {}
    for label in prompt:
        alike = names.alike(label)
        called[label] = label
        taken = words.difference(_long_words(label))
        others = [
            name
            for name in alike
            if name.casefold() != label.casefold() and taken.isdisjoint(_long_words(name))
        ]
        clear = standing[alike] == 1 and label not in heads
        if others and clear and rng.random() < share:
            called[label] = rng.choice(others)
    return called


def strangers_to(
    labels: Sequence[str], others: Iterable[str], names: OtherNames = OWN_NAMES
) -> tuple[str, ...]:
    """Those of the other labels that share no word with a label of the set and are in none.

    Whatever the names of either: and of several that mean the same, the first. That is all that can
    be told from names; a label that is borrowed for texts it has mentions in teaches the wrong
    thing, which is why borrowing is off unless it is asked for.
    """
    own = {name.casefold() for label in labels for name in names.alike(label)}
    known = {word for name in own for word in _words(name)}
    firsts: dict[tuple[str, ...], str] = {}
    for other in others:
        firsts.setdefault(names.alike(other), other)

    def is_strange(name: str) -> bool:
        folded = name.casefold()
        return known.isdisjoint(_words(name)) and not any(
            folded in label or label in folded for label in own
        )

    return tuple(other for alike, other in firsts.items() if all(map(is_strange, alike)))


def _words(label: str) -> list[str]:
    return re.findall(r"\w+", label.casefold())


def _long_words(label: str) -> list[str]:
    """The words that mean something: none like `of`, `or`."""
    return [word for word in _words(label) if len(word) > 2]
