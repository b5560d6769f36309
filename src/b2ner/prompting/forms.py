"""How an answer to "which entities?" is written: the label before the words, or behind them.

`LABEL_FIRST` is the published form, ` label: mention; label: mention`; `answer` has its rules.
`MENTION_FIRST` is ours, ` mention: label; mention: label`: a model that has written the words knows
better what they are than one that must name the type of what it has not yet found. Both are read
from left to right without escapes, so each bars the mentions that would be read as others.

A template says which form its model was taught; the grammar, the reader and training ask here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

from b2ner import segments
from b2ner.errors import InputError, LabelError
from b2ner.prompting import answer as label_first
from b2ner.prompting.answer import BORDER, CUE, NONE, Answer, Barred, Item, short
from b2ner.records import Fault, FaultKind, Mention

_ENDS = ";；\n\r"


class AnswerForm(Protocol):
    """One way to write an answer. `read` and `write` are inverse on what `writable` allows."""

    @property
    def name(self) -> str:
        """What templates call it."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether mentions stand by their places in the text, each place once."""
        ...

    def check(self, labels: Sequence[str]) -> None:
        """Raises LabelError for a label that cannot be answered with in this form."""
        ...

    def write(self, mentions: Sequence[Mention]) -> str:
        """The answer that lists the mentions, in the order given."""
        ...

    def read(
        self, answer: str, labels: Sequence[str], chunks: Sequence[str] | None = None
    ) -> Answer:
        """What an answer says, as `answer.read` does; `chunks` are the text's."""
        ...

    def barred(self, label: str, labels: tuple[str, ...]) -> Barred:
        """What a mention must not look like under a label, when all `labels` may be answered."""
        ...

    def parse(self, item: str, labels: Sequence[str]) -> tuple[str, str] | None:
        """The label and the words that a whole item spells, or None; its words may be barred."""
        ...

    def extended(self, item: str, words: str) -> str:
        """What a longer mention would begin with, if a whole item were only its beginning."""
        ...

    def borders(self, labels: Iterable[str]) -> list[str]:
        """What no mention may hold, since it would end an item inside it."""
        ...

    def item_rule(self, labels: Sequence[str], words: str) -> str:
        """The Lark terminal of an item with one of the labels; `words` is a terminal for those."""
        ...

    def settled(self, item: Item, answer: str, labels: Sequence[str], text: str) -> bool:
        """Whether the last item of an answer that was cut short could not have gone on."""
        ...


def writable(form: AnswerForm, mentions: Iterable[Mention], labels: Sequence[str]) -> bool:
    """Whether the mentions, once written in that form, are read back the same."""
    asked = tuple(labels)
    try:
        form.check(asked)
    except LabelError:
        return False
    return all(
        m.label in asked
        and m.text
        and m.text == m.text.strip()
        and not form.barred(m.label, asked).bars(m.text)
        for m in mentions
    )


class _LabelFirst:
    """` label: mention; label: mention`, the published form."""

    name = "label first"
    ordered = False  # as published: a foreign adapter may have been taught any order

    def check(self, labels: Sequence[str]) -> None:
        """Every label can be answered with."""

    def write(self, mentions: Sequence[Mention]) -> str:
        return label_first.write(mentions)

    def read(
        self, answer: str, labels: Sequence[str], chunks: Sequence[str] | None = None
    ) -> Answer:
        return label_first.read(answer, labels, chunks)

    def barred(self, label: str, labels: tuple[str, ...]) -> Barred:
        return label_first.barred(label, labels)

    def parse(self, item: str, labels: Sequence[str]) -> tuple[str, str] | None:
        for label in sorted(labels, key=len, reverse=True):
            if item.startswith(label + CUE):
                return label, item[len(label) + len(CUE) :]
        return None

    def extended(self, item: str, words: str) -> str:
        return words

    def borders(self, labels: Iterable[str]) -> list[str]:
        return [BORDER + label + CUE for label in labels]

    def item_rule(self, labels: Sequence[str], words: str) -> str:
        named = " | ".join(quoted(label + CUE) for label in labels)
        return f"({named}) {words}"

    def settled(self, item: Item, answer: str, labels: Sequence[str], text: str) -> bool:
        words = item.end - len(item.mention.text)
        # It may have gone on: `New` to `New York`, `A;` to `A; B`.
        return ";" not in item.mention.text and answer[words:].rstrip() not in text


