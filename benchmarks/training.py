"""Training samples a second: our loop against a plain `Trainer`, same texts, one run.

    python benchmarks/training.py [--seconds S] [--save]            the speed of both
    python benchmarks/training.py --softmax [--steps N] [--save]    sampled against exact softmax

The workload is 2,000 texts of `corpus/sheets`, chosen by a fixed seed; its hash stands in the
result. Both train LoRA of the same rank on all linear layers of the embedded model, on the same
prompts and answers: one epoch of what the loop draws.

The baseline is what a user of transformers writes first: one text a row, prompt and answer joined,
loss on the answer alone (the softmax over the whole vocabulary at every place), padded to the
longest of the batch. Of the batch sizes and number formats tried in short, the best is measured.

Tokens are those that are not padding; a packed row has a prompt once for several texts, so samples
a second is what compares. `share` is that of the measured matrix rate: the matrix products of the
linear layers and of the output head, forward and backward, over the tokens that are not padding.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import math
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from machine import demand_quiet, describe, matrix_rate

from b2ner import files
from b2ner.corpus.sheets import SheetText, read_sheets
from b2ner.corpus.subset import subset
from b2ner.evaluation.scores import Measure
from b2ner.inference.extractor import Extractor, load
from b2ner.model.embedded import embedded_base
from b2ner.model.weights import compute_dtype, load_tokenizer
from b2ner.prompting.template import load_template
from b2ner.records import Document, FaultKind, Sample
from b2ner.training import TrainSettings, train
from b2ner.training.batches import Overlong, Row, answer_tokens, pack
from b2ner.training.examples import Examples, admit
from b2ner.training.metrics import Metrics
from b2ner.training.network import open_learner
from b2ner.training.scorers import open_scorer
from b2ner.training.settings import Lora, Regularisation, Saving, Schedule, Softmax, Unit
from b2ner.workflows.evaluate import score_predictions
from b2ner.workflows.predict import predict
from b2ner.workflows.scored_texts import ScoredSheets, Scoring, read_texts, write_texts

SHEETS = Path("corpus/sheets")
FIRST = re.compile(r"(en|zh|ml)[2-4]?-.*")  # the sheets that were there when this was written
HELD_OUT = ("en2-arts:5", "en3-news:5", "zh3-life:5")  # for the losses and scores of --softmax
RESULTS = Path(__file__).parent / "results"
SAMPLES = 2000
SEED = 23
WARM_UP = 5  # steps that are not measured
BAR = 30
BRIEF = 128  # tokens of an answer; a model that has learned little does not end one
NEVER = 1_000_000

# The recipe of configs/embedded-sheets.toml, with every text shown.
RECIPE = TrainSettings(
    seed=SEED,
    regularisation=Regularisation(label_limit=20, fewest_labels=4, label_dropout=0.0),
    lora=Lora(dropout=0.0),
    schedule=Schedule(length=NEVER, unit=Unit.STEPS),
    saving=Saving(every_minutes=NEVER, log_every_steps=1),
)


@dataclass(frozen=True)
class Rate:
    """What a contestant came to in its measured seconds."""

    name: str
    dtype: str
    batch: str
    steps: int
    seconds: float
    samples_per_s: float
    tokens_per_s: float
    answer_tokens_per_s: float
    share: float


class Enough(Exception):
    """Ends a run that was measured for long enough."""


# -- what both are given -------------------------------------------------------------------------


def read_workload(size: int) -> tuple[list[Sample], str]:
    """The texts that both train on, each short enough for a packed row, and their hash."""
    samples, _ = admit(
        row.sample
        for row in read_sheets(SHEETS)
        if isinstance(row, SheetText)
        and FIRST.fullmatch(row.sample.source)
        and row.sample.source not in HELD_OUT
    )
    some = [samples[number] for number in sorted(subset(len(samples), size + size // 10))]
    packed = pack(examples_of(some).epoch(0), RECIPE.rows.places)
    long = {item.sample for item in packed if isinstance(item, Overlong)}
    short = [sample for number, sample in enumerate(some) if number not in long]
    samples = [short[number] for number in sorted(subset(len(short), size))]
    digest = hashlib.sha256()
    for sample in samples:
        entities = [entity.to_json() for entity in sample.entities]
        digest.update(files.encode([sample.text, sample.labels, sample.language, entities]))
    return samples, digest.hexdigest()


def examples_of(samples: Sequence[Sample]) -> Examples:
    """The prompts and answers that the loop makes of samples."""
    return Examples(
        samples,
        tokenizer(),
        load_template(RECIPE.template),
        RECIPE.regularisation,
        seed=SEED,
        together=RECIPE.rows.together,
        own_prompts=RECIPE.own_prompts,
    )


@cache
def tokenizer() -> Any:
    return load_tokenizer(embedded_base())


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


# -- ours ------------------------------------------------------------------------------------------


def ours(samples: Sequence[Sample], seconds: float, *, warm_up: int, compiled: bool) -> Rate:
    """The loop itself, from the end of its warm-up on."""
    lines: list[Metrics] = []

    def measured(line: Metrics) -> None:
        lines.append(line)
        if len(lines) > warm_up and line.elapsed_s - lines[warm_up - 1].elapsed_s >= seconds:
            raise Enough

    dtype = compute_dtype(device())
    settings = replace(RECIPE, compile_layers=compiled, compute=dtype)
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        train(settings, samples, Path(folder), on_metrics=measured)
    counted, passed = lines[warm_up:], lines[-1].elapsed_s - lines[warm_up - 1].elapsed_s
    took = [after.elapsed_s - before.elapsed_s for before, after in pairwise(lines[warm_up - 1 :])]
    tokens = sum(t * line.tokens_per_s for t, line in zip(took, counted, strict=True)) / passed
    answered = sum(t * line.answer_tokens_per_s for t, line in zip(took, counted, strict=True))
    return Rate(
        name="b2ner, layers compiled" if compiled else "b2ner",
        dtype=dtype,
        batch=f"{settings.rows.per_step} rows of {settings.rows.places}",
        steps=len(counted),
        seconds=passed,
        samples_per_s=(lines[-1].samples - lines[warm_up - 1].samples) / passed,
        tokens_per_s=tokens,
        answer_tokens_per_s=answered / passed,
        share=share(tokens, answered / passed, settings.softmax.candidates, dtype),
    )


# -- the baseline ----------------------------------------------------------------------------------


def joined(samples: Sequence[Sample]) -> list[dict[str, list[int]]]:
    """Each text behind a prompt of its own, its answer behind it: what a Trainer is given."""
    rows = []
    for bundle in examples_of(samples).epoch(0):
        for example in bundle.examples:
            prompt = [*bundle.head, *example.body]
            ids = [*prompt, *example.answer]
            labels = [-100] * len(prompt) + list(example.answer)
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return rows


def baseline(rows: Sequence[dict[str, list[int]]], dtype: str, batch: int, seconds: float) -> Rate:
    """A Trainer, from its second step on, for so many seconds and two steps at least."""
    import peft
    import transformers as hf

    hf.utils.logging.set_verbosity_error()
    hf.utils.logging.disable_progress_bar()
    folder = str(embedded_base())
    network = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    network = peft.get_peft_model(
        network,
        peft.LoraConfig(
            r=RECIPE.lora.rank,
            lora_alpha=RECIPE.lora.alpha,
            lora_dropout=RECIPE.lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    steps: list[tuple[float, int, int, int]] = []  # begin, samples, tokens, answer tokens

    class Timed(hf.Trainer):
        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any) -> Any:
            ids, seen, labels = (inputs[n] for n in ("input_ids", "attention_mask", "labels"))
            now = time.perf_counter()
            steps.append((now, len(ids), int(seen.sum()), int((labels != -100).sum())))
            return super().training_step(model, inputs, *rest)

    class Clock(hf.TrainerCallback):
        ended = math.nan

        def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
            self.ended = time.perf_counter()
            if len(steps) > 2 and self.ended - steps[1][0] >= seconds:
                control.should_training_stop = True

    clock = Clock()
    optimiser = RECIPE.optimiser
    with tempfile.TemporaryDirectory() as out:
        arguments = hf.TrainingArguments(
            output_dir=out,
            per_device_train_batch_size=batch,
            max_steps=NEVER,
            learning_rate=optimiser.learning_rate,
            adam_beta2=optimiser.beta2,
            weight_decay=optimiser.weight_decay,
            max_grad_norm=optimiser.clip,
            bf16=dtype == "bfloat16",
            use_cpu=device() == "cpu",
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=SEED,
        )
        trainer = Timed(
            model=network,
            args=arguments,
            train_dataset=rows,
            data_collator=hf.DataCollatorForSeq2Seq(tokenizer()),
            callbacks=[clock],
        )
        trainer.remove_callback(hf.PrinterCallback)
        trainer.train()
    passed = clock.ended - steps[1][0]
    counts = (sum(step[n] for step in steps[1:]) / passed for n in (1, 2, 3))
    samples_per_s, tokens, answered = counts
    return Rate(
        name="Trainer, PEFT",
        dtype=dtype,
        batch=f"{batch} text{'s' * (batch > 1)}",
        steps=len(steps) - 1,
        seconds=passed,
        samples_per_s=samples_per_s,
        tokens_per_s=tokens,
        answer_tokens_per_s=answered,
        share=share(tokens, tokens, network.config.vocab_size, dtype),
    )


def best_baseline(
    samples: Sequence[Sample],
    batches: Sequence[int],
    dtypes: Sequence[str],
    *,
    seconds: float,
    trial: float,
) -> tuple[Rate, list[dict[str, Any]]]:
    """The best of the batch sizes and formats, measured; and what each came to in short."""
    rows = joined(samples)
    tried: dict[tuple[str, int], float] = {}
    told: list[dict[str, Any]] = []
    for dtype, batch in product(dtypes, batches):
        row: dict[str, Any] = {"dtype": dtype, "batch": batch}
        if fits(rows, batch):
            rate = baseline(rows, dtype, batch, trial).samples_per_s
            tried[dtype, batch] = row["samples_per_s"] = rate
            gc.collect()
        else:
            row["skipped"] = "its logits might not fit in the memory"
        told.append(row)
        print(f"tried {json.dumps(row)}", flush=True)
    if not tried:
        sys.exit("no batch of the baseline fits in the memory: --batches 1")
    return baseline(rows, *max(tried, key=tried.__getitem__), seconds), told


def fits(rows: Sequence[dict[str, list[int]]], batch: int) -> bool:
    """Whether logits and their gradients of the longest rows fit in half of the free memory."""
    if torch.cuda.is_available():
        free = torch.cuda.mem_get_info()[0]
    else:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    longest = max(len(row["input_ids"]) for row in rows)
    return batch * longest * 262_144 * 4 * 3 < free / 2


def share(tokens: float, scored: float, candidates: int, dtype: str) -> float:
    """The part of the matrix rate that so many tokens and scored places a second use."""
    config = json.loads((embedded_base() / "config.json").read_text())
    width, middle, layers = (
        config[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    inner = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    shapes = [(width, inner), (width, keys), (width, keys), (inner, width)]
    shapes += [(width, middle), (width, middle), (middle, width)]
    frozen = layers * sum(a * b for a, b in shapes)
    learning = layers * sum(RECIPE.lora.rank * (a + b) for a, b in shapes)
    # Two operations a weight and token, forward and for the gradient of what went in; those that
    # learn have a gradient of their own.
    operations = tokens * (4 * frozen + 6 * learning) + scored * 4 * candidates * width
    return operations / matrix_rate(dtype)


# -- sampled against exact softmax -----------------------------------------------------------------


class Brief:
    """An extractor whose answers are cut after `BRIEF` tokens."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    def extract_batch(self, texts: Any, labels: Any, **options: Any) -> Iterator[Document]:
        return self._extractor.extract_batch(texts, labels, max_answer_tokens=BRIEF, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)


