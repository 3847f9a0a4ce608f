"""The noise of a seed, normal and uniform, in stock TensorFlow ops."""

import tensorflow as tf

from fastgen import dispatch, native


def standard_normal(shape, seed, dtype):
    """Noise as the kernels draw it, in float64 for float64 and else in float32."""
    if not dispatch.inside_xla():
        return tf.random.stateless_normal(shape, seed, dtype=dtype)
    if dispatch.noise_differs("gaussian_sample", dtype):
        return _of_xla(tf.random.stateless_normal, shape, seed, dtype)
    zeros = tf.zeros(shape, dtype)
    return native.load_ops().fastgen_gaussian_sample(mean=zeros, log_var=zeros, seed=seed)


def standard_uniform(shape, seed, dtype):
    """Uniforms in [0, 1) as the kernels draw them, in float64 for float64 and else in float32."""
    if dispatch.inside_xla():
        return _of_xla(tf.random.stateless_uniform, shape, seed, dtype)
    return tf.random.stateless_uniform(shape, seed, dtype=dtype)


def _of_xla(draw, shape, seed, dtype):
    # What XLA selects by itself is Philox, which its CPU compiler computes anew for every use of
    # every number: 75 ms for 4096 x 32 normals in place of 2.
    return draw(shape, _fold_high_halves(seed), dtype=dtype, alg="threefry")


def next_states(generator, count):
    """What the next draws of a `keras.random.SeedGenerator` are, `(count, 2)` int64."""
    seed, drawn = tf.unstack(generator.state.value * 1)
    generator.state.assign_add([0, count])
    numbers = drawn + tf.range(count, dtype=drawn.dtype)
    return tf.stack([tf.fill([count], seed), numbers], axis=1)


def layer_seeds(generator, count):
    """The seeds that a layer makes of its next draws, where there is one replica."""
    return tf.math.floormod(next_states(generator, count), tf.int32.max - 1)


def _fold_high_halves(seed):
    # XLA reads the low 32 bits of each seed word only, and our layers keep the replica in the
    # high half. Words that fit 32 bits, negative ones too, stay as they are.
    if seed.dtype != tf.int64:
        return seed
    low = tf.cast(seed, tf.int32)
    high = tf.cast(tf.bitwise.right_shift(seed, tf.constant(32, tf.int64)), tf.int32)
    sign = tf.bitwise.right_shift(low, 31)
    # 2654435769 = 2^32 / golden ratio, as int32: neighbouring replicas land far apart.
    return low + (high - sign) * tf.constant(-1640531527, tf.int32)
