"""Builds the C++ tests of the C ABI and runs them.

    python tests/native/run.py [--sanitize] [NAME ...]

Runs the tests whose names start with a NAME (default: all) as an optimised program, or, with
--sanitize, under AddressSanitizer and UndefinedBehaviorSanitizer, and those of the threads under
ThreadSanitizer.
"""

import argparse
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path("tests/native")
SANITIZED = ["-O1", "-g", "-fno-omit-frame-pointer", "-UNDEBUG"]
VARIANTS = {
    "plain": [],
    "address": [*SANITIZED, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": [*SANITIZED, "-fsanitize=thread"],
}
OPTIONS = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


def build_script():
    """setup.py's names: the library is compiled here with the very flags it ships with."""
    with mock.patch("setuptools.setup"):
        return runpy.run_path("setup.py")


def tolerances():
    """tests/tolerances.py as macros, in the order of fg_dtype."""
    from tests.tolerances import TOLERANCES

    pairs = [TOLERANCES[name] for name in ("float32", "float64", "bfloat16", "float16")]
    rtol, atol = (",".join(map(str, column)) for column in zip(*pairs, strict=True))
    return [f"-DFASTGEN_RTOL={{{rtol}}}", f"-DFASTGEN_ATOL={{{atol}}}"]


def build(variant, jobs):
    """Compiles the core, the kernels and the tests with a variant's flags; the program's path."""
    script = build_script()
    builder, sources = script["Builder"](jobs), script["sources"]
    folder = f"tests-{variant}"
    flags = [*VARIANTS[variant], "-Itests"]
    per_isa = [*sources("kernels"), NATIVE / "far_noise.cc"]
    once = [*sources("core"), NATIVE / "main.cc", *sorted(NATIVE.glob("test_*.cc"))]
    objects = [
        builder.compile(
            source,
            f"{folder}/{isa}",
            [*script["KERNEL"], *isa_flags, f"-DFASTGEN_TARGET={isa}", *flags],
        )
        for source in per_isa
        for isa, isa_flags in script["ISAS"].items()
    ]
    objects += [builder.compile(source, folder, [*flags, *tolerances()]) for source in once]
    objects = script["results"](objects)
    program = script["OBJECTS"] / folder / "program"
    command = [*builder.cxx, *VARIANTS[variant], "-pthread", *map(str, objects)]
    return builder.run(f"{folder}/program", program, objects, command, "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    failed = False
    for variant in ("address", "thread") if options.sanitize else ("plain",):
        print(f"{variant}:", flush=True)
        names = options.names or (["threads"] if variant == "thread" else [])
        program = build(variant, options.jobs)
        failed |= bool(subprocess.run([program, *names], env={**OPTIONS, **os.environ}).returncode)
    sys.exit(failed)


if __name__ == "__main__":
    main()
