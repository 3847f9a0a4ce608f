"""`@reduce`: a function of scalars whose values are summed along an axis, as a TensorFlow op."""

import functools

import keras
import numpy as np
import tensorflow as tf

from fastgen.jit import compiled_op
from fastgen.jit.compiled_op import NARROW, CompiledOp
from fastgen.jit.elementwise import Elementwise
from fastgen.jit.fold_loops import Folds

FOLDS = ("sum", "mean", "max", "min")
AXES = (-1, 0, None)
COMBINE = {"sum": tf.reduce_sum, "max": tf.reduce_max, "min": tf.reduce_min}


def reduce(
    function=None,
    *,
    axis=-1,
    fold="sum",
    gradient=None,
    reference=None,
    fastmath=False,
    name=None,
):
    """Make a kernel of a function of scalars, its values folded along an axis.

    `y = sum(function(x[i], ...) for i in axis)`, or their mean, largest or least; the inputs
    broadcast. Values are never stored. Sums of the first axis and of all are made of panels that
    follow from the shape, not from the number of threads, those of the last by one thread a row; in
    float32 where the inputs are of 16 bits. `fastgen.jit.elementwise` says what holds of functions.

    Example:
    >>> from fastgen import jit
    >>> @jit.reduce(fold="mean", gradient=lambda x, y, d: (2 * d * (x - y), 2 * d * (y - x)))
    ... def mean_squared_error(x, y):
    ...     return (x - y) ** 2
    >>> mean_squared_error([[1.0, 2.0], [3.0, 5.0]], [1.0, 1.0]).numpy()
    array([ 0.5, 10. ], dtype=float32)

    Args:
        function: of n ≥ 1 scalars, returns a number or a tuple of them, each of which is folded.
        axis: -1, 0 or None, for all axes.
        fold: `"sum"`, `"mean"`, `"max"` or `"min"`.
        gradient: function `(*inputs, *d_outputs)` of scalars that returns the gradient of each
            input, as that of `elementwise`; of a mean, `d_outputs` are divided by the count.
            Largest and least values have none. Without it gradients are those of the reference.
        reference: function of tensors that does the same, fold included, in stock TensorFlow ops:
            for XLA and inside `fastgen.portable()`.
        fastmath: as Numba's, for the function; sums are made in any order without it.
        name: of the op; by default the function's.

    Returns:
        A `Reduction`, called as the function is, with tensors. Its outputs have the shape to which
        the inputs broadcast (of axis=-1, a last axis of 1 must be known when a graph is traced),
        less the axis, and dtypes as of `elementwise`; comparisons count, in int64. A sum of nothing
        is 0, a mean NaN, the largest of nothing the least number there is.

    Raises:
        ValueError: for another axis or fold, a function as of `elementwise`, at a call for inputs
            without the axis or of unknown rank.
    """
    options = {"axis": axis, "fold": fold, "gradient": gradient, "reference": reference}
    options |= {"fastmath": fastmath, "name": name}
    if function is None:
        return functools.partial(reduce, **options)
    return Reduction(function, **options).define()


