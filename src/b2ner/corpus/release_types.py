"""What a release says of its labels beside them, in `types.json`: their places in the tree.

Written by `release_part`, read by whoever trains: of the types in `exhaustive` every mention is
marked, so that a label below one of them may go by its name.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from b2ner.corpus.readers import first_line
from b2ner.errors import DataError
from b2ner.files import read_json

TYPES = "types.json"


class LabelTypes(BaseModel):
    """The file: `paths` has for a label the names from the root of the tree to its type."""

    model_config = ConfigDict(extra="forbid")

    exhaustive: list[str] = []
    paths: dict[str, list[str]] = {}


def broader_types(folder: Path) -> dict[str, str]:
    """For labels of a data set the nearest name above them that their mentions may go by.

    That is a type of which every mention is marked, or another label of the set; such types have
    names above them too. Empty without a `types.json`. Raises DataError when the file is none.
    """
    path = folder / TYPES
    if not path.is_file():
        return {}
    try:
        types = LabelTypes.model_validate(read_json(path))
    except ValidationError as problem:
        raise DataError(f"{path}: {first_line(problem)}") from problem
    usable = {*types.exhaustive, *types.paths}
    found: dict[str, str] = {}
    for label, names in types.paths.items():
        below = label
        for name in reversed(names[:-1]):
            if name in usable and name != label:
                found[below] = name
                below = name
    return found
