"""Rows of the CPU's table on TensorFlow's GPU: our ops against stock ones, in a tf.function."""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.gpu.lab import Lines
from benchmarks.measure import quantiles, ratio

OPERATIONS = ("gaussian_sample_kl", "sigmoid_cross_entropy", "dense_transpose", "swish")
SMALL = {"dense_transpose": (33, 10, 7)}
OURS, STOCK = "fastgen", "keras"


def chosen(dry_run):
    """Those in a graph; small in a dry run."""
    cases = [x for x in CASES if x.operation in OPERATIONS and x.measure == "graph"]
    shape = lambda case: SMALL.get(case.operation, (64, 10)) if dry_run else case.shape  # noqa: E731
    return [replace(x, shape=shape(x), providers=(STOCK,), forced=True) for x in cases]


def to_the_end(run):
    """A function that comes back when the GPU is done; `run` does so when all is launched."""
    import tensorflow as tf

    def whole(*arguments):
        outputs = run(*arguments)
        tf.test.experimental.sync_devices()
        return outputs

    return whole


def measure(case, dry_run):
    """The record of a row: both are checked, then timed by turns."""
    from benchmarks.measure import contenders

    started = time.perf_counter()
    status, times, why = {}, {}, None
    try:
        ours, others, _ = contenders(case)
        pair = {OURS: ours, STOCK: others[0]}
        for contender in pair.values():
            contender.run = to_the_end(contender.run)
        for _ in range(1 if dry_run else case.rounds):
            for name, contender in pair.items():
                contender.warm()
                times.setdefault(name, []).append(contender.time(case.iterations))
        status = dict.fromkeys(pair, "timed")
    except Exception as error:
        why = f"failed: {type(error).__name__}: {error}".splitlines()[0][:300]
        status[OURS] = why
    timed = not dry_run and not why
    return {
        "kind": "row",
        "dry_run": dry_run,
        "run": 1,
        "name": f"keras_{case.name}",
        "title": f"Keras, GPU: {case.title}",
        "shape": list(case.shape),
        "errors": {},
        "precision": case.dtype,
        "ours": OURS,
        "floor": 0.0,
        "status": status,
        "bars": [],
        "seconds": {x: quantiles(y) for x, y in times.items()} if timed else {},
        "figures": {STOCK: ratio(times[OURS], times[STOCK])} if timed else {},
        "took": round(time.perf_counter() - started, 2),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    if not options.dry_run and not tf.config.list_logical_devices("GPU"):
        raise SystemExit("keras_rows: TensorFlow sees no GPU")
    tf.config.experimental.enable_tensor_float_32_execution(False)  # beyond the rows' bounds
    lines = Lines(options.lines)
    for case in chosen(options.dry_run):
        record = measure(case, options.dry_run)
        lines.add(record)
        print(record["name"], record["status"], record["took"], "s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
