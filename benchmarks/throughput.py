"""Documents a second: `extract_batch` against plain `generate`, same merged weights, one run.

    python benchmarks/throughput.py --data DIR [--dataset CrossNER_AI] [--texts N] [--save]

DIR is what `b2ner data build eval` wrote. `generate` answers the same prompts with the whole
vocabulary, greedily, up to 160 new tokens, in batches of 4 and 16 as the file orders them, padded
on the left. The order of the contestants is drawn anew in each round; the median of them counts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import demand_quiet, describe

from b2ner.inference.extractor import Extractor
from b2ner.inference.local import LocalEngine
from b2ner.inference.ragged import ATTENTION
from b2ner.model.tokens import bos_ids, encode
from b2ner.model.weights import LoadedModel, load_model
from b2ner.prompting.template import load_template

RESULTS = Path(__file__).parent / "results"
NEW_TOKENS = 160


def read(data: Path, dataset: str, texts: int | None) -> tuple[list[str], list[str]]:
    folder = data / "NER_en" / dataset
    rows = json.loads((folder / "test.json").read_text())
    labels = json.loads((folder / "labels.json").read_text())
    return [row["sentence"] for row in rows][:texts], labels


def generate(model: LoadedModel, prompts: list[list[int]], batch: int) -> int:
    """Answer all prompts as a user of transformers would. Returns the new tokens."""
    made = 0
    pad = model.tokenizer.pad_token_id
    for begin in range(0, len(prompts), batch):
        part = prompts[begin : begin + batch]
        longest = max(map(len, part))
        ids = torch.tensor([[pad] * (longest - len(p)) + p for p in part])
        seen = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in part])
        with torch.inference_mode():
            out = model.network.generate(
                input_ids=ids, attention_mask=seen, max_new_tokens=NEW_TOKENS, do_sample=False
            )
        made += out[:, longest:].ne(pad).sum().item()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dataset", default="CrossNER_AI")
    parser.add_argument("--texts", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--dtype")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batches", type=int, nargs="*", default=[4, 16], help="of `generate`")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()
    if not options.anyway:
        demand_quiet()
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = describe()
    texts, labels = read(options.data, options.dataset, options.texts)
    model = load_model(dtype=options.dtype)
    template = load_template(model.card.template.id if model.card else "published")
    ner = Extractor(LocalEngine(model, rows=options.rows), template)
    prompts = []
    for text in texts:
        prompt = ner.prompt(text, labels)
        parts = [encode(model.tokenizer, part) for part in (prompt.head, prompt.body)]
        prompts.append([*bos_ids(model.tokenizer), *parts[0], *parts[1]])

    def ours() -> int:
        model.network.set_attn_implementation(ATTENTION)
        return sum(d.usage.answer_tokens for d in ner.extract_batch(texts, labels))

    def theirs(batch: int) -> Callable[[], int]:
        def run() -> int:
            model.network.set_attn_implementation("sdpa")
            return generate(model, prompts, batch)

        return run

    contestants: dict[str, Callable[[], int]] = {f"b2ner, {options.rows} rows": ours}
    contestants |= {f"generate, batch {batch}": theirs(batch) for batch in options.batches}
    list(ner.extract_batch(texts[:8], labels))  # warm up
    times: dict[str, list[float]] = {name: [] for name in contestants}
    tokens: dict[str, int] = {}
    order = list(contestants)
    for turn in range(options.rounds):
        random.Random(turn).shuffle(order)
        for name in order:
            begun = time.perf_counter()
            tokens[name] = contestants[name]()
            times[name].append(time.perf_counter() - begun)
            print(f"{name:24} {len(texts) / times[name][-1]:6.2f} documents/s", flush=True)
            result = {
                "benchmark": "throughput",
                "dataset": options.dataset,
                "documents": len(texts),
                "dtype": str(model.dtype),
                "machine": machine,
                "table": table(times, tokens, len(texts)),
            }
            if options.save:  # after each, since the slow ones take a quarter of an hour
                RESULTS.mkdir(exist_ok=True)
                path = RESULTS / f"throughput-{options.dataset}-{len(texts)}-{machine['date']}.json"
                path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def table(
    times: dict[str, list[float]], tokens: dict[str, int], documents: int
) -> list[dict[str, Any]]:
    """One row a contestant that has run: the median of its rounds, and each round."""
    return [
        {
            "name": name,
            "documents_per_s": round(documents / statistics.median(seconds), 2),
            "answer_tokens": tokens[name],
            "seconds": [round(value, 1) for value in seconds],
        }
        for name, seconds in times.items()
        if seconds
    ]


if __name__ == "__main__":
    main()
