"""The test sets we measure on: where texts stand, how they are written, what labels are called.

All of it is data beside this file (`eval_sets.toml`, `label_names.json`), written before the first
score. Knows no archive and reads no corpus.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from b2ner.corpus.readers import Conll, Join, Separator


class Names(StrEnum):
    """Which names the labels get."""

    ORIGINAL = "original"  # the data set's own, in natural words
    STANDARD = "standard"  # one name for one meaning over all data sets, in the published style


@dataclass(frozen=True, slots=True)
class Cluener:
    """CLUENER's JSON lines."""


@dataclass(frozen=True, slots=True)
class Cmeee:
    """CMeEE's lines of text and fields."""


Format = Conll | Cluener | Cmeee


@dataclass(frozen=True, slots=True)
class EvalSet:
    """One test set; `names` maps each of the source's labels to what the prompt calls it.

    The order of `names` is the order of the labels in the prompt: alphabetical by source label.
    """

    name: str
    task: str
    archive: str
    file: str
    split: str
    format: Format
    names: Mapping[str, str]

    @property
    def language(self) -> str:
        """Language of the prompt: the second part of the task key."""
        return self.task.split("_")[1]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ConllRow(_Row):
    kind: Literal["conll"]
    separator: Separator
    columns: int = 2
    token_column: int = 0
    tag_column: int = -1
    join: Join = Join.BLANK
    comment: str = ""
    position_digit: bool = False


class _CluenerRow(_Row):
    kind: Literal["cluener"]


class _CmeeeRow(_Row):
    kind: Literal["cmeee"]


class _SetRow(_Row):
    name: str
    task: str
    archive: str
    file: str
    split: Literal["test", "dev"]
    labels: str
    format: Annotated[_ConllRow | _CluenerRow | _CmeeeRow, Field(discriminator="kind")]


class _File(_Row):
    set: list[_SetRow]


def eval_sets(names: Names = Names.ORIGINAL) -> tuple[EvalSet, ...]:
    """All test sets, in the order of the file."""
    beside = files("b2ner.corpus")
    table = _File.model_validate(tomllib.loads((beside / "eval_sets.toml").read_text("utf-8")))
    labels = json.loads((beside / "label_names.json").read_text("utf-8"))
    return tuple(
        EvalSet(
            row.name,
            row.task,
            row.archive,
            row.file,
            row.split,
            _format(row.format),
            {raw: called[names.value] for raw, called in labels[row.labels].items()},
        )
        for row in table.set
    )


def _format(row: _ConllRow | _CluenerRow | _CmeeeRow) -> Format:
    match row:
        case _ConllRow():
            return Conll(**row.model_dump(exclude={"kind"}))
        case _CluenerRow():
            return Cluener()
        case _CmeeeRow():
            return Cmeee()
