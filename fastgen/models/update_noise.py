"""What the updates of a GAN draw: seeds for their codings, and noise for their targets."""

import tensorflow as tf

from fastgen.ops.noise import next_states, standard_uniform


def draw_seeds(generator, steps, updates):
    """A seed for the noise of each update, as if drawn one by one.

    Args:
        generator: `keras.random.SeedGenerator`, which moves on.
        steps: integer.
        updates: in a step, integer.

    Returns:
        `(steps, updates, 2)` int64 tensor.
    """
    seeds = next_states(generator, steps * updates)
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        # Keras gives every replica the same state: the high half of a word tells them apart.
        number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
        seeds += tf.stack([number * 2**32, 0])
    return tf.reshape(seeds, (steps, updates, 2))


def targets(rows, seeds, smoothing, noise):
    """What the discriminator is to say of the images of each update.

    `1 - smoothing - noise * u` of real ones, `noise * u` of fake ones, u uniform in [0, 1).

    Args:
        rows: `(steps, n_critic, batch)` tensor.
        seeds: `(steps, n_critic + 1, 2)` int64 tensor, of `draw_seeds`.
        smoothing: number.
        noise: number.

    Returns:
        `(steps, n_critic, 2, batch)` float32 tensor; None for targets of 1 and 0.
    """
    if not smoothing and not noise:
        return None
    ones = tf.ones(tf.shape(rows))
    found = tf.stack([ones * (1 - smoothing), tf.zeros_like(ones)], axis=2)
    if not noise:
        return found
    shape = tf.shape(found)[1:]
    # The first word of no codings and of no order of images.
    keys = tf.stack([-1 - seeds[:, 0, 0], seeds[:, 0, 1]], axis=1)
    u = tf.map_fn(
        lambda key: standard_uniform(shape, key, tf.float32), keys, fn_output_signature=tf.float32
    )
    return found + noise * u * tf.constant([[-1.0], [1.0]])
