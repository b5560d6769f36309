"""The smallest units of a text, chunks, at which a mention may begin or end.

Knows characters, not languages and not tokens. Readers, the answer grammar and grounding all ask
here, so that they agree on where a mention may stand. A chunk is one of:

- a run of letters of one script with their marks: `Moon`, `Straße`, `हिन्दी`. It is never cut
  inside, so `art` is no part of `party`. Case is no border (`iPhone`); a change of script is one,
  and so is a change between letters and digits;
- a run of digits: `1990|s`, `GPT|-|4`, `COVID|19`, `H|2|O`. Superscripts, fractions and numbers in
  circles stand alone, so that a footnote's number can be left off;
- one character where words are written without blanks: Han, kana, and the clusters of Thai, Lao,
  Khmer, Burmese and the like (a consonant with its marks, its vowel signs and what it stacks);
- one Hangul syllable, whole or spelt in parts: particles are glued to names (of `서울에서`, `서울`
  is marked), and nothing short of a dictionary says where they begin. Loose parts, as in laughter
  (ᄏᄏ), stand alone;
- one punctuation mark or symbol: `U|.|S|.|-|based`, `O|'|Brien|'|s`;
- one emoji as it is seen: skin tones, joined sequences, flags and keycaps in one piece;
- a run of white space.

White space, everywhere in the house, is what `is_space` says: `str.isspace`, and what cannot be
seen and separates or steers: zero-width space, byte order mark, word joiner, directional marks.
What cannot be seen but belongs inside a word (joiners, soft hyphen, U+180E, variation selectors)
stays with the character before it and counts as white space where there is none. So no mention
consists of invisible characters.

What makes a border lies in the chunks beside it, so a piece cut out at borders has the same chunks
alone as in its place. Characters newer than the Unicode tables of the running Python (version 14
in Python 3.11) stand alone, apart from emoji.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from b2ner.records import Span


def chunks(text: str) -> tuple[str, ...]:
    """The chunks of a text, in order; joined they are the text. Linear in its length."""
    kinds = text.translate(_KINDS).replace("dek", "xek").replace("dk", "xk")  # keycaps: 1️⃣
    return tuple([text[found.start() : found.end()] for found in _CHUNK.finditer(kinds)])


def shown(text: str) -> str:
    """The text as a model gets it: of the same length and with the same chunk borders.

    NUL and the other C0 controls, U+007F and lone surrogates become U+FFFD; those C0 controls that
    are white space (form feed and the like, but not tab and line ends) become a blank. U+2581 too
    becomes U+FFFD: tokenizers of the SentencePiece kind spell a blank so; no answer can hold it.
    """
    return _UNSHOWABLE.sub("\ufffd", _SPACE_CONTROL.sub(" ", text))


def is_space(chunk: str) -> bool:
    """Whether there is nothing to see in a string: white space and invisible characters only."""
    return bool(chunk) and all(kind in "_ez" for kind in chunk.translate(_KINDS))


def occurrences(chunks: Sequence[str], surface: str) -> list[Span]:
    """All places, overlapping ones too, where the surface stands at chunk borders, in order.

    A surface that is empty or has white space at an edge stands nowhere. For many lookups in one
    text, keep `segmented(chunks)`.
    """
    starts = segmented(chunks).starts(surface)
    return [Span(start, start + len(surface)) for start in starts]


@dataclass(frozen=True, slots=True)
class Segmented:
    """A text and where in it a mention may begin and end: one byte a border, 1 for yes."""

    text: str
    begins: bytes
    ends: bytes

    def starts(self, surface: str) -> list[int]:
        """Where the surface stands at chunk borders, in order, overlapping places too."""
        length = len(surface)
        found = _find_all(self.text, surface) if length else []
        return [start for start in found if self.begins[start] and self.ends[start + length]]


def segmented(chunks: Sequence[str]) -> Segmented:
    """The chunks' text with its borders, ready for many lookups."""
    text = "".join(chunks)
    begins, ends = bytearray(len(text) + 1), bytearray(len(text) + 1)
    place = 0
    for chunk in chunks:
        end = place + len(chunk)
        if chunk and not is_space(chunk):
            begins[place] = ends[end] = 1
        place = end
    return Segmented(text, bytes(begins), bytes(ends))


