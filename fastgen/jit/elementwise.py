"""`@elementwise`: a function of scalars as a TensorFlow op over tensors."""

import ctypes
import functools
import hashlib
import os
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from fastgen import dispatch, native
from fastgen.jit import compilation, source

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:
    pfor = None

DTYPES = (
    *dispatch.FLOATS,
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
MOST_ARRAYS = 16  # FG_ELEMENTWISE_MOST_ARRAYS of csrc/kernels/elementwise.h
STEP, CLOSE = 1e-5, 1e-5  # of central differences in float64; what a gradient may differ by
POINTS = 64  # that debug mode looks at


class Compiled(NamedTuple):
    """A kernel for some dtypes. `machine` must live as long as graphs may call it."""

    kernel: "Elementwise"
    key: str
    outputs: list
    machine: compilation.Machine


_compiled = {}  # key → Compiled
_defined = {}  # address → Elementwise


def elementwise(function=None, *, gradient=None, reference=None, fastmath=False, name=None):
    """Make a kernel of a function of scalars, compiled by Numba when it is first called.

    `y[i] = function(x[i], ...)`, the inputs broadcast. Numbers in the function have the dtype of
    its floating inputs, as in NumPy; float16 and bfloat16 are float32 inside it. It may call other
    such functions, Python's `math`, and `fastgen.jit.math`, which is several times as fast. It
    cannot raise, print or allocate: return NaN instead.

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
            that are not floating is ignored. May itself be a kernel with a gradient, for the
            second order.
        reference: function of tensors that does the same in stock TensorFlow ops, gradient
            included: for XLA and inside `fastgen.portable()`.
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
        return functools.partial(
            elementwise, gradient=gradient, reference=reference, fastmath=fastmath, name=name
        )
    kernel = Elementwise(function, gradient, reference, fastmath, name)
    dispatch.USERS[kernel.op] = dispatch.Kernel(DTYPES, op="elementwise")
    _defined[kernel.address] = kernel
    return kernel


@keras.saving.register_keras_serializable(package="fastgen")
class Elementwise:
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

    def __init__(self, function, gradient=None, reference=None, fastmath=False, name=None):
        name = name or getattr(function, "__name__", "kernel")
        source.check(name, function)
        functools.update_wrapper(self, function)
        self.__name__ = name
        self.op = f"jit.{name}"
        self.arity = function.__code__.co_argcount
        self.reference = reference
        self.fastmath = fastmath
        self.gradient = gradient
        if gradient is not None and not isinstance(gradient, Elementwise):
            self.gradient = Elementwise(gradient, fastmath=fastmath, name=f"{name}.gradient")
        self._calls = {}
        self._checked = set()  # which inputs were floating when debug mode looked
        differentiable = gradient is not None
        dispatch.USERS[self.op] = dispatch.Kernel(
            DTYPES, ("CPU",), differentiable, op="elementwise"
        )

    @property
    def address(self):
        """Where the kernel is defined: what a saved model that has it for an activation holds."""
        return f"{self.__module__}:{self.__qualname__}"

    def get_config(self):
        """What Keras writes into a model's file."""
        return {"kernel": self.address}

    @classmethod
    def from_config(cls, config):
        """The kernel that is defined at an address."""
        address = config["kernel"]
        if address not in _defined:
            raise ValueError(
                f"elementwise: a model needs the kernel {address}: import its module first. "
                f"Received: {sorted(_defined)}"
            )
        return _defined[address]

    def __repr__(self):
        return f"<fastgen.jit.Elementwise {self.__name__}>"

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *inputs):
        """The outputs for tensors, arrays or numbers; plain numbers take the others' dtype."""
        tensors = self._tensors(inputs)
        op = dispatch.fused_op(self.op, _leading_dtype(tensors))
        if op is None:
            outputs = tf.nest.flatten(self._stock(tensors))
        else:
            self._check_once(tensors)
            outputs = self._run(op, tensors)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _tensors(self, inputs):
        if len(inputs) != self.arity:
            raise ValueError(f"{self.__name__}: takes {self.arity} inputs. Received: {len(inputs)}")
        typed = [tf.as_dtype(x.dtype) for x in inputs if hasattr(x, "dtype")]
        hint = next((dtype for dtype in typed if dtype.is_floating), *typed[:1] or [tf.float32])
        tensors = [tf.convert_to_tensor(x, None if hasattr(x, "dtype") else hint) for x in inputs]
        for x in tensors:
            if x.dtype.name not in DTYPES:
                raise ValueError(
                    f"{self.__name__}: inputs must be floating, whole numbers or bool. "
                    f"Received: {[x.dtype.name for x in tensors]}"
                )
        return tensors

    def _stock(self, tensors):
        if self.reference is None:
            why = dispatch.choose(self.op, _leading_dtype(tensors).name).why
            raise RuntimeError(
                f"{self.__name__}: stock ops are to run in its place ({why}), and it has none: "
                "give @elementwise a reference="
            )
        with tf.name_scope(self.__name__.replace(".", "_")):
            return self.reference(*tensors)

    def compiled(self, dtypes, outputs=None):
        """The kernel for dtypes, by name, compiled if need be and registered with TensorFlow."""
        found = self._calls.get((dtypes, outputs))
        if found is None:
            given = self.__name__, self.__wrapped__, dtypes, outputs, self.fastmath
            key, machine = compilation.machine_code(*given)
            if len(dtypes) + len(machine.outputs) > MOST_ARRAYS:
                raise source.Refusal(
                    f"{self.__name__}: inputs and outputs are {MOST_ARRAYS} at most. "
                    f"Received: {len(dtypes)} and {len(machine.outputs)}"
                )
            key = f"{self.__name__}:{key[:16]}{self._gradients()[:16]}"
            found = Compiled(self, key, machine.outputs, machine)
            found = _compiled.setdefault(found.key, found)
            _register(found, dtypes)
            self._calls[dtypes, outputs] = found
        return found

    def _gradients(self):
        """A hash of the gradient and its own: a kernel that is defined anew has another key."""
        about = ""
        if self.gradient is not None:
            own = source.fingerprint(self.gradient.__name__, self.gradient.__wrapped__)
            about = own + self.gradient._gradients()
        return hashlib.sha256(about.encode()).hexdigest()

    def _run(self, op, tensors, outputs=None):
        found = self.compiled(tuple(x.dtype.name for x in tensors), outputs)
        name = self.__name__.replace(".", "_").strip("<>")
        return op(inputs=tensors, kernel=found.key, Out=found.outputs, name=name)

    def backward(self, inputs, outputs, upstream, unwanted=()):
        """Gradients of the inputs from those of the outputs.

        None for inputs that are not floating, and for those whose indices are among the unwanted.
        """
        wanted = tuple(
            x.dtype.name if x.dtype.is_floating and i not in unwanted else None
            for i, x in enumerate(inputs)
        )
        if not any(wanted):
            return [None] * len(inputs)
        if self.gradient is None:
            raise LookupError(f"{self.__name__}: has no gradient: give @elementwise a gradient=")
        d_outputs = [
            tf.zeros_like(y) if d is None else tf.convert_to_tensor(d)
            for y, d in zip(outputs, upstream, strict=True)
            if y.dtype.is_floating
        ]
        given = [*inputs, *d_outputs]
        if len(given) != self.gradient.arity:
            raise ValueError(
                f"{self.gradient.__name__}: must take the {len(inputs)} inputs and the gradients "
                f"of {len(d_outputs)} floating outputs. Received: {self.gradient.arity} arguments"
            )
        op = native.load_ops().fastgen_elementwise
        found = iter(self.gradient._run(op, given, wanted))
        return [
            _summed_to(x, next(found)) if dtype else None
            for x, dtype in zip(inputs, wanted, strict=True)
        ]

    def check_gradient(self, *inputs):
        """Compare the gradient with central differences in float64.

        Args:
            inputs: as for a call; where the function has no kink.

        Raises:
            ValueError: if they differ by more than 1e-5, with the inputs where they do most.
        """
        inputs = [
            tf.cast(x, tf.float64) if x.dtype.is_floating else x for x in self._tensors(inputs)
        ]
        shape = functools.reduce(tf.broadcast_dynamic_shape, map(tf.shape, inputs))
        inputs = [tf.broadcast_to(x, shape) for x in inputs]
        floating = [i for i, x in enumerate(inputs) if x.dtype.is_floating]
        outputs = tf.nest.flatten(self(*inputs))
        upstream = [tf.fill(shape, tf.cast(1 + n / 2, y.dtype)) for n, y in enumerate(outputs)]
        gradients = self.backward(inputs, outputs, upstream)  # tapes pause in an init_scope
        for i in floating:
            step = STEP * (1 + tf.abs(inputs[i]))
            ends = [
                self._weighted([x + side * step if j == i else x for j, x in enumerate(inputs)])
                for side in (-1, 1)
            ]
            numeric = (ends[1] - ends[0]) / (2 * step)
            self._compare(i, inputs, gradients[i], numeric)

    def _weighted(self, inputs):
        """The sum of the floating outputs, each times another number, element by element."""
        outputs = enumerate(tf.nest.flatten(self(*inputs)))
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

    def _check_once(self, tensors):
        """In debug mode, before a kernel first runs for these dtypes."""
        floating = tuple(x.dtype.is_floating for x in tensors)
        wanted = os.environ.get("FASTGEN_DEBUG") == "1" and self.gradient and any(floating)
        if not wanted or floating in self._checked:
            return
        self._checked.add(floating)
        draw = np.random.default_rng(0)
        normal, whole = draw.normal(size=POINTS), draw.integers(0, 2, POINTS)
        with tf.init_scope():
            self.check_gradient(
                *(
                    tf.constant(np.roll(normal, i))
                    if x.dtype.is_floating
                    else tf.cast(whole, x.dtype)
                    for i, x in enumerate(tensors)
                )
            )


