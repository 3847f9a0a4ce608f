"""`@elementwise`: a function of scalars as a TensorFlow op over tensors."""

import contextlib
import functools
import inspect

import keras
import numpy as np
import tensorflow as tf

from fastgen import dispatch, native
from fastgen.jit import compiled_op, device_code, loops, registry, source
from fastgen.jit.compiled_op import CLOSE, SEED, CompiledOp, leading_dtype

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:
    pfor = None

STEP = 1e-5  # of central differences in float64
POINTS = 64  # that debug mode looks at


def elementwise(
    function=None, *, gradient=None, reference=None, noise=None, fastmath=False, name=None
):
    """Make a kernel of a function of scalars, compiled by Numba when it is first called.

    `y[i] = function(x[i], ...)`, the inputs broadcast. Numbers in the function have the dtype of
    its floating inputs, as in NumPy; float16 and bfloat16 are float32 inside it. It may call other
    functions and kernels of scalars, Python's `math`, and `fastgen.jit.math`, which is several
    times as fast. It cannot raise, print or allocate: return NaN instead.

    On a GPU it is compiled by numba.cuda (`pip install 'fastgen[cuda]'`), which has Python's `math`
    and little of NumPy; what it does not compile runs as the reference, or on the CPU.

    Example:
    >>> import tensorflow as tf
    >>> from fastgen import jit
    >>> @jit.elementwise(gradient=lambda x, slope, d_y: (
    ...     d_y if x > 0 else slope * d_y,
    ...     0.0 if x > 0 else x * d_y,
    ... ))
    ... def leaky_relu(x, slope):
    ...     return x if x > 0 else slope * x
    >>> leaky_relu(tf.constant([-2.0, 3.0]), 0.1).numpy()
    array([-0.2,  3. ], dtype=float32)

    Args:
        function: of n ≥ 1 scalars, returns a number or a tuple of them.
        gradient: function `(*inputs, *d_outputs)` that returns the gradient of each input, as a
            number or a tuple; `d_outputs` are those of floating outputs. What it returns for inputs
            that are not floating is ignored. May itself be a kernel with a gradient. Without it,
            and for the second order, gradients are those of the reference.
        reference: function of tensors that does the same in stock TensorFlow ops, gradient
            included: for XLA and inside `fastgen.portable()`.
        noise: `"normal"` or `"uniform"` in [0, 1): the function, its gradient and its reference get
            a number of it as their last argument, and calls take `seed=`, `(2,)` whole numbers. The
            noise is that of `tf.random.stateless_normal` or `stateless_uniform` with the shape of
            the outputs, in float64 if an input is, else in float32; it is never stored.
        fastmath: as Numba's: True lets the compiler reorder sums and forget NaN and infinity.
        name: of the op; by default the function's.

    Returns:
        An `Elementwise`, called as the function is, with tensors. Its outputs have the shape to
        which the inputs broadcast; floating ones the widest floating dtype of the inputs, whole
        ones likewise, comparisons bool.

    Raises:
        ValueError: for a function that could raise, calls itself, or takes no scalars by position;
            at the first call, if Numba cannot compile it for the dtypes.
    """
    if function is None:
        options = {"gradient": gradient, "reference": reference, "noise": noise}
        return functools.partial(elementwise, **options, fastmath=fastmath, name=name)
    return Elementwise(function, gradient, reference, fastmath, name, noise).define()


