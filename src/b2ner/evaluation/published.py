"""The published score, rule by rule: how an answer becomes a set of `label:entity` strings.

Source: behaviour of the published scorer (B2NER, commit 4cd1a5e8). Its quirks are kept, because a
score is only comparable when it is computed the same way. Offsets, label sets and sentences play
no part here: see `scores` for the exact-offset score, and `tasks` for other tasks than NER.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Test sets that get a row of their own and take no part in any mean.
OUTSIDE_MEANS = frozenset({"math-junior", "CAIL2022"})

_CLIP_LENGTH = {"zh": 512}  # characters; other languages: _CLIP_LENGTH_ELSE
_CLIP_LENGTH_ELSE = 2048
_REPAIRED_PATHS = ("gpt", "eval+full")

_TIGHT = re.compile(r" *([,:().;_'-]) *")
_RUN = re.compile(r"([,.;])\1+")
_FULL_WIDTH = str.maketrans(
    {"；": ";", "：": ":", "，": ",", "’": "'", "‘": "'", "“": '"', "”": '"'}
)
_BRACES = str.maketrans("", "", "{}")
_TITLE = re.compile("《(.+?)》")
_BRACKETS = "《》<>（）()"


def items(answer: str) -> frozenset[str]:
    """The `label:entity` strings of an answer, normalised: repeats once, pieces without `:` not.

    The whole answer is normalised before it is cut, and each piece again: so what follows the
    answer's last colon, cuts included, is treated as one entity first.
    """
    pieces = (normalise(piece) for piece in normalise(answer).split(";"))
    return frozenset(piece for piece in pieces if ":" in piece)


def normalise(text: str) -> str:
    """The text as the published scorer compares it. The steps and their order are the rule.

    It is not idempotent: full-width marks become ASCII only after blanks and runs were removed.
    """
    text = tighten(text).lower()
    text = text.translate(_BRACES)
    text = _RUN.sub(r"\1", text)
    text = text.translate(_FULL_WIDTH)
    text = text.replace("located", "location")
    text = text.replace("organisation", "organization")
    before, colon, last = text.rpartition(":")
    return before + colon + _bare(last) if colon else text


def tighten(text: str) -> str:
    """The text with single blanks, and none beside marks."""
    return _TIGHT.sub(r"\1", " ".join(text.split()))


def _bare(entity: str) -> str:
    """The entity without `@` and `#`, title marks and brackets around it."""
    entity = entity.strip("@#")
    if title := _TITLE.search(entity):
        entity = title[1]
    if len(entity) > 2 and entity[0] in _BRACKETS and entity[-1] in _BRACKETS:
        # Something always stays: of brackets alone, the last but one.
        return entity.strip(_BRACKETS) or entity[-2]
    return entity


def words_and_label(item: str) -> tuple[str, str]:
    """The entity and the label of one item, cut at its first colon."""
    label, _, words = item.partition(":")
    return words, label


def is_repaired(folder: str) -> bool:
    """Whether predictions in a folder, its path as the user gave it, are repaired first."""
    return any(mark in folder for mark in _REPAIRED_PATHS)


def repair(answer: str) -> str:
    """An answer `label: a, b` as `label: a; label: b`, split at `,` and `、`.

    Only the text between the first and the second colon of a piece is kept, and an entity that
    holds a comma is broken: this is the published rule for answers of chat models.
    """
    pieces = []
    for piece in answer.split(";"):
        if ":" not in piece or not ("," in piece or "、" in piece):
            pieces.append(piece)
            continue
        label, values = piece.split(":")[:2]
        pieces += [f"{label}:{value}" for value in re.split("[,、]", values)]
    return ";".join(pieces)


def is_clipped(sample_id: object, sentence: str, language: str) -> bool:
    """Whether the clip option leaves this line out: id `-1`, or a sentence that is too long."""
    return sample_id == "-1" or len(sentence) > _CLIP_LENGTH.get(language, _CLIP_LENGTH_ELSE)


def mean(values: Sequence[float]) -> float:
    """The plain mean, summed in the order given; 0 over nothing."""
    return sum(values) / len(values) if values else 0.0
