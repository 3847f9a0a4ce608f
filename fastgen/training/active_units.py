"""Watches which codings of a variational autoencoder carry anything: posterior collapse."""

import math
import numbers
import warnings

import keras
import numpy as np


class ActiveUnits(keras.callbacks.Callback):
    """Counts the codings that a model uses, and warns of those that collapsed.

    Coding j is active if `Var_x[mean_j(x)] > threshold`. The count is logged as `active_units`, for
    `keras.callbacks.History` and the callbacks that follow this one. When the training ends, one
    `RuntimeWarning` names the codings that are not active.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> x = np.random.default_rng(1).random((32, 4, 4))
    >>> vae = fastgen.models.variational_autoencoder((4, 4), 2, hidden=(8,), seed=1, beta=0.1)
    >>> vae.compile("nadam")
    >>> units = fastgen.training.ActiveUnits(x)
    >>> history = vae.fit(x, verbose=0, callbacks=[units])
    >>> history.history["active_units"], units.report["active"].tolist()
    ([2], [True, True])

    Args:
        x: Images to look at, `(n, *image_shape)`, such as the validation images.
        threshold: number ≥ 0, the variance that an active coding exceeds.
        every: integer ≥ 1, epochs from one look to the next; the first epoch is looked at.
        batch_size: Images at a time.

    Attributes:
        report: None before the first look, then a dict of `epoch`, counted from 0; `variance` of
            the means over the images; `active`, an array of bool; and of the aggregate posterior,
            `mean` and `std`, which are near 0 and 1 where the prior is met. The latter four have an
            entry for each coding.

    Raises:
        ValueError: if an argument is out of its range, or the model has no `posterior(x)`.

    Source: Burda et al. (2015), Importance Weighted Autoencoders,
    https://arxiv.org/abs/1509.00519, section 5; aggregate posterior: Hoffman & Johnson (2016),
    ELBO surgery.
    """

    def __init__(self, x, threshold=0.01, every=1, batch_size=256):
        super().__init__()
        if not isinstance(threshold, numbers.Real) or not 0 <= threshold < math.inf:
            raise ValueError(
                f"ActiveUnits: threshold must be a number ≥ 0. Received: {threshold!r}"
            )
        if not isinstance(every, numbers.Integral) or every < 1:
            raise ValueError(f"ActiveUnits: every must be an integer ≥ 1. Received: {every!r}")
        if not len(x):
            raise ValueError(f"ActiveUnits: x must hold images. Received: {len(x)}")
        self.x = x
        self.threshold, self.every, self.batch_size = threshold, every, batch_size
        self.report = None

    def set_model(self, model):
        """Check that the model has a posterior."""
        if not hasattr(model, "posterior"):
            raise ValueError(
                "ActiveUnits: the model must have posterior(x), as "
                f"fastgen.models.VariationalAutoencoder has. Received: {type(model).__name__}"
            )
        super().set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        """Look, and log."""
        if epoch % self.every:
            return
        self.report = {"epoch": epoch, **self.look()}
        if logs is not None:
            logs["active_units"] = int(self.report["active"].sum())

    def look(self):
        """The report of the model as it is, without an epoch."""
        mean, log_var = (
            part.astype("float64")
            for part in self.model.posterior(self.x, batch_size=self.batch_size)
        )
        variance = mean.var(axis=0)
        return {
            "variance": variance,
            "active": variance > self.threshold,
            "mean": mean.mean(axis=0),
            "std": np.sqrt(variance + np.exp(log_var).mean(axis=0)),
        }

    def on_train_end(self, logs=None):
        """Warn of codings that collapsed."""
        if self.report is None or self.report["active"].all():
            return
        collapsed = np.flatnonzero(~self.report["active"]).tolist()
        warnings.warn(
            f"Posterior collapse: {len(collapsed)} of {len(self.report['active'])} codings carry "
            f"nothing (variance of their means ≤ {self.threshold:g}): {collapsed}. "
            "A smaller beta, a warm-up or free bits may wake them.",
            RuntimeWarning,
            stacklevel=2,
        )
