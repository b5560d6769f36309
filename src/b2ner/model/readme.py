"""The README of an adapter or a merged model, in the form of the Hugging Face hub.

Between two lines of dashes the facts that the hub reads, as YAML; below them what a person needs:
how to use it, what it learned from and under which licences, its score, its limits. Only what is
known is said, and what is not known is said to be so. Makes text; reads no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from b2ner.model.card import LicenceClass, Status

_GEMMA = "gemma"
_EXAMPLE = "Ada Lovelace wrote to Charles Babbage from London."
_TERMS = {
    _GEMMA: (
        "It is a modification of Gemma. The [Gemma Terms of Use](https://ai.google.dev/gemma/terms)"
        " apply, and with them the [Gemma Prohibited Use Policy]"
        "(https://ai.google.dev/gemma/prohibited_use_policy): whoever passes the weights on passes "
        "these terms on as well."
    )
}

# Source: section 3.1 of the Gemma Terms of Use.
_NOTICES = {
    _GEMMA: (
        "Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms\n\nThese weights were modified from Gemma.\n"
    )
}


@dataclass(frozen=True, slots=True)
class DataSet:
    """One source of training texts. `licence` is empty where nobody stated one."""

    name: str
    samples: int
    licence: str


@dataclass(frozen=True, slots=True)
class Run:
    """What a run's folder tells of the training.

    `scores` are F1 over sets of (label, words) by data set, from 0 to 1; empty for a checkpoint
    that was not scored.
    """

    data: tuple[DataSet, ...]
    settings: Mapping[str, str]
    steps: int
    samples: int
    scores: Mapping[str, float]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of weights that are to be shared.

    `place` is what users will load: a hub id, or a folder's name. `adapter` describes the adapter
    ("rank 32, ..."), also where it was merged. `embedded`: the base comes with b2ner itself.
    `base_licence` is an id of the hub's, empty where it is not known. `status`, `licence` and
    `training` are the card's; None and empty without a card.
    """

    place: str
    base: str
    base_licence: str
    embedded: bool
    encoder_decoder: bool
    merged: bool
    adapter: str
    template: str
    languages: tuple[str, ...]
    status: Status | None
    licence: LicenceClass | None
    training: str
    run: Run | None


def licence_of(base: str) -> str:
    """The hub's id of the licence that a family of bases is under; empty where its name says none.

    Families whose licence depends on size or version are not guessed at.
    """
    return _GEMMA if base.rpartition("/")[2].lower().startswith(_GEMMA) else ""


def stated_licence(readme: str) -> str:
    """The licence id in the facts atop a README; empty where there is none."""
    lines = readme.splitlines()
    if not lines or lines[0].strip() != "---":
        return ""
    for line in lines[1:]:
        if line.strip() == "---":
            break
        key, _, value = line.partition(":")
        if key == "license":
            return value.strip().strip("\"'")
    return ""


def notice(licence: str) -> str:
    """The text file that a licence wants beside all weights made from the base; empty for none."""
    return _NOTICES.get(licence, "")


def readme(facts: Facts) -> str:
    """The whole file."""
    sections = (_metadata, _head, _use, _training, _score, _limits, _terms)
    return "\n".join(line for section in sections for line in (*section(facts), ""))


def _metadata(facts: Facts) -> Iterator[str]:
    tags = ["named-entity-recognition", "zero-shot", "b2ner"]
    tags += [] if facts.merged else ["lora"]
    if facts.licence is LicenceClass.RESEARCH:
        tags.append("research-only")
    values: dict[str, object] = {
        "license": facts.base_licence or "other",
        "base_model": facts.base,
        "base_model_relation": "finetune" if facts.merged else "adapter",
        "library_name": "transformers" if facts.merged else "peft",
        "pipeline_tag": "token-classification",
        "language": list(facts.languages),
        "tags": tags,
        "datasets": [] if facts.run is None else [data.name for data in facts.run.data],
    }
    yield "---"
    for key, value in values.items():
        if value:
            yield f"{key}: {json.dumps(value, ensure_ascii=False)}"  # JSON is YAML
    yield "---"