def _leading_dtype(tensors):
    """The dtype that the choice of a path goes by."""
    return next((x.dtype for x in tensors if x.dtype.is_floating), tensors[0].dtype)


def _summed_to(x, gradient):
    """The gradient of an input from that of what it was broadcast to."""
    if x.shape.is_fully_defined() and x.shape == gradient.shape:
        return gradient
    shape = tf.shape(x)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    wide = tf.float32 if gradient.dtype.size == 2 else gradient.dtype
    total = tf.cast(tf.reduce_sum(tf.cast(gradient, wide), axes), gradient.dtype)
    return tf.reshape(total, shape)


@functools.cache
def _register_function():
    library = ctypes.CDLL(str(native.library_folder() / "libfastgen_tf.so"))
    function = library.fg_elementwise_register
    function.restype = None
    return function


def _register(compiled, dtypes):
    names = [*dtypes, *compiled.outputs]
    numbers = [tf.as_dtype(name).as_datatype_enum for name in names]
    _register_function()(
        compiled.key.encode(),
        compiled.kernel.__name__.encode(),
        ctypes.c_void_p(compiled.machine.address),
        len(dtypes),
        len(compiled.outputs),
        (ctypes.c_int * len(numbers))(*numbers),
    )


@tf.RegisterGradient("FastgenElementwise")
@dispatch.on_device_of_op
def _gradient(op, *upstream):
    key = op.get_attr("kernel").decode()
    if key not in _compiled:
        raise LookupError(f"{key}: its gradient needs the module that defines it")
    unwanted = getattr(op, "skip_input_indices", None) or ()  # which a tape knows
    return _compiled[key].kernel.backward(op.inputs, op.outputs, upstream, unwanted)


def _all_iterations(pfor_input):
    """The op for all iterations of a vectorised loop at once: it broadcasts."""
    pfor_input.expanddim_inputs_for_broadcast()
    inputs = [pfor_input.input(i).t for i in range(pfor_input.num_inputs)]
    key, outputs = pfor_input.get_attr("kernel"), pfor_input.get_attr("Out")
    ys = native.load_ops().fastgen_elementwise(inputs=inputs, kernel=key, Out=outputs)
    return [pfor.wrap(y, True) for y in ys]


if hasattr(pfor, "RegisterPFor") and hasattr(pfor, "wrap"):
    pfor.RegisterPFor("FastgenElementwise")(_all_iterations)
