"""One switch of a recipe at a time, at equal steps, scored on texts that no run sees.

    python benchmarks/ablations.py CONFIG --dev FOLDER [--adapter FROM] [--steps N] [--save]

CONFIG is a run's TOML file. Each variant is that run with one setting changed, for so many steps
with a linear decay, from the adapter given, else from the plain base. What is scored: the loss of
an answer token on the sheet blocks that the config leaves out, and F1 over surface sets on these
blocks and on the development corpora in FOLDER (`b2ner data build dev`), typed and of words alone.
A figure of one seed and few steps is a hint; which hints repeat, other seeds say (`--seed`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import demand_quiet, describe

from b2ner import files
from b2ner.corpus.sheets import SheetText, read_sheets
from b2ner.evaluation.scores import headline
from b2ner.inference.extractor import load
from b2ner.prompting.template import load_template
from b2ner.records import Sample
from b2ner.training.batches import Row, answer_tokens
from b2ner.training.examples import Examples, admit
from b2ner.training.network import open_learner
from b2ner.training.scorers import open_scorer
from b2ner.training.settings import Curve, Regularisation, Schedule, Softmax, Unit
from b2ner.workflows import sources
from b2ner.workflows import train as workflow
from b2ner.workflows.evaluate import score_predictions
from b2ner.workflows.predict import predict
from b2ner.workflows.scored_texts import (
    ScoredFolder,
    ScoredSheets,
    Scoring,
    TextSet,
    read_texts,
    write_texts,
)
from b2ner.workflows.train import RunConfig

RESULTS = Path(__file__).parent / "results"
SYNONYMS = Path("corpus/synonyms.toml")
AS_ANNOTATED = Regularisation(
    label_limit=20, label_dropout=0.0, shuffle_labels=False
)  # how held-out texts are asked for their loss

# What each variant changes of `regularisation`; those that change something else are in `variant`.
SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "no mixed grain": {"mixed_grain": 0.0},
    "no text variants": {
        "tokenised_texts": 0.0,
        "lowercased_texts": 0.0,
        "unpunctuated_texts": 0.0,
    },
    "labels renamed, 0.3": {"renamed_labels": 0.3},
    "labels borrowed, 4": {"borrowed_labels": 4},
    "labels recased, 0.2": {"recased_prompts": 0.2},
    "all texts without entities": {"kept_without_entities": 1.0},
    "no text without entities": {"kept_without_entities": 0.0},
    "label dropout, 0.1": {"label_dropout": 0.1},
    "exact softmax": {},
    "sheets alone": {},
    "corpora alone": {},
}


def variant(config: RunConfig, name: str, *, steps: int, adapter: str | None) -> RunConfig:
    """The run with one switch set, for so many steps."""
    regularisation = replace(config.regularisation, **SWITCHES[name])
    changed = replace(
        config,
        adapter=adapter,
        regularisation=regularisation,
        schedule=Schedule(
            length=steps, unit=Unit.STEPS, curve=Curve.LINEAR, warmup=0.05, final=0.03
        ),
        saving=replace(config.saving, every_minutes=1e6, keep_last=1),
        scoring=None,
        synonyms=SYNONYMS if regularisation.renamed_labels else config.synonyms,
    )
    if name == "exact softmax":
        return replace(changed, softmax=Softmax(exact=True))
    if name in ("sheets alone", "corpora alone"):
        wanted = name == "sheets alone"
        kept = [s for s in config.data if isinstance(s, sources.SheetsData) is wanted]
        return replace(changed, data=tuple(kept))
    return changed


def run_variant(
    config: RunConfig, unseen: Sequence[Sample], scored: Sequence[TextSet], *, home: Path
) -> dict[str, Any]:
    """What the variant learns: its speed, its loss on unseen texts, its scores."""
    begun = time.monotonic()
    done = workflow.run(replace(config, folder=home / "run"))
    seconds = time.monotonic() - begun
    row: dict[str, Any] = {
        "samples": done.progress.samples,
        "seconds": round(seconds),
        "loss": held_out_loss(config, done.checkpoint, unseen),
    }
    write_texts(scored, home / "data")
    made = predict(load(adapter=done.checkpoint), home / "data", home / "predictions")
    scores = score_predictions(made.path)
    corpora = {found.name for found in scored if "-" not in found.name}
    sheets = {found.name for found in scored} - corpora
    for name, group in (("f1_sheets", sheets), ("f1_corpora", corpora)):
        found = [each for each in scores.datasets if each.dataset in group]
        row[name] = sum(headline(each.surface_set) for each in found) / len(found)
    row["sets"] = {
        each.dataset: [headline(each.surface_set), headline(each.surface_only)]
        for each in scores.datasets
        if each.surface_only is not None
    }
    return row


def held_out_loss(config: RunConfig, checkpoint: Path, samples: Sequence[Sample]) -> float:
    """The exact loss of a checkpoint, in nats an answer token, all labels of a text asked."""
    settings = replace(config, adapter=str(checkpoint), regularisation=AS_ANNOTATED)
    learner = open_learner(settings, load_template(config.template), "cpu")
    examples = Examples(
        samples,
        learner.tokenizer,
        load_template(config.template),
        AS_ANNOTATED,
        seed=config.seed,
        together=config.rows.together,
        own_prompts=config.own_prompts,
    )
    scorer = open_scorer(learner)
    learner.network.eval()
    rows = [row for row in scorer.rows(examples.epoch(0), config.rows) if isinstance(row, Row)]
    with torch.no_grad():
        losses = [float(scorer(*scorer.inputs([row], config.rows, None))) for row in rows]
    return sum(losses) / answer_tokens(rows)


def held_out(config: RunConfig, limit: int) -> tuple[list[Sample], ScoredSheets]:
    """The texts of the sheet blocks that the run leaves out, and how they are scored."""
    sheets = next(s for s in config.data if isinstance(s, sources.SheetsData) and s.leave_out)
    rows = read_sheets(sheets.path)
    found = [
        row.sample
        for row in rows
        if isinstance(row, SheetText) and row.sample.source in sheets.leave_out
    ]
    unseen, _ = admit(found)
    scored = ScoredSheets(kind="sheets", path=sheets.path, only=sheets.leave_out, limit=limit)
    return unseen, scored


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The variants in Markdown."""
    lines = [
        "| variant | samples | seconds | held-out loss | F1, sheets | F1, corpora |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['variant']} | {row['samples']} | {row['seconds']} | {row['loss']:.3f} |"
        f" {100 * row['f1_sheets']:.1f} | {100 * row['f1_corpora']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--dev", type=Path, required=True, help="folder of development corpora")
    parser.add_argument("--adapter", help="where each variant begins; else the plain base")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--texts", type=int, default=20, help="scored, of each set")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", nargs="+", choices=SWITCHES, default=list(SWITCHES))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--anyway", action="store_true", help="run on a busy machine")
    options = parser.parse_args()
    if not options.anyway:
        demand_quiet()
    config = workflow.read_config(options.config, seed=options.seed)
    unseen, sheets = held_out(config, options.texts)
    folder = ScoredFolder(kind="published", path=options.dev, limit=options.texts)
    scored = read_texts(Scoring(data=(sheets, folder)))
    result: dict[str, Any] = {
        "benchmark": "ablations",
        "config": options.config.name,
        "adapter": Path(options.adapter).name if options.adapter else "none",
        "steps": options.steps,
        "seed": config.seed,
        "texts": sum(len(found.texts) for found in scored),
        "machine": describe(),
    }
    rows: list[dict[str, Any]] = []
    for name in options.only:
        with tempfile.TemporaryDirectory() as home:
            changed = variant(config, name, steps=options.steps, adapter=options.adapter)
            rows.append({"variant": name, **run_variant(changed, unseen, scored, home=Path(home))})
        print(json.dumps(rows[-1]), flush=True)
    result["variants"] = rows
    print(table(rows))
    if options.save:
        name = f"ablations-{options.steps}-{result['machine']['date']}"
        files.write_json(RESULTS / f"{name}.json", result)
        (RESULTS / f"{name}.md").write_text(table(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
