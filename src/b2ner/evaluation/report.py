"""Scores in the two forms that leave the program: a JSON object, and rows of a table.

Knows no terminal; the CLI draws the rows. Fractions are never rounded here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from b2ner.errors import DataError
from b2ner.evaluation.match import Accuracy, Counts
from b2ner.evaluation.scores import DatasetScores, LineFault, Measure, Scores, headline

AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: a data set, or a mean (then only the F1 of each measure is known).

    Where texts are right as a whole, `f1` is their share, as the published report has it.
    """

    name: str
    texts: int | None
    precision: float | None
    recall: float | None
    f1: float | None
    span_f1: float | None
    surface_only_f1: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """How often words of one gold label were given one predicted label; "" is no label at all."""

    gold: str
    predicted: str
    count: int


def to_json(scores: Scores, *, confusion: bool = False) -> dict[str, object]:
    """`scores[group][dataset][measure]`, `scores[group]["average"]`, `scores["average"]`.

    Data sets are sorted as the published report sorts its rows. Both averages are objects, measure
    -> F1, null where a data set has no score of that measure. `faults` are all lines that are not
    as they should be, and whether each was scored.
    """
    groups: dict[str, object] = {}
    for group in scores.groups:
        members = _sorted(scores, group)
        if group == AVERAGE or any(member.dataset == AVERAGE for member in members):
            raise DataError(f"a data set cannot be called {AVERAGE!r}: rename it in the file")
        body: dict[str, object] = {member.dataset: _dataset(member) for member in members}
        body[AVERAGE] = _averages(scores, group)
        groups[group] = body
    groups[AVERAGE] = _averages(scores, None)
    result: dict[str, object] = {"scores": groups}
    if confusion:
        result["confusion"] = {
            group: {
                member.dataset: [asdict(cell) for cell in confusion_cells(member)]
                for member in _sorted(scores, group)
            }
            for group in scores.groups
        }
    result["faults"] = [
        {"line": fault.number, "problem": fault.problem, "scored": fault.scored}
        for fault in scores.faults
    ]
    result["notes"] = list(scores.notes)
    return result


def rows(scores: Scores) -> list[Row]:
    """The rows of the published report: data sets by name, their mean; last, the mean over all."""
    table = []
    for group in scores.groups:
        for member in _sorted(scores, group):
            counts = member.surface_set
            table.append(
                Row(
                    member.dataset,
                    member.texts,
                    counts.precision if isinstance(counts, Counts) else None,
                    counts.recall if isinstance(counts, Counts) else None,
                    headline(counts),
                    member.span.f1 if member.span is not None else None,
                    member.surface_only.f1 if member.surface_only is not None else None,
                )
            )
        table.append(_mean_row(f"{group} {AVERAGE}", scores, group))
    table.append(_mean_row(AVERAGE, scores, None))
    return table


def confusion_cells(dataset: DatasetScores) -> list[Cell]:
    """Label against label for the same words, commonest first; labels as they are compared."""
    ordered = sorted(dataset.confusion.items(), key=lambda cell: (-cell[1], cell[0]))
    return [Cell(gold, predicted, count) for (gold, predicted), count in ordered]


def fault_lines(faults: Iterable[LineFault]) -> list[str]:
    """One sentence per kind of fault with the numbers of its lines, in order of appearance."""
    numbers: dict[tuple[str, bool], list[int]] = {}
    for fault in faults:
        numbers.setdefault((fault.problem, fault.scored), []).append(fault.number)
    return [
        f"{'line' if len(found) == 1 else 'lines'} {_ranges(found)}: {problem}"
        + (" (scored)" if scored else " (not scored)")
        for (problem, scored), found in numbers.items()
    ]


def _ranges(numbers: list[int]) -> str:
    """`1, 3-5`: rising line numbers, neighbours joined."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _sorted(scores: Scores, group: str) -> list[DatasetScores]:
    members = [member for member in scores.datasets if member.group == group]
    return sorted(members, key=lambda member: member.dataset.lower())


def _dataset(member: DatasetScores) -> dict[str, object]:
    measures = {measure.value: _counts(member.counts(measure)) for measure in Measure}
    return {"texts": member.texts, **measures}


def _counts(counts: Counts | Accuracy | None) -> dict[str, object] | None:
    if counts is None:
        return None
    if isinstance(counts, Accuracy):
        return {"accuracy": counts.accuracy, "right": counts.right, "total": counts.total}
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
    }


def _averages(scores: Scores, group: str | None) -> dict[str, float | None]:
    return {measure.value: scores.average(measure, group) for measure in Measure}


def _mean_row(name: str, scores: Scores, group: str | None) -> Row:
    return Row(
        name,
        None,
        None,
        None,
        scores.average(Measure.SURFACE_SET, group),
        scores.average(Measure.SPAN, group),
        scores.average(Measure.SURFACE_ONLY, group),
    )
