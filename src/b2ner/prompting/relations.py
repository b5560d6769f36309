"""The answers of relation extraction, written and read: ` label: head, tail; label: head, tail`.

An item takes the longest label that stands at its start (`answer`); its words are cut at a `, ` so
that head and tail both stand in the text. What is not of this form is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from b2ner import segments
from b2ner.prompting import answer as answers
from b2ner.prompting.answer import BORDER, CUE, NONE, Item, short
from b2ner.records import Fault, FaultKind, Mention, Relation

COMMA = ", "


@dataclass(frozen=True, slots=True)
class Relations:
    """What was read, in the answer's order; a fault's place is `answer:START-END`.

    Of head and tail the words are known; their labels are empty.
    """

    relations: tuple[Relation, ...]
    faults: tuple[Fault, ...] = ()


def write(relations: Sequence[Relation]) -> str:
    """The answer that lists the relations, in the order given."""
    written = [f"{r.label}{CUE}{r.head.text}{COMMA}{r.tail.text}" for r in relations]
    return " " + BORDER.join(written) if written else NONE


def read(answer: str, labels: Sequence[str], chunks: Sequence[str]) -> Relations:
    """What an answer says about a text of these chunks.

    An item's words go as far as a `;`, a line break or its end, the farthest at which head and tail
    stand in the text at chunk borders; of several commas that would do, the first cuts.

    Passed over without a fault, besides what `answer.read` passes over: `,` and `，` for `, `.

    Faults: those of `answer.read`; MALFORMED (no comma, or what is left behind an item);
    NOT_IN_TEXT (head or tail does not stand in the text: no relation is made); AMBIGUOUS (another
    comma would do as well).
    """
    text = segments.segmented(chunks)
    plain = answers.read(answer, labels)
    found: list[Relation] = []
    faults = list(plain.faults)
    for item in plain.items:
        faults += _read_item(item, text, found)
    faults.sort(key=lambda fault: int(fault.place.removeprefix("answer:").partition("-")[0]))
    return Relations(tuple(found), tuple(faults))


def _read_item(item: Item, text: segments.Segmented, found: list[Relation]) -> Iterator[Fault]:
    """Add the relation that an item spells, and say what was wrong with it."""
    words, label = item.mention.text, item.mention.label
    begin = item.end - len(words)
    stops = [*(cut.start() for cut in _CUT.finditer(words)), len(words)]
    farthest = 2 * len(text.text) + len(COMMA)  # head and tail are each no longer than the text
    for stop in reversed([stop for stop in stops if stop <= farthest]):
        pairs = _pairs(words[:stop].rstrip(), text)
        if not pairs:
            continue
        head, tail = pairs[0]
        found.append(Relation(label, Mention("", head), Mention("", tail)))
        if len(pairs) > 1:
            message = f"{short(words[:stop])} can be cut at another comma as well"
            yield Fault(FaultKind.AMBIGUOUS, message, f"answer:{item.start}-{begin + stop}")
        if rest := words[stop:].strip(_MARKS):
            message = f"no label stands before {short(rest)}"
            yield Fault(FaultKind.MALFORMED, message, f"answer:{begin + stop}-{item.end}")
        return
    place = f"answer:{item.start}-{item.end}"
    if _COMMA.search(words):
        message = f"{short(words)}, answered as {label!r}, does not stand in the text"
        yield Fault(FaultKind.NOT_IN_TEXT, message, place)
    else:
        message = f"{short(words)}, answered as {label!r}, is not two entities with a comma"
        yield Fault(FaultKind.MALFORMED, message, place)


def _pairs(words: str, text: segments.Segmented) -> list[tuple[str, str]]:
    """Head and tail, both standing in the text, for each `, `; without any, for each comma."""
    for comma in (_EXACT_COMMA, _COMMA):
        pairs = []
        for cut in comma.finditer(words):
            head, tail = words[: cut.start()], words[cut.end() :]
            if head not in text.text:
                break  # a longer head begins with this one
            if text.starts(head) and text.starts(tail):
                pairs.append((head, tail))
        if pairs:
            return pairs
    return []


_EXACT_COMMA = re.compile(COMMA)
_COMMA = re.compile(r"\s*[,，]\s*")
_CUT = re.compile("[;；\n\r]")
_MARKS = ";； \t\r\n"
