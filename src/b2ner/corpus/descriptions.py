"""What a data set's labels mean, from files beside them: descriptions and their paraphrases.

`NAME.json` is an object from labels to texts, `NAME_paraphrase.json` one from labels to lists.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from b2ner.corpus.readers import first_line
from b2ner.errors import DataError
from b2ner.files import read_json

PARAPHRASE = "_paraphrase"

Content = TypeVar("Content")

_TEXTS = TypeAdapter(dict[str, str])
_LISTS = TypeAdapter(dict[str, list[str]])


def read_descriptions(
    folder: Path, name: str, *, paraphrases: int = 0
) -> dict[str, tuple[str, ...]]:
    """The wordings of each label's description: its own, then so many paraphrases of the first.

    Each on one line. A label without a text, and a data set without the files, has none. Raises
    DataError when a file is not what it should be.
    """
    own = _read(folder / f"{name}.json", _TEXTS)
    others = _read(folder / f"{name}{PARAPHRASE}.json", _LISTS) if paraphrases else {}
    found: dict[str, tuple[str, ...]] = {}
    for label in dict.fromkeys([*own, *others]):
        texts = [own.get(label, ""), *others.get(label, ())[:paraphrases]]
        lines = dict.fromkeys(" ".join(text.split()) for text in texts)
        if kept := tuple(line for line in lines if line):
            found[label.strip()] = kept
    return found


def _read(path: Path, kind: TypeAdapter[dict[str, Content]]) -> dict[str, Content]:
    """What a file says; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        return kind.validate_python(read_json(path), strict=True)
    except ValidationError as problem:
        raise DataError(f"{path}: {first_line(problem)}") from problem
