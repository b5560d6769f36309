"""Write the figures of corpus/README.md: what `b2ner corpus check` counts.

With --check, only compare. With --against DIR (the folder that `b2ner data build eval` wrote), the
comparison with the test sets is made and written as well; else that part stays as it is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from b2ner.corpus.check import ALLOWED, Kind, Report, check, published_texts
from b2ner.corpus.sheets import read_sheets

CORPUS = Path(__file__).parents[1] / "corpus"
CARD = CORPUS / "README.md"


def counted(report: Report) -> str:
    """The table of counts and the sentences below it."""
    shown = report.to_json()
    rows = [
        "| language | texts | mentions | label names | blocks | distinct 2-grams | 3-grams |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for language, counts in report.languages.items():
        rows.append(
            f"| {language} | {counts.texts:,} | {counts.mentions:,} | {len(counts.labels):,} |"
            f" {counts.blocks} | {counts.distinct_bigrams:.0%} | {counts.distinct_trigrams:.0%} |"
        )
    empty = sum(counts.without_mentions for counts in report.languages.values())
    kinds = Counter(found.kind for found in report.findings)
    warnings = ", ".join(f"{kind.value} {kinds[kind]}" for kind in ALLOWED)
    sentences = (
        f"In all {shown['texts']:,} texts, {shown['mentions']:,} mentions and {shown['labels']:,}"
        f" label names; {empty:,} texts without a mention. The label set of a block lies"
        f" {report.label_distance:.2f} from the nearest other on average and"
        f" {report.label_distance_least:.2f} at least (1: no label in common). Broken promises:"
        f" {len(report.broken)}. Warnings: {warnings}."
    )
    return "\n".join([*rows, "", sentences])


def compared(report: Report) -> str:
    """What the comparison with the test sets found."""
    shared = [found for found in report.findings if found.kind is Kind.SHARED]
    return (
        f"Compared with {report.compared_with:,} texts of the test sets (`b2ner data build eval`,"
        f" whole): {len(shared)} runs of 7 words, or of 12 characters of Chinese, in common."
    )


def filled(card: str, name: str, text: str) -> str:
    """The card with the part between the marks of that name replaced."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not pattern.search(card):
        sys.exit(f"{CARD}: has no part <!-- {name} --> ... <!-- end of {name} -->")
    return pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against", type=Path)
    asked = parser.parse_args()
    others = None if asked.against is None else published_texts(asked.against)
    report = check(read_sheets(CORPUS / "sheets"), others=others)
    card = CARD.read_text(encoding="utf-8")
    new = filled(card, "counts", counted(report))
    if asked.against is not None:
        new = filled(new, "comparison", compared(report))
    if not asked.check:
        CARD.write_text(new, encoding="utf-8")
    elif new != card:
        sys.exit(f"{CARD.name}: not what the check counts: run scripts/corpus_card.py")


if __name__ == "__main__":
    main()
