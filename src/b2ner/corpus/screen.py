"""Which texts of a training set stand in a test set too, whole or in part.

Texts are compared by their words: case, punctuation and white space do not count, and of scripts
that are written without blanks every character is a word. Of the other texts, a number for every
run of words is held, some hundred bytes each; the texts that are asked about are not held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

RUN_WORDS = 10  # so many words in a row are shared by chance only where they are a formula
RUN_CHARACTERS = 16  # of Han and kana

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_UNSPACED = _HAN + _KANA
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


class Seen:
    """The texts of other sets, and what they share with a text."""

    def __init__(self) -> None:
        # By the hash of the joined words, which no two runs of a release share but by a chance of
        # one in a million: the first set that has them.
        self._texts: dict[int, str] = {}
        self._runs: dict[int, str] = {}

    def add(self, text: str, name: str) -> None:
        """Take in a text of the set `name`. A text without words is none."""
        words = _words(text)
        if words:
            self._texts.setdefault(hash(" ".join(words)), name)
        for run in _runs(words):
            self._runs.setdefault(hash(run), name)

    def shared_with(self, text: str) -> str | None:
        """What the text shares with which set, in words; None when it shares nothing."""
        if not self._texts:
            return None
        words = _words(text)
        name = self._texts.get(hash(" ".join(words)))
        if name is not None:
            return f"the same text stands in {name}"
        for run in _runs(words):
            name = self._runs.get(hash(run))
            if name is not None:
                return f"shares {run!r} with {name}"
        return None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[str]) -> Iterator[str]:
    """Every run of the length that counts for such a text; none when it is shorter."""
    unspaced = sum(_CHARACTER.match(word) is not None for word in words)
    length = RUN_CHARACTERS if 2 * unspaced > len(words) else RUN_WORDS
    for start in range(len(words) - length + 1):
        yield " ".join(words[start : start + length])