def _find_all(text: str, words: str) -> list[int]:
    """Every place of `words` in `text`, overlapping ones too, in time linear in the text."""
    if len(words) > _LONG:  # `find` may read all of `words` again at each place: 哈哈哈哈哈哈
        return _find_all_long(text, words)
    found = []
    place = text.find(words)
    while place >= 0:
        found.append(place)
        place = text.find(words, place + 1)
    return found


def _find_all_long(text: str, words: str) -> list[int]:
    """As `_find_all`, after Knuth, Morris and Pratt: linear whatever repeats in `words`."""
    if words not in text:
        return []
    resume = [0] * (len(words) + 1)  # after so many matched characters: how many stay matched
    matched = 0
    for length in range(2, len(words) + 1):
        while matched and words[matched] != words[length - 1]:
            matched = resume[matched]
        matched += words[matched] == words[length - 1]
        resume[length] = matched
    found, matched = [], 0
    for place, character in enumerate(text):
        while matched and words[matched] != character:
            matched = resume[matched]
        matched += words[matched] == character
        if matched == len(words):
            found.append(place + 1 - matched)
            matched = resume[matched]
    return found


_LONG = 100
_UNSHOWABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\u2581\ud800-\udfff]")
_SPACE_CONTROL = re.compile("[\x0b\x0c\x1c-\x1f]")

# Every character has a kind, one letter, and `_CHUNK` is the grammar of a chunk over kinds:
#   _ white space     e invisible, extends   z zero-width joiner     m mark
#   d digit           k keycap mark          x pictograph            t skin tone
#   r flag letter     L V T parts of a Hangul syllable               i stands alone
#   c letter of a cluster script             p vowel written first   v stacks what comes next
#   n letter of no script                    À and up: letters, one kind a script
_RANGES = (  # what the tables of the standard library do not tell, or tell too late
    (0x00AD, 0x00AD, "e"),  # soft hyphen
    (0x034F, 0x034F, "e"),  # combining grapheme joiner
    (0x0600, 0x0605, "i"),  # Arabic number signs: format characters that can be seen
    (0x06DD, 0x06DD, "i"),
    (0x070F, 0x070F, "i"),
    (0x0890, 0x0891, "i"),
    (0x08E2, 0x08E2, "i"),
    (0x0E30, 0x0E30, "m"),  # Thai and Lao vowels that follow a consonant, though they are letters
    (0x0E32, 0x0E33, "m"),
    (0x0E40, 0x0E44, "p"),  # and those that are written before it
    (0x0E45, 0x0E45, "m"),
    (0x0EB0, 0x0EB0, "m"),
    (0x0EB2, 0x0EB3, "m"),
    (0x0EC0, 0x0EC4, "p"),
    (0x1039, 0x1039, "v"),  # Burmese
    (0x1100, 0x115E, "L"),
    (0x115F, 0x1160, "e"),  # Hangul fillers
    (0x1161, 0x11A7, "V"),
    (0x11A8, 0x11FF, "T"),
    (0x17B4, 0x17B5, "e"),  # Khmer inherent vowels
    (0x17D2, 0x17D2, "v"),
    (0x180B, 0x180F, "e"),  # Mongolian variation selectors and vowel separator
    (0x19B5, 0x19B7, "p"),  # New Tai Lue
    (0x19BA, 0x19BA, "p"),
    (0x1A60, 0x1A60, "v"),  # Tai Tham
    (0x1B44, 0x1B44, "v"),  # Balinese
    (0x200C, 0x200C, "e"),
    (0x200D, 0x200D, "z"),
    (0x20E3, 0x20E3, "k"),
    (0x2800, 0x2800, "_"),  # braille blank
    (0x3164, 0x3164, "e"),  # Hangul filler
    (0xA960, 0xA97C, "L"),
    (0xA9C0, 0xA9C0, "v"),  # Javanese
    (0xAAB5, 0xAAB6, "p"),  # Tai Viet
    (0xAAB9, 0xAAB9, "p"),
    (0xAABB, 0xAABC, "p"),
    (0xD7B0, 0xD7C6, "V"),
    (0xD7CB, 0xD7FB, "T"),
    (0xFE00, 0xFE0F, "e"),  # variation selectors
    (0xFF9E, 0xFF9F, "m"),  # halfwidth voicing marks
    (0xFFA0, 0xFFA0, "e"),  # halfwidth Hangul filler
    (0x110BD, 0x110BD, "i"),  # Kaithi number signs
    (0x110CD, 0x110CD, "i"),
    (0x13430, 0x1343F, "e"),  # hieroglyph joiners
    (0x1BCA0, 0x1BCA3, "e"),  # shorthand format controls
    (0x1F1E6, 0x1F1FF, "r"),
    (0x1F3FB, 0x1F3FF, "t"),
    (0x1F000, 0x1FAFF, "x"),  # assigned or not: emoji are added every year
    (0xE0000, 0xE0FFF, "e"),  # tags, variation selectors
)
_WORD_SCRIPTS = (
    "LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC SYRIAC THAANA NKO DEVANAGARI BENGALI GURMUKHI "
    "GUJARATI ORIYA TAMIL TELUGU KANNADA MALAYALAM SINHALA TIBETAN GEORGIAN ETHIOPIC CHEROKEE "
    "CANADIAN MONGOLIAN MATHEMATICAL OTHER"
)
_WORD_KINDS = {name: chr(0xC0 + number) for number, name in enumerate(_WORD_SCRIPTS.split())}
_OTHER_SCRIPTS = {  # by kind
    "c": "THAI LAO KHMER MYANMAR TAI NEW BALINESE JAVANESE",
    "i": "CJK IDEOGRAPHIC HIRAGANA KATAKANA KATAKANA-HIRAGANA BOPOMOFO HANGUL YI TANGUT NUSHU "
    "KHITAN CUNEIFORM EGYPTIAN ANATOLIAN",
    # signs that Unicode counts as letters, and that belong to no script: ʻ µ º ℓ
    "n": "MODIFIER MICRO FEMININE MASCULINE SCRIPT DOUBLE-STRUCK BLACK-LETTER OHM KELVIN ANGSTROM "
    "PLANCK EULER ALEF BET GIMEL DALET INFORMATION TURNED ROTATED VERTICAL",
}
_SCRIPT_KINDS = _WORD_KINDS | {
    name: kind for kind, names in _OTHER_SCRIPTS.items() for name in names.split()
}


