"""One data set in the states of a release: screened, under the taxonomy's names, and pruned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from b2ner import files
from b2ner.corpus.pruning import within_quota
from b2ner.corpus.published_writer import annotated, labels_file, published_row
from b2ner.corpus.recipes import Recipe
from b2ner.corpus.release_sources import SPLITS, SourceSet
from b2ner.corpus.release_types import TYPES, LabelTypes
from b2ner.corpus.screen import Seen
from b2ner.corpus.told import for_task, roles_of
from b2ner.prompting import answer
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.records import Entity, Mention, Reason, Rejected, Sample, Task
from b2ner.taxonomy.mappings import Kept, Means
from b2ner.taxonomy.tree import EntityType, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What came of one data set under one task.

    `rows` is what was read; it is the texts of `raw` and what `rejected` counts by reason. `leaks`
    counts texts that stand in a test or development set, by that set.
    """

    name: str
    task: str  # the task key
    language: str
    domain: str
    licence: str
    licence_class: str
    share_alike: bool
    rows: int
    texts: Mapping[str, Mapping[str, int]]  # by state and split
    mentions: Mapping[str, Mapping[str, int]]
    types: Mapping[str, int]  # by state
    rejected: Mapping[str, int]
    unmapped: Mapping[str, str] = field(default_factory=dict)  # labels dropped, and why
    dropped_mentions: int = 0
    leaks: Mapping[str, int] = field(default_factory=dict)
    leak_places: Mapping[str, str] = field(default_factory=dict)  # of a text: the set it stands in
    sha256: Mapping[str, str] = field(default_factory=dict)  # by the file's path below the release


def make_part(
    named: SourceSet, task: Task, recipe: Recipe, tree: Tree, seen: Seen, folder: Path
) -> Part:
    whole, rejected = _screened(named, seen)
    roles = roles_of(sample for kept in whole.values() for sample in kept)
    samples, lost_rows = _asked(whole, task, named.labels[task], roles)
    rejected += lost_rows
    leaks = {r.place: _set_of(r) for r in rejected if r.reason is Reason.SEEN_ELSEWHERE}
    states: dict[str, dict[str, list[Sample]]] = {"raw": samples}
    labels = {"raw": named.labels[task]}
    names = _names(named, tree, labels["raw"]) if task is Task.NER else None
    if names is None:
        states["all"], labels["all"], lost = samples, labels["raw"], 0
    else:
        states["all"], lost = _renamed(samples, names)
        labels["all"] = tuple(dict.fromkeys(n for n in names.values() if n is not None))
    seed = f"{recipe.seed}:{named.name}:{task.value}"
    states["pruned"] = {
        "train": within_quota(
            states["all"]["train"],
            recipe.quota,
            without_entities=recipe.without_entities,
            seed=seed,
        )
    }
    labels["pruned"] = labels["all"]
    hashes: dict[str, str] = {}
    for state, by_split in states.items():
        inside = f"{state}/{task.value}_{named.language}/{named.name}"
        hashes[f"{inside}/labels.json"] = files.write_json(
            folder / inside / "labels.json", labels_file(task, labels[state], roles)
        )
        if state != "raw" and task is Task.NER:
            path = f"{inside}/{TYPES}"
            hashes[path] = files.write_json(
                folder / path, _types(named, tree, labels[state], names or {})
            )
        for split, kept in by_split.items():
            if kept:
                path = f"{inside}/{split}.json"
                hashes[path] = files.write_json_array(
                    folder / path, (published_row(sample, labels[state]) for sample in kept)
                )
    return Part(
        name=named.name,
        task=f"{task.value}_{named.language}",
        language=named.language,
        domain=named.domain,
        licence=named.licence,
        licence_class=named.licence_class,
        share_alike=named.share_alike,
        rows=len(rejected) + sum(len(kept) for kept in samples.values()),
        texts={s: {k: len(v) for k, v in by.items() if v} for s, by in states.items()},
        mentions={
            s: {k: sum(len(annotated(x)) for x in v) for k, v in by.items() if v}
            for s, by in states.items()
        },
        types={state: len(labels[state]) for state in states},
        rejected=dict(sorted(Counter(r.reason.value for r in rejected).items())),
        unmapped=_unmapped(named, labels["raw"]) if names is not None else {},
        dropped_mentions=lost,
        leaks=dict(sorted(Counter(leaks.values()).items())),
        leak_places=leaks,
        sha256=hashes,
    )


