"""Whether a corpus of sheets keeps its promises; counts and findings, nothing is changed.

Broken promises: every line can be read, every mention begins and ends at chunk borders and can be
answered with, a block has 14 to 20 labels, no text stands there twice, and none shares a run of
words with the test sets it is compared with. Warnings, each with a limit: what is often a slip (a
name marked here and not there, an opening or a name used again and again) but may be meant. That
every mention is marked, and rightly, only readers can tell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from b2ner import segments
from b2ner.corpus.nearness import near_duplicates, shared_runs, words
from b2ner.corpus.sheets import SheetText
from b2ner.errors import DataError
from b2ner.files import read_json_array
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.records import Mention, Rejected, Sample

LABELS = range(14, 21)  # of a block
BLOCK_TEXTS = 30  # a block with fewer is no block
RARE_MENTIONS = 6  # a label with fewer mentions in its block is rare
RARE_LABELS = 5  # so many of a block may be: two or three never occur on purpose
OPENINGS = 4  # texts of a sheet that may begin alike
NAMES = 6  # mentions of one name in a sheet
NAME_LENGTH = 5  # characters from which a mention counts as a name there


class Kind(StrEnum):
    """What may be found."""

    UNREADABLE = "unreadable"
    LABEL_SET = "label set size"
    BORDER = "mention not at chunk borders"
    UNWRITABLE = "unwritable answer"
    DUPLICATE = "the same text twice"
    SHARED = "shared with a test set"
    NEAR = "near duplicate"
    UNMARKED = "unmarked repeat"
    SMALL = "small block"
    RARE = "rare labels"
    OPENING = "repeated opening"
    NAME = "name used too often"


# How many findings of a kind a corpus may have, as a share of its texts; others break a promise.
ALLOWED: Mapping[Kind, float] = {
    Kind.NEAR: 0.0,
    Kind.UNMARKED: 0.02,  # a sample of them, read: words of another kind, left unmarked on purpose
    Kind.SMALL: 0.0,
    Kind.RARE: 0.0005,  # a block in fifty
    Kind.OPENING: 0.0,
    Kind.NAME: 0.0,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, and where: `sheet.txt:LINE`, `sheet:BLOCK` or a sheet."""

    kind: Kind
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is in one language. Distinct n-grams are shares of all n-grams of words.

    Of Chinese, n-grams are of characters.
    """

    texts: int
    mentions: int
    characters: int
    without_mentions: int
    blocks: int
    distinct_bigrams: float
    distinct_trigrams: float
    labels: Mapping[str, int]  # mentions of each, also of those that never occur


@dataclass(frozen=True, slots=True)
class Report:
    """All counts and findings. Label distance: of a block's label set to the nearest other one.

    It is 1 for sets without a common label, 0 for the same set; None with less than two blocks.
    """

    languages: Mapping[str, Counts]
    findings: tuple[Finding, ...]
    label_distance: float | None
    label_distance_least: float | None
    compared_with: int | None  # texts; None where nothing was compared

    @property
    def texts(self) -> int:
        return sum(counts.texts for counts in self.languages.values())

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The broken promises among the findings."""
        return tuple(found for found in self.findings if found.kind not in ALLOWED)

    @property
    def over_limit(self) -> tuple[Kind, ...]:
        """The kinds of warning of which there are more than allowed."""
        counted = Counter(found.kind for found in self.findings)
        return tuple(k for k in ALLOWED if counted[k] > ALLOWED[k] * self.texts)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "texts": self.texts,
            "mentions": sum(counts.mentions for counts in self.languages.values()),
            "labels": len({label for c in self.languages.values() for label in c.labels}),
            "languages": {
                language: {
                    "texts": counts.texts,
                    "mentions": counts.mentions,
                    "characters": counts.characters,
                    "without_mentions": counts.without_mentions,
                    "blocks": counts.blocks,
                    "distinct_bigrams": round(counts.distinct_bigrams, 4),
                    "distinct_trigrams": round(counts.distinct_trigrams, 4),
                    "labels": dict(counts.labels),
                }
                for language, counts in self.languages.items()
            },
            "label_distance": self.label_distance,
            "label_distance_least": self.label_distance_least,
            "compared_with": self.compared_with,
            "broken": len(self.broken),
            "over_limit": [kind.value for kind in self.over_limit],
            "findings": [
                {"kind": f.kind.value, "place": f.place, "detail": f.detail} for f in self.findings
            ],
        }


