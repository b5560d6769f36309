"""Which texts of a run were not shown, and why: counted by reason, those too long by name.

How long a text's row must be depends on the labels that are drawn for it: one that is too long in
one epoch may be shown in another. Only what never was counts as rejected.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from b2ner.records import Reason, Rejected, Sample
from b2ner.training.batches import Overlong, Row

_WARNINGS = 5  # texts that are named while the run goes on

_log = logging.getLogger(__name__)


class LeftOut:
    """Keeps account of the rows of all epochs drawn so far."""

    def __init__(self, samples: Sequence[Sample], places: int, counts: Counter[str]) -> None:
        """`places` are those of a row; `counts` has the texts left out before rows were made."""
        self.counts = counts
        self._samples = samples
        self._places = places
        self._overlong: dict[int, Overlong] = {}  # by sample, the longest of its draws
        self._shown: set[int] = set()

    def rows(self, items: Iterable[Row | Overlong]) -> Iterator[Row]:
        """The rows; texts that are too long for one are noted on the way."""
        for item in items:
            if isinstance(item, Row):
                self._shown.update(e.sample for bundle in item.bundles for e in bundle.examples)
                yield item
                continue
            self.counts["too long for a row"] += 1
            before = self._overlong.get(item.sample)
            if before is None or item.places > before.places:
                self._overlong[item.sample] = item
            if before is None and len(self._overlong) <= _WARNINGS:
                source = self._samples[item.sample].source
                _log.warning("a text of %s was not shown: %s", source, self._needs(item))

    def too_long(self) -> list[Rejected]:
        """The samples that no draw of labels made short enough."""
        return [
            Rejected(Reason.TOO_LONG, self._samples[number].source, self._needs(overlong))
            for number, overlong in sorted(self._overlong.items())
            if number not in self._shown
        ]

    def to_json(self) -> dict[str, object]:
        """What `left_out.json` says."""
        return {
            "texts": dict(sorted(self.counts.items())),
            "too_long": [
                {
                    "source": self._samples[number].source,
                    "text": self._samples[number].text,
                    "places": overlong.places,
                    "head": overlong.head,
                    "ever_shown": number in self._shown,
                }
                for number, overlong in sorted(self._overlong.items())
            ],
        }

    def _needs(self, overlong: Overlong) -> str:
        return (
            f"it needs a row of {overlong.places} places, {overlong.head} of them for the labels "
            f"and the words around them; rows.places is {self._places}"
        )
