"""Compiles the CUDA kernels for the CPU, over the headers of tests/cuda/on_cpu, with sanitizers."""

import os
import runpy
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = ROOT / "tests/cuda/on_cpu"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = [
    *("-O1", "-g1", "-fno-omit-frame-pointer", "-Wno-unknown-pragmas", *SANITIZED),
    *("-DFASTGEN_CUDA_ON_CPU", f"-I{ON_CPU.parent}", f"-I{ON_CPU}"),
    *("-include", "on_cpu/cuda_runtime.h"),
]


def build_script():
    """setup.py's names."""
    with mock.patch("setuptools.setup"):
        return runpy.run_path(str(ROOT / "setup.py"))


def on_cpu(jobs=None):
    """The path of the library, compiled anew if a source is newer."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        script = build_script()
        builder, folder = script["Builder"](jobs or len(os.sched_getaffinity(0))), "cuda-on-cpu"
        sources = [
            *script["cuda_sources"](),
            *sorted(ON_CPU.glob("*.cc")),
            *script["sources"]("core"),
        ]
        languages = {".cu": ["-x", "c++"]}
        objects = script["results"](
            [
                builder.compile(source, folder, [*FLAGS, *languages.get(source.suffix, [])])
                for source in sources
            ]
        )
        library = script["OBJECTS"] / folder / "libfastgen_cuda_on_cpu.so"
        builder.link(library, objects, [*SANITIZED, "-pthread"])
        return library.resolve()
    finally:
        os.chdir(before)
