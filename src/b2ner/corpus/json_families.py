"""Readers of JSON rows that need more than paths: a pydantic model each, named after a corpus.

The rows stand in `entity_rows`, `relation_rows` and `event_rows`; here is which file holds which.
Some texts come in several rows, which are told together: episodes, questions, marked pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from b2ner.corpus.entity_rows import (
    Episode,
    Message,
    NotAskedError,
    OaMine,
    PromptCblue,
    Question,
    ScComics,
    Sgd,
)
from b2ner.corpus.event_rows import Casie, Fewfc, Phee, Rams, Wikievents
from b2ner.corpus.json_readers import (
    JsonSpans,
    JsonTags,
    Unit,
    grounded,
    read_json_spans,
    read_json_tags,
)
from b2ner.corpus.json_rows import LINES, json_rows
from b2ner.corpus.readers import Annotation, Join, first_line, tagged_sample
from b2ner.corpus.relation_rows import (
    Conll04,
    Doping,
    Duie,
    Fned,
    Iepile,
    MarkedPair,
    Records,
    Webnlg,
)
from b2ner.corpus.told import Told, ToldRow, together, told_sample
from b2ner.records import Mention, Reason, Rejected, Sample


class JsonFormat(StrEnum):
    """Which rows a file holds, named after the first corpus that has them."""

    AGRINER = "agriner"  # lines: text, [[start, end, label, words]]
    STOCKMARK = "stockmark"  # an array: text, [{name, span, type}]
    RASA = "rasa"  # an object with common_examples: text, [{start, end, value, entity}]
    RESTAURANT8K = "restaurant8k"  # an array: userInput, labels with a valueSpan
    SLURP = "slurp"  # lines: tokens with ids, entities as lists of ids
    SKILLSPAN = "skillspan"  # lines: tokens, two lists of tags without a type
    FEWNERD = "fewnerd"  # lines: episodes, their sentences tagged for the types of the episode
    OA_MINE = "oa_mine"  # lines: a product's title, values of its category's attributes
    CROSSWOZ = "crosswoz"  # an object of dialogues: what is said, and slots with their values
    SGD = "sgd"  # an array of dialogues: turns, their frames, slots with places
    SC_COMICS = "sc_comics"  # an object: abstracts, types and places of mentions by their ids
    PILE_QUESTIONS = "pile_questions"  # lines: a passage and one type, a JSON list of words
    PROMPTCBLUE = "promptcblue"  # lines: an instruction around a text, an answer in words
    CONLL04 = "conll04"  # an array: tokens, BILOU tags, relations between entities by number
    DUIE = "duie"  # lines: text, triples of words with types
    WEBNLG = "webnlg"  # an array: text, triples of words
    MARKED_PAIRS = "marked_pairs"  # lines: a text with a head and a tail marked, a relation
    NERRE_RECORDS = "nerre_records"  # lines: prompt, and a completion that is JSON
    NERRE_DOPING = "nerre_doping"  # an array of papers: sentences, words by id, what dopes what
    FNED = "fned"  # an array: words, entities, relations and an event by numbers of words
    IEPILE = "iepile"  # lines: an instruction that is JSON, an answer that is JSON
    CASIE = "casie"  # one article a file: groups of events with triggers and typed arguments
    PHEE = "phee"  # lines: a sentence, events with arguments inside arguments
    FEWFC = "fewfc"  # lines: a text, events with mentions in roles
    RAMS = "rams"  # lines: sentences in tokens, triggers and links to arguments
    WIKIEVENTS = "wikievents"  # lines: documents in tokens, entities, events


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Rows of one of these families."""

    rows: JsonFormat
    leave_out: bool = False  # words that do not stand in the text, rather than reject their row
    kind: Literal["json"] = "json"


