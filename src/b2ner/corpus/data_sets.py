"""The data sets we build: where texts stand, how they are written, what labels are called.

All of it is data beside this file: one table a role (`eval_sets.toml`, `train_sets.toml`,
`dev_sets.toml`), and the names of labels (`label_names.json` for the test sets, written before the
first score; `natural_names.json` for the others). Knows no archive and reads no corpus.
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

from b2ner.corpus.brat import Cut
from b2ner.corpus.json_families import JsonFormat
from b2ner.corpus.readers import Conll, Join, Separator


class Role(StrEnum):
    """What a data set is for; its value is the stem of the split file that is written."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class Names(StrEnum):
    """Which names the labels of the test sets get."""

    ORIGINAL = "original"  # the data set's own, in natural words
    STANDARD = "standard"  # one name for one meaning over all data sets, in the published style


@dataclass(frozen=True, slots=True)
class Cluener:
    """CLUENER's JSON lines."""


@dataclass(frozen=True, slots=True)
class Cmeee:
    """CMeEE's lines of text and fields."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """Pairs of files: tokens in the first, as many tags in the second, line by line."""


@dataclass(frozen=True, slots=True)
class Brat:
    """Brat standoff: NAME.txt, and NAME.ann beside it. `files` are patterns of the texts."""

    cut: Cut
    without: tuple[str, ...] = ()  # texts of splits that are not wanted


@dataclass(frozen=True, slots=True)
class Json:
    """One of the JSON formats."""

    rows: JsonFormat


Format = Conll | Cluener | Cmeee | Parallel | Brat | Json


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms the source is published, and how freely it may be used."""

    licence: str
    licence_class: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set; `names` maps the source's labels to what the prompt calls them.

    The order of `names` is the order of the labels in the prompt: alphabetical by source label.
    Several may share one name. Mentions of the labels in `left_out` are no entities here.
    """

    name: str
    task: str
    archive: str
    files: tuple[str, ...]
    splits: tuple[str, ...]
    format: Format
    names: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    terms: Terms | None = None

    @property
    def language(self) -> str:
        """The second part of the task key."""
        return self.task.split("_")[1]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the prompt, each once."""
        return tuple(dict.fromkeys(self.names.values()))

    @property
    def source_labels(self) -> tuple[str, ...]:
        """All labels that the source may use."""
        return (*self.names, *self.left_out)


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
    headings: tuple[str, ...] = ()
    tag_mark: str = Field(default="-", min_length=1, max_length=1)
    position_digit: bool = False
    bracket_names: bool = False


class _CluenerRow(_Row):
    kind: Literal["cluener"]


class _CmeeeRow(_Row):
    kind: Literal["cmeee"]


class _ParallelRow(_Row):
    kind: Literal["parallel"]


class _BratRow(_Row):
    kind: Literal["brat"]
    cut: Cut
    without: tuple[str, ...] = ()


class _JsonRow(_Row):
    kind: Literal["json"]
    rows: JsonFormat


_FormatRow = _ConllRow | _CluenerRow | _CmeeeRow | _ParallelRow | _BratRow | _JsonRow


class _SetRow(_Row):
    name: str
    task: str
    archive: str
    files: tuple[str, ...] = Field(min_length=1)
    splits: tuple[Literal["train", "dev", "test"], ...] = Field(min_length=1)
    labels: str
    format: Annotated[_FormatRow, Field(discriminator="kind")]
    licence: str = ""
    licence_class: Literal["", "open", "non-commercial", "research", "unstated"] = ""


class _File(_Row):
    set: list[_SetRow]


_TABLES = {
    Role.TRAIN: "train_sets.toml",
    Role.DEV: "dev_sets.toml",
    Role.TEST: "eval_sets.toml",
}


def data_sets(role: Role, names: Names = Names.ORIGINAL) -> tuple[DataSet, ...]:
    """All sets of a role, in the order of its table. `names` counts for the test sets only."""
    beside = files("b2ner.corpus")
    table = _File.model_validate(tomllib.loads((beside / _TABLES[role]).read_text("utf-8")))
    if role is Role.TEST:
        both = json.loads((beside / "label_names.json").read_text("utf-8"))
        called = {
            labels: {raw: name[names.value] for raw, name in of_set.items()}
            for labels, of_set in both.items()
        }
    else:
        called = json.loads((beside / "natural_names.json").read_text("utf-8"))
    return tuple(_data_set(row, called[row.labels]) for row in table.set)


def _data_set(row: _SetRow, called: Mapping[str, str | None]) -> DataSet:
    return DataSet(
        row.name,
        row.task,
        row.archive,
        row.files,
        row.splits,
        _format(row.format),
        {raw: name for raw, name in called.items() if name is not None},
        tuple(raw for raw, name in called.items() if name is None),
        Terms(row.licence, row.licence_class) if row.licence else None,
    )


def _format(row: _FormatRow) -> Format:
    match row:
        case _ConllRow():
            return Conll(**row.model_dump(exclude={"kind"}))
        case _CluenerRow():
            return Cluener()
        case _CmeeeRow():
            return Cmeee()
        case _ParallelRow():
            return Parallel()
        case _BratRow():
            return Brat(row.cut, row.without)
        case _JsonRow():
            return Json(row.rows)
