"""Print the lower bounds of pyproject.toml as exact pins, for `make test-lowest`.

Usage: lowest.py EXTRA[,EXTRA...]
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(extra: str) -> list[str]:
    """What an extra asks for, with the extras of this project that it names unfolded."""
    wanted: list[str] = []
    for requirement in PROJECT["optional-dependencies"][extra]:
        ours = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", requirement)
        wanted += requirements(ours[1]) if ours else [requirement]
    return wanted


def main() -> None:
    wanted = list(PROJECT["dependencies"])
    for extra in sys.argv[1].split(","):
        wanted += requirements(extra)
    unbounded = [requirement for requirement in wanted if ">=" not in requirement]
    if unbounded:
        sys.exit(f"without a lower bound: {', '.join(unbounded)}")
    print("\n".join(sorted(requirement.replace(">=", "==") for requirement in wanted)))


if __name__ == "__main__":
    main()
