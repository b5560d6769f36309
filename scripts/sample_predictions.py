"""Write a predictions file in the form that is committed under sample_predictions/.

    python scripts/sample_predictions.py PREDICTIONS.jsonl OUT.jsonl [--without-text]

With --without-text nothing of the corpus is copied: a line then has the row's id, the SHA-256 of
its text, and offsets, labels and scores, so that whoever has the corpus can score or inspect them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any


def line_of(row: dict[str, Any], *, with_text: bool) -> dict[str, Any]:
    """The committed form of one predicted row."""
    text = row["Instance"]["sentence"]
    entities = [
        {key: round(value, 4) if key == "score" else value for key, value in entity.items()}
        for entity in row["Entities"]
    ]
    if with_text:
        return {**row, "Entities": entities}
    return {
        "Task": row["Task"],
        "Dataset": row["Dataset"],
        "Language": row["Language"],
        "id": row["Instance"]["id"],
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "Entities": [{k: v for k, v in e.items() if k != "text"} for e in entities],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictions", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--without-text", action="store_true")
    options = parser.parse_args()
    lines = options.predictions.read_text(encoding="utf-8").splitlines()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as out:
        for line in lines:
            row = line_of(json.loads(line), with_text=not options.without_text)
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(lines)} rows -> {options.out}")


if __name__ == "__main__":
    main()
