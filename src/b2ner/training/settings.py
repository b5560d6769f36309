"""What a training run may be told: frozen settings, their defaults and their limits.

The records check themselves however they are made. A TOML file is read into one of them by
`read_toml`, which names every fault of the file at once. Where a default is the published
system's, the comment says so; its source is the training scripts.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from b2ner.errors import DataError
from b2ner.model.card import LicenceClass

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
AnySettings = TypeVar("AnySettings")

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class Method(StrEnum):
    """Which weights learn."""

    LORA = "lora"
    FULL = "full"


class Curve(StrEnum):
    """How the learning rate goes on after the warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class Unit(StrEnum):
    """What the length of a run is counted in."""

    STEPS = "steps"
    EPOCHS = "epochs"
    MINUTES = "minutes"


class Precision(StrEnum):
    """Number formats; in training, of the arithmetic: weights that learn are kept in fp32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Quantised(StrEnum):
    """How a base that does not learn is kept in memory, beside its adapter (QLoRA)."""

    OFF = "off"
    NF4 = "nf4"  # 4 bits
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Regularisation:
    """How prompts vary; all of it is drawn anew for every prompt of every epoch."""

    label_limit: Positive = 18  # labels in a prompt; a larger set is cut to it (published)
    fewest_labels: Count = 0  # when set, a prompt asks for a random number of labels from here on
    label_dropout: Share = 0.10  # of labels that leave the prompt, with their mentions (published)
    shuffle_labels: bool = True  # published
    mixed_grain: Share = 0.0  # of prompts with broader names in place of, or beside, some labels
    renamed_labels: Share = 0.0  # of labels that go by another name, where they have one
    borrowed_labels: Count = 0  # at most so many labels of other label sets, for which none stands
    recased_prompts: Share = 0.0  # of prompts whose labels are all in other capitals
    kept_without_entities: Share = 1.0  # of texts without a mention of what is asked
    tokenised_texts: Share = 0.0  # of texts with blanks around punctuation
    lowercased_texts: Share = 0.0  # of texts in lower case
    unpunctuated_texts: Share = 0.0  # of texts without the punctuation around words


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Rows:
    """How texts are laid into rows, and rows into steps.

    For an encoder-decoder a row is one text, and its places are those of the prompt.
    """

    places: Annotated[int, Field(ge=16)] = 384  # tokens of a row; attention cost grows with it
    per_step: Positive = 4  # rows of one optimiser step, over all processes
    # When set, in place of it: a step takes rows until it has, on average, so many texts.
    samples_per_step: Count = 0
    at_once: Positive = 4  # rows of one pass through the network; less is accumulated
    together: Positive = 8  # texts that are asked for one drawn label set


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Lora:
    """Low-rank adaptation. `targets` are names of layers or of sets of them: `network.TARGETS`."""

    rank: Positive = 32  # published
    alpha: Annotated[float, Field(gt=0)] = 64  # published
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # published
    targets: tuple[str, ...] = ("all-linear",)
    rslora: bool = False
    dora: bool = False
    quantised: Quantised = Quantised.OFF


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Optimiser:
    """AdamW, with the published numbers."""

    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip: Annotated[float, Field(gt=0)] = 1.0  # norm of the gradient


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Schedule:
    """How long the run is, and the learning rate over it.

    The published runs warm up and stay constant: their scripts say cosine, and another setting
    overrules it.
    """

    length: Annotated[float, Field(gt=0)] = 5
    unit: Unit = Unit.EPOCHS
    curve: Curve = Curve.CONSTANT
    warmup: Share = 0.02  # of the length (published)
    final: Share = 0.0  # the learning rate at the end, as a share; not for a constant one


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Softmax:
    """Over what the probability of the next answer token is computed.

    Unless exact: over the tokens of the step's own rows, filled up to `candidates` with others
    drawn at random.
    """

    exact: bool = False
    candidates: Positive = 4096


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Saving:
    """When checkpoints and lines of `metrics.jsonl` are written, and which checkpoints stay."""

    every_minutes: Annotated[float, Field(gt=0)] = 10
    every_steps: Count = 0  # 0: by time only
    every_epoch: bool = False  # also after the step in which an epoch ends
    keep_last: Positive = 2
    keep_best: Count = 1  # by the score that `on_checkpoint` gives
    log_every_steps: Positive = 10
    weights: Precision = Precision.BFLOAT16  # of adapter files; training goes on from `state`
    state: Precision = Precision.FLOAT32  # in bfloat16 it is half as large, and resuming inexact


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class CardText:
    """What the adapter's card says of its data."""

    licence: LicenceClass = LicenceClass.RESEARCH
    training: str = "Not described."
    # By name of a data set, or of a folder that holds several; the rest counts as not stated.
    licences: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class TrainSettings:
    """One run. `base` None is the embedded model; `adapter` is one to go on from."""

    base: str | None = None
    adapter: str | None = None
    moments: bool = False  # go on with the optimiser's moments too: `adapter` is a checkpoint
    template: str = "published"
    own_prompts: tuple[str, ...] = ("en", "zh")  # languages asked in their own words; others: en
    # More wordings of the template's prompts, a file in the published form; one is drawn for each.
    wordings: Path | None = None
    seed: int = 23  # published: 23, 33, 34, 42
    method: Method = Method.LORA
    device: str | None = None
    compute: Precision | None = None  # None: what the device computes fast
    compile_layers: bool = False
    checkpoint_gradients: bool = False
    regularisation: Regularisation = Field(default_factory=Regularisation)
    rows: Rows = Field(default_factory=Rows)
    lora: Lora = Field(default_factory=Lora)
    optimiser: Optimiser = Field(default_factory=Optimiser)
    schedule: Schedule = Field(default_factory=Schedule)
    softmax: Softmax = Field(default_factory=Softmax)
    saving: Saving = Field(default_factory=Saving)
    card: CardText = Field(default_factory=CardText)

    def __post_init__(self) -> None:
        if self.rows.per_step % self.rows.at_once and not self.rows.samples_per_step:
            raise ValueError(
                f"rows.per_step ({self.rows.per_step}) must be a multiple of rows.at_once "
                f"({self.rows.at_once})"
            )
        if self.regularisation.fewest_labels > self.regularisation.label_limit:
            raise ValueError("regularisation.fewest_labels is above regularisation.label_limit")
        if self.method is Method.FULL and self.adapter is not None:
            raise ValueError("method = 'full' trains the base itself: leave `adapter` out")
        if self.method is Method.FULL and self.lora.quantised is not Quantised.OFF:
            raise ValueError("method = 'full' trains the base itself: leave lora.quantised out")
        if self.moments and self.adapter is None:
            raise ValueError("moments = true needs `adapter`, the checkpoint that holds them")


def read_toml(path: Path, kind: type[AnySettings]) -> AnySettings:
    """The settings in a file. Raises DataError that names every fault of the file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not TOML: {problem}") from problem
    return parse(values, kind, str(path))


def parse(values: object, kind: type[AnySettings], source: str) -> AnySettings:
    """The settings that values from outside spell. Raises DataError that names every fault."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as problem:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
            for fault in problem.errors(include_url=False)
        ]
        raise DataError(
            f"{source}: {len(faults)} fault{'s' * (len(faults) > 1)} in the settings: "
            + "; ".join(faults)
        ) from problem