def softmaxes(
    samples: Sequence[Sample], steps: int, *, blocks: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    """What each kind of softmax costs and teaches in the same steps, on blocks it did not see."""
    sheets = ScoredSheets(kind="sheets", path=SHEETS, only=tuple(blocks), limit=limit)
    scored = read_texts(Scoring(data=(sheets,)))
    texts = {text for found in scored for text in found.texts}
    unseen, _ = admit(
        row.sample
        for row in read_sheets(SHEETS)
        if isinstance(row, SheetText) and row.sample.source in blocks and row.sample.text in texts
    )
    table = []
    for name, softmax in (("sampled", Softmax()), ("exact", Softmax(exact=True))):
        length = Schedule(length=steps, unit=Unit.STEPS)
        settings = replace(RECIPE, softmax=softmax, schedule=length)
        lines: list[Metrics] = []
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            done = train(settings, samples, home / "run", on_metrics=lines.append)
            later = lines[min(WARM_UP, len(lines) - 2) :]
            passed = later[-1].elapsed_s - later[0].elapsed_s
            row: dict[str, Any] = {
                "softmax": name,
                "steps": steps,
                "samples_per_s": (later[-1].samples - later[0].samples) / passed,
                "loss": held_out_loss(settings, done.checkpoint, unseen),
            }
            ner = Brief(load(adapter=done.checkpoint))
            write_texts(scored, home / "data")
            for kind, constrained in (("free", False), ("grammar", True)):
                made = predict(ner, home / "data", home / kind, constrained=constrained)
                scores = score_predictions(made.path)
                row[f"f1_{kind}"] = scores.average(Measure.SURFACE_SET)
                row[f"faults_{kind}"] = dict(made.faults)
            row["texts"] = made.written
        print(json.dumps(row), flush=True)
        table.append(row)
    return table


def held_out_loss(settings: TrainSettings, checkpoint: Path, samples: Sequence[Sample]) -> float:
    """The exact loss of a checkpoint, in nats an answer token, on texts that it did not see."""
    template = load_template(settings.template)
    learner = open_learner(replace(settings, adapter=str(checkpoint)), template, device())
    scorer = open_scorer(learner)
    learner.network.eval()
    rows = [
        row
        for row in scorer.rows(examples_of(samples).epoch(0), settings.rows)
        if isinstance(row, Row)
    ]
    with torch.no_grad():
        losses = [float(scorer(*scorer.inputs([row], settings.rows, None))) for row in rows]
    return sum(losses) / answer_tokens(rows)


# -- what is said ----------------------------------------------------------------------------------


def speed_table(rates: Sequence[Rate]) -> str:
    """The rates in Markdown, and how many times as fast the first one is as the last."""
    lines = [
        "| | format | batch | samples/s | tokens/s | answer tokens/s | share | steps | seconds |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.name} | {r.dtype} | {r.batch} | {r.samples_per_s:.3g} | {r.tokens_per_s:.0f} | "
        f"{r.answer_tokens_per_s:.1f} | {r.share:.1%} | {r.steps} | {r.seconds:.0f} |"
        for r in rates
    ]
    times = rates[0].samples_per_s / rates[-1].samples_per_s
    met = "met" if times >= BAR else "missed"
    return "\n".join([*lines, "", f"{times:.1f} times as fast; the bar of {BAR} is {met}."])


def softmax_table(table: Sequence[dict[str, Any]]) -> str:
    """The same of the two kinds of softmax; what was not in the text, in free answers."""
    invented = FaultKind.NOT_IN_TEXT.value
    lines = [
        "| softmax | samples/s | held-out loss | F1, free | F1, grammar | mentions not in text |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['softmax']} | {row['samples_per_s']:.3g} | {row['loss']:.3f} | "
        f"{100 * row['f1_free']:.1f} | {100 * row['f1_grammar']:.1f} | "
        f"{row['faults_free'].get(invented, 0)} |"
        for row in table
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--softmax", action="store_true", help="sampled against exact softmax")
    parser.add_argument("--seconds", type=float, default=120, help="measured, of each")
    parser.add_argument("--trial", type=float, default=20, help="of each batch size and format")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--steps", type=int, default=200, help="of each kind of softmax")
    parser.add_argument("--texts", type=int, default=20, help="scored, of each held-out block")
    parser.add_argument("--no-compile", action="store_true", help="do not compile our layers")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="seconds only: does it run?")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()
    size, warm_up = SAMPLES, WARM_UP
    if options.quick:
        size, warm_up, options.seconds, options.trial = 40, 1, 1, 0
        options.batches, options.dtypes = [1], [compute_dtype(device())]
        options.steps, options.texts, options.no_compile = 3, 1, True
    elif not options.anyway:
        demand_quiet()
    if options.threads:
        torch.set_num_threads(options.threads)
    samples, digest = read_workload(size)
    result: dict[str, Any] = {
        "benchmark": "softmax" if options.softmax else "training",
        "workload": {"samples": len(samples), "sha256": digest},
        "machine": describe(),
    }
    print(f"{len(samples)} samples, SHA-256 {digest}", flush=True)
    if options.softmax:
        blocks = HELD_OUT[:1] if options.quick else HELD_OUT
        result["table"] = softmaxes(samples, options.steps, blocks=blocks, limit=options.texts)
        shown = softmax_table(result["table"])
    else:
        compiled = not options.no_compile and shutil.which("c++") is not None
        rates = [ours(samples, options.seconds, warm_up=warm_up, compiled=compiled)]
        print(speed_table([rates[0]]).splitlines()[2], flush=True)
        best, result["tried"] = best_baseline(
            samples,
            options.batches,
            options.dtypes,
            seconds=options.seconds,
            trial=options.trial,
        )
        rates.append(best)
        result["matrix_rate"] = {dtype: matrix_rate(dtype) for dtype in {r.dtype for r in rates}}
        result["table"] = [asdict(rate) for rate in rates]
        shown = speed_table(rates)
    print(shown)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{result['benchmark']}-{len(samples)}-{result['machine']['date']}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        path.with_suffix(".md").write_text(shown + "\n")


if __name__ == "__main__":
    main()
