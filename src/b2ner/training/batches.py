"""Rows and batches: many texts behind shared prompt heads in one row of a fixed length.

    places     head A    | body 1 answer 1 | body 2 answer 2 | head B  | body 3 answer 3 | padding
    segment    0 0 0 0 0   1 1 1 1 1 1 1 1   2 2 2 2 2 2 2 2   3 3 3 3   4 4 4 4 4 4 4 4   -1 -1
    parent     0 0 0 0 0   0 0 0 0 0 0 0 0   0 0 0 0 0 0 0 0   3 3 3 3   3 3 3 3 3 3 3 3   -1 -1
    position   0 1 2 3 4   5 6 7 8 ...       5 6 7 8 ...       0 1 2 3   4 5 6 7 ...        0  0

A token sees the tokens before it of its own segment and of its parent: what it would see if its
text stood alone behind its head. Scored are the answers only, from the place before their first
token; the token that ends an answer is a target and takes no place.

Shapes stay the same from step to step: with new ones at every step, the matrix kernels that torch
keeps for each shape filled 24 GB within ten minutes on a CPU.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from b2ner.training.examples import Bundle, Example

IGNORED = -100  # the target of a place that is not scored
SCORED_STEP = 128  # the number of scored places is a multiple of it
CANDIDATE_STEP = 2048  # candidates beyond the number asked for are filled up to a multiple of it
_OPEN_ROWS = 16  # rows that are filled at the same time


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in one row, in order; `progress` is the share of the epoch in rows so far."""

    bundles: tuple[Bundle, ...]
    progress: float

    @property
    def samples(self) -> int:
        return sum(len(bundle.examples) for bundle in self.bundles)

    @property
    def size(self) -> int:
        """The places that are filled."""
        return sum(map(_size, self.bundles))


@dataclass(frozen=True, slots=True)
class Overlong:
    """A text that was not shown: behind its head it takes more places than a row has."""

    sample: int
    places: int  # with its head
    head: int


def pack(bundles: Iterable[Bundle], places: int) -> Iterator[Row | Overlong]:
    """The bundles in rows of at most so many places; what fits in no row is said, not cut.

    A bundle that does not fit in one row is continued in others, behind its head once more. Each
    piece goes into the open row that it fills best; the fullest row is closed when there are too
    many. The same bundles give the same rows.
    """
    open_rows: list[tuple[int, list[Bundle]]] = []  # places left, pieces
    progress, placed, closed = 0.0, 0, 0

    def close(number: int) -> Row:
        nonlocal closed
        row = open_rows.pop(number)[1]
        closed += sum(len(piece.examples) for piece in row)
        return Row(tuple(row), progress * closed / placed)

    for bundle in bundles:
        progress = bundle.progress
        for piece in _pieces(bundle, places):
            if isinstance(piece, Overlong):
                yield piece
                continue
            placed += len(piece.examples)
            size = _size(piece)
            fitting = [n for n, (left, _) in enumerate(open_rows) if size <= left]
            if fitting:
                tightest = min(fitting, key=lambda n: open_rows[n][0])
                left, row = open_rows[tightest]
                row.append(piece)
                open_rows[tightest] = left - size, row
            else:
                open_rows.append((places - size, [piece]))
            if len(open_rows) > _OPEN_ROWS:
                fullest = min(range(len(open_rows)), key=lambda n: open_rows[n][0])
                yield close(fullest)
    while open_rows:
        yield close(0)


def _pieces(bundle: Bundle, places: int) -> Iterator[Bundle | Overlong]:
    """A bundle in as many pieces as it needs, the longest texts laid first."""
    pieces: list[tuple[int, list[Example]]] = []  # places left, texts
    for example in sorted(bundle.examples, key=_length, reverse=True):
        size = _length(example)
        if len(bundle.head) + size > places:
            yield Overlong(example.sample, len(bundle.head) + size, len(bundle.head))
            continue
        for number, (left, texts) in enumerate(pieces):
            if size <= left:
                texts.append(example)
                pieces[number] = left - size, texts
                break
        else:
            pieces.append((places - len(bundle.head) - size, [example]))
    for _, texts in pieces:
        yield replace(bundle, examples=tuple(texts))


def _length(example: Example) -> int:
    return len(example.body) + len(example.answer) - 1


def _size(bundle: Bundle) -> int:
    return len(bundle.head) + sum(map(_length, bundle.examples))


def chain(digest: str, row: Row) -> str:
    """The fingerprint of the data so far, with one more row: equal for equal ids in equal order."""
    content = hashlib.sha256(digest.encode())
    for bundle in row.bundles:
        for ids in (bundle.head, *(part for e in bundle.examples for part in (e.body, e.answer))):
            content.update(array("q", (len(ids), *ids)).tobytes())
    return content.hexdigest()


