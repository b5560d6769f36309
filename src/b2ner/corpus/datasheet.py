"""The README of a release: a datasheet, with the head that makes it a Hugging Face dataset card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from b2ner.corpus.recipes import Recipe

_STATES = ("raw", "all", "pruned")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render(recipe: Recipe, manifest: Mapping[str, Any]) -> str:
    """The datasheet in Markdown, from what the manifest says."""
    return (
        "\n\n".join(
            (
                _head(recipe, manifest),
                f"# b2ner data: {recipe.name}\n\n{recipe.about}",
                _what(manifest),
                _statistics(manifest),
                _leaks(manifest),
                _licences(manifest),
                _made(recipe, manifest),
                _limits(manifest),
            )
        )
        + "\n"
    )


def _head(recipe: Recipe, manifest: Mapping[str, Any]) -> str:
    languages = sorted({part["language"] for part in manifest["sets"]} - {"mul"})
    texts = manifest["totals"]["all"]["texts"]
    size = next((name for limit, name in _SIZES if texts < limit), "1M<n<10M")
    files = "\n".join(
        f"- config_name: {state}\n  data_files: parquet/{state}.parquet" for state in _STATES
    )
    return (
        "---\n"
        f"pretty_name: b2ner {recipe.name}\n"
        "task_categories:\n- token-classification\n"
        "task_ids:\n- named-entity-recognition\n"
        f"language:\n{_list(languages)}\n"
        "license: other\nlicense_name: mixed\nlicense_link: README.md#licences\n"
        f"size_categories:\n- {size}\n"
        f"configs:\n{files}\n"
        "---"
    )


def _what(manifest: Mapping[str, Any]) -> str:
    rows = [
        f"| `{state}` | {_number(total['sets'])} | {_number(total['texts'])} |"
        f" {_number(total['mentions'])} |"
        for state, total in manifest["totals"].items()
    ]
    return "\n".join(
        (
            "## What it is",
            "",
            "Texts with named entities, relations and events from many public corpora, in three"
            " states: `raw` with the sources' own labels, `all` with one name for each type of a"
            f" taxonomy of {manifest['taxonomy']['types']} types, `pruned` with few texts of each"
            " type. Each data set is a folder in the published layout"
            " (`<task key>/<data set>/train.json`), and each state one Parquet table with"
            " character offsets.",
            "",
            "| state | data sets | texts | annotations |",
            "|---|--:|--:|--:|",
            *rows,
        )
    )


def _statistics(manifest: Mapping[str, Any]) -> str:
    lines = [
        "## Data sets",
        "",
        "| task | data set | domain | types | raw | all | pruned | leaks | other drops | licence |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for part in manifest["sets"]:
        texts = {state: sum(part["texts"][state].values()) for state in _STATES}
        leaks = sum(part["leaks"].values())
        others = sum(part["rejected"].values()) - leaks
        lines.append(
            f"| {part['task']} | {part['name']} | {part['domain']} | {part['types']['all']} |"
            f" {_number(texts['raw'])} | {_number(texts['all'])} | {_number(texts['pruned'])} |"
            f" {_number(leaks)} | {_number(others)} | {part['licence'] or 'not stated'} |"
        )
    return "\n".join(lines)


def _leaks(manifest: Mapping[str, Any]) -> str:
    lines = [
        "## Texts of test and development sets that were found and left out",
        "",
        "| data set | texts | stand in |",
        "|---|--:|---|",
    ]
    for part in manifest["sets"]:
        if part["leaks"]:
            where = ", ".join(f"{name} ({_number(n)})" for name, n in part["leaks"].items())
            total = _number(sum(part["leaks"].values()))
            lines.append(f"| {part['task']}/{part['name']} | {total} | {where} |")
    return "\n".join(lines)


def _licences(manifest: Mapping[str, Any]) -> str:
    lines = [
        "## Licences",
        "",
        "Every set keeps the terms of its source; the manifest names them set by set.",
        "",
    ]
    lines += [
        f"- {licence}: {len(sets)} ({', '.join(sorted({s.split('/')[1] for s in sets}))})"
        for licence, sets in manifest["licences"].items()
    ]
    if manifest["share_alike"]:
        names = ", ".join(manifest["share_alike"])
        lines += [
            "",
            f"Share-alike: {names}. Who passes on texts made from these must do so under the same"
            " licence, and name their authors.",
        ]
    return "\n".join(lines)


def _made(recipe: Recipe, manifest: Mapping[str, Any]) -> str:
    return "\n".join(
        (
            "## How it was made",
            "",
            f"`b2ner data build {recipe.name}` (b2ner {manifest['b2ner']}, taxonomy"
            f" {manifest['taxonomy']['sha256'][:12]}, seed {recipe.seed}). Labels were mapped by"
            " reviewed files; labels whose mentions are dropped stand in the manifest with their"
            " reasons (`unmapped`). Left out are test and development sets, all their splits, every"
            " text that stands in one of them, whole or by a run of ten words (sixteen"
            " characters of Chinese), and texts that stand in their set twice: `leaks.json` has"
            f" the places. `pruned` keeps up to {recipe.quota} texts of each type of a set, and"
            f" {recipe.without_entities:.0%} of texts without entities.",
        )
    )


def _limits(manifest: Mapping[str, Any]) -> str:
    lines = [
        "## Limits",
        "",
        "Annotations are the sources', errors and all; what a source leaves unmarked is unmarked"
        " here (`types.json` says of which types every mention is marked). Near duplicates"
        " between sets of the release are not removed.",
    ]
    if manifest["missing"]:
        lines += ["", f"Not built, since absent: {', '.join(manifest['missing'])}."]
    return "\n".join(lines)


def _list(values: Sequence[str]) -> str:
    return "\n".join(f"- {value}" for value in values)


def _number(value: int) -> str:
    return f"{value:,}"
