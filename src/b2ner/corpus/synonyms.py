"""Label names that mean the same, from a file: groups of them by domain.

The file is TOML; a domain is a list of groups, one a line::

    people-en = [
        ["person", "human being", "individual"],
    ]

An annotator would take any name of a group for the label. Which of them a prompt uses is drawn in
training.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from b2ner.corpus.readers import first_line
from b2ner.errors import DataError, LabelError
from b2ner.prompting.forms import MENTION_FIRST
from b2ner.prompting.template import check_labels

_DOMAINS = TypeAdapter(dict[str, list[list[str]]])
_Place = tuple[str, int]  # a domain, and the number of a group there


def read_synonyms(path: Path) -> tuple[tuple[str, ...], ...]:
    """The groups of a file, in order.

    Raises DataError when it is not what it should be, with every group at fault: one of fewer than
    two names, a name that no prompt or no form of answer can hold or that has white space at an
    edge, and one that stands twice in the file, in whatever capitals.
    """
    groups: list[tuple[str, ...]] = []
    faults: list[str] = []
    places: dict[str, _Place] = {}
    for domain, listed in _read(path).items():
        for number, group in enumerate(listed, start=1):
            place = (domain, number)
            found = _faults(group, place, places)
            faults += [f"{_shown(place)} {group}: {fault}" for fault in found]
            groups.append(tuple(group))
    if faults:
        raise DataError(
            f"{path}: {len(faults)} fault{'s' * (len(faults) > 1)}: " + "; ".join(faults)
        )
    return tuple(groups)


def _read(path: Path) -> dict[str, list[list[str]]]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return _DOMAINS.validate_python(values, strict=True)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not TOML: {problem}") from problem
    except ValidationError as problem:
        raise DataError(f"{path}: {first_line(problem)}; lists of names expected") from problem


def _faults(group: list[str], place: _Place, places: dict[str, _Place]) -> list[str]:
    """What is wrong with a group; `places` has where each name stands, and gets the new ones."""
    faults = [] if len(group) > 1 else ["a group has two names or more"]
    for name in group:
        try:
            if check_labels([name]) != (name,):
                faults.append(f"{name!r} has white space at an edge")
            MENTION_FIRST.check([name])
        except LabelError as problem:
            faults.append(str(problem))
        before = places.setdefault(name.casefold(), place)
        if before != place:
            faults.append(f"{name!r} stands in {_shown(before)} too")
    if len({name.casefold() for name in group}) < len(group):
        faults.append("a name stands there twice")
    return faults


def _shown(place: _Place) -> str:
    return f"{place[0]!r}, group {place[1]}"
