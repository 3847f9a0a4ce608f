"""The machine in one JSON line: `python -m benchmarks.gpu.environment`."""

import importlib.metadata
import json
import os
import platform
import subprocess

PACKAGES = "numpy scipy torch triton jax jaxlib cupy-cuda13x numba numba-cuda pybind11 tensorflow"
QUERY = "name,driver_version,memory.total,clocks.sm,clocks.mem,temperature.gpu,power.draw"


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def said(*command):
    """What a command prints, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe(dry_run=False):
    gpu = said("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader") or ""
    fields = [x.strip() for x in gpu.splitlines()[0].split(",")] if gpu else []
    smi = dict(zip(QUERY.split(","), fields, strict=False))
    nvcc = said("nvcc", "--version")
    return {
        "kind": "environment",
        "dry_run": dry_run,
        "gpu": smi.get("name"),
        "driver": smi.get("driver_version"),
        "smi": smi,
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "nvcc": nvcc.splitlines()[-1] if nvcc else None,
        "compiler": (said("g++", "--version") or "").splitlines()[:1],
        "commit": said("git", "rev-parse", "HEAD"),
        "versions": {package: version(package) for package in PACKAGES.split()},
    }


if __name__ == "__main__":
    print(json.dumps(describe("FASTGEN_DRY_RUN" in os.environ)))
