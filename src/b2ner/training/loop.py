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
from datetime import timedelta
from itertools import islice
from pathlib import Path

import torch

from b2ner import files
from b2ner.errors import DataError, ModelError
from b2ner.model import tokens
from b2ner.model.card import Card, Status, TemplateCard
from b2ner.prompting.template import Template, load_template
from b2ner.prompting.wordings import with_wordings
from b2ner.records import Rejected, Sample
from b2ner.training import checkpoints, metrics
from b2ner.training.batches import (
    Row,
    answer_tokens,
    chain,
    draw_candidates,
)
from b2ner.training.checkpoints import Progress
from b2ner.training.examples import Examples, admit
from b2ner.training.label_sets import OWN_NAMES, OtherNames
from b2ner.training.left_out import LeftOut
from b2ner.training.metrics import Metrics, Step, Window
from b2ner.training.network import Learner, open_learner
from b2ner.training.scorers import open_scorer
from b2ner.training.settings import Curve, Schedule, TrainSettings, Unit
from b2ner.training.shown import beside_entities

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
LEFT_OUT = "left_out.json"
STOPPED = "stopped.json"
_NAMED = 5  # sources in an error

_log = logging.getLogger(__name__)


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
    names: OtherNames = OWN_NAMES,
    resume: bool = False,
    time_limit_s: float | None = None,
    on_checkpoint: Callable[[Path], float | None] | None = None,
    on_metrics: Callable[[Metrics], None] | None = None,
) -> Trained:
    """Train, and say where the last checkpoint is.

    The folder gets `checkpoints/`, `metrics.jsonl` and `left_out.json`. `resume` goes on from its
    last checkpoint, or begins where there is none. `names` has the other names of labels that
    `regularisation.mixed_grain` and `.renamed_labels` use. The time limit ends the run with a
    checkpoint; loading and `on_checkpoint` count against it, but are no time of training. With
    several processes all of them call this; the first one writes.

    Raises DataError: no sample that can be used, a folder that holds a run already, settings or
    samples that are not those of the run to be resumed, no room on the disk. ModelError and its
    kinds: a device that is not there, what `open_learner` says, and a loss that is no number, whose
    texts `stopped.json` then lists; the checkpoints before it stay.
    """
    check_device(settings.device)
    started = time.monotonic()
    kept, rejected = admit(samples)
    _log.info("samples read=%d rejected=%d", len(kept) + len(rejected), len(rejected))
    if not kept:
        raise DataError(f"there is no sample to train on: {_why_none(rejected)}")
    home = folder / CHECKPOINTS
    saving = settings.saving
    earlier = checkpoints.found(home)
    if earlier and not resume:
        raise DataError(
            f"{folder} holds a run already, up to {earlier[-1].name}: resume it, or choose another "
            "folder"
        )
    run = _Run(settings, kept, folder, names)
    if earlier:
        run.go_back_to(earlier[-1])
    run.forget_later()
    if earlier:
        run.score(earlier[-1], on_checkpoint)  # unless it was scored before the run ended

    run.away_s = run.agreed(time.monotonic() - started)

    def trained() -> float:
        """Seconds of training in this session, the same for all processes."""
        return run.agreed(time.monotonic() - started) - run.away_s

    before_s = run.progress.elapsed_s
    saved_s = logged_s = now_s = trained()
    longest_s, epochs = 0.0, int(run.epochs_done)
    window = Window()
    while True:
        run.elapsed_s = before_s + now_s
        rows = run.next_rows()
        finished = rows is None
        if rows is None:
            break
        began_s = now_s
        window.add(run.step(rows), rows)
        now_s = trained()
        longest_s = max(longest_s, now_s - began_s)
        run.elapsed_s = before_s + now_s
        step = run.progress.step
        if step % saving.log_every_steps == 0:
            run.write_metrics(window, now_s - logged_s, on_metrics)
            window, logged_s = Window(), now_s
        if time_limit_s is not None:
            needed_s = 1.5 * longest_s + run.scoring_s  # for one more step, and to end
            if now_s + run.away_s + needed_s > time_limit_s:
                break
        due = saving.every_steps and step % saving.every_steps == 0
        due = due or (saving.every_epoch and int(run.epochs_done) > epochs)
        epochs = int(run.epochs_done)
        if due or now_s - saved_s >= saving.every_minutes * 60:
            run.save(on_checkpoint)
            now_s = saved_s = trained()
    if window.steps:
        run.write_metrics(window, now_s - logged_s, on_metrics)
    last = home / f"step-{run.progress.step:08d}"
    if last not in checkpoints.found(home):
        last = run.save(on_checkpoint)
    rejected += run.left_out.too_long()
    left_out = run.left_out.counts
    return Trained(last, checkpoints.best(home), run.progress, finished, tuple(rejected), left_out)


