"""What a measurement must say of the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "llguidance", "b2ner")


def describe() -> dict[str, Any]:
    """Machine, versions, commit and load: recorded beside every figure."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "features": sorted({"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & set(flags)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "-s") else ""),
        "date": time.strftime("%Y-%m-%d"),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def demand_quiet(limit: float = 0.7) -> None:
    """End the program when other work is running: its figures would mean nothing."""
    load = os.getloadavg()[0]
    if load > limit:
        sys.exit(f"the machine is busy (load {load:.2f}): nothing is measured; --anyway overrides")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
