"""What layers that draw random numbers share: a seed, and how it moves on."""

import keras
import tensorflow as tf

from fastgen.ops.noise import layer_seeds


class Seeded(keras.layers.Layer):
    """A layer with a `keras.random.SeedGenerator` for stateless ops.

    Args:
        seed: Python integer, or None for a seed that `keras.utils.set_random_seed` determines.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def get_config(self):
        """Arguments that make this layer anew."""
        return {**super().get_config(), "seed": self.seed}

    def _draw_seed(self):
        # As keras.random.normal makes 32-bit words of a seed.
        seed = tf.math.floormod(self.seed_generator.next(), tf.int32.max - 1)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return seed
        # Keras gives every replica the same state: the high half of a word tells them apart.
        number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
        return seed + tf.stack([number * 2**32, 0])

    def draw_seeds(self, count):
        """Seeds as if drawn one by one, `(count, 2)`, where there is one replica."""
        return layer_seeds(self.seed_generator, count)
