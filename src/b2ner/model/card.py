"""What an adapter was made for and from: the card `b2ner.json` that lies beside its weights.

A card promises: this file, trained on that base, with those prompts. A whole model that was trained
or merged has one too, whose base is the model itself. Whoever holds the base, the
tokenizer or the template checks the promise; this module reads and writes cards and loads no
network.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from b2ner.errors import AdapterMismatch, ModelError

CARD_FILE = "b2ner.json"
ADAPTER_FILE = "adapter_model.safetensors"
FORMAT = 1

Tokenisation = Literal["apart", "joint"]


class Status(StrEnum):
    """Whether an adapter is one that we stand behind."""

    PROVISIONAL = "provisional"
    RELEASED = "released"


class LicenceClass(StrEnum):
    """What the data it was trained on allows."""

    RESEARCH = "research"  # partly for research only, or without a stated licence
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BaseCard:
    """The base model: a name for people, and what its weights must be.

    `fingerprint` is `safetensors_file.fingerprint` of its folder; `gguf_sha256` the hash of the
    GGUF file that the folder was converted from, where it was.
    """

    name: str
    fingerprint: str
    gguf_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """The prompt template that it was trained with."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Card:
    """What an adapter was made for and from.

    `tokenisation`: whether head, body and answer of a prompt had ids of their own ("apart") or the
    whole prompt was tokenised at once ("joint"). `tokenizer` is `tokens.fingerprint`.
    `adapter_sha256` is over the weights file; empty for a whole model. `training` says in a
    sentence or two what it was trained on.
    """

    base: BaseCard
    template: TemplateCard
    tokenisation: Tokenisation
    tokenizer: str
    adapter_sha256: str
    status: Status
    licence: LicenceClass
    languages: tuple[str, ...]
    training: str


def read_card(folder: Path) -> Card | None:
    """The card of an adapter folder; None where there is none. Raises ModelError for a bad one."""
    path = folder / CARD_FILE
    if not path.is_file():
        return None
    try:
        row = _Row.model_validate_json(path.read_bytes())
    except ValidationError as fault:
        places = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the whole file'}: {e['msg']}"
            for e in fault.errors(include_url=False)
        )
        raise ModelError(f"{path} is not a card of format {FORMAT}: {places}") from fault
    return Card(
        base=BaseCard(row.base.name, row.base.fingerprint, row.base.gguf_sha256),
        template=TemplateCard(row.template.id, row.template.sha256),
        tokenisation=row.tokenisation,
        tokenizer=row.tokenizer,
        adapter_sha256=row.adapter_sha256,
        status=row.status,
        licence=row.licence,
        languages=row.languages,
        training=row.training,
    )


def write_card(folder: Path, card: Card) -> Path:
    """The file written into the folder."""
    path = folder / CARD_FILE
    row = _Row.model_validate({"format": FORMAT, **asdict(card)})
    path.write_text(row.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def adapter_sha256(folder: Path) -> str:
    """The SHA-256 of an adapter's weights file. Raises ModelError when the folder has none."""
    path = folder / ADAPTER_FILE
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as fault:
        raise ModelError(f"{folder} holds no {ADAPTER_FILE}") from fault


def check_adapter_file(folder: Path, card: Card) -> None:
    """Raises AdapterMismatch when the weights beside the card are not those it was written for."""
    found = adapter_sha256(folder)
    if found != card.adapter_sha256:
        raise AdapterMismatch(
            f"{folder / ADAPTER_FILE} is not the file that its card {CARD_FILE} describes: SHA-256 "
            f"{found[:12]}..., expected {card.adapter_sha256[:12]}...; fetch the adapter again, or "
            f"remove the card to use it unverified"
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Base(_Strict):
    name: str
    fingerprint: str
    gguf_sha256: str | None = None


class _Template(_Strict):
    id: str
    sha256: str


class _Row(_Strict):
    format: Literal[1]
    base: _Base
    template: _Template
    tokenisation: Tokenisation
    tokenizer: str
    adapter_sha256: str
    status: Status
    licence: LicenceClass
    languages: tuple[str, ...]
    training: str
