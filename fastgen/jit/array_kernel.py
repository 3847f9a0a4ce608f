"""`@kernel`: a function of whole arrays as a TensorFlow op over many of them, as a NumPy gufunc."""

import functools

import keras
import numpy as np
import tensorflow as tf

from fastgen import native
from fastgen.jit import compiled_op, registry, source
from fastgen.jit.compiled_op import NARROW, CompiledOp
from fastgen.jit.row_loops import Rows
from fastgen.jit.signature import Signature
from fastgen.jit.source import Refusal

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:
    pfor = None


NAMES = {None, *compiled_op.DTYPES}  # what dtypes= may hold


def kernel(
    signature,
    function=None,
    *,
    gradient=None,
    reference=None,
    noise=None,
    dtypes=None,
    fastmath=False,
    name=None,
):
    """Make a kernel of a function of arrays, compiled by Numba when it is first called.

    The function gets the last axes of the tensors, as many as the signature names, and is called
    for each index of the axes before those, which broadcast; rows are spread over TensorFlow's
    threads. As with Numba's guvectorize, its last arguments are the outputs, to write into; one
    without axes is an array of one element, an input without axes a number. All elements must be
    written (where FASTGEN_DEBUG=1, others are NaN). It cannot allocate or print; an index that is
    out of bounds is an error of the op. `fastgen.jit.elementwise` says what else holds.

    Example:
    >>> from fastgen import jit
    >>> def d_dot(x, y, d_out, d_x, d_y):
    ...     for i in range(x.shape[0]):
    ...         d_x[i], d_y[i] = d_out * y[i], d_out * x[i]
    >>> @jit.kernel("(n),(n)->()", gradient=d_dot)
    ... def dot(x, y, out):
    ...     out[0] = 0.0
    ...     for i in range(x.shape[0]):
    ...         out[0] += x[i] * y[i]
    >>> dot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0]).numpy()
    array([21., 43.], dtype=float32)
    >>> dot.check_gradient([1.0, 2.0], [3.0, 4.0])

    Args:
        signature: the core axes of the inputs and outputs, as of a gufunc: `"(n,m),(m)->(n),()"`.
            Sizes are names or numbers.
        function: of the inputs and outputs, returns nothing.
        gradient: function `(*inputs, *d_outputs, *d_inputs)` that writes the gradient of each
            input; `d_outputs` are those of floating outputs, read as inputs are. What it writes for
            inputs that are not floating is ignored. May itself be a kernel with a gradient. Without
            it, and for the second order, gradients are those of the reference.
        reference: function of tensors that does the same in stock TensorFlow ops, gradient
            included: for XLA and inside `fastgen.portable()`.
        noise: as of `elementwise`: the function and its gradient get, after all other arguments, an
            array of the noise of the first output, whose shape it has.
        dtypes: names of the outputs' dtypes; None, or in it, stands for the widest floating dtype
            of the inputs, or for the first input's where none is floating.
        fastmath: as Numba's; `{"reassoc", "nsz"}` lets sums become vectors.
        name: of the op; by default the function's.

    Returns:
        An `ArrayKernel`, called with tensors.

    Raises:
        ValueError: for a malformed signature or a function that does not fit it; at the first call,
            if Numba cannot compile it for the dtypes.

    Source: the signatures of NumPy's generalised universal functions,
    https://numpy.org/doc/stable/reference/c-api/generalized-ufuncs.html.
    """
    options = {"gradient": gradient, "reference": reference, "noise": noise, "dtypes": dtypes}
    options |= {"fastmath": fastmath, "name": name}
    if function is None:
        Signature.parse(name or "kernel", signature)  # a function, where @kernel has none
        return functools.partial(kernel, signature, **options)
    return ArrayKernel(signature, function, **options).define()


