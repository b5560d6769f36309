"""What we know of each data set: licence, source, format, files, labels, leaks and oddities.

All of it is data in `catalog/*.toml`, reviewed like code; here it becomes records. The settings of
a format stand beside its reader, and the catalog names them by `kind`. Knows no archive and reads
no corpus: that is `reading`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b2ner.corpus.column_formats import ColumnFormat
from b2ner.corpus.readers import first_line
from b2ner.corpus.row_formats import RowFormat
from b2ner.errors import DataError

Format = ColumnFormat | RowFormat


class Domain(StrEnum):
    """What the texts are about, or where they come from."""

    NEWS = "news"
    ENCYCLOPEDIA = "encyclopedia"
    SOCIAL_MEDIA = "social media"
    BIOMEDICAL = "biomedical"
    CLINICAL = "clinical"
    SCIENTIFIC = "scientific"
    LEGAL = "legal"
    FINANCE = "finance"
    E_COMMERCE = "e-commerce"
    DIALOGUE = "dialogue"
    LITERARY = "literary"
    HISTORY = "history"
    TECHNOLOGY = "technology"
    SECURITY = "security"
    ADDRESS = "address"
    MILITARY = "military"
    ENTERTAINMENT = "entertainment"
    FOOD = "food"
    AGRICULTURE = "agriculture"
    CAREERS = "careers"
    POLITICS = "politics"
    GEOGRAPHY = "geography"
    GOVERNMENT = "government"
    MIXED = "mixed"


class LicenceClass(StrEnum):
    """How freely the data may be used; where the licence is stated says `Entry.stated_for`."""

    OPEN = "open"
    NON_COMMERCIAL = "non-commercial"
    RESEARCH = "research"  # released for research, or under terms that are not clear
    RESTRICTED = "restricted"  # behind an agreement
    UNSTATED = "unstated"


class Role(StrEnum):
    """What a data set is kept for; such a set is in no training data, with none of its splits."""

    NONE = ""
    TEST = "test"
    DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class Source:
    """The public repository that the files come from, `owner/name`, and its commit."""

    repository: str
    commit: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One data set.

    `files` maps each split to the members of its archive (`*` stands for any characters), in the
    order in which they are read. `labels`, `relation_labels`, `event_labels`, `role_labels` and
    `counts` hold what the catalog's authors counted: mentions of each label, and sentences,
    documents, tokens, mentions ... of each split; the data's own words, as the source writes them.
    """

    name: str
    title: str
    languages: tuple[str, ...]
    domain: Domain
    about: str  # the domain in finer words
    tasks: tuple[Literal["NER", "RE", "EE"], ...]
    licence: str
    licence_class: LicenceClass
    share_alike: bool
    stated_for: Literal["data", "repository", "paper", ""]  # what it is stated for, or where
    source: Source
    citation: str
    format: Format
    files: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    relation_labels: Mapping[str, int] = field(default_factory=dict)
    event_labels: Mapping[str, int] = field(default_factory=dict)
    role_labels: Mapping[str, int] = field(default_factory=dict)
    split_formats: Mapping[str, Format] = field(default_factory=dict)  # where `format` is not it
    licence_note: str = ""  # what else to know of the terms
    part: bool = False  # the counts are of a part of the source's files, mostly their beginning
    counts_note: str = ""  # why our counts differ from these by more than 0.5%
    losses_note: str = ""  # why more than 0.5% of the rows are rejected
    copy_of: str = ""  # the entry of which this one repeats the texts
    leaks: tuple[str, ...] = ()  # what it shares with others, or its splits with each other
    oddities: tuple[str, ...] = ()
    role: Role = Role.NONE
    published: str = ""  # its name in the published recipes, if it has a place in one

    @property
    def language(self) -> str:
        """Its language, or `mul` for a set in several."""
        return self.languages[0] if len(self.languages) == 1 else "mul"

    @property
    def splits(self) -> tuple[str, ...]:
        """Train, dev, test, and what else the source divides its files into."""
        return tuple(self.files)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


_Count = Annotated[int, Field(ge=0)]


class _EntryRow(_Row):
    name: str = Field(pattern="^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    languages: tuple[str, ...] = Field(min_length=1)
    domain: Domain
    about: str = ""
    tasks: tuple[Literal["NER", "RE", "EE"], ...] = Field(min_length=1)
    licence: str
    licence_class: LicenceClass
    share_alike: bool = False
    stated_for: Literal["data", "repository", "paper", ""]
    source: Source
    citation: str = ""
    format: Annotated[Format, Field(discriminator="kind")]
    files: dict[str, tuple[str, ...]] = Field(min_length=1)
    labels: dict[str, _Count] = Field(default_factory=dict)
    counts: dict[str, dict[str, _Count]] = Field(default_factory=dict)
    relation_labels: dict[str, _Count] = Field(default_factory=dict)
    event_labels: dict[str, _Count] = Field(default_factory=dict)
    role_labels: dict[str, _Count] = Field(default_factory=dict)
    split_formats: dict[str, Annotated[Format, Field(discriminator="kind")]] = Field(
        default_factory=dict
    )
    licence_note: str = ""
    part: bool = False
    counts_note: str = ""
    losses_note: str = ""
    copy_of: str = ""
    leaks: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    role: Role = Role.NONE
    published: str = ""

    def entry(self) -> Entry:
        return Entry(**{name: getattr(self, name) for name in type(self).model_fields})


class _File(_Row):
    set: list[_EntryRow] = []


@cache
def entries() -> tuple[Entry, ...]:
    """All data sets, by name. Raises DataError when the catalog contradicts itself."""
    tables = sorted((files("b2ner.corpus") / "catalog").iterdir(), key=lambda table: table.name)
    return parse({table.name: table.read_text("utf-8") for table in tables})


def entry(name: str) -> Entry:
    """The data set of that name. Raises DataError, with the closest names, when there is none."""
    by_name = {each.name: each for each in entries()}
    if name not in by_name:
        close = difflib.get_close_matches(name, by_name, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "`b2ner data list` shows all"
        raise DataError(f"no data set {name!r} in the catalog; {hint}")
    return by_name[name]


def parse(tables: Mapping[str, str]) -> tuple[Entry, ...]:
    """The data sets of some TOML files, by name; `tables` maps each file's name to its text.

    Raises DataError, with the place, for what is no entry, a name given twice, a copy of a set that
    has no entry, and counts or formats of splits that have no files.
    """
    found: dict[str, Entry] = {}
    for place, text in tables.items():
        for each in _parsed(text, place):
            if each.name in found:
                raise DataError(f"{place}: {each.name!r} has an entry already")
            if strange := {*each.counts, *each.split_formats} - set(each.files):
                raise DataError(f"{place}: {each.name}: split {min(strange)!r} has no files")
            found[each.name] = each
    for each in found.values():
        if each.copy_of and each.copy_of not in found:
            raise DataError(f"{each.name!r} is a copy of {each.copy_of!r}, which has no entry")
    return tuple(found[name] for name in sorted(found))


def _parsed(text: str, place: str) -> list[Entry]:
    try:
        table = tomllib.loads(text)
        return [row.entry() for row in _File.model_validate(table).set]
    except ValidationError as problem:
        match problem.errors(include_url=False, include_input=False)[0]["loc"]:
            case ("set", int(number), *_) if isinstance(table["set"][number], dict):
                place = f"{place}: {table['set'][number].get('name', f'set {number + 1}')}"
        raise DataError(f"{place}: {first_line(problem)}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"{place}: not TOML: {problem}") from problem