def check(
    rows: Iterable[SheetText | Rejected], *, others: Iterable[tuple[str, str]] | None = None
) -> Report:
    """What the rows of a corpus hold and what is wrong with them.

    `others` are texts (id, text) that none of the corpus may stand near, each read once.
    """
    read = list(rows)
    items = [row for row in read if isinstance(row, SheetText)]
    findings = [
        Finding(Kind.UNREADABLE, row.place, f"{row.reason.value}: {row.detail}")
        for row in read
        if isinstance(row, Rejected)
    ]
    blocks: dict[str, list[Sample]] = defaultdict(list)
    for item in items:
        findings += _text_findings(item)
        blocks[item.sample.source].append(item.sample)
    for source, samples in blocks.items():
        findings += _block_findings(source, samples)
    findings += _sheet_findings(items)
    texts = [(item.place, item.sample.text) for item in items]
    findings += _duplicates(texts)
    compared = None
    if others is not None:
        counted = _Counted(others)
        findings += (
            Finding(Kind.SHARED, shared.own, f"{shared.run!r} stands in {shared.other}")
            for shared in shared_runs(texts, counted)
        )
        compared = counted.number
    distances = _label_distances([samples[0].labels for samples in blocks.values()])
    return Report(
        _languages([item.sample for item in items]),
        tuple(findings),
        sum(distances) / len(distances) if distances else None,
        min(distances, default=None),
        compared,
    )


def published_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every sentence of every split in a folder of the published layout, with its id.

    The id is `TASK/DATA SET/FILE:NUMBER`, from 0. Raises DataError where there is none, or where an
    element has no sentence.
    """
    data_sets = sorted(path.parent for path in folder.glob("*/*/labels.json"))
    splits = [
        path
        for data_set in data_sets
        for name in ("train", "dev", "test")
        if (path := data_set / f"{name}.json").is_file()
    ]
    if not splits:
        raise DataError(f"{folder}: holds no data set (TASK/DATA SET/labels.json and test.json)")
    for path in splits:
        for number, row in enumerate(read_json_array(path)):
            match row:
                case {"sentence": str(sentence)}:
                    yield f"{path.relative_to(folder).as_posix()}:{number}", sentence
                case _:
                    raise DataError(f"{path}: element {number} has no sentence")


class _Counted:
    """Texts on their way to whoever reads them, counted."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.number = 0
        self._texts = texts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for text in self._texts:
            self.number += 1
            yield text


def _text_findings(item: SheetText) -> Iterator[Finding]:
    sample = item.sample
    text = segments.segmented(segments.chunks(sample.text))
    for entity in sample.entities:
        if not (text.begins[entity.start] and text.ends[entity.end]):
            yield Finding(Kind.BORDER, item.place, repr(entity.text))
    mentions = [Mention(entity.label, entity.text) for entity in sample.entities]
    if not writable(LABEL_FIRST, mentions, sample.labels):
        detail = "an answer with these mentions would be read as another"
        yield Finding(Kind.UNWRITABLE, item.place, detail)
    for words_ in dict.fromkeys(mention.text for mention in mentions):
        bare = [
            start
            for start in text.starts(words_)
            if not any(e.start < start + len(words_) and start < e.end for e in sample.entities)
        ]
        if bare:
            yield Finding(Kind.UNMARKED, item.place, f"{words_!r} stands unmarked as well")


