"""Builds the C++ tests of the C ABI and runs them.

    python tests/native/run.py [--sanitize] [NAME ...]

Runs the tests whose names start with a NAME (default: all) as an optimised program, or, with
--sanitize, under AddressSanitizer and UndefinedBehaviorSanitizer, and those of the threads under
ThreadSanitizer. Only the files that hold such tests are compiled, and the kernels they include.
"""

import argparse
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path("tests/native")
SANITIZED = ["-O1", "-g1", "-fno-omit-frame-pointer", "-UNDEBUG"]
VARIANTS = {
    "plain": [],
    "address": [*SANITIZED, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": [*SANITIZED, "-fsanitize=thread", "-DFASTGEN_ONE_ISA"],
}
# Races do not depend on the vectors' width: one ISA is compiled, and those that the C functions
# could choose in its place are left out.
ONE_ISA = "baseline"
WITHOUT_THE_OTHERS = ["-no-pie", "-Wl,--unresolved-symbols=ignore-all"]
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


def tests_of(names):
    """The files that hold a test whose name starts with one of names, or all of them."""
    for path in sorted(NATIVE.glob("test_*.cc")):
        held = re.findall(r"(?m)^TEST\((\w+)\)", path.read_text())
        if not names or any(test.startswith(name) for test in held for name in names):
            yield path


def called_by(paths):
    """The sources of one ISA whose headers the paths include, directly or through others."""
    found, new = [], list(paths)
    while new:
        for name in re.findall(r'#include "((?:kernels|native)/\w+)\.h"', new.pop().read_text()):
            for folder in (Path("csrc"), Path("tests")):
                header, source = folder / f"{name}.h", folder / f"{name}.cc"
                if source.exists() and source not in found:
                    found.append(source)
                    new += [header, source]
    return found


def build(variant, jobs, names):
    """Compiles what the tests need with a variant's flags; the program's path."""
    script = build_script()
    builder, folder = script["Builder"](jobs), f"tests-{variant}"
    flags = [*VARIANTS[variant], "-Itests"]
    tests = list(tests_of(names))
    sources = called_by(tests)
    # These instantiate the same templates, which take a compiler half a minute.
    layers = [source for source in sources if source.stem.startswith("dense")]
    bundles = script["bundles"](layers, len(layers) or 1, script["OBJECTS"] / folder)
    sources = [*bundles, *(source for source in sources if source not in layers)]
    isas = {ONE_ISA: script["ISAS"][ONE_ISA]} if variant == "thread" else script["ISAS"]
    objects = [
        builder.compile(
            source,
            f"{folder}/{isa}",
            [*script["KERNEL"], *isa_flags, f"-DFASTGEN_TARGET={isa}", *flags],
        )
        for source in sources
        for isa, isa_flags in isas.items()
    ]
    once = [*script["sources"]("core"), NATIVE / "main.cc", *tests]
    objects += [builder.compile(source, folder, [*flags, *tolerances()]) for source in once]
    objects = script["results"](objects)
    program = script["OBJECTS"] / folder / "program"
    command = [*builder.cxx, *VARIANTS[variant], "-pthread", *map(str, objects)]
    command += WITHOUT_THE_OTHERS if variant == "thread" else []
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
        program = build(variant, options.jobs, names)
        environment = {**OPTIONS, **os.environ}
        if variant == "thread":
            environment["FASTGEN_ISA"] = ONE_ISA
        failed |= bool(subprocess.run([program, *names], env=environment).returncode)
    sys.exit(failed)


if __name__ == "__main__":
    main()