def _screened(named: SourceSet, seen: Seen) -> tuple[dict[str, list[Sample]], list[Rejected]]:
    """The samples of each split, and the rows that were rejected.

    Rejected is a text that stood in the set before, in whatever split, and one that stands in a
    test or development set, whole or in part.
    """
    kept: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    rejected: list[Rejected] = []
    first: dict[str, str] = {}
    for split, found in named.rows():
        if isinstance(found, Rejected):
            rejected.append(found)
            continue
        shared = seen.shared_with(found.text)
        before = first.setdefault(found.text, found.source)
        if shared is not None:
            rejected.append(Rejected(Reason.SEEN_ELSEWHERE, found.source, shared))
        elif before != found.source:
            rejected.append(Rejected(Reason.REPEATED, found.source, f"as {before}"))
        else:
            kept[split].append(found)
    return kept, rejected


def _asked(
    whole: Mapping[str, Sequence[Sample]],
    task: Task,
    labels: Sequence[str],
    roles: dict[str, tuple[str, ...]],
) -> tuple[dict[str, list[Sample]], list[Rejected]]:
    """What a task makes of the samples, and the rows that have nothing for it, or no answer that
    could be read back.
    """
    kept: dict[str, list[Sample]] = {}
    rejected: list[Rejected] = []
    for split, samples in whole.items():
        kept[split] = []
        for sample in samples:
            made = [sample] if task is Task.NER else list(for_task(sample, task, labels, roles))
            if not made:
                detail = "nothing of this task is annotated in it"
                rejected.append(Rejected(Reason.NOTHING_ASKED, sample.source, detail))
            elif task is Task.NER and not _writable(sample):
                detail = "its answer would be read otherwise"
                rejected.append(Rejected(Reason.UNWRITABLE, sample.source, detail))
            else:
                kept[split] += made
    return kept, rejected


def _writable(sample: Sample) -> bool:
    mentions = [Mention(entity.label, entity.text) for entity in sample.entities]
    return writable(LABEL_FIRST, mentions, sample.labels)


def _set_of(rejected: Rejected) -> str:
    """The held-out set that a rejected text stands in; its words are not repeated."""
    return rejected.detail.rsplit(" ", 1)[-1]


def _names(named: SourceSet, tree: Tree, labels: Sequence[str]) -> dict[str, str | None] | None:
    """What each label is called in `all`, None where its mentions are dropped; None: as it is."""
    if named.mapping is None or not named.renamed:
        return None
    names: dict[str, str | None] = {}
    for label in labels:
        match named.mapping.decide(label):
            case Means(kind):
                names[label] = _called(tree.type(kind), named.language)
            case Kept():
                names[label] = label
            case _:
                names[label] = None
    return names


def _called(kind: EntityType, language: str) -> str:
    return kind.zh if language == "zh" else kind.name


def _renamed(
    samples: Mapping[str, Sequence[Sample]], names: Mapping[str, str | None]
) -> tuple[dict[str, list[Sample]], int]:
    """The samples under the taxonomy's names, and how many mentions that dropped."""
    lost = 0
    renamed: dict[str, list[Sample]] = {}
    for split, kept in samples.items():
        renamed[split] = []
        for sample in kept:
            # A row may ask for labels that no mention has, and nobody decides these.
            labels = [names.get(label) for label in sample.labels]
            asked = tuple(dict.fromkeys(name for name in labels if name is not None))
            found = dict.fromkeys(
                Entity(entity.span, name, entity.text)
                for entity in sample.entities
                if (name := names[entity.label]) is not None
            )
            lost += sum(names[entity.label] is None for entity in sample.entities)
            ordered = tuple(answer.order(found, asked))
            renamed[split].append(replace(sample, entities=ordered, labels=asked))
    return renamed, lost


def _types(
    named: SourceSet, tree: Tree, labels: Sequence[str], names: Mapping[str, str | None]
) -> dict[str, object]:
    """What labels are in the tree, from the root on, and of what every mention is marked."""
    raw_of = {name: raw for raw, name in names.items() if name is not None}
    meant: dict[str, list[str]] = {}
    for label in labels:
        if named.mapping is None:
            continue
        match named.mapping.decide(raw_of.get(label, label)):
            case Means(kind):
                found = tree.type(kind)
                above = [_called(up, named.language) for up in reversed(tree.ancestors(found))]
                meant[label] = [*above, _called(found, named.language)]
            case _:
                pass
    exhaustive = named.mapping.exhaustive if named.mapping else ()
    called = [_called(tree.type(kind), named.language) for kind in exhaustive]
    return LabelTypes(exhaustive=called, paths=meant).model_dump()


def _unmapped(named: SourceSet, labels: Sequence[str]) -> dict[str, str]:
    """The labels whose mentions are dropped, each with its reason."""
    found: dict[str, str] = {}
    for label in labels if named.mapping else ():
        decision = named.mapping.decide(label) if named.mapping else None
        if decision is not None and not isinstance(decision, (Means, Kept)):
            found[label] = decision.reason
    return found
