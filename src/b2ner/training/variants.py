"""The same text as other people would have typed it: tokenised, in lower case, without punctuation.

Corpora are often tokenised and requests often bare, while most annotated prose is neither. A
variant keeps every entity of its sample, each at its new place. Only for texts that divide words
by blanks.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from b2ner.records import Entity, Sample, Span
from b2ner.training.settings import Regularisation

_WITHOUT_BLANKS = frozenset({"zh", "ja", "th", "lo", "km", "my", "yue", "wuu"})
_WORD = re.compile(r"\S+")
# What stands at the edges of words: opening marks before, closing marks and stops behind. Hyphens,
# and points or commas inside numbers and names, stay.
_OPENING = re.compile(r"""[("'\[{“‘«„¿¡‹]+""")
_CLOSING = re.compile(r"""(?:['’]s?|[)"\]}”»,.;:!?…›])+$""")
_ABBREVIATED = re.compile(r"(?:\w\.)+|(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|No|Co|Inc|Ltd)\.", re.I)
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_PIECE = re.compile(r"['’]s|\.\.\.|.", re.S)


def varied(sample: Sample, settings: Regularisation, rng: random.Random) -> Sample:
    """The sample, or a variant of it, drawn by the shares of the settings."""
    shares = (
        settings.tokenised_texts,
        settings.lowercased_texts,
        settings.unpunctuated_texts,
    )
    drawn = [rng.random() < share for share in shares]
    language = re.split("[-_]", sample.language.strip().lower(), maxsplit=1)[0]
    if not any(drawn) or language in _WITHOUT_BLANKS:
        return sample
    tokenise, lower, bare = drawn
    if bare:
        sample = unpunctuated(sample)
    elif tokenise:
        sample = tokenised(sample)
    return lowercased(sample) if lower else sample


def tokenised(sample: Sample) -> Sample:
    """With blanks between words and the punctuation around them: `Page 's ( 1998 ) .`"""
    marks = _edge_marks(sample)
    gaps = {place for start, end in marks for place in (start, end)}
    inserted = [
        place in gaps and not sample.text[place].isspace() and not sample.text[place - 1].isspace()
        for place in range(1, len(sample.text))
    ]
    pieces = [
        " " + character if blank else character
        for character, blank in zip(sample.text, [False, *inserted], strict=True)
    ]
    return _rewritten(sample, pieces)


def unpunctuated(sample: Sample) -> Sample:
    """Without the punctuation around words; as it was where an entity would be left empty."""
    dropped = {
        place
        for start, end in _edge_marks(sample)
        if sample.text[start:end][1:] != "s"  # the s of a possessive is part of the word
        for place in range(start, end)
    }
    pieces: list[str] = []
    after_space = True
    for place, character in enumerate(sample.text):
        gone = place in dropped or (character.isspace() and after_space)
        pieces.append("" if gone else character)
        if not gone:
            after_space = character.isspace()
    return _rewritten(sample, pieces)


def lowercased(sample: Sample) -> Sample:
    """In lower case, which may change the number of characters: `İ` becomes two."""
    return _rewritten(sample, [character.lower() for character in sample.text])


def _edge_marks(sample: Sample) -> list[tuple[int, int]]:
    """The places of the marks around words, one mark each, in order."""
    ends = {entity.end for entity in sample.entities}
    marks: list[tuple[int, int]] = []
    for word in _WORD.finditer(sample.text):
        text, begin = word[0], word.start()
        opening = _OPENING.match(text)
        first = opening.end() if opening else 0
        marks += [(begin + place, begin + place + 1) for place in range(first)]
        closing = _CLOSING.search(text, first)
        if closing is None:
            continue
        last = closing.start()
        opened = _BRACKETS.get(text[last])
        if opened and opened in text[first:last]:  # O(1)
            last += 1
        if text[last:].startswith("."):
            stem = text[first : last + 1]
            # The point belongs to an abbreviation, or to the last word of a name.
            if _ABBREVIATED.fullmatch(stem) or begin + last + 1 in ends:
                last += 1
        marks += [
            (begin + last + piece.start(), begin + last + piece.end())
            for piece in _PIECE.finditer(text[last:])
        ]
    return marks


def _rewritten(sample: Sample, pieces: Sequence[str]) -> Sample:
    """The sample with each character of its text written as the piece in its place.

    Blanks that a piece begins with stand before an entity that begins there. The sample as it was
    where an entity would become empty.
    """
    text = "".join(pieces)
    places = [0]
    for piece in pieces:
        places.append(places[-1] + len(piece))
    entities: list[Entity] = []
    for entity in sample.entities:
        start, end = places[entity.start], places[entity.end]
        words = text[start:end]
        start += len(words) - len(words.lstrip())
        end -= len(words) - len(words.rstrip())
        if start >= end:
            return sample
        span = Span(start, end)
        entities.append(Entity(span, entity.label, span.of(text)))
    trimmed = text.rstrip()
    if not trimmed or any(entity.end > len(trimmed) for entity in entities):
        return sample
    return replace(sample, text=trimmed, entities=tuple(entities))
