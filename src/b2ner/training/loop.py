"""The training loop, written out: samples in, checkpoints and metrics in a folder.

What is random is drawn from seeds made of the run's seed and the step, so a run that was stopped
at any moment goes on, from its last checkpoint, on the path it would have taken. `accelerate`
carries the loop from one CPU to several processes: each takes its share of a step's rows, and the
loss is the mean over all answer tokens of the step, wherever they are.

Knows no scores: `on_checkpoint` may give one, and then the best checkpoints stay.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import torch

from b2ner import files
from b2ner.errors import DataError, ModelError
from b2ner.model import tokens
from b2ner.model.card import Card, Status, TemplateCard
from b2ner.prompting.template import Template, load_template
from b2ner.records import Rejected, Sample
from b2ner.training import checkpoints
from b2ner.training.batches import (
    Overlong,
    Row,
    answer_tokens,
    chain,
    collate,
    draw_candidates,
    pack,
)
from b2ner.training.checkpoints import Progress
from b2ner.training.examples import Examples, admit
from b2ner.training.network import (
    Learner,
    Scorer,
    check_packing,
    compile_layers,
    open_learner,
)
from b2ner.training.settings import Curve, Schedule, TrainSettings, Unit

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
LEFT_OUT = "left_out.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metrics:
    """One line of `metrics.jsonl`: means since the line before, in nats a token and per second.

    `done` is the share of the run that is over; `data` the fingerprint of the rows so far.
    """

    step: int
    epoch: float
    done: float
    loss: float
    learning_rate: float
    gradient_norm: float
    samples: int
    samples_per_s: float
    tokens_per_s: float
    answer_tokens_per_s: float
    elapsed_s: float
    data: str


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to. `finished` is False where the time limit ended it."""

    checkpoint: Path
    best: Path | None
    progress: Progress
    finished: bool
    rejected: tuple[Rejected, ...]
    left_out: Counter[str]


def train(
    settings: TrainSettings,
    samples: Iterable[Sample],
    folder: Path,
    *,
    resume: bool = False,
    time_limit_s: float | None = None,
    on_checkpoint: Callable[[Path], float | None] | None = None,
    on_metrics: Callable[[Metrics], None] | None = None,
) -> Trained:
    """Train, and say where the last checkpoint is.

    The folder gets `checkpoints/`, `metrics.jsonl` and `left_out.json`. `resume` goes on from its
    last checkpoint, or begins where there is none. The time limit ends the run with a checkpoint.
    With several processes all of them call this; the first one writes.

    Raises DataError: no sample that can be used, a folder that holds a run already, settings or
    samples that are not those of the run to be resumed, no room on the disk. ModelError and its
    kinds: what `open_learner` says, and a loss that is no number; the checkpoints before it stay.
    """
    started = time.monotonic()
    kept, rejected = admit(samples)
    _log.info("samples read=%d rejected=%d", len(kept) + len(rejected), len(rejected))
    home = folder / CHECKPOINTS
    saving = settings.saving
    earlier = checkpoints.found(home)
    if earlier and not resume:
        raise DataError(
            f"{folder} holds a run already, up to {earlier[-1].name}: resume it, or choose another "
            "folder"
        )
    run = _Run(settings, kept, folder)
    if earlier:
        run.go_back_to(earlier[-1])
    before_s = run.progress.elapsed_s
    saved_s = logged_s = now_s = run.agreed(time.monotonic() - started)
    longest_s = 0.0
    window = _Window()
    while True:
        run.elapsed_s = before_s + now_s
        rows = run.next_rows()
        finished = rows is None
        if rows is None:
            break
        began_s = now_s
        window.add(run.step(rows), rows)
        now_s = run.agreed(time.monotonic() - started)
        longest_s = max(longest_s, now_s - began_s)
        run.elapsed_s = before_s + now_s
        step = run.progress.step
        if step % saving.log_every_steps == 0:
            run.write_metrics(window.metrics(run, now_s - logged_s), on_metrics)
            window, logged_s = _Window(), now_s
        if time_limit_s is not None and now_s + 1.5 * longest_s > time_limit_s:
            break
        due = saving.every_steps and step % saving.every_steps == 0
        if due or now_s - saved_s >= saving.every_minutes * 60:
            run.save(on_checkpoint)
            now_s = saved_s = run.agreed(time.monotonic() - started)
    if window.steps:
        run.write_metrics(window.metrics(run, now_s - logged_s), on_metrics)
    last = home / f"step-{run.progress.step:08d}"
    if last not in checkpoints.found(home):
        last = run.save(on_checkpoint)
    return Trained(
        last, checkpoints.best(home), run.progress, finished, tuple(rejected), run.left_out
    )


