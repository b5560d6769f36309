"""What a text and a label set allow as the next item of an answer, after those before it.

A (label, span) pair may be answered once for each place of its span. In an ordered form, an item
takes the first place of its span that comes after that of the item before it, by start and then the
longer first: the answer follows the text, cannot go round in circles, and gives the words at one
place one label. In the other, only the number counts.

`Progress` asks for the items that may come, in Lark form, and never opens a border behind which
none could.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, takewhile

from b2ner import segments
from b2ner.prompting.answer import BORDER
from b2ner.prompting.forms import AnswerForm, quoted

Pair = tuple[str, str]  # a label and a span's words


@dataclass(frozen=True, slots=True)
class Used:
    """What the items so far have used: all pairs, or, in an ordered form, the last place."""

    pairs: tuple[Pair, ...] = ()
    floor: int = -1  # where the last item begins
    length: int = 0  # how many characters its words have


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
    """Items by their places in the text: by start, the longer first; each place once."""

    def after(self, used: Used, pair: Pair) -> Used | None:
        label, span = pair
        place = self._place(used, span)
        if place is None or self._bars(label, span) or self._ends(place, span):
            return None
        return Used(floor=place, length=len(span))

    def differs(self, used: Used, before: Used) -> bool:
        return True

    def items(self, name: str, used: Used) -> Items:
        item, span = f"R{name}", f"SPAN{name}"
        first = bisect_right(self._borders, used.floor)
        shorter = list(filter(self._allowed, self._shorter(used.floor, used.length)))
        rules = [
            self._span_rule(f"LATER{name}", self._chunks[first:]),
            " | ".join([f"{span}: LATER{name}", *map(quoted, shorter)]),
            self._item_rule(item, span, ()),
        ]
        place, final = self._last
        if self._place(used, final) != place:
            # Behind a border the rules are made anew, so one more item stands for all.
            return Items(rules, [(item, f' ("; " {item})?')])
        if not self._others(used, [words for words in shorter if words != final]):
            return Items(rules, [(item, "")])
        inner = f"N{name}"
        rules.append(self._item_rule(inner, f"({span} & ~{quoted(final)})", ()))
        return Items(rules, [(item, ""), (inner, f' "; " {item}')])

    @cached_property
    def shared_rules(self) -> list[str]:
        return self._words

    def _place(self, used: Used, span: str) -> int | None:
        """The first place of the span after the last item's; None when there is none."""
        places = self._places(span)
        floor = used.floor if len(span) < used.length else used.floor + 1
        number = bisect_left(places, floor)
        return places[number] if number < len(places) else None

    def _ends(self, place: int, span: str) -> bool:
        """Whether nothing can come after those words at that place."""
        return (place, span) == self._last

    def _others(self, used: Used, shorter: Sequence[str]) -> bool:
        """Whether there are items left that something could follow."""
        place, final = self._last
        if shorter:
            return True
        begin = bisect_right(self._borders, used.floor)
        between = self._solid[bisect_left(self._solid, begin) :]
        return any(
            self._allowed(words)
            for first in between
            if self._borders[first] <= place
            for words in self._from(first)
            if (self._borders[first], words) != (place, final)
        )

    def _allowed(self, span: str) -> bool:
        """Whether the span may be an item under at least one label."""
        return any(not self._bars(label, span) for label in self._labels)

    def _shorter(self, place: int, length: int) -> list[str]:
        """The spans that begin at a place and are shorter than so many characters."""
        if place < 0:
            return []
        spans = self._from(bisect_left(self._borders, place))
        return list(takewhile(lambda words: len(words) < length, spans))

    def _from(self, first: int) -> Iterator[str]:
        """The spans that begin with that chunk, the shorter first."""
        for last in self._solid[bisect_left(self._solid, first) :]:
            yield "".join(self._chunks[first : last + 1])

    @cached_property
    def _solid(self) -> list[int]:
        """The chunks that are not white space."""
        return [number for number, chunk in enumerate(self._chunks) if not segments.is_space(chunk)]

    @cached_property
    def _borders(self) -> list[int]:
        """Where each chunk begins."""
        return list(accumulate(map(len, self._chunks), initial=0))[:-1]

    @cached_property
    def _last(self) -> tuple[int, str]:
        """The last place where an item can stand, and the shortest words that can stand there."""
        for first in reversed(self._solid):
            for words in self._from(first):
                if self._allowed(words):
                    return self._borders[first], words
        return len(self._text), ""
