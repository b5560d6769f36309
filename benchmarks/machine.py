"""What a measurement must say of the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "accelerate", "llguidance", "b2ner")
PRODUCT = (1536, 640, 2048)  # rows, inner, columns: a feed-forward layer of the embedded model


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


@cache
def matrix_rate(dtype: str) -> float:
    """Operations a second of matrix products as training makes them: the best of 50.

    A product of m x k with k x n numbers is 2 m k n operations.
    """
    import torch

    m, k, n = PRODUCT
    place = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.randn(m, k, device=place, dtype=getattr(torch, dtype))
    right = torch.randn(k, n, device=place, dtype=getattr(torch, dtype))
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        left @ right
        if place == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return 2 * m * k * n / min(times)


def demand_quiet(limit: float = 0.7) -> None:
    """End the program when other work is running: its figures would mean nothing."""
    load = os.getloadavg()[0]
    if load > limit:
        sys.exit(f"the machine is busy (load {load:.2f}): nothing is measured; --anyway overrides")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
