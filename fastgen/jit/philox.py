"""The bits of tf.random.stateless_*: Philox4x32-10 of a seed, as plain functions of uint64.

They run as they stand on NumPy's numbers and arrays, in Numba's kernels and on a GPU. Every number
is below 2^32; what is masked before a product is free, since a product of 32 bits ignores the rest.

Source: Salmon et al. (2011), Parallel Random Numbers: As Easy as 1, 2, 3; csrc/core/philox.h.
"""

import numpy as np

_MULTIPLIER0, _MULTIPLIER1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL0, _WEYL1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_SEED_KEY0, _SEED_KEY1 = np.uint64(0x3EC8F720), np.uint64(0x02461E29)
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
ROUNDS = 10


def _block(counter0, counter1, counter2, counter3, key0, key1):
    """The four words of a block."""
    for _ in range(ROUNDS):
        product0 = _MULTIPLIER0 * (counter0 & _LOW)
        product1 = _MULTIPLIER1 * (counter2 & _LOW)
        counter0 = (product1 >> _HALF) ^ counter1 ^ key0
        counter2 = (product0 >> _HALF) ^ counter3 ^ key1
        counter1 = product1 & _LOW
        counter3 = product0 & _LOW
        key0 = (key0 + _WEYL0) & _LOW
        key1 = (key1 + _WEYL1) & _LOW
    return counter0, counter1, counter2, counter3


def stream(seed0, seed1):
    """What is the same in all blocks of a seed, whose words are int64 taken as uint64.

    Returns:
        `key0, key1, counter2, counter3`.
    """
    return _block(
        seed0 & _LOW, seed0 >> _HALF, seed1 & _LOW, seed1 >> _HALF, _SEED_KEY0, _SEED_KEY1
    )


def group(index, key0, key1, counter2, counter3):
    """The four words of a group: noise of four floats, or of two doubles."""
    return _block(index & _LOW, index >> _HALF, counter2, counter3, key0, key1)
