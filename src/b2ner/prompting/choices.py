"""Answers that are labels alone, written and read: ` label; label`, or ` None`.

newEET answers so; an answer to Sentiment is one label, without the leading blank. An item takes the
longest label that stands there and ends at a `;`, a line break or the answer's end. What is not of
this form is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from b2ner.prompting.answer import BORDER, NONE, short
from b2ner.records import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class Choices:
    """The labels that were read, in the answer's order; a fault's place is `answer:START-END`."""

    labels: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


def write(labels: Sequence[str]) -> str:
    """The answer that lists the labels, in the order given."""
    return " " + BORDER.join(labels) if labels else NONE


def read(answer: str, labels: Sequence[str]) -> Choices:
    """What an answer says; every piece of it is a label or a fault.

    Passed over without a fault: blanks and `;` too many, `；` for `;`, a full stop at an item's
    end, `none.` for ` None`. A label in other capitals is read, with a fault.

    Faults: UNKNOWN_LABEL; MALFORMED (` None` beside labels); EMPTY_ANSWER.
    """
    exact, loose = _forms(tuple(labels))
    found: list[str] = []
    faults: list[Fault] = []
    none: str | None = None  # the place where the answer says that there is no label
    begin = _end(_GAP, answer, 0)
    while begin < len(answer):
        item = exact.match(answer, begin)
        if item is None and answer != NONE:  # a label may be called "none" too
            item = loose.match(answer, begin)
        end = item.end() if item else _end(_PIECE, answer, begin)
        piece = answer[begin:end].rstrip()
        place = f"answer:{begin}-{begin + len(piece)}"
        if item and item.lastindex:
            label = _longest_first(labels)[item.lastindex - 1]
            found.append(label)
            if piece != label:
                message = f"{piece!r} was read as the label {label!r}"
                faults.append(Fault(FaultKind.UNKNOWN_LABEL, message, place))
        elif none is None and piece.rstrip(_STOPS).casefold() == NONE.strip().casefold():
            none = place
        else:
            message = f"{short(piece)} is not a label that was asked for"
            faults.append(Fault(FaultKind.UNKNOWN_LABEL, message, place))
        begin = _end(_GAP, answer, _end(_TAIL, answer, end))
    if none and found:
        faults.append(Fault(FaultKind.MALFORMED, "no label, with labels beside it", none))
    if not (none or found or faults):
        message = "the answer is empty: no label, and no word for none"
        faults.append(Fault(FaultKind.EMPTY_ANSWER, message, f"answer:0-{len(answer)}"))
    return Choices(tuple(found), tuple(faults))


@lru_cache(maxsize=256)
def _forms(labels: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """An item in the label's own capitals, and in any; one group a label, the longer first."""
    names = "|".join(f"({re.escape(label)})" for label in _longest_first(labels)) or "(?!)"
    item = f"(?:{names})(?={_TAIL.pattern}(?:[{_BORDERS}]|\\Z))"
    return re.compile(item), re.compile(item, re.IGNORECASE)


def _longest_first(labels: Sequence[str]) -> list[str]:
    return sorted(labels, key=len, reverse=True)


def _end(pattern: re.Pattern[str], answer: str, place: int) -> int:
    """Where the match from `place` on ends; the pattern matches the empty string too."""
    found = pattern.match(answer, place)
    return found.end() if found else place


_BORDERS = ";；\n\r"
_STOPS = " \t.。"
_TAIL = re.compile(f"[{_STOPS}]*")
_PIECE = re.compile(f"[^{_BORDERS}]*")
_GAP = re.compile(r"[\s;；]*")