def _block_findings(source: str, samples: Sequence[Sample]) -> Iterator[Finding]:
    labels = samples[0].labels
    if len(labels) not in LABELS:
        expected = f"{LABELS.start} to {LABELS.stop - 1}"
        yield Finding(Kind.LABEL_SET, source, f"{len(labels)} labels, expected {expected}")
    if len(samples) < BLOCK_TEXTS:
        detail = f"{len(samples)} texts, expected {BLOCK_TEXTS} or more"
        yield Finding(Kind.SMALL, source, detail)
    counts = Counter(entity.label for sample in samples for entity in sample.entities)
    rare = [label for label in labels if counts[label] < RARE_MENTIONS]
    if len(rare) > RARE_LABELS:
        detail = f"{len(rare)} labels have less than {RARE_MENTIONS} mentions: {', '.join(rare)}"
        yield Finding(Kind.RARE, source, detail)


def _sheet_findings(items: Sequence[SheetText]) -> Iterator[Finding]:
    openings: Counter[tuple[str, str]] = Counter()
    names: Counter[tuple[str, str]] = Counter()
    for item in items:
        sheet = item.place.rpartition(":")[0]
        openings[sheet, _opening(item.sample)] += 1
        names.update((sheet, entity.text) for entity in item.sample.entities)
    for (sheet, opening), number in openings.items():
        if number > OPENINGS:
            yield Finding(Kind.OPENING, sheet, f"{opening!r} opens {number} texts")
    for (sheet, name), number in names.items():
        if number > NAMES and len(name) >= NAME_LENGTH:
            yield Finding(Kind.NAME, sheet, f"{name!r} is marked {number} times")


def _opening(sample: Sample) -> str:
    """The first two words of a text, in lower case, or three characters of Chinese."""
    if sample.language == "zh":
        return sample.text[:3]
    return " ".join(sample.text.lower().split()[:2])


def _duplicates(texts: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    by_place = dict(texts)
    for pair in near_duplicates(texts):
        if by_place[pair.first] == by_place[pair.second]:
            yield Finding(Kind.DUPLICATE, pair.second, f"stands in {pair.first} already")
        else:
            detail = f"shares {pair.share:.0%} of its pieces with {pair.first}"
            yield Finding(Kind.NEAR, pair.second, detail)


def _label_distances(sets: Sequence[tuple[str, ...]]) -> list[float]:
    """Of each label set, the distance to the nearest other one: 1 - common labels / all labels."""
    bags = [frozenset(labels) for labels in sets]
    return [
        min(1 - len(bag & b) / len(bag | b) for at, b in enumerate(bags) if at != number)
        for number, bag in enumerate(bags)
        if len(bags) > 1
    ]


def _languages(samples: Sequence[Sample]) -> dict[str, Counts]:
    grouped: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        grouped[sample.language].append(sample)
    return {language: _counts(grouped[language]) for language in sorted(grouped)}


def _counts(samples: Sequence[Sample]) -> Counts:
    labels: Counter[str] = Counter()
    bigrams: list[tuple[str, ...]] = []
    trigrams: list[tuple[str, ...]] = []
    for sample in samples:
        labels.update(dict.fromkeys(sample.labels, 0))
        labels.update(entity.label for entity in sample.entities)
        own = words(sample.text)
        bigrams += pairwise(own)
        trigrams += zip(own, own[1:], own[2:], strict=False)
    return Counts(
        texts=len(samples),
        mentions=sum(len(sample.entities) for sample in samples),
        characters=sum(len(sample.text) for sample in samples),
        without_mentions=sum(not sample.entities for sample in samples),
        blocks=len({sample.source for sample in samples}),
        distinct_bigrams=len(set(bigrams)) / len(bigrams) if bigrams else 0.0,
        distinct_trigrams=len(set(trigrams)) / len(trigrams) if trigrams else 0.0,
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
    )