@keras.saving.register_keras_serializable(package="fastgen")
class Elementwise(CompiledOp):
    """A kernel that `elementwise` made; call it with tensors.

    Example:
    >>> from fastgen import jit
    >>> @jit.elementwise(gradient=lambda x, d_y: 2 * x * d_y)
    ... def square(x):
    ...     return x * x
    >>> square([1.0, 2.0]).numpy()
    array([1., 4.], dtype=float32)
    >>> square.check_gradient([1.0, 2.0])
    """

    kind = decorator = "elementwise"
    devices = dispatch.BOTH

    def __init__(
        self, function, gradient=None, reference=None, fastmath=False, name=None, noise=None
    ):
        name = compiled_op.named(name, function)
        arity = function.__code__.co_argcount - bool(noise)
        if not arity:
            raise source.Refusal(
                f"{name}: with noise a kernel takes one scalar or more before it. "
                f"Received: {name}{inspect.signature(function)}"
            )
        super().__init__(name, function, arity, gradient, reference, fastmath, noise)
        if gradient is not None and not isinstance(gradient, Elementwise):
            own = f"{self.__name__}.gradient"
            stock = reference and self._gradient_in_stock_ops
            self.gradient = Elementwise(gradient, None, stock, fastmath, own, noise)

    def _noise_shape(self, tensors):
        return functools.reduce(tf.broadcast_dynamic_shape, map(tf.shape, tensors))

    def _spread(self, inputs, d_output):
        """Inputs of the shape of the outputs, which a gradient of this kernel has, too."""
        return [tf.broadcast_to(x, tf.shape(d_output)) for x in inputs]

    def _run(self, op, tensors, seed, outputs=None):
        dtypes = tuple(x.dtype.name for x in tensors)
        found = self.compiled(loops.Scalars(dtypes, outputs, self.noise))
        name = compiled_op.op_name(self.__name__)
        with self._device_of(found):
            return op(inputs=tensors, seed=seed, kernel=found.key, Out=found.outputs, name=name)

    def _device_of(self, compiled):
        """The device at hand, for which the kernel is compiled; the CPU if it cannot be."""
        if not native.load_ops() or dispatch.device_type() != "GPU":
            return contextlib.nullcontext()
        refusal = self._refusal(compiled)
        if refusal is None:
            return contextlib.nullcontext()
        if dispatch.backend() == dispatch.FUSED:
            raise refusal
        dispatch.warn_once(compiled.key, f"{self.op} runs on the CPU: {refusal}")
        return tf.device("CPU:0")

    def _refusal(self, compiled):
        """What keeps a kernel from GPUs, or None."""
        try:
            device_code.register(compiled, self.py_func, self.fastmath)
        except device_code.NotForGpusError as refusal:
            return refusal
        return None

    def _obstacle(self, inputs):
        """Why the reference runs on the GPU in the place of the kernel, or None.

        A gradient gets more than the inputs of its kernel; it runs on the CPU, if it has to.
        """
        dtype = leading_dtype(inputs).name
        if not self.reference or len(inputs) != self.arity or not device_code.capability():
            return None
        if dispatch.backend() == dispatch.FUSED or dispatch.device_type() != "GPU":
            return None
        if dispatch.choose(self.op, dtype).path != dispatch.FUSED:
            return None
        compiled = self.compiled(
            loops.Scalars(tuple(x.dtype.name for x in inputs), None, self.noise)
        )
        if refusal := self._refusal(compiled):
            dispatch.warn_once(compiled.key, f"{self.op} runs as stock TensorFlow ops: {refusal}")
        return refusal and str(refusal)

    def _gradients_of(self, op, inputs, seed, d_outputs, wanted):
        return self.gradient._run(op, [*inputs, *d_outputs], seed, wanted)

    def check_gradient(self, *inputs):
        """Compare the gradient with central differences in float64.

        Args:
            inputs: as for a call, without a seed; where the function has no kink.

        Raises:
            ValueError: if they differ by more than 1e-5, with the inputs where they do most.
        """
        inputs = [
            tf.cast(x, tf.float64) if x.dtype.is_floating else x for x in self._tensors(inputs)
        ]
        shape = self._noise_shape(inputs)
        inputs = [tf.broadcast_to(x, shape) for x in inputs]
        floating = [i for i, x in enumerate(inputs) if x.dtype.is_floating]
        seed = self._seed(SEED if self.noise else None)
        outputs = tf.nest.flatten(self(*inputs, seed=seed[0] if seed else None))
        upstream = [tf.fill(shape, tf.cast(1 + n / 2, y.dtype)) for n, y in enumerate(outputs)]
        gradients = self.backward(inputs, seed, outputs, upstream)  # tapes pause in an init_scope
        for i in floating:
            step = STEP * (1 + tf.abs(inputs[i]))
            ends = [
                self._weighted(
                    [x + side * step if j == i else x for j, x in enumerate(inputs)], seed
                )
                for side in (-1, 1)
            ]
            numeric = (ends[1] - ends[0]) / (2 * step)
            self._compare(i, inputs, gradients[i], numeric)

    def _weighted(self, inputs, seed):
        """The sum of the floating outputs, each times another number, element by element."""
        outputs = enumerate(tf.nest.flatten(self(*inputs, seed=seed[0] if seed else None)))
        return tf.add_n([(1 + n / 2) * y for n, y in outputs if y.dtype.is_floating])

    def _compare(self, i, inputs, gradient, numeric):
        gradient, numeric = np.ravel(gradient), np.ravel(numeric)
        error = np.abs(gradient - numeric) / (1 + np.abs(numeric))
        error = np.where(np.isfinite(numeric), error, 0)
        if error.size and not error.max() <= CLOSE:
            worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
            where = [float(np.ravel(x)[worst]) for x in inputs]
            raise ValueError(
                f"{self.__name__}: the gradient of input {i} is {gradient[worst]:.6g} and central "
                f"differences give {numeric[worst]:.6g}. Received: inputs {where}"
            )

    def _check_somewhere(self, tensors):
        draw = np.random.default_rng(0)
        normal, whole = draw.normal(size=POINTS), draw.integers(0, 2, POINTS)
        self.check_gradient(
            *(
                tf.constant(np.roll(normal, i)) if x.dtype.is_floating else tf.cast(whole, x.dtype)
                for i, x in enumerate(tensors)
            )
        )


tf.RegisterGradient("FastgenElementwise")(registry.gradient)


def _all_iterations(pfor_input):
    """The op for all iterations of a vectorised loop at once: it broadcasts."""
    arity = len(pfor_input.get_attr("In"))
    if pfor_input.num_inputs > arity:  # each iteration has the noise of its own elements
        return pfor._fallback_converter(pfor_input)
    pfor_input.expanddim_inputs_for_broadcast()
    inputs = [pfor_input.input(i).t for i in range(arity)]
    key, outputs = pfor_input.get_attr("kernel"), pfor_input.get_attr("Out")
    op = native.load_ops().fastgen_elementwise
    with tf.device(pfor_input.op.device):  # the CPU, of what is not for GPUs
        return [pfor.wrap(y, True) for y in op(inputs=inputs, seed=[], kernel=key, Out=outputs)]


if all(hasattr(pfor, name) for name in ("RegisterPFor", "wrap", "_fallback_converter")):
    pfor.RegisterPFor("FastgenElementwise")(_all_iterations)
