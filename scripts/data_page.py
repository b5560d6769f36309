"""Write the tables of docs/howto/data.md from the manifests of two builds.

TRAIN and DEV are what `b2ner data build train --against ...` and `b2ner data build dev` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from b2ner.corpus.data_sets import Role
from b2ner.files import read_json
from b2ner.records import Reason

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "data.md"


def table(manifest: Any) -> str:
    """The sets of a manifest, and below them their sums."""
    train = manifest["role"] == Role.TRAIN
    rows = [
        "| set | folder | licence | texts | mentions | labels |" + (" left out |" if train else ""),
        "|---|---|---|--:|--:|--:|" + ("--:|" if train else ""),
    ]
    for made in manifest["sets"]:
        labels = len(set(made["labels"].values()))
        left_out = sum(made["rejected"].values())
        rows.append(
            f"| `{made['name']}` | `{made['task']}` | {made['licence']}"
            f" | {made['texts']:,} | {made['mentions']:,} | {labels} |"
            + (f" {left_out:,} |" if train else "")
        )
    texts, mentions = (sum(made[key] for made in manifest["sets"]) for key in ("texts", "mentions"))
    names = {name for made in manifest["sets"] for name in made["labels"].values()}
    sums = f"In all {texts:,} texts, {mentions:,} mentions and {len(names):,} label names."
    if train:
        counts = {
            reason: sum(made["rejected"].get(reason, 0) for made in manifest["sets"])
            for reason in Reason
        }
        sums += (
            f" Left out: {counts.pop(Reason.REPEATED):,} that stand in their set already,"
            f" {counts.pop(Reason.SEEN_ELSEWHERE):,} seen in one of the"
            f" {sum(manifest['compared_with'].values()):,} texts they were compared with, and"
            f" {sum(counts.values()):,} that could not be read, placed or written as an answer."
        )
    return "\n".join([*rows, "", sums])


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} TRAIN DEV (folders that `b2ner data build` wrote)")
    page = PAGE.read_text("utf-8")
    for role, folder in zip((Role.TRAIN, Role.DEV), sys.argv[1:], strict=True):
        written = table(read_json(Path(folder) / "manifest.json"))
        begin, end = f"<!-- {role} -->\n", f"<!-- end of {role} -->"
        before, begun, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (begun and ended):
            sys.exit(f"{PAGE}: has no part {begin.strip()} ... {end}")
        page = f"{before}{begin}{written}\n{end}{after}"
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
