"""What is asked of texts: the labels, and how. Checked once, before any text is read.

`Options` are the keywords that every method of the extractor takes; `Question` is what they come to
for one label set. Knows prompts' parts and scores' range, no engine and no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, Self, TypedDict

from b2ner import segments
from b2ner.errors import InputError
from b2ner.prompting.template import check_labels
from b2ner.records import Sample

Labels = Sequence[str] | Mapping[str, str]
Overlap = Literal["nested", "flat"]

MAX_ANSWER_TOKENS = 1024


class Options(TypedDict, total=False):
    """How to ask, and what to keep of the answer; every one may be left out.

    `threshold` (none): entities that score less are left out; one figure, or one a label.
    `overlap` ("nested"): "nested" keeps all entities; "flat" keeps, of entities that share
    characters, the best score, then the longer, then the earlier.
    `examples` (none): annotated samples to show in the prompt (the published few-shot prompt, which
    has no descriptions).
    `language` (the text's): of the prompt; left out, it is Chinese where the text is mostly Han,
    else English.
    `constrained` (True): False lets the model write freely; what cannot be read is a fault.
    `every_occurrence` (False): mark all places where the words of a found entity stand, each with
    the score of the first.
    `max_answer_tokens` (1024): where an answer is cut, with a fault.
    """

    threshold: float | Mapping[str, float] | None
    overlap: Overlap
    examples: Sequence[Sample]
    language: str | None
    constrained: bool
    every_occurrence: bool
    max_answer_tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    """A label set and how to ask for it: the same for all texts of a batch."""

    labels: tuple[str, ...]
    descriptions: Mapping[str, str]
    examples: tuple[Sample, ...]
    thresholds: Mapping[str, float]  # of the labels that have one
    overlap: Overlap
    language: str | None
    constrained: bool
    every_occurrence: bool
    max_answer_tokens: int

    @classmethod
    def of(
        cls,
        labels: Labels,
        *,
        threshold: float | Mapping[str, float] | None = None,
        overlap: Overlap = "nested",
        examples: Sequence[Sample] = (),
        language: str | None = None,
        constrained: bool = True,
        every_occurrence: bool = False,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> Self:
        """The question that labels and `Options` make.

        Raises LabelError for labels that cannot be asked for, InputError for any other part.
        """
        names = check_labels(labels)
        if overlap not in ("nested", "flat"):
            raise InputError(f'overlap is "nested" or "flat", not {overlap!r}')
        if max_answer_tokens < 1:
            raise InputError(f"max_answer_tokens must be at least 1, got {max_answer_tokens}")
        return cls(
            names,
            _descriptions(names, labels.values()) if isinstance(labels, Mapping) else {},
            _examples(examples),
            _thresholds(names, threshold),
            overlap,
            language,
            constrained,
            every_occurrence,
            max_answer_tokens,
        )


def _descriptions(names: Sequence[str], given: Iterable[str]) -> dict[str, str]:
    """Each label's description as the model is shown it: on one line, as the prompt is laid out."""
    descriptions = {}
    for name, text in zip(names, given, strict=True):
        if not isinstance(text, str):
            raise InputError(f"the description of {name!r} is not a string: {text!r}")
        lines = (line.strip() for line in segments.shown(text).splitlines())
        descriptions[name] = " ".join(line for line in lines if line)
    return descriptions


def _examples(given: Sequence[Sample]) -> tuple[Sample, ...]:
    if isinstance(given, Sample):
        raise InputError("examples are a list of samples; put the one sample into a list")
    for number, sample in enumerate(given):
        if not isinstance(sample, Sample):
            raise InputError(f"example {number} is a {type(sample).__name__}, not a Sample")
    return tuple(given)


def _thresholds(
    names: Sequence[str], given: float | Mapping[str, float] | None
) -> dict[str, float]:
    if given is None:
        return {}
    wanted = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
    thresholds: dict[str, float] = {}
    for label, value in wanted.items():
        name = str(label).strip()
        if name not in names:
            raise InputError(f"there is a threshold for {label!r}, which is not among the labels")
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise InputError(f"a threshold lies between 0 and 1; that of {label!r} is {value!r}")
        thresholds[name] = float(value)
    return thresholds
