"""Which answers a text and a label set allow, as a grammar that an engine can enforce.

The language of answers is regular::

    ANS  = " None" | " " ITEM ("; " ITEM)*
    ITEM = label ": " SPAN, or SPAN ": " label: as the form says
    SPAN = a run of chunks of the text, not empty, without white space at its edges, which under
           this label cannot be misread (`AnswerForm.barred`: no "; label: " inside, for example)

and a (label, span) pair may stand in an answer at most as often as the span occurs in the text; in
an ordered form, mentions stand by their places in the text. The first part is written as ONE
terminal in the Lark dialect of `llguidance`, so that nothing depends on how lexemes are cut. With
counts and places in it the expression would grow beyond use; instead `Progress` follows an answer
while it is written and makes, at item borders, a new grammar of what may still come (`lexicon`), so
that a decoder can never walk into a dead end.

Pure strings and bytes: no engine, no tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from b2ner import segments
from b2ner.prompting.answer import BORDER, NONE
from b2ner.prompting.forms import LABEL_FIRST, AnswerForm, quoted, writable
from b2ner.prompting.lexicon import CountedLexicon, Lexicon, OrderedLexicon, Used
from b2ner.records import FaultKind, Mention


@dataclass(frozen=True)
class AnswerSpace:
    """The answers that may be given for one text: built from these labels and runs of these chunks.

    The chunks joined are the text as the model saw it.
    """

    labels: tuple[str, ...]
    chunks: tuple[str, ...]
    form: AnswerForm = LABEL_FIRST

    def accepts(self, answer: str) -> bool:
        """Whether the answer is in the language, counts included: the definition, unhurried."""
        read = self.form.read(answer, self.labels, self.chunks)
        return (
            all(fault.kind is FaultKind.AMBIGUOUS for fault in read.faults)
            and self.form.write(read.mentions) == answer
            and writable(self.form, read.mentions, self.labels)
            and self._fits(read.mentions)
        )

    def _fits(self, mentions: Sequence[Mention]) -> bool:
        """Whether each mention has a place of its own; in an ordered form, one behind the last."""
        placed: dict[Mention, int] = {}
        last = (-1, 0)
        for mention in mentions:
            starts = (span.start for span in segments.occurrences(self.chunks, mention.text))
            free = (
                start
                for start in starts
                if start > placed.get(mention, -1)
                and (not self.form.ordered or (start, -len(mention.text)) > last)
            )
            place = next(free, None)
            if place is None:
                return False
            placed[mention] = place
            last = (place, -len(mention.text))
        return True

    @cached_property
    def _lexicon(self) -> Lexicon:
        kind = OrderedLexicon if self.form.ordered else CountedLexicon
        return kind(self.form, self.labels, self.chunks)


class Progress:
    """One answer while it is written: which readings are open, and the grammar of what may follow.

    A *reading* is a way to cut the bytes written so far into complete items and the item that is
    being written. There is nearly always one; a second is open while a mention that holds `;` may
    either go on or have ended. Bytes, because a token may end inside a character.
    """

    def __init__(self, space: AnswerSpace) -> None:
        self._lexicon = space._lexicon
        self._written = bytearray()
        self._readings = [_Reading(border=0, start=1, used=self._lexicon.start, extends=0)]
        self._boundaries = [0]  # where tokens begin
        self._origin = 0  # the token boundary from which `grammar` describes the answer

    @property
    def written(self) -> bytes:
        """The answer so far."""
        return bytes(self._written)

    @property
    def replay(self) -> int:
        """How many of the last tokens a matcher for `grammar` must be fed to be up to date."""
        return len(self._boundaries) - 1 - self._boundaries.index(self._origin)

    def grammar(self) -> str:
        """The language of the answer from the last fixed token boundary on, in Lark form."""
        written = self._written
        alternatives = []
        rules = []
        for number, reading in enumerate(self._readings):
            items = self._lexicon.items(str(number), reading.used)
            rules += items.rules
            if reading.border == 0:
                lead = " "
                if not reading.extends:
                    alternatives.append(quoted(NONE))
            else:
                # What stands before a border is whole characters: `;` is never part of one.
                lead = written[self._origin : reading.border].decode() + BORDER
            for name, rest in items.ways:
                first = name
                if reading.extends:
                    begun = written[reading.start : reading.extends].decode()
                    first = f"X{name}"
                    rules.append(f"{first}: {name} & ({quoted(begun)} ANY)")
                alternatives.append(f"{quoted(lead)} {first}{rest}")
        return "\n".join(
            [
                "start: ANS",
                f"ANS: {' | '.join(alternatives)}",
                *rules,
                *self._lexicon.shared_rules,
            ]
        )

    def advance(self, token: bytes) -> bool:
        """Add a token's bytes. True when `grammar` has changed: a new matcher must be made.

        A token with a `;` must end there, or have been the only choice.
        """
        begin = len(self._written)
        self._written += token
        self._boundaries.append(len(self._written))
        changed = False
        place = token.find(b";")
        while place >= 0:
            changed |= self._open_border(begin + place)
            place = token.find(b";", place + 1)
        if changed:
            earliest = min(reading.border for reading in self._readings)
            self._origin = max(b for b in self._boundaries if b <= earliest)
        return changed

    def _open_border(self, place: int) -> bool:
        """A `;` was written at `place`: which readings end an item there, which may go on?"""
        kept: list[_Reading] = []
        changed = False
        for reading in self._readings:
            item = bytes(self._written[reading.start : place])
            pair = self._lexicon.parse(item) if item else None
            used = None if pair is None else self._lexicon.after(reading.used, pair)
            if pair is None or used is None:
                kept.append(reading)
                continue
            changed |= self._lexicon.differs(used, reading.used)
            if self._lexicon.goes_on(item, pair[1]):
                kept.append(_Reading(reading.border, reading.start, reading.used, place + 1))
                changed = True
            kept.append(_Reading(place, place + len(BORDER), used, 0))
        changed |= len(kept) != len(self._readings)
        self._readings = kept
        return changed


@dataclass(frozen=True, slots=True)
class _Reading:
    border: int  # where the separator before the current item begins, in bytes
    start: int  # where the current item begins
    used: Used  # by the complete items
    extends: int  # the current item is known to be longer than [start, extends); 0: nothing known
