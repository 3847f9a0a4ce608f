"""Batches in an order that depends on nothing but the seed and the number of the epoch."""

import tensorflow as tf


def steps_per_epoch(n, batch_size):
    """Batches in an epoch of `n` images, the last of which may be smaller."""
    return -(-n // batch_size)


def batches(x, batch_size, *, seed=0, first_epoch=0):
    """Shuffled batches, epoch after epoch without end.

    Each epoch holds every image once, in the order of
    `tf.random.experimental.stateless_shuffle(range(n), [seed, epoch])`: whoever stops after an
    epoch and goes on with the next one sees the same batches as who never stopped. The images are
    kept in memory once and gathered from there.

    Example:
    >>> import numpy as np
    >>> from fastgen.training import batches
    >>> x = np.arange(5)
    >>> found = [batch.numpy() for batch in batches(x, 2, seed=1).take(6)]
    >>> [len(batch) for batch in found]
    [2, 2, 1, 2, 2, 1]
    >>> second_epoch = next(iter(batches(x, 2, seed=1, first_epoch=1)))
    >>> bool(np.all(second_epoch == found[3]))
    True

    Args:
        x: Array `[n, ...]` of any dtype, n ≥ 1.
        batch_size: Images in a batch, at least 1. The last one of an epoch has what is left.
        seed: Integer in the range of int64.
        first_epoch: Number of the epoch to begin with, at least 0.

    Returns:
        Endless `tf.data.Dataset` of `[batch, ...]` tensors; `steps_per_epoch` says how many of them
        are an epoch.

    Raises:
        ValueError: An argument out of range.
    """
    if not len(x):
        raise ValueError("batches: x must hold one image at least. Received: none")
    if batch_size < 1 or first_epoch < 0:
        raise ValueError(
            "batches: batch_size must be at least 1, and first_epoch at least 0. "
            f"Received: batch_size={batch_size}, first_epoch={first_epoch}"
        )
    n, x = len(x), tf.constant(x)

    def epoch_of_batches(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(n), tf.stack([tf.constant(seed, tf.int64), epoch]), alg="philox"
        )
        starts = tf.data.Dataset.range(0, n, batch_size)
        return starts.map(lambda start: tf.gather(x, order[start : start + batch_size]))

    return tf.data.Dataset.counter(first_epoch).flat_map(epoch_of_batches).prefetch(2)
