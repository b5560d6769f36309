"""Labels and thresholds as the command line gives them: flags, and files that people write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from b2ner import files
from b2ner.errors import DataError, InputError, LabelError
from b2ner.prompting.template import check_labels


def label_set(
    names: Sequence[str], *, file: Path | None = None, descriptions: Sequence[str] = ()
) -> tuple[str, ...] | dict[str, str]:
    """The labels of flags and of a file, in this order; with descriptions where there are any.

    `descriptions` are `LABEL=TEXT`; a label without one has an empty description. Raises LabelError
    for labels that cannot be asked for, DataError for a file that cannot be read.
    """
    given: dict[str, str] = {}
    listed = tuple(names)
    if file is not None:
        more = _read(file)
        if isinstance(more, dict):
            given = {label.strip(): description for label, description in more.items()}
        listed += tuple(more)
    if not listed:
        raise LabelError("no labels: name each with -l, as in -l person -l 'movie title'")
    labels = check_labels(listed)
    for description in descriptions:
        label, text = _assigned(description, labels, option="--describe")
        given[label] = text
    return {label: given.get(label, "") for label in labels} if given else labels


def thresholds(values: Sequence[str], labels: Sequence[str]) -> float | dict[str, float] | None:
    """What `--threshold FLOAT` and `--threshold LABEL=FLOAT` ask for. Raises InputError."""
    default: float | None = None
    by_label: dict[str, float] = {}
    for value in values:
        number = _number(value)
        if number is not None:
            default = number
            continue
        label, figure = _assigned(value, labels, option="--threshold")
        number = _number(figure)
        if number is None:
            raise InputError(f"--threshold: {figure!r} in {value!r} is not a number")
        by_label[label] = number
    if not by_label:
        return default
    return by_label if default is None else dict.fromkeys(labels, default) | by_label


def _read(path: Path) -> list[str] | dict[str, str]:
    """A list of labels, or labels with descriptions: JSON by its name, else one label a line."""
    if path.suffix.lower() == ".json":
        match files.read_json(path):
            case list() as items if all(isinstance(item, str) for item in items):
                return items
            case dict() as items if all(isinstance(item, str) for item in items.values()):
                return items
            case _:
                raise DataError(f"{path}: a list of labels or an object of descriptions is wanted")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 at byte {problem.start}") from problem
    return [line.strip() for line in text.split("\n") if line.strip()]


def _assigned(pair: str, labels: Sequence[str], *, option: str) -> tuple[str, str]:
    """The label and the value of `LABEL=VALUE`; a label may hold `=`, so the longest that fits."""
    fitting = [label for label in labels if pair.startswith(f"{label}=")]
    if not fitting:
        raise InputError(
            f"{option}: {pair!r} does not begin with one of the labels and `=`, as in "
            f"{option} '{labels[0]}=...'"
        )
    label = max(fitting, key=len)
    return label, pair[len(label) + 1 :]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
