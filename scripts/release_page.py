"""Write a page of the docs from the datasheet of a release, without the head of the dataset card.

python scripts/release_page.py data/open docs/reference/release-open.md
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    release, page = map(Path, sys.argv[1:])
    text = (release / "README.md").read_text(encoding="utf-8")
    _, _, body = text.removeprefix("---\n").partition("---\n\n")
    page.write_text(body, encoding="utf-8")


if __name__ == "__main__":
    main()
