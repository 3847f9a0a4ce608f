"""Everything that a training needs to go on as if it had never stopped."""

import warnings

import tensorflow as tf


class Checkpoints:
    """Saves and restores the whole state of a compiled model, once an epoch.

    The state is every weight, the state of every seed generator, and all that the optimizer has, or
    each of a GAN's two: its slots, its iterations, its learning rate. What depends on the
    iterations, such as a schedule, needs nothing more; neither does the order of the images, which
    in `fit` of our models on arrays depends on the state of a seed.

    A checkpoint appears in the folder whole or not at all.

    Example:
    >>> import tempfile
    >>> import keras
    >>> from fastgen.training import Checkpoints
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("nadam", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(folder, model)
    ...     checkpoints.save(epoch=1)
    ...     _ = model.layers[0].bias.assign([5.0])
    ...     checkpoints.restore(), float(model.layers[0].bias[0])
    (1, 0.0)

    Args:
        folder: Folder of its own, which need not exist.
        model: Built and compiled Keras model.
        keep: How many checkpoints to keep.
    """

    def __init__(self, folder, model, keep=2):
        optimizers = getattr(model, "optimizers", None)
        if optimizers is None:  # a GAN has built its own
            model.optimizer.build(model.trainable_variables)
            optimizers = (model.optimizer,)
        variables = [*model.variables, *(v for x in optimizers for v in x.variables)]
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        # By position: two Keras variables may have the same path.
        self._checkpoint = tf.train.Checkpoint(
            epoch=self._epoch, state=[variable.value for variable in variables]
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(folder), max_to_keep=keep, checkpoint_name="epoch"
        )

    @property
    def latest(self):
        """Path of the last checkpoint, or None."""
        return self._manager.latest_checkpoint

    def save(self, epoch):
        """Saves the state after `epoch` whole epochs."""
        self._epoch.assign(epoch)
        self._manager.save(checkpoint_number=epoch)

    def restore(self):
        """Restores the last checkpoint; returns how many epochs it has seen.

        Where the last one is damaged, it is the one before, with a `RuntimeWarning`.

        Raises:
            ValueError: There is none, or all are damaged, or they are those of another model.
        """
        damage = None
        for path in reversed(self._manager.checkpoints):
            try:
                self._checkpoint.restore(path).assert_consumed()
            except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
                damage = damage or error
                continue
            if damage:
                warnings.warn(
                    f"{self.latest} is damaged; going on from {path}", RuntimeWarning, stacklevel=2
                )
            return int(self._epoch.numpy())
        if damage is None:
            raise ValueError(f"{self._manager.directory} holds no checkpoint")
        raise ValueError(
            f"{self.latest} is damaged, or is the checkpoint of another model: {damage}"
        ) from damage