@keras.saving.register_keras_serializable(package="fastgen")
class ArrayKernel(CompiledOp):
    """A kernel that `kernel` made; call it with tensors.

    Example:
    >>> from fastgen import jit
    >>> @jit.kernel("(n)->(n)")
    ... def cumulative(x, y):
    ...     total = 0.0
    ...     for i in range(x.shape[0]):
    ...         total += x[i]
    ...         y[i] = total
    >>> cumulative([1.0, 2.0, 3.0]).numpy()
    array([1., 3., 6.], dtype=float32)
    """

    kind = "array_kernel"
    decorator = "kernel"

    def __init__(
        self,
        signature,
        function,
        gradient=None,
        reference=None,
        noise=None,
        dtypes=None,
        fastmath=False,
        name=None,
    ):
        name = compiled_op.named(name, function)
        if not isinstance(signature, Signature):
            signature = Signature.parse(name, signature)
        if noise:
            signature = signature._replace(noise=signature.noise or signature.outputs[0])
        self.signature = signature
        arity = len(signature.inputs)
        arguments = arity + len(signature.outputs) + bool(noise)
        if function.__code__.co_argcount != arguments:
            raise Refusal(
                f"{name}: the function must take {arguments} arguments: the signature's inputs, "
                f"its outputs{' and noise' if noise else ''}. "
                f"Received: {function.__code__.co_argcount}"
            )
        source.check_outputs(name, function, arity, len(signature.outputs))
        super().__init__(name, function, arity, gradient, reference, fastmath, noise)
        self.dtypes = self._checked_dtypes(dtypes)
        if gradient is not None and not isinstance(gradient, ArrayKernel):
            floating = [not dtype or "float" in dtype for dtype in self.dtypes]
            self.gradient = ArrayKernel(
                signature.of_gradient(floating),
                gradient,
                reference=reference and self._gradient_in_stock_ops,
                noise=noise,
                fastmath=fastmath,
                name=f"{self.__name__}.gradient",
            )

    def _checked_dtypes(self, dtypes):
        count = len(self.signature.outputs)
        given = [None] * count if dtypes is None else list(dtypes)
        if isinstance(dtypes, str) or len(given) != count or not set(given) <= NAMES:
            raise Refusal(
                f"{self.__name__}: dtypes must be None or a list, for each of {count} outputs a "
                f"name of a dtype or None. Received: {dtypes}"
            )
        return given

    def _noise_shape(self, tensors):
        sizes, rows = {}, tf.zeros([0], tf.int32)
        for x, axes in zip(tensors, self.signature.inputs, strict=True):
            shape = tf.shape(x)
            first = tf.size(shape) - len(axes)
            rows = tf.broadcast_dynamic_shape(rows, shape[:first])
            sizes |= {size: shape[first + a] for a, size in enumerate(axes)}
        core = [int(x) if x.isdigit() else sizes[x] for x in self.signature.noise]
        return tf.concat([rows, tf.stack(core)], 0) if core else rows

    def _spread(self, inputs, d_output):
        """Inputs with all rows of the outputs, which a gradient of this kernel has, too."""
        pairs = zip(self.signature.outputs, self.dtypes, strict=True)
        core = next(axes for axes, dtype in pairs if not dtype or "float" in dtype)
        rows = tf.shape(d_output)[: d_output.shape.rank - len(core)]
        pairs = zip(inputs, self.signature.inputs, strict=True)
        return [
            tf.broadcast_to(x, tf.concat([rows, tf.shape(x)[x.shape.rank - len(axes) :]], 0))
            for x, axes in pairs
        ]

    def _gradient_in_stock_ops(self, *given):
        """As the gradient's outputs, with one for each input."""
        found = iter(super()._gradient_in_stock_ops(*given))
        inputs = given[: self.arity]
        return [
            next(found) if x.dtype.is_floating else tf.zeros_like(x, tf.float32) for x in inputs
        ]

    def _run(self, op, tensors, seed):
        """The op, in float32 where tensors are of 16 bits."""
        wide = [tf.cast(x, tf.float32) if x.dtype in NARROW else x for x in tensors]
        outputs = [self._output_dtype(dtype, tensors) for dtype in self.dtypes]
        computed = tuple("float32" if tf.as_dtype(x) in NARROW else x for x in outputs)
        form = Rows(self.signature, tuple(x.dtype.name for x in wide), computed, self.noise)
        found = self.compiled(form)
        ys = op(
            inputs=wide,
            seed=seed,
            kernel=found.key,
            Out=found.outputs,
            name=compiled_op.op_name(self.__name__),
            **self.signature.attributes(),
        )
        return [tf.cast(y, dtype) for y, dtype in zip(ys, outputs, strict=True)]

    @staticmethod
    def _output_dtype(dtype, tensors):
        if dtype:
            return dtype
        floats = {x.dtype.name for x in tensors if x.dtype.is_floating}
        if len(floats) > 1:
            return "float64" if "float64" in floats else "float32"
        return floats.pop() if floats else tensors[0].dtype.name

    def _gradients_of(self, op, inputs, seed, d_outputs, wanted):
        found = self.gradient._run(op, [*inputs, *d_outputs], seed)
        if len(found) != len(inputs):
            raise ValueError(
                f"{self.gradient.__name__}: must write a gradient for each of {len(inputs)} "
                f"inputs. Received: {len(found)} outputs"
            )
        return [tf.cast(d, dtype) for d, dtype in zip(found, wanted, strict=True) if dtype]

    def _check_somewhere(self, tensors):
        draw = np.random.default_rng(0)
        sizes = {x: int(x) if x.isdigit() else 3 + i for i, x in enumerate(self.signature.sizes)}
        if all(x.dtype.is_floating for x in tensors):  # others may be indices
            self.check_gradient(
                *(
                    tf.constant(draw.normal(size=[2, *(sizes[x] for x in axes)]))
                    for axes in self.signature.inputs
                )
            )


tf.RegisterGradient("FastgenArrayKernel")(registry.gradient)


def _all_iterations(pfor_input):
    """The op for all iterations of a vectorised loop at once: one more axis of rows."""
    arity, ranks = len(pfor_input.get_attr("In")), pfor_input.get_attr("ranks")
    if pfor_input.num_inputs > arity or pfor_input.get_attr("split"):
        return pfor._fallback_converter(pfor_input)
    given = [pfor_input.input(i) for i in range(arity)]
    shapes = [x.t.shape for x in given]
    if any(shape.rank is None for shape in shapes):
        return pfor._fallback_converter(pfor_input)
    rows = [
        shape.rank - rank - x.is_stacked
        for x, shape, rank in zip(given, shapes, ranks[:arity], strict=True)
    ]
    inputs = []
    for x, own in zip(given, rows, strict=True):
        missing = max(rows) - own
        if x.is_stacked and missing:
            shape = tf.shape(x.t)
            middle = tf.concat([shape[:1], tf.ones([missing], tf.int32), shape[1:]], 0)
            inputs.append(tf.reshape(x.t, middle))
        else:
            inputs.append(x.t)
    names = ("kernel", "Out", "ranks", "axes", "sizes", "noise")
    attributes = {name: pfor_input.get_attr(name) for name in names}
    ys = native.load_ops().fastgen_array_kernel(inputs=inputs, seed=[], **attributes)
    return [pfor.wrap(y, True) for y in ys]


if all(hasattr(pfor, name) for name in ("RegisterPFor", "wrap", "_fallback_converter")):
    pfor.RegisterPFor("FastgenArrayKernel")(_all_iterations)
