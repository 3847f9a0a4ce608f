"""Time of one of our ops on some of TensorFlow's threads, whose number is fixed when it starts.

`python -m benchmarks.threads CASE THREADS` prints the seconds of a repetition.
"""

import statistics
import subprocess
import sys

from benchmarks.cases import CASES
from benchmarks.measure import ROUNDS, contenders


def seconds(case, threads):
    """Of the case in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.threads", case.name, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


def main(name, threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    (case,) = (case for case in CASES if case.name == name)
    ours, _, _ = contenders(case)
    ours.warm()
    print(statistics.median(ours.time(case.iterations) for _ in range(ROUNDS)))


if __name__ == "__main__":
    main(*sys.argv[1:])
