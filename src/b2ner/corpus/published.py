"""The published layout of a data set: `labels.json` beside split files, each one JSON array.

Rows come as they stand there (for predictions, which must answer every one) or as samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from b2ner import grounding, segments
from b2ner.corpus.readers import Annotation, first_line, sample, stands
from b2ner.errors import DataError
from b2ner.files import read_json, read_json_array
from b2ner.records import Mention, Reason, Rejected, Sample, Span


class PublishedEntity(BaseModel):
    """An entity of a published split file; its place is optional there."""

    name: str
    type: str
    pos: list[int] | None = None

    def span(self, sentence: str) -> Span | None:
        """Its place, when one is given and the name stands there."""
        match self.pos:
            case [int(start), int(end)] if 0 <= start < end:
                span = Span(start, end)
                return span if stands(self.name, span, sentence) else None
            case _:
                return None


class PublishedRow(BaseModel):
    """A row of a published split file, as it stands there."""

    sentence: str
    entities: list[PublishedEntity]
    labels: list[str] | None = None

    @property
    def answered(self) -> list[PublishedEntity]:
        """The entities that reach the answer: those of type `NA` or none do not."""
        return [entity for entity in self.entities if entity.type not in ("", "NA")]


def published_rows(path: Path) -> Iterator[PublishedRow | Rejected]:
    """The rows of a published split file, one JSON array. Raises DataError when it is none."""
    for number, value in enumerate(read_json_array(path)):
        try:
            yield PublishedRow.model_validate(value)
        except ValidationError as problem:
            yield Rejected(Reason.MALFORMED, f"{path}:{number}", first_line(problem))


def published_labels(folder: Path) -> tuple[str, ...]:
    """The labels of a published data set, in prompt order. Raises DataError without them."""
    path = folder / "labels.json"
    match read_json(path):
        case [*labels] if all(isinstance(label, str) for label in labels):
            return tuple(str(label) for label in labels)
        case _:
            raise DataError(f"{path}: expected an array of label names")


def read_published(path: Path, annotation: Annotation) -> Iterator[Sample | Rejected]:
    """One result a row of a published split file; entities without a place are looked for."""
    for number, row in enumerate(published_rows(path)):
        if isinstance(row, Rejected):
            yield row
            continue
        place = f"{annotation.source}:{number}"
        entities = row.answered
        spans: Sequence[Span | None] = [entity.span(row.sentence) for entity in entities]
        if None in spans:
            if any(entity.pos and not span for entity, span in zip(entities, spans, strict=True)):
                yield Rejected(Reason.SPAN_MISMATCH, place, "a name does not stand at its place")
                continue
            mentions = [Mention(entity.type, entity.name) for entity in entities]
            spans = grounding.ground(segments.chunks(row.sentence), mentions)
        found = [(span, entity.type) for span, entity in zip(spans, entities, strict=True) if span]
        if len(found) < len(entities):
            yield Rejected(Reason.NOT_IN_TEXT, place, "a name does not stand in the sentence")
            continue
        own = annotation if row.labels is None else _with_labels(annotation, row.labels)
        yield sample(row.sentence, found, own, place)


def _with_labels(annotation: Annotation, labels: Iterable[str]) -> Annotation:
    return Annotation(tuple(labels), annotation.language, annotation.source)