class _MentionFirst:
    """` mention: label; mention: label`.

    An item ends at the first `: `, label of the set and `; ` (or end of the answer). So no label
    may hold a `;`.
    """

    name = "mention first"
    ordered = True

    def check(self, labels: Sequence[str]) -> None:
        for label in labels:
            if ";" in label:
                raise LabelError(
                    f"the label {label!r} holds ';', which divides entities in the answers of this "
                    "model: write it otherwise"
                )

    def write(self, mentions: Sequence[Mention]) -> str:
        return " " + BORDER.join(m.text + CUE + m.label for m in mentions) if mentions else NONE

    def read(
        self, answer: str, labels: Sequence[str], chunks: Sequence[str] | None = None
    ) -> Answer:
        text = None if chunks is None else segments.segmented(chunks)
        return _Reader(answer, tuple(labels), text).read()

    def barred(self, label: str, labels: tuple[str, ...]) -> Barred:
        return _barred(label, labels)

    def parse(self, item: str, labels: Sequence[str]) -> tuple[str, str] | None:
        found = _pattern(tuple(labels)).whole.fullmatch(item)
        return (found[2], found[1]) if found else None

    def extended(self, item: str, words: str) -> str:
        return item

    def borders(self, labels: Iterable[str]) -> list[str]:
        return [CUE + label + BORDER for label in labels]

    def item_rule(self, labels: Sequence[str], words: str) -> str:
        named = " | ".join(quoted(CUE + label) for label in labels)
        return f"{words} ({named})"

    def settled(self, item: Item, answer: str, labels: Sequence[str], text: str) -> bool:
        label = item.mention.label
        longer = any(other != label and other.startswith(label) for other in labels)
        return not longer and answer[item.start :].rstrip() not in text


LABEL_FIRST: AnswerForm = _LabelFirst()
MENTION_FIRST: AnswerForm = _MentionFirst()


def answer_form(name: str) -> AnswerForm:
    """The form that a template names. Raises InputError when there is none of that name."""
    for form in (LABEL_FIRST, MENTION_FIRST):
        if form.name == name:
            return form
    raise InputError(f"no answer form {name!r}; there is 'label first' and 'mention first'")


def quoted(words: str) -> str:
    """Words as a Lark string."""
    return json.dumps(words, ensure_ascii=False)


@lru_cache(maxsize=4096)
def _barred(label: str, labels: tuple[str, ...]) -> Barred:
    """Words that hold the end of an item, or that a longer label would take a part of.

    With labels "c" and "b: c", the words "x: b" under "c" would be "x" under "b: c".
    """
    own = CUE + label
    return Barred(
        holds=tuple(CUE + other + BORDER for other in labels),
        begins=(),
        ends=tuple(CUE + other.removesuffix(own) for other in labels if other.endswith(own)),
        equals=(),
    )


