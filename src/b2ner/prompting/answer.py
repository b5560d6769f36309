"""The answer format, written and read: ` label: mention; label: mention`, or ` None`.

The format has no escapes, and labels and mentions may hold its marks. So an answer is read by a
rule: from left to right, an item takes the longest label that stands at its start, and goes on to
the next `; ` behind which a label and `: ` stand. `barred` says which mentions this rule would
misread; without them (the grammar leaves them out, `forms.writable` refuses them) `read` gives
back what `write` was given.

What is not of this form (a model may say anything) is read as well as can be, and what cannot be
read is a fault with its place. Knows no prompts, no tokens and no offsets: `grounding` finds the
places.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from b2ner import segments
from b2ner.records import Entity, Fault, FaultKind, Mention

NONE = " None"  # the answer when there is no mention
BORDER = "; "
CUE = ": "

AnyEntity = TypeVar("AnyEntity", bound=Entity)


@dataclass(frozen=True, slots=True)
class Item:
    """A mention and where it stands in the answer: from the label's first character to [its end).

    The mention's own words are the last of these characters.
    """

    mention: Mention
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read, in the answer's order; a fault's place is `answer:START-END`."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def mentions(self) -> tuple[Mention, ...]:
        return tuple(item.mention for item in self.items)


def order(entities: Iterable[AnyEntity], labels: Sequence[str]) -> list[AnyEntity]:
    """The entities as answers list them: by start, the longer first, then in label-set order."""
    rank = {label: number for number, label in enumerate(labels)}
    return sorted(entities, key=lambda e: (e.start, -e.end, rank.get(e.label, len(rank))))


def write(mentions: Sequence[Mention]) -> str:
    """The answer that lists the mentions, in the order given."""
    return " " + BORDER.join(m.label + CUE + m.text for m in mentions) if mentions else NONE


@dataclass(frozen=True, slots=True)
class Barred:
    """What a mention must not look like under one label, since its item would be read as another.

    A label that holds `; ` or `: ` makes the last three; without such labels they are empty.
    """

    holds: tuple[str, ...]  # "; person: " begins an item of its own
    begins: tuple[str, ...]  # with labels "a" and "a: b", "b: " under "a" makes the label "a: b"
    ends: tuple[str, ...]  # with a label "x; y", "; x" could make it with the item that follows
    equals: tuple[str, ...]  # with labels "a" and "a: b; c", so could all of "b" under "a"

    def bars(self, text: str) -> bool:
        """Whether a mention of these words could be misread."""
        return (
            text.startswith(self.begins)
            or text.endswith(self.ends)
            or text in self.equals
            or any(border in text for border in self.holds)
        )


@lru_cache(maxsize=4096)
def barred(label: str, labels: tuple[str, ...]) -> Barred:
    """What a mention must not look like under `label`, when all of `labels` may be answered."""
    own = label + CUE
    longer = [other.removeprefix(own) for other in labels if other.startswith(own)]
    return Barred(
        holds=tuple(BORDER + other + CUE for other in labels),
        begins=tuple(rest + CUE for rest in longer),
        ends=tuple(BORDER + front for other in labels for front in _fronts(other)),
        equals=tuple(front for rest in longer for front in _fronts(rest)),
    )


def read(answer: str, labels: Sequence[str], chunks: Sequence[str] | None = None) -> Answer:
    """What an answer says; every stretch of it, except marks and blanks, is in an item or a fault.

    With the chunks of the text that was asked about, each mention read stands in it at chunk
    borders, and the text decides how far a mention goes: as far as the words stand there, up to a
    `;` or a line break. Without, an item in exact form goes on to the next exact item, whatever it
    holds.

    Passed over without a fault: blanks too many or missing, `；` and `：` for `;` and `:`, marks
    at the end, `none.` for ` None`. A label in other capitals is read, with a fault. What follows
    an answer after a blank line is one fault.

    Faults: UNKNOWN_LABEL; MALFORMED (no label, or no mention); NOT_IN_TEXT (no item is made);
    AMBIGUOUS (two items that also stand in the text as one mention; an answer under the grammar's
    constraint can have this too, and only this); EMPTY_ANSWER.
    """
    text = None if chunks is None else segments.segmented(chunks)
    return _Reader(answer, _forms(tuple(labels)), text).read()


class _Reader:
    """One answer while it is read.

    Exact borders cut it into regions. A region is a label and a mention, and no more, in an answer
    that keeps the form; else it is cut further, at any `;` or line break, into whatever it holds.
    """

    def __init__(self, answer: str, forms: _Forms, text: segments.Segmented | None) -> None:
        self._answer = answer
        self._forms = forms
        self._text = text
        self._known: dict[str, bool] = {}  # words that were looked up in the text
        self._items: list[Item] = []
        self._faults: list[tuple[int, Fault]] = []
        self._none: tuple[int, int] | None = None  # where the answer says that there is no mention

    def read(self) -> Answer:
        for start, end, exact in self._regions():
            if not self._read_region(start, end, exact=exact):
                break
        self._find_joined()
        if self._none and self._items:
            self._fault(FaultKind.MALFORMED, "no mention, with mentions beside it", *self._none)
        if not (self._none or self._items or self._faults):
            message = "the answer is empty: no mention, and no word for none"
            self._fault(FaultKind.EMPTY_ANSWER, message, 0, len(self._answer))
        faults = sorted(self._faults, key=lambda placed: placed[0])
        return Answer(tuple(self._items), tuple(fault for _, fault in faults))

    def _regions(self) -> Iterator[tuple[int, int, bool]]:
        """Start and end of each stretch between exact borders; whether it begins in exact form."""
        start = _end(_BLANK, self._answer, 0)
        exact = self._answer[:start] == " "
        while True:
            label = self._forms.exact.match(self._answer, start)
            border = self._forms.border.search(self._answer, label.end() if label else start)
            yield start, border.start() if border else len(self._answer), exact
            if border is None:
                return
            start, exact = border.end(), True

    def _read_region(self, start: int, end: int, *, exact: bool) -> bool:
        """Read one region. False when a blank line has ended the answer."""
        answer = self._answer
        cuts = [found.start() for found in _CUT.finditer(answer, start, end)] + [end]
        # Before the marks and blanks at the end: only an exact item may own those.
        stop = start + len(answer[start:end].rstrip(_MARKS))
        tidy = [*cuts[: bisect_left(cuts, stop)], stop]
        done = begin = start
        while begin < stop:
            label, words = self._label_at(begin, end)
            if label is not None:
                whole = exact and begin == start and answer[begin:words] == label + CUE
                whole = whole and answer[words:end] == answer[words:end].strip() != ""
                cut = cuts if whole else tidy
                done = self._read_item(label, begin, words, cut, whole=whole)
            elif (skipped := _end(_GAP, answer, begin, end)) > begin:
                begin = skipped  # the region begins with marks that no label begins with
                continue
            elif (self._items or self._none) and _has_blank_line(answer[done:begin]):
                stop = len(answer.rstrip())
                message = f"more after the answer's end: {short(answer[begin:stop])}"
                self._fault(FaultKind.MALFORMED, message, begin, stop)
                return False
            else:
                done = _after(tidy, begin)
                self._read_unlabelled(begin, done)
            begin = _end(_GAP, answer, done, end)
        return True

    def _label_at(self, begin: int, end: int) -> tuple[str | None, int]:
        """The label that stands there, exact or nearly, and where the words behind it begin."""
        found = self._forms.exact.match(self._answer, begin, end)
        if found:
            label = found[0].removesuffix(CUE)
        else:
            found = self._forms.loose.match(self._answer, begin, end)
            if not found or not found.lastindex:
                return None, begin
            written = found[found.lastindex]
            labels = self._forms.labels
            label = written if written in labels else labels[found.lastindex - 1]
        return label, _end(_INLINE_BLANK, self._answer, found.end(), end)

    def _read_item(
        self, label: str, begin: int, words: int, cuts: Sequence[int], *, whole: bool
    ) -> int:
        """Read one item, its words beginning at `words`. Where the reading has come to."""
        if words >= cuts[-1]:
            end = None
        elif self._text is not None:
            end = self._standing_end(self._text, words, cuts)
        else:
            end = cuts[-1] if whole else self._loose_end(words, cuts)
        if end is not None:
            self._items.append(Item(Mention(label, self._answer[words:end]), begin, end))
            written = self._answer[begin : begin + len(label)]
            if written != label:
                message = f"{short(written)} was read as the label {label!r}"
                self._fault(FaultKind.UNKNOWN_LABEL, message, begin, begin + len(label))
            return end
        if words >= cuts[-1] or _CUT.match(self._answer, words):
            message = f"the label {label!r} without a mention"
            self._fault(FaultKind.MALFORMED, message, begin, words)
            return words
        end = _after(cuts, words)
        found = self._answer[words:end].rstrip()
        message = f"{short(found)}, answered as {label!r}, does not stand in the text"
        self._fault(FaultKind.NOT_IN_TEXT, message, begin, words + len(found))
        return end

    def _loose_end(self, words: int, cuts: Sequence[int]) -> int | None:
        """The end of the words before the next line break, or mark with a label behind it."""
        seen = words  # a run of marks and blanks is looked behind once
        for cut in cuts[bisect_right(cuts, words - 1) :]:
            if cut < seen:
                continue
            seen = _end(_GAP, self._answer, cut, cuts[-1])
            breaks = cut < cuts[-1] and self._answer[cut].isspace()
            if breaks or cut == cuts[-1] or self._label_at(seen, cuts[-1])[0] is not None:
                found = self._answer[words:cut].rstrip()
                return words + len(found) if found else None
        return None

    def _standing_end(
        self, text: segments.Segmented, words: int, cuts: Sequence[int]
    ) -> int | None:
        """The end of the longest run of words, up to a cut, that stands in the text.

        If words are in the text then so is every beginning of them: so the number of cuts is
        doubled while the text follows, then halved, and the whole stays near linear.
        """
        first = bisect_right(cuts, words)
        low, high, step = first, first, 1

        def strays(number: int) -> bool:
            return self._answer[words : cuts[number]].rstrip() not in text.text

        while high < len(cuts) and not strays(high):
            low, high, step = high + 1, high + step, 2 * step
        farthest = bisect_left(range(len(cuts)), True, low, min(high, len(cuts)), key=strays)
        for number in range(farthest - 1, first - 1, -1):
            found = self._answer[words : cuts[number]].rstrip()
            if self._stands(text, found):
                return words + len(found)
        return None

    def _stands(self, text: segments.Segmented, words: str) -> bool:
        """Whether the words stand at chunk borders somewhere in the text."""
        if words in self._known:
            return self._known[words]
        place = text.text.find(words) if words else -1
        while place >= 0 and not (text.begins[place] and text.ends[place + len(words)]):
            border = text.begins.find(1, place + 1)
            place = text.text.find(words, border) if border >= 0 else -1
        self._known[words] = place >= 0
        return place >= 0

    def _read_unlabelled(self, begin: int, end: int) -> None:
        piece = self._answer[begin:end].rstrip()
        end = begin + len(piece)
        name, colon, _ = piece.replace("：", ":").partition(":")
        if self._none is None and piece.rstrip(" .。").casefold() == NONE.strip().casefold():
            self._none = begin, end
        elif colon and name.strip():
            message = f"{short(name.strip())} is not a label that was asked for: {short(piece)}"
            self._fault(FaultKind.UNKNOWN_LABEL, message, begin, end)
        else:
            self._fault(FaultKind.MALFORMED, f"no label stands before {short(piece)}", begin, end)

    def _find_joined(self) -> None:
        """A fault for each two items in a row that stand in the text as one mention as well."""
        if self._text is None or not self._forms.border.search(self._text.text):
            return
        for left, right in pairwise(self._items):
            joined = self._answer[left.end - len(left.mention.text) : right.end]
            if self._stands(self._text, joined):
                message = f"read as two items, but the text also holds {short(joined)}"
                self._fault(FaultKind.AMBIGUOUS, message, left.start, right.end)

    def _fault(self, kind: FaultKind, message: str, start: int, end: int) -> None:
        self._faults.append((start, Fault(kind, message, f"answer:{start}-{end}")))


@dataclass(frozen=True, slots=True)
class _Forms:
    """A label set as patterns, the longer labels first."""

    labels: tuple[str, ...]
    exact: re.Pattern[str]  # a label and `: `
    border: re.Pattern[str]  # the `; ` before an exact label
    loose: re.Pattern[str]  # a label in any capitals and any colon; one group a label


@lru_cache(maxsize=256)
def _forms(labels: tuple[str, ...]) -> _Forms:
    longest_first = tuple(sorted(labels, key=len, reverse=True))
    names = [re.escape(label) for label in longest_first]
    exact = f"(?:{'|'.join(names)}){CUE}" if names else "(?!)"
    loose = "|".join(f"({name})" for name in names) if names else "(?!)"
    return _Forms(
        longest_first,
        exact=re.compile(exact),
        border=re.compile(f"{BORDER}(?={exact})"),
        loose=re.compile(f"(?:{loose}){_INLINE_BLANK.pattern}[:：]", re.IGNORECASE),
    )


def short(words: str) -> str:
    """Words as a message quotes them, cut where they are long."""
    return repr(words if len(words) <= 60 else words[:57] + "...")


def _fronts(label: str) -> list[str]:
    """What stands before each `; ` of a label."""
    return [label[: border.start()] for border in re.finditer(BORDER, label)]


def _after(cuts: Sequence[int], place: int) -> int:
    """The first cut behind a place that is not the last cut."""
    return cuts[bisect_right(cuts, place)]


def _end(pattern: re.Pattern[str], answer: str, place: int, end: int | None = None) -> int:
    """Where the longest match from `place` on ends; the pattern matches the empty string too."""
    found = pattern.match(answer, place, len(answer) if end is None else end)
    return found.end() if found else place


def _has_blank_line(gap: str) -> bool:
    return len((gap + "|").splitlines()) > 2


_BREAKS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"  # where `str.splitlines` ends a line
_CUT = re.compile(f"[;；{_BREAKS}]")
_GAP = re.compile(r"[\s;；]*")
_MARKS = ";；" + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_BLANK = re.compile(r"\s*")
_INLINE_BLANK = re.compile(rf"[^\S{_BREAKS}]*")
