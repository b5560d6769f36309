"""Where the samples of a training run come from: sheets, published folders, task configs.

A `[[data]]` table of a run's TOML file is one source. Every file is read once, its rows counted and
its hash noted. Knows what settings say, and hands over samples; trains nothing.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, assert_never

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from b2ner import files
from b2ner.corpus.descriptions import read_descriptions
from b2ner.corpus.published import LABELS, published_labels, read_data_set, read_published
from b2ner.corpus.readers import Annotation
from b2ner.corpus.release_types import broader_types
from b2ner.corpus.sheets import SUFFIX, SheetText, read_sheet
from b2ner.corpus.subset import subset
from b2ner.corpus.synonyms import read_synonyms
from b2ner.corpus.task_configs import (
    AUTO,
    CAPS,
    TaskSet,
    draw,
    read_task_config,
    share_of,
)
from b2ner.errors import DataError
from b2ner.prompting.template import Kind, Template, check_labels
from b2ner.records import Rejected, Sample
from b2ner.training.label_sets import OtherNames
from b2ner.training.settings import Count, Positive, Share
from b2ner.training.shown import Shown, lesson

_STRICT = ConfigDict(extra="forbid")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SheetsData:
    """Annotated sheets of a folder. `only` and `leave_out` name sheets, or blocks: `en-film:3`."""

    kind: Literal["sheets"]
    path: Path
    only: tuple[str, ...] = ()  # empty: all
    leave_out: tuple[str, ...] = ()
    limit: Positive | None = None  # samples, chosen by a fixed seed
    repeat: Positive = 1  # how often each is shown in an epoch


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PublishedData:
    """A folder in the published layout: PATH/<task key>/<data set>/<split>.json."""

    kind: Literal["published"]
    path: Path
    only: tuple[str, ...] = ()  # data sets; empty: all
    leave_out: tuple[str, ...] = ()
    split: str = "train"
    limit: Positive | None = None  # samples of each data set, chosen by a fixed seed
    repeat: Positive = 1
    # What labels are called in a coarser set, for `regularisation.mixed_grain`: only where the
    # texts are annotated in full for the broader names too. Where nothing is said, the
    # `types.json` of a release says it.
    broader: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Prompts:
    """What the prompts of a source show, drawn anew for each: shares are of prompts."""

    descriptions: str = ""  # NAME.json beside the labels; empty: none
    described: Share = 1.0  # whose labels stand with their descriptions
    paraphrases: Count = 0  # so many other wordings of each, from NAME_paraphrase.json
    named: Share = 0.0  # that say the data set's name
    task_named: Share = 0.0  # that say the task's name
    name: str = ""  # said in place of every data set's own


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class TasksData:
    """The data sets that a published task config names, of a folder in the published layout.

    The defaults are the published ones, but for the two shares, which are 0 there and read nothing.
    """

    kind: Literal["tasks"]
    path: Path
    config: Path  # the folder of train_tasks.json
    split: Literal["train", "dev", "test"] = "train"
    language: str = AUTO  # of the prompts; auto: what the task key says
    only: tuple[str, ...] = ()  # data sets; empty: all. Those of `_EXTRA` keys are always read
    leave_out: tuple[str, ...] = ()
    limit: Positive | None = None  # samples drawn of a data set; None: 10,000, of dev 200, test all
    filled_up: bool = False  # a data set with fewer, to the limit, with some of its samples again
    thinned_to: Annotated[float, Field(gt=0, le=1)] | None = None  # what `downsample` keeps
    zero_shot: Share = 1.0  # of the samples, asked without examples
    few_shot: Share = 0.0  # of the samples, asked behind examples; one may be in both
    examples: Count = 0  # shown by few-shot prompts, where so many fit in a row
    seed: int | None = None  # of what is drawn here; None: the run's
    repeat: Positive = 1
    prompts: Prompts = Field(default_factory=Prompts)

    def __post_init__(self) -> None:
        if bool(self.few_shot) != bool(self.examples):
            raise ValueError("few_shot and examples go together: set both, or none of them")
        if not (self.zero_shot or self.few_shot):
            raise ValueError("zero_shot and few_shot are both 0, so nothing would be read")


Source = Annotated[SheetsData | PublishedData | TasksData, Field(discriminator="kind")]


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """What was read of one file."""

    path: str
    sha256: str
    samples: int
    rejected: int


def read_sources(
    sources: Sequence[Source], template: Template, *, seed: int
) -> tuple[list[Sample], list[Rejected], list[DataFile]]:
    """All samples of a run in the order of its config, what was rejected, and the files read.

    The template says which tasks have prompts with examples and with descriptions. Raises DataError
    where a source holds nothing, or a name in `only` or `leave_out` is not there.
    """
    samples: list[Sample] = []
    rejected: list[Rejected] = []
    read: list[DataFile] = []
    for source in sources:
        for path, rows in _files(source, template, seed):
            kept = [row for row in rows if isinstance(row, Sample)]
            bad = [row for row in rows if isinstance(row, Rejected)]
            samples += kept * source.repeat
            rejected += bad
            read.append(
                DataFile(
                    path=path.as_posix(),
                    sha256=files.sha256(path),
                    samples=len(kept),
                    rejected=len(bad),
                )
            )
    _log.info("data files=%d samples=%d rejected=%d", len(read), len(samples), len(rejected))
    return samples, rejected, read


def other_names(sources: Iterable[Source], synonyms: Path | None) -> OtherNames:
    """The other names of labels that a config gives: broader ones by source, synonyms in a file.

    Raises DataError for broader names of labels that no data set of the source has, and what
    `read_synonyms` says.
    """
    groups = read_synonyms(synonyms) if synonyms is not None else ()
    by_name = {name.casefold(): group for group in groups for name in group}
    return OtherNames(_broader_names(sources), by_name)


def _broader_names(sources: Iterable[Source]) -> dict[tuple[str, ...], dict[str, str]]:
    """The label sets that have broader names, and for which of their labels.

    Raises DataError for a label in the config that no data set of the source has.
    """
    broader: dict[tuple[str, ...], dict[str, str]] = {}
    for source in sources:
        if not isinstance(source, PublishedData):
            continue
        unknown = set(source.broader)
        for path in source.path.glob(f"NER*/*/{source.split}.json"):
            if _chosen({path.parent.name}, source):
                labels = check_labels(published_labels(path.parent))
                chosen = {k: v for k, v in source.broader.items() if k in labels}
                if names := chosen or broader_types(path.parent):
                    broader[labels] = names
                unknown -= set(labels)
        if unknown:
            raise DataError(
                f"{source.path}: `broader` names labels that no chosen data set has: "
                + ", ".join(sorted(unknown))
            )
    return broader


def _files(
    source: Source, template: Template, seed: int
) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    """The files of a source that are asked for, each with its rows."""
    match source:
        case SheetsData():
            for path, rows in _sheets(source):
                yield path, _limited(rows, source.limit)
        case PublishedData():
            for path, rows in _published(source):
                yield path, _limited(rows, source.limit)
        case TasksData():
            yield from _tasks(source, template, seed if source.seed is None else source.seed)
        case _:
            assert_never(source)


def _limited(rows: Sequence[Sample | Rejected], limit: int | None) -> list[Sample | Rejected]:
    """The rows, of the samples among them at most so many."""
    kept = [number for number, row in enumerate(rows) if isinstance(row, Sample)]
    chosen = {kept[place] for place in subset(len(kept), limit)}
    return [r for number, r in enumerate(rows) if number in chosen or isinstance(r, Rejected)]


def _sheets(source: SheetsData) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    paths = sorted(source.path.glob(f"*{SUFFIX}"))
    if not paths:
        raise DataError(f"{source.path}: holds no sheet (NAME{SUFFIX})")
    known: set[str] = set()
    for path in paths:
        rows: list[Sample | Rejected] = []
        for row in read_sheet(path):
            if isinstance(row, SheetText):
                names = {path.stem, row.sample.source}
                known |= names
                if _chosen(names, source):
                    rows.append(row.sample)
            elif _chosen({path.stem}, source):
                rows.append(row)
        if rows:
            yield path, rows
    _check_names(source, known)


def _published(source: PublishedData) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    paths = sorted(source.path.glob(f"NER*/*/{source.split}.json"))
    if not paths:
        raise DataError(
            f"{source.path}: holds no NER*/<data set>/{source.split}.json in the published layout"
        )
    _check_names(source, {path.parent.name for path in paths})
    for path in paths:
        name, task = path.parent.name, path.parent.parent.name
        if _chosen({name}, source):
            language = task.split("_")[1] if "_" in task else "en"
            annotation = Annotation(published_labels(path.parent), language, f"{name}/{path.stem}")
            yield path, list(read_published(path, annotation))


def _tasks(
    source: TasksData, template: Template, seed: int
) -> Iterator[tuple[Path, list[Sample | Rejected]]]:
    """The split file of each data set of a task config, with the samples that were drawn of it."""
    chosen = _task_sets(source)
    found = False
    for task_set in chosen:
        folder = task_set.folder(source.path)
        path = folder / f"{source.split}.json"
        if not path.is_file():
            _log.warning("%s: there is no such file, so no sample of it", path)
            continue
        found = True
        place = f"{task_set.name}/{source.split}"
        read = read_data_set(
            folder, source.split, task_set.task, language=task_set.language, source=place
        )
        yield path, _drawn(list(read), task_set, source, template, seed)
    if not found:
        raise DataError(
            f"{source.path}: no data set of {source.config} has a {source.split}.json there"
        )


def _task_sets(source: TasksData) -> list[TaskSet]:
    """The data sets of a task config that are asked for.

    Raises DataError that names every fault of the config, and every set that it cannot be read of.
    """
    sets, faults = read_task_config(source.config, source.split, language=source.language)
    chosen = [task_set for task_set in sets if _taken(task_set, source)]
    for task_set in chosen:
        folder = task_set.folder(source.path)
        if not (folder / LABELS).is_file():
            faults.append(f"{folder / LABELS} is not there")
        if task_set.strategy.thinned and source.thinned_to is None:
            faults.append(f"{task_set.name} is to be thinned: say to what share, by `thinned_to`")
    if wrong := _unknown_names(source, {task_set.name for task_set in sets}):
        faults.append(wrong)
    if not (chosen or faults):
        faults.append("no data set is left of it")
    if faults:
        raise DataError(
            f"{source.config}, {source.split}: {len(faults)} fault{'s' * (len(faults) > 1)}: "
            + "; ".join(faults)
        )
    return chosen


def _drawn(
    rows: Sequence[Sample | Rejected],
    task_set: TaskSet,
    source: TasksData,
    template: Template,
    seed: int,
) -> list[Sample | Rejected]:
    """The samples that the strategy and the shares take of a data set, with what prompts show.

    A task that has no prompt with examples is asked without, as a whole: the published loader does
    not apply the shares to it.
    """
    samples = [row for row in rows if isinstance(row, Sample)]
    shown = _shown(task_set, source, template)
    passes = [(source.zero_shot, 0), (source.few_shot, source.examples)]
    if not template.has(Kind.FEW_SHOT, task_set.task):
        passes = [(1.0, 0)]
    kept: list[Sample | Rejected] = [row for row in rows if isinstance(row, Rejected)]
    for share, examples in passes:
        rng = random.Random(f"{seed}:{task_set.key}:{task_set.name}:{examples}")
        limit = source.limit if source.limit is not None else CAPS.get(source.split)
        drawn = draw(
            samples,
            task_set.strategy,
            rng,
            limit=limit,
            filled_up=source.filled_up,
            thinned_to=1.0 if source.thinned_to is None else source.thinned_to,
        )
        asked = replace(shown, examples=examples)
        kept += [lesson(sample, asked) for sample in drawn[: share_of(len(drawn), share)]]
    return kept


def _shown(task_set: TaskSet, source: TasksData, template: Template) -> Shown:
    """What the prompts of a data set show, but for examples."""
    prompts = source.prompts
    descriptions = {}
    if prompts.descriptions and template.has(Kind.DESCRIPTION, task_set.task):
        folder = task_set.folder(source.path)
        descriptions = read_descriptions(
            folder, prompts.descriptions, paraphrases=prompts.paraphrases
        )
        if not descriptions:
            _log.warning(
                "%s: no description in %s.json: its labels stand alone",
                folder,
                prompts.descriptions,
            )
    return Shown(
        name=prompts.name or task_set.name,
        named=prompts.named,
        task_named=prompts.task_named,
        descriptions=descriptions,
        described=prompts.described,
    )


def _taken(task_set: TaskSet, source: TasksData) -> bool:
    extra = task_set.extra and task_set.name not in source.leave_out
    return extra or _chosen({task_set.name}, source)


def _chosen(names: set[str], source: Source) -> bool:
    wanted = not source.only or not names.isdisjoint(source.only)
    return wanted and names.isdisjoint(source.leave_out)


def _check_names(source: Source, known: set[str]) -> None:
    if wrong := _unknown_names(source, known):
        raise DataError(f"{source.path}: {wrong}")


def _unknown_names(source: Source, known: set[str]) -> str:
    """What is wrong with the names that a source is told to read or to leave out, or nothing."""
    unknown = {*source.only, *source.leave_out} - known
    named = "which the config names in `only` or `leave_out`"
    return f"there is no {', '.join(sorted(unknown))}, {named}" if unknown else ""
