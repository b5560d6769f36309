"""What the letters of a text say about its language: enough to choose a prompt and a folder.

Only scripts that one language has nearly to itself are told; all others are not guessed.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import islice

_SCRIPTS = {  # the first word of a letter's name -> language
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "THAI": "th",
    "GREEK": "el",
    "HEBREW": "he",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
}
_LETTERS = 20_000  # that are looked at
_KANA = 0.05  # of the letters: Japanese has many more, a Chinese text that quotes some fewer
_WITHOUT_BLANKS = ("zh", "ja", "th")


def language_of(texts: Iterable[str]) -> str | None:
    """The language that most letters are of; None where the script does not say."""
    letters = islice((c for text in texts for c in text if c.isalpha()), _LETTERS)
    counts = Counter(_SCRIPTS.get(_script(letter)) for letter in letters)
    total = sum(counts.values())
    if not total:
        return None
    if counts["ja"] > _KANA * total:
        return "ja"
    # A Chinese text may be full of Latin names: a character of it is worth a word.
    found = max(counts, key=lambda language: counts[language] * (3 if language == "zh" else 1))
    return found if counts[found] else None


def is_written_without_blanks(language: str) -> bool:
    """Whether words of a language (`zh`) do not have blanks between them."""
    return language in _WITHOUT_BLANKS


def is_wide(character: str) -> bool:
    """Whether a character belongs to a script that is written without blanks."""
    return _SCRIPTS.get(_script(character)) in _WITHOUT_BLANKS


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