@dataclass(frozen=True)
class Batch:
    """Rows as tensors. Scored places are counted through all rows.

    Where `candidates` is not None, `targets` are places in it, else token ids.
    """

    input_ids: Tensor  # int64[rows, places]
    positions: Tensor  # int64[rows, places]
    segments: Tensor  # int64[rows, places], -1 for padding
    parents: Tensor  # int64[rows, places]
    scored: Tensor  # int64[answers], index into rows x places
    targets: Tensor  # int64[answers], IGNORED where the place only fills up
    candidates: Tensor | None  # int64[candidates], token ids without repeats
    samples: int
    tokens: int  # places that are filled
    answer_tokens: int  # targets that count

    def to(self, device: torch.device) -> Batch:
        """The batch with its tensors on a device."""
        names = ("input_ids", "positions", "segments", "parents", "scored", "targets")
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        candidates = None if self.candidates is None else self.candidates.to(device)
        return replace(self, **moved, candidates=candidates)


def collate(
    rows: Sequence[Row | None], places: int, candidates: Sequence[int] | None = None
) -> Batch:
    """The rows as one batch; None is a row of padding. Candidates must hold every target."""
    ids = torch.zeros(len(rows), places, dtype=torch.int64)
    positions = torch.zeros_like(ids)
    segments = torch.full_like(ids, -1)
    parents = torch.full_like(ids, -1)
    scored: list[int] = []
    targets: list[int] = []
    for number, row in enumerate(rows):
        if row is None:
            continue
        line = _Line(number * places)
        for bundle in row.bundles:
            line.add(bundle)
        filled = len(line.ids)
        ids[number, :filled] = torch.tensor(line.ids)
        positions[number, :filled] = torch.tensor(line.positions)
        segments[number, :filled] = torch.tensor(line.segments)
        parents[number, :filled] = torch.tensor(line.parents)
        scored += line.scored
        targets += line.targets
    answer_tokens = len(targets)
    padding = -answer_tokens % SCORED_STEP or (SCORED_STEP if not targets else 0)
    if candidates is not None:
        index = {token: place for place, token in enumerate(candidates)}
        targets = [index[token] for token in targets]
    return Batch(
        ids,
        positions,
        segments,
        parents,
        torch.tensor(scored + [0] * padding, dtype=torch.int64),
        torch.tensor(targets + [IGNORED] * padding, dtype=torch.int64),
        None if candidates is None else torch.tensor(candidates, dtype=torch.int64),
        samples=sum(row.samples for row in rows if row is not None),
        tokens=int((segments >= 0).sum()),
        answer_tokens=answer_tokens,
    )


class _Line:
    """One row while it is laid out."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._segment = 0
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.segments: list[int] = []
        self.parents: list[int] = []
        self.scored: list[int] = []
        self.targets: list[int] = []

    def add(self, bundle: Bundle) -> None:
        head = self._segment
        self._lay(bundle.head, 0, head)
        for example in bundle.examples:
            self._lay((*example.body, *example.answer[:-1]), len(bundle.head), head)
            end = self._offset + len(self.ids)
            self.scored += range(end - len(example.answer), end)
            self.targets += example.answer

    def _lay(self, ids: Sequence[int], position: int, parent: int) -> None:
        self.ids += ids
        self.positions += range(position, position + len(ids))
        self.segments += [self._segment] * len(ids)
        self.parents += [parent] * len(ids)
        self._segment += 1


def answer_tokens(rows: Iterable[Row | None]) -> int:
    """How many targets the rows have."""
    return sum(
        len(example.answer)
        for row in rows
        if row is not None
        for bundle in row.bundles
        for example in bundle.examples
    )


def draw_candidates(
    rows: Iterable[Row | None], least: int, vocabulary: int, rng: random.Random
) -> list[int] | None:
    """The token ids that the softmax of a step runs over, in order; None for the whole vocabulary.

    They are the tokens of the rows, answers included, and others drawn at random: `least` in all,
    or the next multiple of `CANDIDATE_STEP` that holds those of the rows.
    """
    own: set[int] = set()
    for row in rows:
        for bundle in () if row is None else row.bundles:
            own.update(bundle.head)
            for example in bundle.examples:
                own.update(example.body)
                own.update(example.answer)
    size = least if len(own) <= least else -(-len(own) // CANDIDATE_STEP) * CANDIDATE_STEP
    if size >= vocabulary:
        return None
    while len(own) < size:
        own.update(rng.sample(range(vocabulary), size - len(own)))
    return sorted(own)


def visible(batch: Batch, window: int | None) -> Tensor:
    """Which places each place sees. *Shape:* bool `[rows, 1, places, places]`, query then key.

    A window of w lets a token see itself and the w - 1 positions before it. Padding sees only
    padding, itself included, so that no row of the softmax is empty.
    """
    places = batch.segments.shape[1]
    index = torch.arange(places, device=batch.segments.device)
    segment, parent = batch.segments[:, :, None], batch.parents[:, :, None]
    key = batch.segments[:, None, :]
    seen = (index <= index[:, None]) & ((key == segment) | (key == parent))
    if window is not None:
        distance = batch.positions[:, :, None] - batch.positions[:, None, :]
        seen = seen & (distance < window)
    return seen[:, None]
