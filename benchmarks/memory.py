"""Peak of TensorFlow's CPU allocator during one call, beside what the call cannot do without.

`python -m benchmarks.memory CASE` prints a JSON of provider: share. It runs in a process of its own
because the allocator serves a request from any free block of less than twice the size and counts
the whole block: only a fresh one counts what was asked for.
"""

import json
import subprocess
import sys

from benchmarks.cases import CASES
from benchmarks.measure import contenders

DEVICE = "CPU:0"
# Smaller tensors come from an allocator that does not count.
COUNTED = 2**18


def peak_share(run, inputs):
    """Peak bytes over those of inputs, outputs and gradients.

    Args:
        run: `run(iterations, *inputs) -> outputs` of a TensorFlow provider.
        inputs: tensors.
    """
    import tensorflow as tf

    run(1, *inputs)  # builds what stays
    before = tf.config.experimental.get_memory_info(DEVICE)["current"]
    # tf.constant may borrow NumPy's memory, which the allocator does not see; a sum cannot.
    inputs = [value + 0 for value in inputs]
    held = tf.config.experimental.get_memory_info(DEVICE)["current"] - before
    needed = _bytes(inputs)
    assert held >= needed, f"the allocator counts {held} bytes for {needed} of inputs"
    tf.config.experimental.reset_memory_stats(DEVICE)
    outputs = run(1, *inputs)
    peak = tf.config.experimental.get_memory_info(DEVICE)["peak"] - before
    return peak / (needed + _bytes(outputs))


def _bytes(tensors):
    sizes = [tensor.shape.num_elements() * tensor.dtype.size for tensor in tensors]
    return sum(size for size in sizes if size >= COUNTED)


def peak_shares(case):
    """The share of every provider of the case, measured in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", case.name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def main(name):
    (case,) = (case for case in CASES if case.name == name)
    ours, others, _ = contenders(case)
    shares = {
        contender.provider.name: peak_share(contender.run, contender.inputs())
        for contender in (ours, *others)
    }
    print(json.dumps(shares))


if __name__ == "__main__":
    main(*sys.argv[1:])