def check_device(asked: str | None) -> None:
    """Raises ModelError when there is no such device here."""
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise ModelError(
            f"device = {asked!r} cannot be used here ({fault}); leave it out to take what is there"
        ) from fault


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


class _Run:
    """A run's state: network, optimiser, place in the data."""

    def __init__(
        self,
        settings: TrainSettings,
        samples: Sequence[Sample],
        folder: Path,
        names: OtherNames,
    ) -> None:
        from accelerate import Accelerator, InitProcessGroupKwargs

        self.settings = settings
        self._folder = folder
        self._samples = samples
        template = load_template(settings.template)
        if settings.wordings is not None:
            template = with_wordings(template, settings.wordings)
        # The other processes wait while the first one scores a checkpoint.
        patience = InitProcessGroupKwargs(timeout=timedelta(hours=3))
        self._accelerator = Accelerator(cpu=settings.device == "cpu", kwargs_handlers=[patience])
        self._share = share = settings.rows.at_once * self._accelerator.num_processes
        if settings.rows.per_step % share and not settings.rows.samples_per_step:
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
            places=settings.rows.places,
            own_prompts=settings.own_prompts,
            names=names,
        )
        scorer = open_scorer(self._learner)
        if settings.compile_layers:
            scorer.compile_layers()
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
        self.progress = Progress(
            run=_fingerprint(settings, template, self._learner, samples, names)
        )
        self.elapsed_s = 0.0  # of training, over all sessions
        self.away_s = 0.0  # of loading and scoring, in this session
        self.scoring_s = 0.0  # what the last scoring took
        self.epochs_done = 0.0
        self._next = self.progress
        self.left_out = LeftOut(samples, settings.rows.places, self._examples.left_out)
        self._rows = self._epoch_rows(0)

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

    def forget_later(self) -> None:
        """Remove what an earlier session left half done, or said of steps that are yet to come."""
        if self._accelerator.is_main_process:
            for folder in (self._folder, self._folder / CHECKPOINTS):
                checkpoints.clear(folder)
            metrics.cut(self._folder / METRICS, self.progress.step)
            (self._folder / STOPPED).unlink(missing_ok=True)

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
        while not self._is_full(rows, taken):
            row = next(self._rows, None)
            if row is None:
                if progress.rows == 0:
                    raise DataError(
                        "no text can be shown: "
                        + (
                            ", ".join(f"{n} {why}" for why, n in self.left_out.counts.items())
                            or "none"
                        )
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
        settings = self.settings.rows
        return rows + [None] * (
            -len(rows) % (self._share if settings.samples_per_step else settings.per_step)
        )

    def _is_full(self, rows: Sequence[Row | None], samples: int) -> bool:
        """Whether the rows of a step, with so many samples, are enough for it."""
        wanted = self.settings.rows.samples_per_step
        if not wanted:
            return len(rows) == self.settings.rows.per_step
        # Counted through all steps, so that a step that took too many makes up for it.
        return bool(rows) and self.progress.samples + samples >= wanted * (self.progress.step + 1)

    def step(self, rows: Sequence[Row | None]) -> Step:
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
            inputs = self._scorer.inputs(part, settings.rows, candidates)
            more = index + 1 < len(own)
            with accelerator.no_sync(self._model) if more else nullcontext():
                loss = self._model(*inputs)
                # Gradients are averaged over processes, and ours is a share of one mean.
                accelerator.backward(loss * (accelerator.num_processes / total))
            summed += loss.detach()
        loss_sum = float(accelerator.reduce(summed, "sum"))
        norm = float(
            accelerator.clip_grad_norm_(self._learner.learning().values(), settings.optimiser.clip)
        )
        if not (math.isfinite(loss_sum) and math.isfinite(norm)):
            raise self._no_number(Step(loss_sum, total, norm, rate), rows)
        self._stepper.step()
        self._stepper.zero_grad()
        self.progress = self._next
        return Step(loss_sum, total, norm, rate)

    def save(self, on_checkpoint: Callable[[Path], float | None] | None) -> Path:
        """The checkpoint of this moment, on the disk before anybody scores it."""
        home = self._folder / CHECKPOINTS
        self.progress = replace(
            self.progress, epochs=round(self.epochs_done, 6), elapsed_s=self.elapsed_s
        )
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
            files.write_json(self._folder / LEFT_OUT, self.left_out.to_json())
            _log.info("checkpoint %s", path)
            checkpoints.note_score(home, path, None)  # one of a path that was given up
        self.score(path, on_checkpoint)
        return path

    def score(self, path: Path, on_checkpoint: Callable[[Path], float | None] | None) -> None:
        """Have the first process score a checkpoint that has no score, and keep the best ones."""
        home, saving = self._folder / CHECKPOINTS, self.settings.saving
        self._accelerator.wait_for_everyone()
        began = time.monotonic()
        if self._accelerator.is_main_process:
            if on_checkpoint is not None and path.name not in checkpoints.scores(home):
                score = on_checkpoint(path)
                if score is not None:
                    checkpoints.note_score(home, path, score)
                self._learner.network.train()
            checkpoints.prune(home, keep_last=saving.keep_last, keep_best=saving.keep_best)
        self._accelerator.wait_for_everyone()
        self.scoring_s = self.agreed(time.monotonic() - began)
        self.away_s += self.scoring_s

    def write_metrics(
        self, window: Window, seconds: float, on_metrics: Callable[[Metrics], None] | None
    ) -> None:
        """Add a line to `metrics.jsonl`: what the window saw in so many seconds."""
        if not self._accelerator.is_main_process:
            return
        line = window.line(
            self.progress,
            epoch=self.epochs_done,
            done=self.done,
            seconds=seconds,
            elapsed_s=self.elapsed_s,
        )
        metrics.append(self._folder / METRICS, line)
        if on_metrics is not None:
            on_metrics(line)

    def _epoch_rows(self, epoch: int) -> Iterator[Row]:
        """The rows of an epoch; texts too long for one are noted on the way."""
        items = self._scorer.rows(self._examples.epoch(epoch), self.settings.rows)
        return self.left_out.rows(items)

    def _no_number(self, step: Step, rows: Iterable[Row | None]) -> ModelError:
        """What to raise where the loss or the gradient of a step is no number."""
        number = self.progress.step + 1
        texts = [
            self._samples[example.sample]
            for row in rows
            if row is not None
            for bundle in row.bundles
            for example in bundle.examples
        ]
        loss = step.loss / step.answer_tokens
        if self._accelerator.is_main_process:
            files.write_json(
                self._folder / STOPPED,
                {
                    "step": number,
                    "loss": str(loss),
                    "gradient_norm": str(step.gradient_norm),
                    "learning_rate": step.learning_rate,
                    "texts": [{"source": text.source, "text": text.text} for text in texts],
                },
            )
        sources = Counter(text.source for text in texts)
        named = [f"{source} ({count})" for source, count in sources.most_common(_NAMED)]
        rest = len(sources) - len(named)
        earlier = checkpoints.found(self._folder / CHECKPOINTS)
        kept = f"the last good checkpoint is {earlier[-1]}" if earlier else "none was saved yet"
        return ModelError(
            f"training stopped at step {number}: the loss is {loss:.4g} and the gradient's norm "
            f"{step.gradient_norm:.4g} (learning rate {step.learning_rate:.3g}) on {len(texts)} "
            f"texts of {', '.join(named)}{f' and {rest} more' if rest else ''}, listed in "
            f"{STOPPED}; {kept}. Go on from it with a smaller optimiser.learning_rate, or compute "
            "= 'float32'"
        )


def _why_none(rejected: Sequence[Rejected]) -> str:
    """Why no sample is left, by reason, and where the first one stands."""
    if not rejected:
        return "none came"
    reasons = Counter(row.reason.value for row in rejected)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    first = rejected[0]
    return f"all were left out ({counts}); the first is {first.place}: {first.detail}"


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
    settings: TrainSettings,
    template: Template,
    learner: Learner,
    samples: Sequence[Sample],
    names: OtherNames,
) -> str:
    """A hash of all that decides which rows come in which order, and what learns from them."""
    values = asdict(settings)
    chosen = [values[name] for name in _DECIDING]
    if settings.wordings is not None:
        chosen.append(files.sha256(settings.wordings))
    digest = hashlib.sha256(
        json.dumps(
            [chosen, template.sha256, learner.base.fingerprint, names.to_json()],
            sort_keys=True,
        ).encode()
    )
    for sample in samples:
        entities = [(e.start, e.end, e.label) for e in sample.entities]
        digest.update(files.encode([sample.text, sample.labels, sample.language, entities]))
    for content in beside_entities(samples):
        digest.update(files.encode(content))
    return digest.hexdigest()


def _seed(*parts: object) -> int:
    """A seed for torch, the same on every machine."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