_SPANS: Mapping[JsonFormat, JsonSpans] = {
    JsonFormat.AGRINER: JsonSpans(start="0", end="1", label="2", words="3"),
    JsonFormat.STOCKMARK: JsonSpans(
        rows="*", start="span.0", end="span.1", label="type", words="name"
    ),
    JsonFormat.RASA: JsonSpans(
        rows="rasa_nlu_data.common_examples.*",
        entities="entities?.*",
        label="entity",
        words="value",
    ),
    JsonFormat.RESTAURANT8K: JsonSpans(
        rows="*",
        text="userInput.text",
        entities="labels?.*",
        label="slot",
        start="valueSpan.startIndex",
        end="valueSpan.endIndex",
        zero_omitted=True,
    ),
    JsonFormat.SLURP: JsonSpans(
        text="sentence",
        tokens="tokens.*.surface",
        token_ids="tokens.*.id",
        label="type",
        numbers="span",
        unit=Unit.TOKENS,
    ),
}


# Where a family's rows stand in its file, and what a row is.
_ROWS: Mapping[JsonFormat, tuple[str, type[ToldRow]]] = {
    JsonFormat.CROSSWOZ: ("*.messages.*", Message),
    JsonFormat.SGD: ("*.turns.*", Sgd),
    JsonFormat.SC_COMICS: ("data.*", ScComics),
    JsonFormat.PILE_QUESTIONS: (LINES, Question),
    JsonFormat.PROMPTCBLUE: (LINES, PromptCblue),
    JsonFormat.CONLL04: ("*", Conll04),
    JsonFormat.DUIE: (LINES, Duie),
    JsonFormat.WEBNLG: ("*", Webnlg),
    JsonFormat.MARKED_PAIRS: (LINES, MarkedPair),
    JsonFormat.NERRE_RECORDS: (LINES, Records),
    JsonFormat.NERRE_DOPING: ("*.doping_sentences.*", Doping),
    JsonFormat.FNED: ("*", Fned),
    JsonFormat.IEPILE: (LINES, Iepile),
    JsonFormat.CASIE: ("$", Casie),
    JsonFormat.PHEE: (LINES, Phee),
    JsonFormat.FEWFC: (LINES, Fewfc),
    JsonFormat.RAMS: (LINES, Rams),
    JsonFormat.WIKIEVENTS: (LINES, Wikievents),
}
_TOGETHER = (JsonFormat.PILE_QUESTIONS, JsonFormat.MARKED_PAIRS, JsonFormat.IEPILE)


def read_json_format(
    lines: Iterable[str], kind: JsonFormat, annotation: Annotation, *, leave_out: bool = False
) -> Iterator[Sample | Rejected]:
    """One result a row: a line, a turn of a dialogue, a sentence of a paper or of episodes.

    Of rows about one text there is one result, at the first of them. `leave_out`: words that do not
    stand in their text are left out; else they reject their row. Raises DataError when a file is
    not what it should be.
    """
    if kind in _SPANS:
        return read_json_spans(lines, _SPANS[kind], annotation)
    match kind:
        case JsonFormat.SKILLSPAN:
            tags = {"SKILL": "tags_skill", "KNOWLEDGE": "tags_knowledge"}
            return read_json_tags(lines, JsonTags(tags=tags), annotation)
        case JsonFormat.FEWNERD:
            return _read_episodes(_validated(lines, LINES, Episode, annotation), annotation)
        case JsonFormat.OA_MINE:
            return _read_titles(_validated(lines, LINES, OaMine, annotation), annotation)
        case _:
            rows, model = _ROWS[kind]
            told = _told(_validated(lines, rows, model, annotation))
            if kind in _TOGETHER:
                told = _one_a_text(told)
            return _samples(told, annotation, leave_out)


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(
    lines: Iterable[str], rows: str, model: type[_Model], annotation: Annotation
) -> Iterator[tuple[str, _Model] | Rejected]:
    """(place, row) of each row."""
    for row in json_rows(lines, rows, annotation):
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            yield place, model.model_validate(content)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, place, first_line(problem))


