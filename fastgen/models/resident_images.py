"""`fit` on images that stay one tensor: Keras iterates over blocks of their row numbers."""

import contextlib

import keras
import tensorflow as tf

from fastgen.models.grouped_steps import watches

# Steps in one call of the graph, and images in them at most. Of the book's dense GAN at batch 32,
# an epoch in calls of 16 and of 50 steps takes 0.48 and 0.37 of its time in calls of one; the
# progress bar and Ctrl-C wait for a fraction of a second.
STEPS, IMAGES = 50, 1600


class ResidentImages:
    """What the `fit` of a GAN on arrays runs, and what was traced for it.

    Args:
        model: `fastgen.models.GAN`.
    """

    def __init__(self, model):
        self.model = model
        self.traced = {}

    @contextlib.contextmanager
    def in_use(self, images, given):
        """The arguments for `keras.Model.fit`, which runs these images inside.

        Args:
            images: `(n, ...)` tensor.
            given: what `fit` was given, by name.
        """
        model = self.model
        batch_size, shuffle = given.get("batch_size") or 32, given.get("shuffle", True)
        whole_epoch = -(-len(images) // batch_size)
        epoch = given.get("steps_per_epoch") or whole_epoch
        group = self.group(batch_size, given.get("callbacks")) if epoch == whole_epoch else 1
        group = min(group, epoch)
        order = model.noise.state.numpy()  # moves on with every step
        skipped = 0 if epoch == whole_epoch else self._aligned(order, whole_epoch)
        blocks = row_blocks(len(images), batch_size, model.n_critic, group, order, shuffle)

        def train(iterator):
            for rows in next(iterator):
                if len(rows):
                    logs = self._function(images, rows)(images, rows)
            return logs

        before = model.train_function, model.steps_per_execution
        model.train_function, model.steps_per_execution = train, group
        own = {"x": blocks.skip(skipped).prefetch(2), "steps_per_epoch": epoch, "shuffle": False}
        try:
            yield {**{k: v for k, v in given.items() if k != "batch_size"}, **own}
        finally:
            model.train_function, model.steps_per_execution = before

    def group(self, batch_size, callbacks):
        """How many steps to run in one call, callbacks allowing."""
        model = self.model
        if any(map(watches, keras.tree.flatten(callbacks or ()))):
            return 1
        if model.own_steps_per_execution is not None:
            return model.own_steps_per_execution
        # Stock operations take long enough for Keras' own time not to matter.
        return 1 if model.why_stock() else max(1, min(STEPS, IMAGES // batch_size))

    def _aligned(self, order, whole_epoch):
        """Set the order back to where a pass began; the steps since then.

        So epochs of `steps_per_epoch` go through the images pass after pass, over calls of `fit`.
        """
        draws = self.model.n_critic + 1
        steps = int(order[1]) // draws % whole_epoch
        order[1] -= steps * draws
        return steps

    def _function(self, images, rows):
        model = self.model
        if model.run_eagerly:
            return model.train_rows
        key = rows.shape[0], images.dtype
        if key not in self.traced:
            signature = [
                tf.TensorSpec((None, *images.shape[1:]), images.dtype),
                tf.TensorSpec((*rows.shape[:2], None), tf.int64),
            ]
            self.traced[key] = tf.function(
                model.train_rows, signature, autograph=False, jit_compile=model.jit_compile
            )
        return self.traced[key]


def row_blocks(n, batch_size, n_critic, group, order, shuffle):
    """Row numbers for steps, pass after pass over all images without end.

    The order of a pass depends on the seed and on how much noise has been drawn before it, which
    is part of a model's state, so that a training that goes on from a saved state sees the images
    as one that never stopped. Each update of the discriminator in a step has an order of its own.

    Args:
        n: number of images.
        batch_size: of them in an update; the last of a pass has what is left.
        n_critic: updates of the discriminator in a step.
        group: steps in a block.
        order: `(2,)` array: the seed, and how often noise was drawn before the first pass.
        shuffle: whether to shuffle.

    Returns:
        Endless `tf.data.Dataset` of pairs of int64 tensors: `(steps, n_critic, batch_size)`, and
        `(0 or 1, n_critic, rest)`, the step that follows on the last images of a pass.
    """
    whole, epoch = n // batch_size, -(-n // batch_size)
    ragged = whole < epoch
    seed, drawn = (int(x) for x in order)

    def one_order(number, i):
        if not shuffle:
            return tf.range(n, dtype=tf.int64)
        drawn_before = drawn + number * epoch * (n_critic + 1) + i
        key = tf.stack([tf.constant(seed, tf.int64), -1 - drawn_before])  # no key of noise
        return tf.random.experimental.stateless_shuffle(tf.range(n, dtype=tf.int64), key, "philox")

    def one_pass(number):
        order = tf.stack([one_order(number, i) for i in range(n_critic)])
        full = tf.reshape(order[:, : whole * batch_size], (n_critic, whole, batch_size))
        full = tf.transpose(full, (1, 0, 2))
        rest = order[None, :, whole * batch_size :]

        def block(start):
            at_end = tf.cast(start + group > whole, tf.int64) if ragged else 0
            return full[start : start + group], rest[:at_end]

        return tf.data.Dataset.range(0, epoch, group).map(block)

    return tf.data.Dataset.counter().flat_map(one_pass)
