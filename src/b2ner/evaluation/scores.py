"""Scores of predictions files: lines in, counts per data set out. Never calls a model.

Three measures, all micro within a data set and averaged over data sets:

* `surface_set`: the published score, sets of normalised `label:entity` strings (`published`), or
  for EET, newEET and Sentiment the share of texts that are right as a whole (`tasks`);
* `span`: exact start, end and label against the gold offsets, each mention counting; only of NER,
  and where the lines carry `Gold` and `Entities` (our own predictions files do);
* `surface_only`: the words right, whatever the label, of the same sets as `surface_set`.

A line that cannot be scored is a `LineFault` with its number, and the others are scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from b2ner.evaluation import published, tasks
from b2ner.evaluation.lines import PredictionLine, UnusableLineError, read
from b2ner.evaluation.match import Accuracy, Counts, confusions, count_items, count_sets
from b2ner.files import BrokenLine, JsonLine
from b2ner.records import Task


class Measure(StrEnum):
    """What is counted; the names are those of the JSON form."""

    SURFACE_SET = "surface_set"
    SPAN = "span"
    SURFACE_ONLY = "surface_only"


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with one line, and whether it was scored all the same."""

    number: int
    problem: str
    scored: bool


@dataclass(frozen=True, slots=True)
class DatasetScores:
    """The counts of one data set of one group.

    `span` is None where offsets are not known, `surface_only` where texts are right as a whole.
    """

    group: str
    dataset: str
    texts: int
    surface_set: Counts | Accuracy
    surface_only: Counts | None
    span: Counts | None
    confusion: Mapping[tuple[str, str], int]

    def counts(self, measure: Measure) -> Counts | Accuracy | None:
        """The counts of one measure."""
        match measure:
            case Measure.SURFACE_SET:
                return self.surface_set
            case Measure.SPAN:
                return self.span
            case Measure.SURFACE_ONLY:
                return self.surface_only


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one predictions file: data sets in order of first appearance, faults by line."""

    datasets: tuple[DatasetScores, ...]
    faults: tuple[LineFault, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unscored(self) -> tuple[LineFault, ...]:
        """The lines that no score saw."""
        return tuple(fault for fault in self.faults if not fault.scored)

    @property
    def groups(self) -> tuple[str, ...]:
        """`Task_Language` of every data set, in order of first appearance."""
        return tuple(dict.fromkeys(scores.group for scores in self.datasets))

    def average(self, measure: Measure, group: str | None = None) -> float | None:
        """Mean F1 over the data sets of a group, or over all data sets (not over groups).

        An accuracy takes part as it is. The published rule: `published.OUTSIDE_MEANS` take no part,
        the mean over nothing is 0. None where one of the data sets has no score of this measure; of
        spans, also over nothing.
        """
        counted: dict[str, list[Counts | Accuracy | None]] = {name: [] for name in self.groups}
        for scores in self.datasets:
            if scores.dataset not in published.OUTSIDE_MEANS:
                counted[scores.group].append(scores.counts(measure))
        chosen = counted.get(group, []) if group is not None else list(chain(*counted.values()))
        known = [headline(counts) for counts in chosen if counts is not None]
        if measure is Measure.SPAN and not known:
            return None
        return published.mean(known) if len(known) == len(chosen) else None


def headline(counts: Counts | Accuracy) -> float:
    """The one figure that reports show and average: F1, or the accuracy in its place."""
    return counts.accuracy if isinstance(counts, Accuracy) else counts.f1


@dataclass(slots=True)
class _Tally:
    """The running counts of one data set."""

    task: Task
    texts: int = 0
    right: int = 0  # texts, for tasks where they are right as a whole
    surface_set: Counts = field(default_factory=Counts)
    surface_only: Counts = field(default_factory=Counts)
    span: Counts = field(default_factory=Counts)
    without_offsets: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)


def score(
    lines: Iterable[JsonLine | BrokenLine], *, repair: bool = False, clip: bool = False
) -> Scores:
    """The scores of a predictions file in the published layout.

    `repair` treats answers as the published scorer does in folders named after chat models
    (`published.is_repaired`), `clip` leaves long sentences out (`published.is_clipped`).
    """
    tallies: dict[tuple[str, str], _Tally] = {}
    faults: list[LineFault] = []
    clipped = 0
    told: Counter[str] = Counter()
    for line in lines:
        if isinstance(line, BrokenLine):
            faults.append(LineFault(line.number, line.problem, scored=False))
            continue
        try:
            row, problems = read(line.value)
        except UnusableLineError as unusable:
            faults.append(LineFault(line.number, str(unusable), scored=False))
            continue
        if clip and published.is_clipped(row.sample_id, row.sentence, row.language):
            clipped += 1
            continue
        told.update(row.told)
        tally = tallies.setdefault((row.group, row.dataset), _Tally(row.task))
        problems += _add(tally, row, repair=repair)
        faults += [LineFault(line.number, problem, scored=True) for problem in problems]
    notes = []
    if clip:
        notes.append(f"{clipped} lines were left out by the clip rule")
    if repair:
        notes.append("answers were repaired (`label: a, b` read as two entities)")
    if told:
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(told.items()))
        notes.append(f"faults that the extractor told: {kinds}")
    whole = dict.fromkeys(g for (g, _), tally in tallies.items() if tally.task in tasks.WHOLE)
    if whole:
        notes.append(f"{', '.join(whole)}: F1 is the share of texts that are right, as published")
    notes += _without_offsets(tallies)
    return Scores(
        tuple(_total(group, dataset, tally) for (group, dataset), tally in tallies.items()),
        tuple(faults),
        tuple(notes),
    )


def _add(tally: _Tally, line: PredictionLine, *, repair: bool) -> list[str]:
    """Count a line. What the published scorer would stop at in its items."""
    repaired = repair and line.task is Task.NER
    answer = published.repair(line.prediction) if repaired else line.prediction
    gold = tasks.gold_items(line.task, line.ground_truth)
    predicted = tasks.predicted_items(line.task, answer)
    tally.texts += 1
    if line.task in tasks.WHOLE:
        tally.right += gold == predicted
        return []
    gold_pairs = frozenset(map(published.words_and_label, gold))
    predicted_pairs = frozenset(map(published.words_and_label, predicted))
    tally.surface_set += tasks.count(line.task, gold, predicted)
    tally.surface_only += count_sets(
        frozenset(words for words, _ in gold_pairs),
        frozenset(words for words, _ in predicted_pairs),
    )
    tally.confusion.update(confusions(gold_pairs, predicted_pairs))
    if line.gold is None or line.entities is None:
        tally.without_offsets += 1
    else:
        tally.span += count_items(line.gold, line.entities)
    return tasks.stops_the_published(line.task, gold, predicted)


def _without_offsets(tallies: Mapping[tuple[str, str], _Tally]) -> list[str]:
    """Why there is no span score: once, where there is none at all, else for each data set."""
    entities = {key: tally for key, tally in tallies.items() if tally.task is Task.NER}
    lacking = {key: tally for key, tally in entities.items() if tally.without_offsets}
    if lacking and all(tally.without_offsets == tally.texts for tally in entities.values()):
        return ["no span scores: the lines carry no usable Gold and Entities"]
    return [
        f"{group} {dataset}: no span score, {tally.without_offsets} of {tally.texts} lines carry no"
        " usable Gold and Entities"
        for (group, dataset), tally in lacking.items()
    ]


def _total(group: str, dataset: str, tally: _Tally) -> DatasetScores:
    whole = tally.task in tasks.WHOLE
    placed = tally.task is Task.NER and not tally.without_offsets
    return DatasetScores(
        group,
        dataset,
        tally.texts,
        Accuracy(tally.right, tally.texts) if whole else tally.surface_set,
        None if whole else tally.surface_only,
        tally.span if placed else None,
        dict(tally.confusion),
    )