def _told(
    rows: Iterable[tuple[str, ToldRow] | Rejected],
) -> Iterator[tuple[str, Told] | Rejected]:
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, content = row
        try:
            yield place, content.told()
        except NotAskedError as problem:
            yield Rejected(Reason.NOTHING_ASKED, place, str(problem))
        except (ValueError, LookupError, TypeError) as problem:
            yield Rejected(Reason.MALFORMED, place, str(problem))


def _one_a_text(
    rows: Iterable[tuple[str, Told] | Rejected],
) -> Iterator[tuple[str, Told] | Rejected]:
    """The rows about one text told together; all are held."""
    found: dict[str, tuple[str, Told]] = {}
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, told = row
        if told.text in found:
            place, before = found[told.text]
            told = together(before, told)
        found[told.text] = place, told
    yield from found.values()


def _samples(
    rows: Iterable[tuple[str, Told] | Rejected], annotation: Annotation, leave_out: bool
) -> Iterator[Sample | Rejected]:
    for row in rows:
        if isinstance(row, Rejected):
            yield row
        else:
            place, told = row
            yield told_sample(told, annotation, place, leave_out=leave_out)


# -- readers that need all rows at once -----------------------------------------------------------


def _read_episodes(
    rows: Iterable[tuple[str, Episode] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """Each sentence once, with the tags of all its episodes; its labels are those they ask for.

    A token has one type in all of them: a sentence where that fails is rejected. The tags have no
    prefixes, so two neighbours of one type become one entity.
    """
    places: dict[tuple[str, ...], str] = {}
    types: dict[tuple[str, ...], set[str]] = {}
    tags: dict[tuple[str, ...], list[set[str]]] = {}
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, episode = row
        sentences = [*zip(episode.support.word, episode.support.label, strict=False)]
        sentences += zip(episode.query.word, episode.query.label, strict=False)
        for words, labels in sentences:
            key = tuple(words)
            if len(words) != len(labels) or not words:
                detail = f"{len(words)} words and {len(labels)} tags"
                yield Rejected(Reason.MALFORMED, place, detail)
                continue
            places.setdefault(key, place)
            types.setdefault(key, set()).update(episode.types)
            for seen, label in zip(
                tags.setdefault(key, [set() for _ in words]), labels, strict=True
            ):
                seen.update({label} - {"O"})
    for sentence, place in places.items():
        if any(len(seen) > 1 for seen in tags[sentence]):
            yield Rejected(
                Reason.MALFORMED, place, f"{' '.join(sentence)!r}: two types for one word"
            )
            continue
        joint = [f"I-{min(seen)}" if seen else "O" for seen in tags[sentence]]
        found = tagged_sample(sentence, joint, Join.BLANK, annotation, place)
        yield _with_labels(found, types[sentence])


def _read_titles(
    rows: Iterable[tuple[str, OaMine] | Rejected], annotation: Annotation
) -> Iterator[Sample | Rejected]:
    """The attributes that stand at any title of a category are the labels of all its titles."""
    read = list(rows)
    attributes: dict[str, set[str]] = {}
    for row in read:
        if not isinstance(row, Rejected):
            attributes.setdefault(row[1].category, set()).update(row[1].target_scores)
    for row in read:
        if isinstance(row, Rejected):
            yield row
            continue
        place, title = row
        mentions = [
            Mention(attribute, value.strip())
            for attribute, values in title.target_scores.items()
            for value in values
            if value != "n/a"
        ]
        found = grounded(title.text, mentions, annotation, place)
        yield _with_labels(found, attributes[title.category])


def _with_labels(read: Sample | Rejected, labels: set[str]) -> Sample | Rejected:
    """The sample with a label set of its own, in the order of its data set's."""
    if isinstance(read, Rejected):
        return read
    return replace(read, labels=tuple(label for label in read.labels if label in labels))
