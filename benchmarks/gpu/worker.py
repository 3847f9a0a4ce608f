"""Checks and times rows, one after the other, and says so in JSON lines on its standard output.

A process of its own: what a kernel breaks, a compiler hangs in or the machine kills is lost with it
alone, and `lab.py` starts the next one behind it.
"""

import argparse
import functools
import json
import os
import random
import sys
import time

FAULT = 3  # the exit code after which nothing works on the GPU any more


def say(out, **line):
    out.write(json.dumps(line, ensure_ascii=False) + "\n")
    out.flush()


def say_begun(out, row, provider):
    say(out, kind="begin", row=row, provider=provider)


def run(trial, skipped, untimed):
    """Check and time a row; what its record has besides."""
    started = time.perf_counter()
    seed = random.SystemRandom().randrange(1 << 31)
    for provider in trial.providers():
        trial.check(provider, seed, provider in skipped)
    if not untimed:
        trial.time(seed + 100)
    return {"seed": seed, "took": round(time.perf_counter() - started, 2)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="+")
    parser.add_argument("--library", help="libfastgen_core.so; without it peers run alone")
    parser.add_argument("--skip", action="append", default=[], help="ROW:PROVIDER")
    parser.add_argument("--run", type=int, default=1, help="its number, of runs of the same rows")
    parser.add_argument("--only", help="one provider, and those captured from it")
    parser.add_argument("--small", action="store_true", help="small shapes, untimed")
    parser.add_argument("--untimed", action="store_true", help="check alone")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    options.untimed |= options.small  # floors and bytes are of the others
    # Compilers print; lines are ours.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    from benchmarks.gpu import ceilings, timing
    from benchmarks.gpu import work as works
    from benchmarks.gpu.device import Cuda, DryRun
    from benchmarks.gpu.kernels import Kernels
    from benchmarks.gpu.rows import choose

    device = DryRun() if options.dry_run else Cuda()
    kernels = Kernels(options.library, device) if options.library else None
    found = {} if options.untimed else ceilings.measure(device)
    marks = {"dry_run": device.dry, "run": options.run}
    say(out, kind="ceilings", **marks, values=None if device.dry else found)
    for row in choose(options.rows):
        ceilings.set_products(row.precision, device)
        skipped = [one.partition(":")[2] for one in options.skip if one.startswith(f"{row.name}:")]
        announce = functools.partial(say_begun, out, row.name)
        small = options.small or device.dry
        trial = timing.Trial(row, device, kernels, small, options.only, announce)
        try:
            line = run(trial, skipped, options.untimed)
        except timing.Fault as error:
            say(out, kind="fault", row=row.name, why=str(error))
            os._exit(FAULT)  # what would be cleaned up is on the GPU
        say(out, kind="row", **marks, **line, **trial.record(found))
        trial = None
        works.forget()
        device.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
