"""`fit` on images that stay one tensor, of which each step takes rows."""

import contextlib
import itertools
import math

import keras
import numpy as np
import tensorflow as tf

from fastgen.models.grouped_steps import watches
from fastgen.ops.arguments import count

# Steps in one call of the graph, and images in them at most. Of the book's dense GAN at batch 32,
# an epoch in calls of 16 and of 50 steps takes 0.48 and 0.37 of its time in calls of one; the
# progress bar and Ctrl-C wait for a fraction of a second.
STEPS, IMAGES = 50, 1600


class ResidentImages:
    """What a `fit` on arrays runs, and what was traced for it.

    Args:
        model: Compiled `keras.Model` with `train_rows(data, rows)`, `why_stock()` and
            `own_steps_per_execution`.
        order: `keras.random.SeedGenerator`, which moves on with every draw of noise.
        grouped: The model's `GroupedSteps`.
        orders: How many images orders a step takes its rows of.
        draws: How often a step draws noise.
        stock_steps: How many steps of stock operations to run in a call at most.
    """

    def __init__(self, model, order, grouped, orders=1, draws=1, stock_steps=1):
        self.model, self.order, self.grouped = model, order, grouped
        self.orders, self.draws, self.stock_steps = orders, draws, stock_steps
        self.traced = {}

    @contextlib.contextmanager
    def in_use(self, data, given):
        """The arguments for `keras.Model.fit`, which runs these images inside.

        Args:
            data: `(n, ...)` tensor of images, or a tuple of such tensors.
            given: what `fit` was given, by name.
        """
        n = len(tf.nest.flatten(data)[0])
        batch_size, shuffle = given.get("batch_size") or 32, given.get("shuffle", True)
        whole_epoch = -(-n // batch_size)
        epoch = given.get("steps_per_epoch") or whole_epoch
        group = min(self.group(batch_size, given.get("callbacks")), epoch)
        if epoch != whole_epoch:  # so that neither ends within a group
            group = math.gcd(group, epoch, whole_epoch, self._pass_began(whole_epoch)[1])

        def rows():
            while True:  # each pass as it begins: a callback may load a backup, validation draw
                order, skipped = self._pass_began(1 if epoch == whole_epoch else whole_epoch)
                blocks = row_blocks(n, batch_size, self.orders, group, order, shuffle, self.draws)
                yield from itertools.islice(blocks, skipped // group, -(-whole_epoch // group))

        blocks = rows()

        def train(iterator):
            parts = next(blocks)
            return self._function(data, parts)(data, parts)

        # Keras is given a dataset that nobody reads: to trace and start one that makes the rows
        # takes 0.2 s, which is more than an epoch of 60 steps.
        unread = tf.data.Dataset.range(1).repeat()
        own = {"x": unread, "steps_per_epoch": epoch, "shuffle": False}
        if given.get("validation_batch_size") is None:
            own["validation_batch_size"] = batch_size
        with self.grouped.in_use(group, train_function=train):
            yield {**{k: v for k, v in given.items() if k != "batch_size"}, **own}

    def group(self, batch_size, callbacks):
        """How many steps to run in one call, callbacks allowing."""
        model = self.model
        if any(map(watches, keras.tree.flatten(callbacks or ()))):
            return 1
        if model.own_steps_per_execution is not None:
            return model.own_steps_per_execution
        most = STEPS
        if model.why_stock():
            most = 1 if model.run_eagerly else self.stock_steps
        return max(1, min(most, IMAGES // batch_size))

    def _pass_began(self, whole_epoch):
        """The order as it was when a pass began, and the steps since then.

        So epochs of `steps_per_epoch` go through the images pass after pass, over calls of `fit`.
        """
        order = self.order.state.numpy()  # moves on with every step
        steps = int(order[1]) // self.draws % whole_epoch
        order[1] -= steps * self.draws
        return order, steps

    def _function(self, data, parts):
        def train(data, parts):
            return [self.model.train_rows(data, rows) for rows in parts][-1]

        if self.model.run_eagerly:
            return train
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), data)
        key = *(len(rows) for rows in parts), *tf.nest.flatten(specs)
        if key not in self.traced:
            of_rows = [tf.TensorSpec((*rows.shape[:2], None), tf.int64) for rows in parts]
            function = tf.function(
                train, [specs, of_rows], autograph=False, jit_compile=self.model.jit_compile
            )
            # Called as it is, it would count among the traces that TensorFlow warns of.
            self.traced[key] = function.get_concrete_function()
        return self.traced[key]


def check_sizes(given):
    """Makes ints of what `fit` was given, by name, as numbers of images and of steps."""
    for name in ("batch_size", "steps_per_epoch"):
        if given.get(name) is not None:
            given[name] = count("fit", name, given[name])


def row_blocks(n, batch_size, orders, group, order, shuffle, draws):
    """Row numbers for steps, pass after pass over all images without end.

    The order of a pass depends on the seed and on how much noise has been drawn before it, which
    is part of a model's state, so that a training that goes on from a saved state sees the images
    as one that never stopped. A GAN's updates of the discriminator in a step have an order each.

    Args:
        n: number of images.
        batch_size: of them in an update; the last of a pass has what is left.
        orders: of the images, of which a step takes rows.
        group: steps in a block.
        order: `(2,)` array: the seed, and how often noise was drawn before the first pass.
        shuffle: whether to shuffle.
        draws: how often a step draws noise.

    Yields:
        Lists of int64 tensors, without end: `(steps, orders, batch_size)` and, where a pass ends on
        fewer images, `(1, orders, rest)`, the step that follows on them.
    """
    whole, epoch = n // batch_size, -(-n // batch_size)
    seed, drawn = (int(x) for x in order)

    def one_order(number, i):
        if not shuffle:
            return np.arange(n)
        # A key of no noise.
        return _shuffled(n, np.array([seed, -1 - (drawn + number * epoch * draws + i)]))

    for number in itertools.count():
        order = np.stack([one_order(number, i) for i in range(orders)])
        full = order[:, : whole * batch_size].reshape(orders, whole, batch_size).transpose(1, 0, 2)
        rest = order[None, :, whole * batch_size :]
        for start in range(0, epoch, group):
            parts = full[start : start + group], rest[: whole < min(start + group, epoch)]
            yield [tf.constant(part) for part in parts if len(part)]


# In a graph: the dozens of operations that it is made of take more than a pass over a few images.
@tf.function(
    input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([2], tf.int64)], autograph=False
)
def _shuffled(n, key):
    return tf.random.experimental.stateless_shuffle(tf.range(n), key, "philox")