class _Pattern:
    """A label set as patterns."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        names = "|".join(re.escape(name) for name in sorted(labels, key=len, reverse=True))
        names = names or "(?!)"
        self.whole = re.compile(f"(?s:(.+?)){CUE}({names})")
        self.end = re.compile(f"{CUE}({names})(?={BORDER}|[\\s;.。]*\\Z)")
        self.loose = re.compile(rf"\s*[:：]\s*({names})[\s.。]*\Z", re.IGNORECASE)


@lru_cache(maxsize=256)
def _pattern(labels: tuple[str, ...]) -> _Pattern:
    return _Pattern(labels)


class _Reader:
    """One answer while it is read.

    Exact item ends cut it into stretches. What stands before an item's end are its words, if they
    stand in the text; else only what follows the last `;` among them may be. The rest, and what
    comes after the last exact end, is read piece by piece as well as can be.
    """

    def __init__(
        self, answer: str, labels: tuple[str, ...], text: segments.Segmented | None
    ) -> None:
        self._answer = answer
        self._pattern = _pattern(labels)
        self._text = text
        self._items: list[Item] = []
        self._faults: list[tuple[int, Fault]] = []
        self._none: tuple[int, int] | None = None

    def read(self) -> Answer:
        answer = self._answer
        start = len(answer) - len(answer.lstrip())
        for found in self._pattern.end.finditer(answer, start):
            if found.start() < start:
                continue
            if found.start() > start:
                self._exact(start, found.start(), found.end(), found[1])
                start = found.end() + (len(BORDER) if answer[found.end() :].strip(" ;.。") else 0)
        self._pieces(start, len(answer))
        self._find_joined()
        if self._none and self._items:
            self._fault(FaultKind.MALFORMED, "no mention, with mentions beside it", *self._none)
        if not (self._none or self._items or self._faults):
            message = "the answer is empty: no mention, and no word for none"
            self._fault(FaultKind.EMPTY_ANSWER, message, 0, len(answer))
        faults = sorted(self._faults, key=lambda placed: placed[0])
        return Answer(tuple(self._items), tuple(fault for _, fault in faults))

    def _exact(self, start: int, words_end: int, end: int, label: str) -> None:
        """An item in exact form: the words from `start` on, or the last piece of them."""
        words = self._answer[start:words_end]
        if not self._stands(words):
            cut = max(words.rfind(mark) for mark in _ENDS) + 1
            if cut and self._stands(words[cut:].strip()):
                self._pieces(start, start + cut - 1)
            elif self._stands(words.strip()):
                cut = 0
            else:
                self._missing(words.strip(), label, start, end)
                return
            start = words_end - len(words[cut:].lstrip())
            words_end -= len(words) - len(words.rstrip())
        mention = Mention(label, self._answer[start:words_end])
        self._items.append(Item(mention, start, end))

    def _pieces(self, start: int, end: int) -> None:
        """A stretch without exact items, cut at every `;` and line break."""
        for found in _PIECE.finditer(self._answer, start, end):
            piece = found[0].strip()
            if not piece:
                continue
            begin = found.start() + len(found[0]) - len(found[0].lstrip())
            self._piece(piece, begin)

    def _piece(self, piece: str, begin: int) -> None:
        end = begin + len(piece)
        found = self._pattern.loose.search(piece)
        if found and found.start():
            self._loose(piece[: found.start()].rstrip(), found[1], begin, end)
        elif self._none is None and piece.rstrip(" .。").casefold() == NONE.strip().casefold():
            self._none = begin, end
        else:
            words, colon, name = piece.replace("：", ":").rpartition(":")
            if colon and words.strip() and name.strip():
                message = f"{short(name.strip())} is not a label that was asked for: "
                self._fault(FaultKind.UNKNOWN_LABEL, message + short(piece), begin, end)
            else:
                message = f"no label stands behind {short(piece)}"
                self._fault(FaultKind.MALFORMED, message, begin, end)

    def _loose(self, words: str, written: str, begin: int, end: int) -> None:
        """A piece whose label is in other capitals, or whose marks are not quite right."""
        labels = self._pattern.labels
        same = (label for label in labels if label.casefold() == written.casefold())
        label = written if written in labels else next(same, written)
        if self._text is not None and not self._stands(words):
            self._missing(words, label, begin, end)
            return
        self._items.append(Item(Mention(label, words), begin, end))
        if written != label:
            message = f"{short(written)} was read as the label {label!r}"
            self._fault(FaultKind.UNKNOWN_LABEL, message, begin, end)

    def _missing(self, words: str, label: str, start: int, end: int) -> None:
        message = f"{short(words)}, answered as {label!r}, does not stand in the text"
        self._fault(FaultKind.NOT_IN_TEXT, message, start, end)

    def _stands(self, words: str) -> bool:
        return self._text is None or bool(words and self._text.starts(words))

    def _find_joined(self) -> None:
        """A fault for each two items in a row that stand in the text as one mention as well."""
        if self._text is None or BORDER not in self._text.text:
            return
        for left, right in pairwise(self._items):
            words = right.start + len(right.mention.text)
            joined = self._answer[left.start : words]
            if self._stands(joined):
                message = f"read as two items, but the text also holds {short(joined)}"
                self._fault(FaultKind.AMBIGUOUS, message, left.start, right.end)

    def _fault(self, kind: FaultKind, message: str, start: int, end: int) -> None:
        self._faults.append((start, Fault(kind, message, f"answer:{start}-{end}")))


_PIECE = re.compile(f"[^{_ENDS}]+")
