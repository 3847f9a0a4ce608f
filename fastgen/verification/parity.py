"""A model beside its stock twin, step by step."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

import fastgen.data
from fastgen import diagnosis
from fastgen.verification.sides import side_of

# |w - the twin's w| / (1 + |w|) after a float32 step from the same state; the first step of Adam
# and Nadam divides by 1 - beta_2, which has lost four digits.
STEP, FIRST_STEP = 1e-6, 1e-4
FLOAT64 = 1e-9
# Training may amplify rounding beyond that in 100 steps. Of the book's GAN and four seeds, the
# distance was at most 0.8 of that of a twin whose weights began as many roundings away.
NUDGE = 16
# Distances of free-running float32 trainings are chaotic: in units of that of stock XLA.
XLA_DISTANCES = 3
FORMS = ("teacher-forced", "float64", "free-running")


class Row(NamedTuple):
    """One step of both."""

    form: str
    step: int
    losses: list
    reference_losses: list
    difference: float  # the largest |w - w'| / (1 + |w'|) of all weights
    bound: float
    counts: bool  # whether `Parity.ok` asks for it

    @property
    def ok(self):
        """Whether the difference is within the bound."""
        return self.difference <= self.bound


class Parity:
    """The rows of a comparison.

    Attributes:
        rows: list of `Row`, one for each step of each form.
    """

    def __init__(self, names, rows):
        self.names, self.rows = names, rows

    @property
    def ok(self):
        """Whether every step that counts is within its bound."""
        return all(row.ok for row in self.rows if row.counts)

    def table(self):
        """The rows as dicts of strings, as `fastgen.diagnosis.print_table` takes them."""
        return [
            {
                "form": row.form,
                "step": str(row.step),
                **{name: f"{x:.5f}" for name, x in zip(self.names, row.losses, strict=True)},
                **{
                    f"its {name}": f"{x:.5f}"
                    for name, x in zip(self.names, row.reference_losses, strict=True)
                },
                "difference": f"{row.difference:.2g}",
                "bound": f"{row.bound:.2g}",
                "": "" if row.ok else ("exceeded" if row.counts else "farther"),
            }
            for row in self.rows
        ]

    def print(self, shown=5):
        """Print some steps of each form, the first that exceed their bound among them."""
        kept = []
        for form in dict.fromkeys(row.form for row in self.rows):
            rows = [i for i, row in enumerate(self.rows) if row.form == form]
            some = {rows[int(i)] for i in np.linspace(0, len(rows) - 1, shown).round()}
            bad = [i for i in rows if self.rows[i].counts and not self.rows[i].ok]
            kept += sorted(some | set(bad[:shown]))
        table = self.table()
        title = "fastgen.parity: " + ("within all bounds" if self.ok else "bounds are exceeded")
        diagnosis.print_table(title, [table[i] for i in kept])


def parity(
    model,
    reference=None,
    data=None,
    *,
    steps=100,
    batch_size=32,
    seed=0,
    forms=FORMS,
    verbose=True,
):
    """Train a model and its twin of stock layers on the same batches, from the same weights.

    Three comparisons. "teacher-forced": each step starts from the state of the twin; a step may
    differ by 1e-6, relative to `1 + |w|`, the first one of Adam and Nadam by 1e-4. Where an input
    of SELU or ReLU is within a few roundings of 0, the two may take different slopes: the step may
    differ by as much more as the twin's own step does between the slopes below and above.
    "float64": both, in float64, go their way; they may differ by 1e-9, or by as much as the twin
    from one whose weights began 16 roundings away. "free-running": the same in the model's dtype,
    where rounding is amplified; beside three times the distance between the twin and the twin
    compiled by XLA, whose noise in a VAE is another. This one counts for nothing.

    Copies are trained, with new optimizers; the model stays as it is.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import fastgen
    >>> model = keras.Sequential([keras.Input((8,)), fastgen.layers.FusedDense(8)])
    >>> model.compile(fastgen.optimizers.SGD(), "mse")
    >>> x = np.ones((16, 8), "float32")
    >>> fastgen.parity(model, data=x, steps=3, forms=["float64"], verbose=False).ok
    True

    Args:
        model: compiled functional or Sequential Keras model, whose class has no train_step or
            compute_loss of its own: copies would lose them; a
            `fastgen.models.VariationalAutoencoder` or `Autoencoder`, which takes the kernel of its
            `fit`; a GAN, which is `Sequential([generator, discriminator])`, both compiled as in the
            book, or has these networks and `generator_optimizer` and `discriminator_optimizer` as
            attributes; or a tuple `((generator, discriminator), (generator_optimizer,
            discriminator_optimizer))`. A GAN takes `fastgen.ops.gan_step`, with one critic, plain
            labels and `batch_norm="train"`.
        reference: the like of it, of stock layers. By default a copy of `model` with `Dense` for
            `FusedDense` and Keras' own optimizers. A GAN's takes stock operations, an
            autoencoder's Keras' own steps of them.
        data: images `(n, ...)`; or a tuple `(x, y)` of inputs and targets. By default
            digits, 28 x 28.
        steps: of each comparison.
        batch_size: images in a step.
        seed: of the batches and of the noise of a GAN.
        forms: which of the three.
        verbose: whether to print a table.

    Returns:
        A `Parity`: `rows`, a step of a form each, and `ok`.

    Raises:
        TypeError: if the model is none of these.
        ValueError: if the weights of the reference are others, a form has another name, or a GAN
            was compiled for other steps.
    """
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise ValueError(f"parity: forms must be some of {FORMS}. Received: {unknown}")
    mine = side_of("parity", model)
    other = mine.copy(stock=True) if reference is None else side_of("parity", reference)
    shapes = [[tuple(v.shape) for v in side.weights] for side in (mine, other)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"parity: reference must have weights of {shapes[0]}. Received: {shapes[1]}"
        )
    batches = [*_batches(data, steps, batch_size, seed)]
    rows = [row for form in forms for row in _RUNS[form](form, mine, other, batches)]
    found = Parity(mine.losses, rows)
    if verbose:
        found.print()
    return found


def _batches(data, steps, batch_size, seed):
    if data is None:
        (data, _), _ = fastgen.data.load("digits")
    rng = np.random.default_rng(seed)
    parts = data if isinstance(data, tuple) else (data,)
    for _ in range(steps):
        rows = rng.integers(0, len(parts[0]), batch_size)
        batch = tuple(np.asarray(part)[rows] for part in parts)
        yield batch if isinstance(data, tuple) else batch[0], rng.integers(0, 2**31, (2, 2))


def _copier(of, to):
    """A function that gives all numbers of one side to another."""

    @tf.function(autograph=False)
    def copy():
        for a, b in zip(of.state, to.state, strict=True):
            b.assign(tf.cast(a, b.dtype))

    return copy


def _difference(one, other):
    """A function that returns the largest difference of their weights."""

    @tf.function(autograph=False)
    def difference():
        gaps = [
            tf.reduce_max(tf.abs(a - b) / (1 + tf.abs(b)))
            for a, b in zip(one.weights, other.weights, strict=True)
        ]
        return tf.reduce_max(gaps)

    return difference


def _alike(mine, other, **how):
    """Copies of both sides with the weights of one, and how far they are apart."""
    mine, other = mine.copy(**how), other.copy(stock=True, **how)
    for a, b in zip(mine.weights, other.weights, strict=True):
        b.assign(a)
    return mine, other, _difference(mine, other)


def _teacher_forced(form, mine, other, batches):
    mine, other, difference = _alike(mine, other)
    below, above = (other.copy(stock=True, side=side) for side in (-1, 1))
    across = _difference(below, above)
    follow = [_copier(other, each) for each in (mine, below, above)]
    adaptive = any(hasattr(o, "beta_2") for o in mine.optimizers)
    for i, batch in enumerate(batches):
        for copy in follow:
            copy()
        losses = mine.step(*batch), other.step(*batch)
        bound, found = FIRST_STEP if adaptive and i == 0 else STEP, float(difference())
        if found > bound:  # once in a hundred steps: an input of an activation next to its jump
            below.step(*batch), above.step(*batch)
            bound += float(across())
        yield Row(form, i, *losses, found, bound, True)


def _float64(form, mine, other, batches):
    mine, other, difference = _alike(mine, other, dtype="float64")
    nudged = other.copy(stock=True, dtype="float64")
    rng = np.random.default_rng(0)
    for w in nudged.weights:
        w.assign(w * (1 + NUDGE * np.finfo("float64").eps * rng.choice((-1, 1), w.shape)))
    spread, bound = _difference(nudged, other), FLOAT64
    for i, batch in enumerate(batches):
        losses = mine.step(*batch), other.step(*batch)
        nudged.step(*batch)
        bound = max(bound, float(spread()))
        yield Row(form, i, *losses, float(difference()), bound, True)


def _free(form, mine, other, batches):
    mine, other, difference = _alike(mine, other)
    compiled = other.copy(stock=True, jit_compile=True)
    spread = _difference(compiled, other)
    for i, batch in enumerate(batches):
        losses = mine.step(*batch), other.step(*batch)
        compiled.step(*batch)
        bound = XLA_DISTANCES * float(spread())
        yield Row(form, i, *losses, float(difference()), bound, False)


_RUNS = dict(zip(FORMS, (_teacher_forced, _float64, _free), strict=True))