def _kind(code: int) -> str:
    """The kind of a character."""
    character = chr(code)
    if _UNSHOWABLE.match(character):
        return "i"  # as U+FFFD
    for first, last, kind in _RANGES:
        if first <= code <= last:
            return kind
    category = unicodedata.category(character)
    if character.isspace() or category in ("Cc", "Cf"):
        return "_"
    if category[0] == "M":
        return "m"
    if category == "Nd":
        return "d"
    if category == "So" and (0x2190 <= code <= 0x2BFF or character in "©®™"):
        return "x"
    return _letter_kind(character) if category[0] == "L" else "i"


def _letter_kind(letter: str) -> str:
    """The kind of a letter: the first word of its name is its script."""
    script, *rest = unicodedata.name(letter, "OTHER").split()
    if script in ("FULLWIDTH", "HALFWIDTH"):
        script = rest[0]
    return _SCRIPT_KINDS.get(script, _WORD_KINDS["OTHER"])


class _Kinds(dict[int, str]):
    """A table for `str.translate` that works out the kind of a character when it first meets it."""

    def __missing__(self, code: int) -> str:
        kind = self[code] = _kind(code)
        return kind


_KINDS = _Kinds()
_MARKS = "ezmkv"
_CLUSTER = f"c[{_MARKS}]*+(?:(?<=v)c[{_MARKS}]*+)*+"
_CHUNK = re.compile(
    "|".join(
        [
            *(f"{kind}[{kind}n{_MARKS}]*+" for kind in _WORD_KINDS.values()),
            "[_ez]++",
            f"d[d{_MARKS}]*+",
            f"LV++T*+[{_MARKS}]*+",
            f"(?:p[{_MARKS}]*+)++(?:{_CLUSTER})?|{_CLUSTER}",
            f"x[t{_MARKS}]*+(?:(?<=z)x[t{_MARKS}]*+)*+",
            f"rr?[{_MARKS}]*+",
            f".[{_MARKS}]*+",
        ]
    )
)