def learning_rate(done: float, schedule: Schedule) -> float:
    """The learning rate at a share of the run, as a share of the highest one."""
    if done < schedule.warmup:
        return done / schedule.warmup
    over = min((done - schedule.warmup) / (1 - schedule.warmup), 1) if schedule.warmup < 1 else 1
    match schedule.curve:
        case Curve.CONSTANT:
            return 1.0
        case Curve.LINEAR:
            return 1 - (1 - schedule.final) * over
        case Curve.COSINE:
            return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * over)) / 2


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step did."""

    loss: float  # summed over the answer tokens
    answer_tokens: int
    gradient_norm: float
    learning_rate: float


class _Run:
    """A run's state: network, optimiser, place in the data."""

    def __init__(self, settings: TrainSettings, samples: Sequence[Sample], folder: Path) -> None:
        from accelerate import Accelerator

        self.settings = settings
        self._folder = folder
        self._samples = samples
        template = load_template(settings.template)
        self._accelerator = Accelerator(cpu=settings.device == "cpu")
        share = settings.rows.at_once * self._accelerator.num_processes
        if settings.rows.per_step % share:
            raise DataError(
                f"rows.per_step ({settings.rows.per_step}) must be a multiple of rows.at_once "
                f"times the number of processes ({share})"
            )
        device = settings.device or str(self._accelerator.device)
        self._learner = open_learner(settings, template, device)
        self._examples = Examples(
            samples,
            self._learner.tokenizer,
            template,
            settings.regularisation,
            seed=settings.seed,
            together=settings.rows.together,
            own_prompts=settings.own_prompts,
        )
        scorer = Scorer(self._learner)
        check_packing(scorer)
        if settings.compile_layers:
            compile_layers(self._learner)
        self._scorer = scorer
        options = settings.optimiser
        self._optimiser = torch.optim.AdamW(
            list(self._learner.learning().values()),
            lr=options.learning_rate,
            betas=(options.beta1, options.beta2),
            eps=options.epsilon,
            weight_decay=options.weight_decay,
        )
        self._model, self._stepper = self._accelerator.prepare(scorer, self._optimiser)
        if settings.moments and settings.adapter is not None:
            checkpoints.restore(Path(settings.adapter), self._learner, self._optimiser)
        self._card = _card(settings, template, self._learner, samples)
        self.progress = Progress(run=_fingerprint(settings, template, self._learner, samples))
        self.elapsed_s = 0.0
        self.epochs_done = 0.0
        self._next = self.progress
        self._overlong: dict[int, int] = {}
        self._rows = self._epoch_rows(0)

    @property
    def left_out(self) -> Counter[str]:
        """Texts that were not shown, by why, over all epochs."""
        return self._examples.left_out

    @property
    def done(self) -> float:
        """The share of the run that is over."""
        length = self.settings.schedule.length
        match self.settings.schedule.unit:
            case Unit.STEPS:
                return min(self.progress.step / length, 1.0)
            case Unit.EPOCHS:
                return min(self.epochs_done / length, 1.0)
            case Unit.MINUTES:
                return min(self.elapsed_s / (60 * length), 1.0)

    def agreed(self, seconds: float) -> float:
        """A time that all processes take for the same: they must end and save together."""
        if self._accelerator.num_processes == 1:
            return seconds
        return float(
            self._accelerator.reduce(torch.tensor(seconds, device=self._learner.device), "mean")
        )

    def go_back_to(self, checkpoint: Path) -> None:
        """Take up a run at a checkpoint. Raises DataError when it is one of another run."""
        before = checkpoints.restore(checkpoint, self._learner, self._optimiser)
        if before.run != self.progress.run:
            raise DataError(
                f"{checkpoint} was made from other samples, another base or other settings than "
                "these: use those of the run, or begin a new one in another folder"
            )
        _log.info("resuming step=%d epoch=%d rows=%d", before.step, before.epoch, before.rows)
        self.progress, digest = before, ""
        for epoch in range(before.epoch + 1):
            self._rows = self._epoch_rows(epoch)
            for row in islice(self._rows, before.rows if epoch == before.epoch else None):
                digest = chain(digest, row)
                self.epochs_done = epoch + row.progress
        if digest != before.data:
            raise DataError(
                f"{checkpoint} was made from other rows: the samples are the same, so the "
                "tokenizer or b2ner itself has changed; begin a new run in another folder"
            )
        _cut_metrics(self._folder / METRICS, before.step)

    def next_rows(self) -> list[Row | None] | None:
        """The rows of the next step, over all processes; None when the run is over.

        The last ones of a run that is counted in epochs are filled up with empty rows.
        """
        length = self.settings.schedule.length
        if self.done >= 1:
            return None
        rows: list[Row | None] = []
        progress = self.progress
        taken = 0  # of the current epoch, in this step or before
        while len(rows) < self.settings.rows.per_step:
            row = next(self._rows, None)
            if row is None:
                if progress.rows == 0:
                    raise DataError(
                        "no text can be shown: "
                        + (", ".join(f"{n} {why}" for why, n in self.left_out.items()) or "none")
                    )
                progress = replace(progress, epoch=progress.epoch + 1, rows=0)
                self.epochs_done = float(progress.epoch)
                if self.settings.schedule.unit is Unit.EPOCHS and progress.epoch >= length:
                    break
                self._rows = self._epoch_rows(progress.epoch)
                continue
            taken += row.samples
            progress = replace(progress, rows=progress.rows + 1, data=chain(progress.data, row))
            self.epochs_done = progress.epoch + row.progress
            rows.append(row)
        if not rows:
            return None
        self._next = replace(progress, step=progress.step + 1, samples=progress.samples + taken)
        return rows + [None] * (self.settings.rows.per_step - len(rows))

    def step(self, rows: Sequence[Row | None]) -> _Step:
        """One step of the optimiser on the rows of all processes.

        Raises ModelError when the loss or the gradient is no number: the weights are then as they
        were.
        """
        settings, accelerator = self.settings, self._accelerator
        number, rank = self.progress.step, accelerator.process_index
        rate = settings.optimiser.learning_rate * learning_rate(self.done, settings.schedule)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        candidates = None
        if not settings.softmax.exact:
            candidates = draw_candidates(
                rows,
                settings.softmax.candidates,
                self._scorer.vocabulary,
                random.Random(f"candidates:{settings.seed}:{number}"),
            )
        total = answer_tokens(rows)
        at_once = settings.rows.at_once
        parts = [rows[i : i + at_once] for i in range(0, len(rows), at_once)]
        own = parts[rank :: accelerator.num_processes]
        summed = torch.zeros((), device=self._learner.device)
        for index, part in enumerate(own):
            torch.manual_seed(_seed("dropout", settings.seed, number, index, rank))
            batch = collate(part, settings.rows.places, candidates).to(self._learner.device)
            more = index + 1 < len(own)
            with accelerator.no_sync(self._model) if more else nullcontext():
                loss = self._model(batch, self._scorer.masks(batch))
                # Gradients are averaged over processes, and ours is a share of one mean.
                accelerator.backward(loss * (accelerator.num_processes / total))
            summed += loss.detach()
        loss_sum = float(accelerator.reduce(summed, "sum"))
        norm = float(
            accelerator.clip_grad_norm_(self._learner.learning().values(), settings.optimiser.clip)
        )
        if not (math.isfinite(loss_sum) and math.isfinite(norm)):
            earlier = checkpoints.found(self._folder / CHECKPOINTS)
            kept = f"the last good checkpoint is {earlier[-1]}" if earlier else "none was saved yet"
            raise ModelError(
                f"training stopped at step {number + 1}: the loss is {loss_sum / total:.4g} and "
                f"the gradient's norm {norm:.4g} (learning rate {rate:.3g}); {kept}. Go on from it "
                "with a smaller optimiser.learning_rate, or compute = 'float32'"
            )
        self._stepper.step()
        self._stepper.zero_grad()
        self.progress = self._next
        return _Step(loss_sum, total, norm, rate)

    def save(self, on_checkpoint: Callable[[Path], float | None] | None) -> Path:
        """The checkpoint of this moment, scored where somebody scores."""
        home = self._folder / CHECKPOINTS
        self.progress = replace(self.progress, elapsed_s=self.elapsed_s)
        path = home / f"step-{self.progress.step:08d}"
        if self._accelerator.is_main_process:
            checkpoints.save(
                home,
                self._learner,
                self._optimiser,
                self.progress,
                self._card,
                weights=self.settings.saving.weights,
                state=self.settings.saving.state,
            )
            files.write_json(self._folder / LEFT_OUT, self._what_was_left_out())
            _log.info("checkpoint %s", path)
            score = on_checkpoint(path) if on_checkpoint is not None else None
            if score is not None:
                checkpoints.note_score(home, path, score)
            saving = self.settings.saving
            checkpoints.prune(home, keep_last=saving.keep_last, keep_best=saving.keep_best)
            self._learner.network.train()
        self._accelerator.wait_for_everyone()
        return path

    def write_metrics(self, line: Metrics, on_metrics: Callable[[Metrics], None] | None) -> None:
        """Add a line to `metrics.jsonl`."""
        if not self._accelerator.is_main_process:
            return
        path = self._folder / METRICS
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(files.encode(asdict(line)) + b"\n")
        except OSError as problem:
            reason = problem.strerror or problem
            raise DataError(f"{path}: cannot be written: {reason}") from problem
        if on_metrics is not None:
            on_metrics(line)

    def _epoch_rows(self, epoch: int) -> Iterator[Row]:
        """The rows of an epoch; texts too long for one are counted on the way."""
        for item in pack(self._examples.epoch(epoch), self.settings.rows.places):
            if isinstance(item, Row):
                yield item
                continue
            self.left_out["too long for a row"] += 1
            if item.sample not in self._overlong:
                self._report(item)
            self._overlong[item.sample] = max(item.places, self._overlong.get(item.sample, 0))

    def _report(self, overlong: Overlong) -> None:
        _log.warning(
            "a text of %s needs a row of %d places, rows.places is %d: it was not shown",
            self._samples[overlong.sample].source,
            overlong.places,
            self.settings.rows.places,
        )

    def _what_was_left_out(self) -> dict[str, object]:
        return {
            "texts": dict(sorted(self.left_out.items())),
            "too_long": [
                {"source": self._samples[number].source, "places": places}
                for number, places in sorted(self._overlong.items())
            ],
        }


