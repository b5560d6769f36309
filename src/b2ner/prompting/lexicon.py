"""What a text and a label set allow as the next item of an answer, after those before it.

A (label, span) pair may be answered once for each place of its span. In an ordered form, an item
takes the first place of its span that is not before the place of the item before it: the answer
follows the text and cannot go round in circles. In the other, only the number counts.

`Progress` asks for the items that may come, in Lark form, and never opens a border behind which
none could.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from b2ner import segments
from b2ner.prompting.answer import BORDER
from b2ner.prompting.forms import AnswerForm, quoted

Pair = tuple[str, str]  # a label and a span's words


@dataclass(frozen=True, slots=True)
class Used:
    """What the items so far have used: all pairs in order, or those at the last place."""

    pairs: tuple[Pair, ...] = ()
    floor: int = 0  # where the last item stands; 0 where only the number counts


@dataclass(frozen=True, slots=True)
class Items:
    """Rules for an item, and the ways to go on: the name of a rule and what may follow it."""

    rules: list[str]
    ways: list[tuple[str, str]]


class Lexicon(ABC):
    """One text and label set, looked up many times while its answer is written."""

    start = Used()

    def __init__(self, form: AnswerForm, labels: tuple[str, ...], chunks: tuple[str, ...]) -> None:
        self._form = form
        self._labels = labels
        self._chunks = chunks
        self._text = "".join(chunks)
        self._starts: dict[str, list[int]] = {}

    def parse(self, item: bytes) -> Pair | None:
        """The (label, span) pair that an item spells, or None."""
        try:
            return self._form.parse(item.decode(), self._labels)
        except UnicodeDecodeError:
            return None

    def goes_on(self, item: bytes, span: str) -> bool:
        """Whether a longer span of the text may begin as this item does, and go on with `;`."""
        return self._form.extended(item.decode(), span) + ";" in self._text

    @abstractmethod
    def after(self, used: Used, pair: Pair) -> Used | None:
        """What is used once the pair is an item too; None where it cannot be, or ends the answer.

        Between two such items an answer may go on.
        """

    @abstractmethod
    def differs(self, used: Used, before: Used) -> bool:
        """Whether other items may come than before."""

    @abstractmethod
    def items(self, name: str, used: Used) -> Items:
        """The items that may come; `name` tells these rules from those of another reading."""

    @property
    @abstractmethod
    def shared_rules(self) -> list[str]:
        """Rules that those of items refer to."""

    def _bars(self, label: str, span: str) -> bool:
        return self._form.barred(label, self._labels).bars(span)

    def _places(self, span: str) -> list[int]:
        """Where the span stands at chunk borders, in order."""
        if span not in self._starts:
            self._starts[span] = self._segmented.starts(span)
        return self._starts[span]

    @cached_property
    def _segmented(self) -> segments.Segmented:
        return segments.segmented(self._chunks)

    def _item_rule(self, name: str, span: str, gone: Iterable[Pair]) -> str:
        """The rule for one item without some pairs; `span` is the rule for spans."""
        exhausted: dict[str, list[str]] = {}
        for label, words in sorted(gone):
            exhausted.setdefault(label, []).append(words)
        plain = []
        alternatives = []
        for label in self._labels:
            barred = self._form.barred(label, self._labels)
            cut = [quoted(words) for words in (*exhausted.get(label, ()), *barred.equals)]
            cut += [f"({quoted(words)} ANY)" for words in barred.begins]
            cut += [f"(ANY {quoted(words)})" for words in barred.ends]
            if cut:
                spans = f"({span} & ~({' | '.join(cut)}))"
                alternatives.append(self._form.item_rule([label], spans))
            else:
                plain.append(label)
        if plain:
            alternatives.append(self._form.item_rule(plain, span))
        return f"{name}: {' | '.join(alternatives)}"

    def _span_rule(self, name: str, chunks: Sequence[str]) -> str:
        """The rule for runs of the chunks that may be a mention."""
        run = json.dumps(list(chunks), ensure_ascii=False)
        # Only a text that holds "; " can spell the border of items inside a span.
        apart = " & ~BORDERS" if BORDER in self._text else ""
        return f'{name}: %regex {{"substring_chunks": {run}}} & EDGES{apart}'

    @cached_property
    def _words(self) -> list[str]:
        """Rules for what is not a run of chunks."""
        edges = sorted({c for chunk in self._chunks if segments.is_space(chunk) for c in chunk})
        blank = "".join(f"\\u{{{ord(c):x}}}" for c in edges)
        inner = f"[^{blank}]" if blank else "(?s:.)"
        rules = [f"EDGES: /{inner}((?s:.)*{inner})?/", "ANY: /(?s:.)*/"]
        if BORDER in self._text:
            borders = " | ".join(map(quoted, self._form.borders(self._labels)))
            rules.append(f"BORDERS: ANY ({borders}) ANY")
        return rules


class CountedLexicon(Lexicon):
    """Items in any order, a pair as often as its span stands in the text."""

    def after(self, used: Used, pair: Pair) -> Used | None:
        label, span = pair
        if used.pairs.count(pair) >= len(self._places(span)) or self._bars(label, span):
            return None
        return Used((*used.pairs, pair))

    def differs(self, used: Used, before: Used) -> bool:
        return self._used_up(used) != self._used_up(before) or self._last_one(used)

    def items(self, name: str, used: Used) -> Items:
        item = f"R{name}"
        # The last pair that is left ends the answer: nothing could follow its border.
        rest = "" if self._last_one(used) else f' ("; " {item})*'
        return Items([self._item_rule(item, "SPAN", self._used_up(used))], [(item, rest)])

    @cached_property
    def shared_rules(self) -> list[str]:
        return [self._span_rule("SPAN", self._chunks), *self._words]

    def _used_up(self, used: Used) -> frozenset[Pair]:
        """The pairs that stand as often as their span occurs."""
        counts = Counter(used.pairs).items()
        return frozenset(pair for pair, n in counts if n >= len(self._places(pair[1])))

    def _last_one(self, used: Used) -> bool:
        """Whether only one more item can come."""
        needed = len(used.pairs) + 2
        # Counting all spans is quadratic; the single chunks are nearly always enough to know.
        return self._at_least < needed and self._capacity < needed

    @cached_property
    def _at_least(self) -> int:
        barred = sum(len(self._form.barred(label, self._labels).equals) for label in self._labels)
        words = sum(not segments.is_space(chunk) for chunk in self._chunks)
        return words * (len(self._labels) - barred)

    @cached_property
    def _capacity(self) -> int:
        """How many items an answer can hold: the places of all spans, under each label."""
        solid = [
            number for number, chunk in enumerate(self._chunks) if not segments.is_space(chunk)
        ]
        spans = Counter(
            "".join(self._chunks[first : last + 1])
            for first in solid
            for last in solid
            if first <= last
        )
        return sum(
            places
            for label in self._labels
            for span, places in spans.items()
            if not self._bars(label, span)
        )


class OrderedLexicon(Lexicon):
    """Items by their places in the text, the first place that is left for each."""

    def after(self, used: Used, pair: Pair) -> Used | None:
        place = self._place(used, pair)
        if place is None or pair == self._final(used):
            return None
        there = used.pairs if place == used.floor else ()
        return Used((*there, pair), place)

    def differs(self, used: Used, before: Used) -> bool:
        return True

    def items(self, name: str, used: Used) -> Items:
        item, span = f"R{name}", f"SPAN{name}"
        gone = [pair for pair in used.pairs if self._place(used, pair) is None]
        first = bisect_left(self._borders, used.floor)
        rules = [self._span_rule(span, self._chunks[first:]), self._item_rule(item, span, gone)]
        final = self._final(used)
        if final is None:
            # Behind a border the rules are made anew, so one more item stands for all.
            return Items(rules, [(item, f' ("; " {item})?')])
        if used.floor == self._last[0]:  # nothing else is left
            return Items(rules, [(item, "")])
        inner = f"N{name}"
        rules.append(self._item_rule(inner, span, [*gone, final]))
        return Items(rules, [(item, ""), (inner, f' "; " {item}')])

    @cached_property
    def shared_rules(self) -> list[str]:
        return self._words

    def _place(self, used: Used, pair: Pair) -> int | None:
        """The first place for the pair; None when there is none."""
        label, span = pair
        if self._bars(label, span):
            return None
        places = self._places(span)
        floor = used.floor + (pair in used.pairs)
        number = bisect_left(places, floor)
        return places[number] if number < len(places) else None

    def _final(self, used: Used) -> Pair | None:
        """The pair behind which nothing could come: the only one that is left at the last place."""
        place, pairs = self._last
        left = pairs - frozenset(used.pairs) if used.floor == place else pairs
        if len(left) != 1:
            return None
        (pair,) = left
        return pair if self._place(used, pair) == place else None

    @cached_property
    def _borders(self) -> list[int]:
        """Where each chunk begins."""
        starts, size = [], 0
        for chunk in self._chunks:
            starts.append(size)
            size += len(chunk)
        return starts

    @cached_property
    def _last(self) -> tuple[int, frozenset[Pair]]:
        """The last place where an item can stand, and all pairs that can stand there."""
        solid = [
            number for number, chunk in enumerate(self._chunks) if not segments.is_space(chunk)
        ]
        for first in reversed(solid):
            pairs = frozenset(
                (label, span)
                for last in solid
                if last >= first
                for span in ["".join(self._chunks[first : last + 1])]
                for label in self._labels
                if not self._bars(label, span)
            )
            if pairs:
                return self._borders[first], pairs
        return 0, frozenset()