def _head(facts: Facts) -> Iterator[str]:
    yield f"# {facts.place.rpartition('/')[2]}"
    yield ""
    spoken = f", in {', '.join(facts.languages)}" if facts.languages else ""
    what = "A language model" if facts.merged else "A LoRA adapter"
    yield (
        f"{what} that names the entities of a text for labels given in your own words{spoken}. "
        f"Made with b2ner from {facts.base}: {facts.adapter}."
    )
    if facts.status is Status.PROVISIONAL:
        yield ""
        yield "**Provisional**: nobody has released it as a finished model."
    if facts.licence is LicenceClass.RESEARCH:
        yield ""
        yield (
            "**For research only**: part of what it learned from is for research only, or states "
            "no licence."
        )


def _use(facts: Facts) -> Iterator[str]:
    place = json.dumps(facts.place, ensure_ascii=False)
    base = json.dumps(facts.base, ensure_ascii=False)
    if facts.merged:
        arguments = place
    else:
        arguments = f"adapter={place}" if facts.embedded else f"{base}, adapter={place}"
    yield "## How to use it"
    yield ""
    yield f"`pip install b2ner[{'embedded' if facts.embedded and not facts.merged else 'local'}]`"
    yield ""
    yield "```python"
    yield "import b2ner"
    yield ""
    yield f"ner = b2ner.load({arguments})"
    yield f'document = ner.extract("{_EXAMPLE}", ["person", "location"])'
    yield "for entity in document.entities:"
    yield "    print(entity.start, entity.end, entity.label, entity.text)"
    yield "```"
    yield ""
    kind = "model" if facts.merged else "LoRA"
    yield (
        f"The prompt is b2ner's template `{facts.template}`; with another the answers are of no "
        f"worth. Other programs load the weights like any other {kind}, and hold no answer to the "
        "labels and the text."
    )


def _training(facts: Facts) -> Iterator[str]:
    yield "## What it learned from"
    yield ""
    yield facts.training or "Its makers do not say."
    run = facts.run
    if run is None:
        return
    yield ""
    yield "| data | samples | licence |"
    yield "|---|---|---|"
    for data in run.data:
        yield f"| {data.name} | {data.samples} | {data.licence or 'not stated'} |"
    yield ""
    yield f"{run.samples} samples were shown in {run.steps} steps. Settings:"
    yield ""
    yield from (f"- {name}: {value}" for name, value in run.settings.items())
    yield ""
    yield f"Made with {', '.join(f'{name} {number}' for name, number in run.versions.items())}."


def _score(facts: Facts) -> Iterator[str]:
    yield "## How well it does"
    yield ""
    if facts.run is None or not facts.run.scores:
        yield "It was not scored, or its scores were not kept beside it. Measure it on data of your"
        yield "own: `b2ner predict` and `b2ner evaluate` do."
        return
    yield "F1 in percent over sets of (label, words), on the data that its run chose checkpoints"
    yield "by, and on as many texts of it as the run was told to take:"
    yield ""
    yield "| data | F1 |"
    yield "|---|---|"
    yield from (f"| {name} | {100 * f1:.1f} |" for name, f1 in facts.run.scores.items())
    yield ""
    yield "On other data it may be far from that."


def _limits(facts: Facts) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "- It misses entities and gets labels wrong: it is no means to find all personal data."
    yield "- Labels far from those it was taught, rare names and other languages are weak sides."
    if facts.encoder_decoder:
        yield "- It is an encoder-decoder: its answers are not held to the labels and the text."
    if facts.run is not None and (places := facts.run.settings.get("rows.places")):
        yield f"- It was shown at most {places} tokens at once, prompt included."


def _terms(facts: Facts) -> Iterator[str]:
    yield "## Terms"
    yield ""
    if facts.base_licence in _TERMS:
        yield _TERMS[facts.base_licence]
    elif facts.base_licence:
        yield f"It is derived from {facts.base}, whose licence (`{facts.base_licence}`) applies."
    else:
        yield f"It is derived from {facts.base}, whose licence applies; what it is, its page says."
    yield "The licences of the data above may ask for more."