class _Window:
    """What happened since the last line of metrics."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self._samples = 0
        self._tokens = 0

    def add(self, step: _Step, rows: Iterable[Row | None]) -> None:
        self.steps.append(step)
        for row in rows:
            if row is not None:
                self._samples += row.samples
                self._tokens += row.size

    def metrics(self, run: _Run, seconds: float) -> Metrics:
        answered = sum(step.answer_tokens for step in self.steps)
        seconds = max(seconds, 1e-9)
        return Metrics(
            step=run.progress.step,
            epoch=round(run.epochs_done, 4),
            done=round(run.done, 4),
            loss=sum(step.loss for step in self.steps) / max(answered, 1),
            learning_rate=self.steps[-1].learning_rate,
            gradient_norm=sum(step.gradient_norm for step in self.steps) / len(self.steps),
            samples=run.progress.samples,
            samples_per_s=self._samples / seconds,
            tokens_per_s=self._tokens / seconds,
            answer_tokens_per_s=answered / seconds,
            elapsed_s=round(run.elapsed_s, 3),
            data=run.progress.data,
        )


def _card(
    settings: TrainSettings, template: Template, learner: Learner, samples: Sequence[Sample]
) -> Card:
    """The card of the run's adapters; each one's hash is filled in when it is saved."""
    return Card(
        base=learner.base,
        template=TemplateCard(template.id, template.sha256),
        tokenisation="apart",
        tokenizer=tokens.fingerprint(learner.tokenizer),
        adapter_sha256="",
        status=Status.PROVISIONAL,
        licence=settings.card.licence,
        languages=tuple(sorted({sample.language for sample in samples})),
        training=settings.card.training,
    )


# What decides which rows come in which order, and which weights learn. The rest may change when a
# run is resumed (the base itself is compared by its weights).
_DECIDING = ("own_prompts", "seed", "method", "regularisation", "rows", "lora", "softmax")


def _fingerprint(
    settings: TrainSettings, template: Template, learner: Learner, samples: Sequence[Sample]
) -> str:
    """A hash of all that decides which rows come in which order, and what learns from them."""
    values = asdict(settings)
    chosen = [values[name] for name in _DECIDING]
    digest = hashlib.sha256(
        json.dumps(
            [chosen, template.sha256, learner.base.fingerprint],
            sort_keys=True,
        ).encode()
    )
    for sample in samples:
        entities = [(e.start, e.end, e.label) for e in sample.entities]
        digest.update(files.encode([sample.text, sample.labels, sample.language, entities]))
    return digest.hexdigest()


def _seed(*parts: object) -> int:
    """A seed for torch, the same on every machine."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _cut_metrics(path: Path, step: int) -> None:
    """Remove the lines of steps that were not saved."""
    if not path.is_file():
        return
    lines = [line.value for line in files.read_jsonl(path) if isinstance(line, files.JsonLine)]
    kept = [line for line in lines if isinstance(line, dict) and line.get("step", 0) <= step]
    files.write_atomic(path, [files.encode(line) + b"\n" for line in kept])