@keras.saving.register_keras_serializable(package="fastgen")
class Reduction(CompiledOp):
    """A kernel that `reduce` made; call it with tensors.

    Example:
    >>> from fastgen import jit
    >>> @jit.reduce(axis=0, fold="max")
    ... def largest(x):
    ...     return abs(x)
    >>> largest([[1.0, -4.0], [-3.0, 2.0]]).numpy()
    array([3., 4.], dtype=float32)
    """

    kind = "array_kernel"
    decorator = "reduce"
    reference_has_its_arguments = False

    def __init__(
        self,
        function,
        axis=-1,
        fold="sum",
        gradient=None,
        reference=None,
        fastmath=False,
        name=None,
    ):
        name = compiled_op.named(name, function)
        if axis not in AXES or isinstance(axis, bool):
            raise ValueError(f"{name}: axis must be one of {AXES}. Received: {axis!r}")
        if fold not in FOLDS:
            raise ValueError(f"{name}: fold must be one of {FOLDS}. Received: {fold!r}")
        if gradient is not None and fold not in ("sum", "mean"):
            raise ValueError(f"{name}: a gradient needs a sum or a mean. Received: fold={fold!r}")
        self.axis, self.fold = axis, fold
        arity = function.__code__.co_argcount
        super().__init__(name, function, arity, gradient, reference, fastmath, None)
        if gradient is not None and not isinstance(gradient, Elementwise):
            self.gradient = Elementwise(gradient, fastmath=fastmath, name=f"{name}.gradient")

    def _run(self, op, tensors, seed):
        if self.gradient is not None or self.reference is None:
            return self._folded(op, tensors)

        @tf.custom_gradient
        def folded(*inputs):
            def gradients(*upstream):
                found = iter(compiled_op.gradients_of(self.reference, inputs, [], upstream))
                return [next(found) if x.dtype.is_floating else None for x in inputs]

            return self._folded(op, inputs), gradients

        return folded(*tensors)

    def _folded(self, op, tensors):
        wide = [tf.cast(x, tf.float32) if x.dtype in NARROW else x for x in tensors]
        axis, shape = self._axis(wide), self._shape(wide)
        given = _rows(wide) if axis == -1 else _columns(wide, axis, shape)
        arrays, axes = zip(*given, strict=True)
        fold = "sum" if self.fold == "mean" else self.fold
        form = Folds(axes, tuple(x.dtype.name for x in arrays), fold)
        found = self.compiled(form)
        ys = op(
            inputs=arrays,
            seed=[],
            kernel=found.key,
            Out=found.outputs,
            split=axis != -1,
            name=compiled_op.op_name(self.__name__),
            **form.signature(len(found.outputs)).attributes(),
        )
        if axis != -1:  # one of each part
            ys = [y[0] if y.shape[0] == 1 else COMBINE[fold](y, axis=0) for y in ys]
        if axis == 0:
            ys = [tf.reshape(y, shape[1:]) for y in ys]
        if self.fold == "mean":
            count = tf.cast(self._count(tensors), tf.float64)
            ys = [tf.cast(tf.cast(y, count.dtype) / count, y.dtype) for y in ys]
        floats = {x.dtype for x in tensors if x.dtype.is_floating}
        narrow = floats.pop() if len(floats) == 1 else None
        return [tf.cast(y, narrow) if narrow and y.dtype.is_floating else y for y in ys]

    def _axis(self, tensors):
        """The axis, or None where it is the only one."""
        ranks = [x.shape.rank for x in tensors]
        if None in ranks or not max(ranks):
            raise ValueError(
                f"{self.__name__}: inputs must be of known rank, and have an axis to fold. "
                f"Received: shapes {[x.shape for x in tensors]}"
            )
        return self.axis if max(ranks) > 1 else None

    def _shape(self, tensors):
        """What the inputs broadcast to: numbers where they are known."""
        try:
            static = _static_shape(tensors)
        except ValueError as error:
            raise ValueError(
                f"{self.__name__}: inputs must have shapes that broadcast. "
                f"Received: shapes {[tuple(x.shape) for x in tensors]}"
            ) from error
        if static.is_fully_defined():
            return np.array(static.as_list(), np.int32)
        return functools.reduce(tf.broadcast_dynamic_shape, map(tf.shape, tensors))

    def _count(self, tensors):
        shape = self._shape(tensors)
        return tf.reduce_prod(shape) if self.axis is None else shape[self.axis]

    def _gradients_of(self, op, inputs, seed, d_outputs, wanted):
        if self._axis(inputs) == -1:
            d_outputs = [tf.expand_dims(d, -1) for d in d_outputs]
        else:  # of all parts, which are summed
            d_outputs = [d[:1] for d in d_outputs]
        return self.gradient._run(op, [*inputs, *d_outputs], [], wanted)

    def _before_the_op(self, inputs, upstream):
        if self.fold == "mean":
            upstream = [d / tf.cast(self._count(inputs), d.dtype) for d in upstream]
        return upstream if self._axis(inputs) == -1 else [d[tf.newaxis] for d in upstream]

    def _check_somewhere(self, tensors):
        draw = np.random.default_rng(0)
        self.check_gradient(
            *(
                tf.constant(draw.normal(size=[3, 4]))
                if x.dtype.is_floating
                else tf.cast(draw.integers(0, 2, [3, 4]), x.dtype)
                for x in tensors
            )
        )


def _static_shape(tensors):
    return functools.reduce(tf.broadcast_static_shape, [x.shape for x in tensors])


def _rows(tensors):
    """The inputs for a fold of their last axis, and each one's axes; those of 1 there repeat."""
    axes = [("1",) if x.shape[-1:] == [1] else ("n",) if x.shape.rank else () for x in tensors]
    if ("n",) not in axes:
        axes = [("n",) if each else () for each in axes]
    return list(zip(tensors, axes, strict=True))


def _columns(tensors, axis, shape):
    """Likewise for a fold of the first axis or of all."""
    static = _static_shape(tensors)
    given, most = [], static.rank
    repeated = _repeated if len(tensors) > 1 else lambda x, *_: x
    for x in tensors:
        if not x.shape.rank:
            given.append((x, ()))
        elif axis is None:
            given.append((tf.reshape(repeated(x, static, shape), [-1]), ("n",)))
        elif x.shape.rank < most or x.shape[0] == 1:
            x = x if x.shape.rank < most else x[0]
            given.append((tf.reshape(repeated(x, static[1:], shape[1:]), [-1]), ("c",)))
        else:
            given.append((_as_matrix(repeated(x, static, shape)), ("b", "c")))
    if axis == 0 and ("b", "c") not in [axes for _, axes in given]:
        given[0] = _as_matrix(tf.broadcast_to(tensors[0], shape)), ("b", "c")
    return given


def _as_matrix(x):
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], tf.reduce_prod(shape[1:])])


def _repeated(x, static, shape):
    """An input in that shape, unless it is known to have it."""
    known = static.is_fully_defined() and x.shape == static
    return x if known else tf.broadcast_to(x, shape)
