"""tf.random.stateless_normal's noise in kernels, drawn again from the seed wherever it is needed.

Philox gives four words a group: four floats or two doubles, 16 bytes. A thread makes whole groups.
"""

import numpy as np

from fastgen.jit import philox, source
from fastgen.jit.cuda.intrinsics import sincospi
from fastgen.jit.cuda.target import device, log, sqrt

_words = device(source.compilable(philox.group, False, device))

_MANTISSA32, _MANTISSA64 = np.uint64(2**23 - 1), np.uint64(2**52 - 1)
_STEP32, _STEP64 = np.float32(2**-23), np.float64(2**-52)
_HALF = np.uint64(32)


def stream(op, seed):
    """What kernels need of a seed: four numbers; of what is none, a ValueError."""
    try:
        words = np.asarray(seed)
    except (TypeError, ValueError):  # of CuPy's arrays, which do not come by themselves; of rags
        words = None
    if words is None or words.shape != (2,) or words.dtype not in (np.int32, np.int64):
        raise ValueError(
            f"{op}: seed must be two integers of 64 bits, on the host. Received: seed={seed!r}"
        )
    return philox.stream(*words.astype(np.int64).view(np.uint64))


@device
def box_muller(u, v):
    """Two normal numbers of two in [0, 1), the sine's first."""
    real = type(u)
    least = real(1e-7)
    radius = sqrt(real(-2) * log(u if u > least else least))
    sine, cosine = sincospi(real(2) * v)
    return radius * sine, radius * cosine


@device
def uniform32(word):
    """In [0, 1), exactly."""
    return np.float32(np.uint32(word & _MANTISSA32)) * _STEP32


@device
def uniform64(high, low):
    """In [0, 1), exactly."""
    return np.float64((high << _HALF | low) & _MANTISSA64) * _STEP64


@device
def four_floats(group, key0, key1, counter2, counter3, eps):
    """Noise of elements `4 group` to `4 group + 3`."""
    word0, word1, word2, word3 = _words(np.uint64(group), key0, key1, counter2, counter3)
    eps[0], eps[1] = box_muller(uniform32(word0), uniform32(word1))
    eps[2], eps[3] = box_muller(uniform32(word2), uniform32(word3))


@device
def two_doubles(group, key0, key1, counter2, counter3, eps):
    """Noise of elements `2 group` and `2 group + 1`."""
    word0, word1, word2, word3 = _words(np.uint64(group), key0, key1, counter2, counter3)
    eps[0], eps[1] = box_muller(uniform64(word0, word1), uniform64(word2, word3))


# By dtype: numbers in a group, their type, and the function that fills a local array with them.
GROUPS = {"float32": (4, np.float32, four_floats), "float64": (2, np.float64, two_doubles)}
