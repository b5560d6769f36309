"""Which answers a text and a label set allow, as a grammar that an engine can enforce.

The language of answers is regular::

    ANS  = " None" | " " ITEM ("; " ITEM)*
    ITEM = label ": " SPAN
    SPAN = a run of chunks of the text, not empty, without white space at its edges, which under
           this label cannot be misread (`answer.barred`: no "; label: " inside, for example)

and a (label, span) pair may stand in an answer at most as often as the span occurs in the text. The
first part is written as ONE terminal in the Lark dialect of `llguidance`, so that nothing depends
on how lexemes are cut. With the counts in it the expression would grow beyond use; instead
`Progress` follows an answer while it is written and leaves used-up spans out of the grammar of what
may still come, at every item border, so that a decoder can never walk into a dead end.

Pure strings and bytes: no engine, no tokenizer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from b2ner import segments
from b2ner.prompting import answer as answers
from b2ner.prompting.answer import BORDER, CUE, NONE
from b2ner.records import FaultKind


@dataclass(frozen=True)
class AnswerSpace:
    """The answers that may be given for one text: built from these labels and runs of these chunks.

    The chunks joined are the text as the model saw it.
    """

    labels: tuple[str, ...]
    chunks: tuple[str, ...]

    def accepts(self, answer: str) -> bool:
        """Whether the answer is in the language, counts included: the definition, unhurried."""
        read = answers.read(answer, self.labels, self.chunks)
        return (
            all(fault.kind is FaultKind.AMBIGUOUS for fault in read.faults)
            and answers.write(read.mentions) == answer
            and answers.writable(read.mentions, self.labels)
            and all(
                count <= len(segments.occurrences(self.chunks, mention.text))
                for mention, count in Counter(read.mentions).items()
            )
        )

    @cached_property
    def _lexicon(self) -> _Lexicon:
        return _Lexicon(self)


class Progress:
    """One answer while it is written: which readings are open, and the grammar of what may follow.

    A *reading* is a way to cut the bytes written so far into complete items and the item that is
    being written. There is nearly always one; a second is open while a mention that holds `;` may
    either go on or have ended. Bytes, because a token may end inside a character.
    """

    def __init__(self, space: AnswerSpace) -> None:
        self._lexicon = space._lexicon
        self._written = bytearray()
        self._readings = [_Reading(border=0, start=1, used=(), extends=0)]
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
            item = self._lexicon.item_rules(f"R{number}", reading.used)
            rules.append(item)
            if reading.border == 0:
                lead = " "
                if not reading.extends:
                    alternatives.append(json.dumps(NONE))
            else:
                # What stands before a border is whole characters: `;` is never part of one.
                lead = written[self._origin : reading.border].decode() + BORDER
            first = f"R{number}"
            if reading.extends:
                begun = written[reading.start : reading.extends].decode()
                rules.append(f"X{number}: R{number} & ({_quoted(begun)} ANY)")
                first = f"X{number}"
            # The last pair that is left ends the answer: nothing could follow its border.
            rest = "" if self._lexicon.last_one(reading.used) else f' ("; " R{number})*'
            alternatives.append(f"{_quoted(lead)} {first}{rest}")
        return "\n".join(
            [
                "start: ANS",
                f"ANS: {' | '.join(alternatives)}",
                *rules,
                self._lexicon.span_rules,
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
            pair = None
            if reading.start < place:
                pair = self._lexicon.parse(bytes(self._written[reading.start : place]))
            if pair is None or not self._lexicon.allowed(pair, reading.used):
                kept.append(reading)
                continue
            used = (*reading.used, pair)
            if not self._lexicon.goes_on(pair[1]):
                # The border is certain. The grammar stays as it is if nothing was used up by it.
                kept.append(_Reading(place, place + len(BORDER), used, 0))
                changed |= self._lexicon.used_up(used) != self._lexicon.used_up(reading.used)
                changed |= self._lexicon.last_one(used)
            else:
                kept.append(_Reading(reading.border, reading.start, reading.used, place + 1))
                kept.append(_Reading(place, place + len(BORDER), used, 0))
                changed = True
        changed |= len(kept) != len(self._readings)
        self._readings = kept
        return changed


@dataclass(frozen=True, slots=True)
class _Reading:
    border: int  # where the separator before the current item begins, in bytes
    start: int  # where the current item begins
    used: tuple[tuple[str, str], ...]  # the (label, span) pairs of the complete items
    extends: int  # the current item is known to be longer than [start, extends); 0: nothing known


class _Lexicon:
    """What the text and the labels allow, looked up many times: kept once a text."""

    def __init__(self, space: AnswerSpace) -> None:
        self._labels = sorted(space.labels, key=len, reverse=True)
        self._space = space
        self._text = "".join(space.chunks)
        self._occurrences: dict[str, int] = {}

    def parse(self, item: bytes) -> tuple[str, str] | None:
        """The (label, span) pair that an item spells, or None: the longest label wins."""
        try:
            text = item.decode()
        except UnicodeDecodeError:
            return None
        for label in self._labels:
            if text.startswith(label + CUE):
                return label, text[len(label) + len(CUE) :]
        return None

    def allowed(self, pair: tuple[str, str], used: Sequence[tuple[str, str]]) -> bool:
        """Whether the pair may end an item when those pairs stand before it."""
        label, span = pair
        return used.count(pair) < self.count(span) and not answers.confusable(
            label, span, self._space.labels
        )

    def count(self, span: str) -> int:
        """How often the span stands at chunk borders."""
        if span not in self._occurrences:
            self._occurrences[span] = len(segments.occurrences(self._space.chunks, span))
        return self._occurrences[span]

    def goes_on(self, span: str) -> bool:
        """Whether a longer span of the text may begin with this one and a `;`."""
        return span + ";" in self._text

    def used_up(self, used: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """The pairs that stand as often as their span occurs."""
        return frozenset(p for p, n in Counter(used).items() if n >= self.count(p[1]))

    def last_one(self, used: Sequence[tuple[str, str]]) -> bool:
        """Whether only one more item can come after those pairs."""
        needed = len(used) + 2
        # Counting all spans is quadratic; the single chunks are nearly always enough to know.
        return self._at_least < needed and self._capacity < needed

    @cached_property
    def _at_least(self) -> int:
        barred = sum(
            len(answers.barred(label, self._space.labels).equals) for label in self._space.labels
        )
        words = sum(not segments.is_space(chunk) for chunk in self._space.chunks)
        return words * (len(self._space.labels) - barred)

    @cached_property
    def _capacity(self) -> int:
        """How many items an answer can hold: the places of all spans, under each label."""
        solid = [number for number, c in enumerate(self._space.chunks) if not segments.is_space(c)]
        spans = Counter(
            "".join(self._space.chunks[first : last + 1])
            for first in solid
            for last in solid
            if first <= last
        )
        return sum(
            places
            for label in self._space.labels
            for span, places in spans.items()
            if not answers.confusable(label, span, self._space.labels)
        )

    def item_rules(self, name: str, used: Iterable[tuple[str, str]]) -> str:
        """The rule for one item, without the pairs that are used up."""
        exhausted: dict[str, list[str]] = {}
        for label, span in sorted(self.used_up(used)):
            exhausted.setdefault(label, []).append(span)
        plain = []
        alternatives = []
        for label in self._space.labels:
            barred = answers.barred(label, self._space.labels)
            cut = [_quoted(words) for words in (*exhausted.get(label, ()), *barred.equals)]
            cut += [f"({_quoted(words)} ANY)" for words in barred.begins]
            cut += [f"(ANY {_quoted(words)})" for words in barred.ends]
            if cut:
                alternatives.append(f"{_quoted(label + CUE)} (SPAN & ~({' | '.join(cut)}))")
            else:
                plain.append(_quoted(label + CUE))
        if plain:
            alternatives.append(f"({' | '.join(plain)}) SPAN")
        return f"{name}: {' | '.join(alternatives)}"

    @cached_property
    def span_rules(self) -> str:
        """The rules for spans; one text has one set of them."""
        edges = sorted(
            {c for chunk in self._space.chunks if segments.is_space(chunk) for c in chunk}
        )
        borders = " | ".join(_quoted(BORDER + label + CUE) for label in self._space.labels)
        blank = "".join(f"\\u{{{ord(c):x}}}" for c in edges)
        inner = f"[^{blank}]" if blank else "(?s:.)"
        chunks = json.dumps(list(self._space.chunks), ensure_ascii=False)
        rules = [
            f'RUN: %regex {{"substring_chunks": {chunks}}}',
            f"EDGES: /{inner}((?s:.)*{inner})?/",
            "ANY: /(?s:.)*/",
        ]
        # Only a text that holds "; " can spell a border inside a span.
        if BORDER in self._text:
            rules += ["SPAN: RUN & EDGES & ~BORDERS", f"BORDERS: ANY ({borders}) ANY"]
        else:
            rules += ["SPAN: RUN & EDGES"]
        return "\n".join(rules)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
