"""What all of a user's kernels share: tensors, paths, keys of compiled code, gradients."""

import contextlib
import functools
import hashlib
import inspect
import os
import re

import numpy as np
import tensorflow as tf

from fastgen import dispatch, native
from fastgen.jit import compilation, device_code, emulation, noise, source
from fastgen.jit.registry import Compiled, registered
from fastgen.ops import arguments
from fastgen.ops.noise import standard_normal, standard_uniform

DTYPES = (
    *dispatch.FLOATS,
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
MOST_ARRAYS = 16  # FG_ELEMENTWISE_MOST_ARRAYS of csrc/kernels/elementwise.h
NARROW = (tf.float16, tf.bfloat16)
STEP = 1e-6  # of differences in float64
CLOSE = 1e-5  # what a gradient may differ by from differences in float64
SEED = (1, 2)  # of the noise in checks
DRAWS = {"normal": standard_normal, "uniform": standard_uniform}


_defined = {}  # address → CompiledOp


class CompiledOp:
    """A function that Numba compiles when it is first called, as a TensorFlow op."""

    kind = None  # the stem of its op
    decorator = None  # what users call to make one
    devices = ("CPU",)  # on which its op runs
    reference_has_its_arguments = True  # the reference computes what the op does, of its inputs

    def __init__(self, name, function, arity, gradient, reference, fastmath, noise_kind):
        if noise_kind not in (None, *noise.KINDS):
            raise ValueError(
                f"{name}: noise must be None or one of {noise.KINDS}. Received: {noise_kind!r}"
            )
        functools.update_wrapper(self, function)
        del self.__wrapped__  # which a tf.function would take in its place where it is an argument
        self.py_func = function  # which is what other kernels call by this one's name
        self.__signature__ = _of_calls(function, arity, noise_kind)
        self.__name__ = name
        self.op = f"jit.{name}"
        self.noise = noise_kind
        self.arity = arity
        self.reference = reference
        self.fastmath = fastmath
        self.gradient = gradient
        self._calls = {}
        self._checked = set()  # which inputs were floating when debug mode looked
        dispatch.USERS[self.op] = dispatch.Kernel(
            dtypes=DTYPES,
            devices=self.devices,
            differentiable=gradient is not None,
            op=self.kind,
            why_not=device_code.why_not,
            composite=reference is not None,
        )

    def define(self):
        """Let saved models find the kernel under its address; returns it."""
        _defined[self.address] = self
        return self

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
                f"{cls.kind}: a model needs the kernel {address}: import its module first. "
                f"Received: {sorted(_defined)}"
            )
        return _defined[address]

    def __reduce__(self):
        """Copied and pickled as the function is: a name in a module."""
        return self.__qualname__

    def __repr__(self):
        return f"<fastgen.jit.{type(self).__name__} {self.__name__}>"

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *inputs, seed=None, **named):
        """The outputs for tensors, arrays or numbers; plain numbers take the others' dtype."""
        tensors, seed = self._tensors(self._in_order(inputs, named)), self._seed(seed)
        with self._place(tensors):
            op = self._chosen_op(tensors) or self._emulation()
            if op is None:
                outputs = tf.nest.flatten(self._stock(tensors, seed))
            else:
                self._check_once(tensors)
                outputs = self._run(op, tensors, seed)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _chosen_op(self, inputs):
        """The op of compiled code, or None where stock ops are to run."""
        obstacle = self._obstacle(inputs)
        if dispatch.fused_op(self.op, leading_dtype(inputs), obstacle=obstacle) is None:
            return None
        # By its name dispatch may know another kernel, of another kind, by now.
        return getattr(native.load_ops(), f"fastgen_{self.kind}")

    def _obstacle(self, inputs):
        """Why these inputs are for stock ops, where that does not depend on dtypes alone."""
        return None

    def _place(self, inputs):
        """The CPU, where the GPU at hand has neither a kernel nor a reference; else as it is."""
        if self.reference or dispatch.unasked() or dispatch.device_type() != "GPU":
            return contextlib.nullcontext()
        choice = dispatch.choose(self.op, leading_dtype(inputs).name, "GPU")
        if choice.path != dispatch.COMPOSITE:
            return contextlib.nullcontext()
        text = f"{self.op} runs on the CPU, without a reference: {choice.why}"
        dispatch.warn_once(("CPU", choice.why), text)
        return tf.device("CPU:0")

    def _emulation(self):
        """What runs where no native library was built and there is no reference; else None."""
        if native.load_ops() or self.reference or dispatch.unasked():
            return None
        return emulation.OPS[self.kind]

    def _in_order(self, inputs, named):
        """The inputs, some of which may have been given by name."""
        if not named:
            return inputs
        try:
            return self.__signature__.bind_partial(*inputs, **named).args
        except TypeError as error:
            raise ValueError(
                f"{self.__name__}: takes {self.__signature__}: {error}. "
                f"Received: {len(inputs)} inputs and {list(named)}"
            ) from error

    def _seed(self, seed):
        """The seed as a list of int64 tensors: of one, where there is noise."""
        if (seed is None) != (self.noise is None):
            wants = "has no noise: takes no seed" if seed is not None else "has noise: needs seed="
            raise ValueError(f"{self.__name__}: {wants}. Received: seed={seed!r}")
        if seed is None:
            return []
        return [tf.cast(arguments.seed(self.__name__, seed), tf.int64)]

    def _tensors(self, inputs):
        if len(inputs) != self.arity:
            raise ValueError(f"{self.__name__}: takes {self.arity} inputs. Received: {len(inputs)}")
        typed = [tf.as_dtype(x.dtype) for x in inputs if hasattr(x, "dtype")]
        hint = next((dtype for dtype in typed if dtype.is_floating), *typed[:1] or [tf.float32])
        tensors = [tf.convert_to_tensor(x, dtype_hint=hint) for x in inputs]
        for x in tensors:
            if x.dtype.name not in DTYPES:
                raise ValueError(
                    f"{self.__name__}: inputs must be floating, whole numbers or bool. "
                    f"Received: {[x.dtype.name for x in tensors]}"
                )
        return tensors

    def _stock(self, tensors, seed):
        if self.reference is None:
            why = dispatch.choose(self.op, leading_dtype(tensors).name).why
            raise RuntimeError(
                f"{self.__name__}: stock ops are to run in its place ({why}), and it has none: "
                f"give @{self.decorator} a reference="
            )
        with dispatch.composite_scope(op_name(self.__name__)):
            return self.reference(*tensors, *(self._draw(tensors, each) for each in seed))

    def _draw(self, tensors, seed):
        """The noise as a tensor, for the reference."""
        dtype = tf.float64 if tf.float64 in [x.dtype for x in tensors] else tf.float32
        return DRAWS[self.noise](self._noise_shape(tensors), seed, dtype)

    def compiled(self, form):
        """The kernel in this form, compiled if need be and registered with TensorFlow."""
        found = self._calls.get(form)
        if found is None:
            given = self.__name__, self.py_func, form, self.fastmath
            key, machine = compilation.machine_code(*given)
            arrays = len(form.inputs) + len(machine.outputs)
            if arrays > MOST_ARRAYS - 2 * bool(self.noise):
                raise source.Refusal(
                    f"{self.__name__}: inputs and outputs are {MOST_ARRAYS} at most, two less with "
                    f"noise. Received: {len(form.inputs)} and {len(machine.outputs)}"
                )
            key = f"{self.__name__}:{key[:16]}{self._gradients()[:16]}"
            found = registered(Compiled(self, key, form, machine.outputs, machine))
            self._calls[form] = found
        return found

    def _gradients(self):
        """A hash of the gradient and its own: a kernel that is defined anew has another key."""
        about = ""
        if self.gradient is not None:
            own = source.fingerprint(self.gradient.__name__, self.gradient.py_func)
            about = own + self.gradient._gradients()
        return hashlib.sha256(about.encode()).hexdigest()

    def backward(self, inputs, seed, outputs, upstream, unwanted=()):
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
            return self._stock_gradients(inputs, seed, upstream, wanted)
        d_outputs = [
            tf.zeros_like(y) if d is None else tf.convert_to_tensor(d)
            for y, d in zip(outputs, upstream, strict=True)
            if y.dtype.is_floating
        ]
        arity = len(inputs) + len(d_outputs)
        if arity != self.gradient.arity:
            raise ValueError(
                f"{self.gradient.__name__}: must take the {len(inputs)} inputs and the gradients "
                f"of {len(d_outputs)} floating outputs. Received: {self.gradient.arity} arguments"
            )
        if dispatch.inside_xla():
            if self.noise:
                raise RuntimeError(
                    f"{self.__name__}: was drawn outside XLA, where the noise of its seed is "
                    "another than inside: take the gradient outside, too"
                )
            return self._stock_gradients(inputs, seed, upstream, wanted)
        op = self.gradient._chosen_op(inputs)
        if op is None:  # asked for after the op was made, which cannot be taken back
            kind, ops = self.gradient.kind, native.load_ops()
            op = getattr(ops, f"fastgen_{kind}") if ops else emulation.OPS[kind]
        found = iter(self._gradients_of(op, inputs, seed, d_outputs, wanted))
        return [
            summed_to(x, next(found)) if dtype else None
            for x, dtype in zip(inputs, wanted, strict=True)
        ]

    def _stock_gradients(self, inputs, seed, upstream, wanted):
        """Those of the reference."""
        if self.reference is None or not self.reference_has_its_arguments:
            raise LookupError(
                f"{self.__name__}: has no gradient: give @{self.decorator} a gradient=, which for "
                "gradients of the second order is a kernel with a gradient= itself"
            )
        drawn = [self._draw(inputs, each) for each in seed]
        found = iter(gradients_of(self.reference, inputs, drawn, upstream))
        found = [next(found) if x.dtype.is_floating else None for x in inputs]
        return [d if dtype else None for d, dtype in zip(found, wanted, strict=True)]

    def _gradient_in_stock_ops(self, *given):
        """The reference of the gradient: of inputs, what arrives at floating outputs, noise."""
        end = len(given) - bool(self.noise)
        inputs, upstream, drawn = given[: self.arity], given[self.arity : end], given[end:]

        def floating_outputs(*given):
            ys = tf.nest.flatten(self.reference(*given))
            return [y for y in ys if y.dtype.is_floating]

        return gradients_of(floating_outputs, self._spread(inputs, upstream[0]), drawn, upstream)

    def check_gradient(self, *inputs):
        """Compare the gradient with differences in float64 along random directions.

        Args:
            inputs: as for a call, without a seed; where the function has no kink.

        Raises:
            ValueError: if they differ by more than 1e-5.
        """
        inputs = [
            tf.cast(x, tf.float64) if x.dtype.is_floating else x for x in self._tensors(inputs)
        ]
        seed = self._seed(SEED if self.noise else None)
        draw = np.random.default_rng(0)

        def outputs_of(inputs):
            return tf.nest.flatten(self(*inputs, seed=seed[0] if seed else None))

        outputs = outputs_of(inputs)
        upstream = [tf.constant(draw.normal(size=y.shape), y.dtype) for y in outputs]
        below = self._before_the_op(inputs, upstream)
        gradients = self.backward(inputs, seed, outputs, below)  # tapes pause in an init_scope
        for i, x in enumerate(inputs):
            if not x.dtype.is_floating:
                continue
            way = tf.constant(draw.normal(size=x.shape), x.dtype)
            ends = [
                outputs_of([x + side * STEP * way if j == i else x for j, x in enumerate(inputs)])
                for side in (-1, 1)
            ]
            slopes = [
                tf.reduce_sum(d * (high - low) / (2 * STEP))
                for d, low, high in zip(upstream, *ends, strict=True)
                if d.dtype.is_floating
            ]
            analytic, numeric = float(tf.reduce_sum(gradients[i] * way)), float(sum(slopes))
            if not abs(analytic - numeric) <= CLOSE * (1 + abs(numeric)) * x.shape.num_elements():
                raise ValueError(
                    f"{self.__name__}: the gradient of input {i} gives a slope of {analytic:.6g} "
                    f"along a direction, differences give {numeric:.6g}. Received: inputs of "
                    f"shapes {[tuple(x.shape) for x in inputs]}"
                )

    def _before_the_op(self, inputs, upstream):
        """What arrives at the op of gradients of what a call returns."""
        return upstream

    def _check_once(self, tensors):
        """In debug mode, before a kernel first runs for these dtypes."""
        floating = tuple(x.dtype.is_floating for x in tensors)
        wanted = os.environ.get("FASTGEN_DEBUG") == "1" and self.gradient and any(floating)
        if not wanted or floating in self._checked:
            return
        self._checked.add(floating)  # the check calls, too
        try:
            with tf.init_scope():
                self._check_somewhere(tensors)
        except Exception:
            self._checked.discard(floating)
            raise


def named(name, function):
    """The name of a kernel of a function that may be one."""
    name = name or getattr(function, "__name__", "kernel")
    source.check(name, function)
    return name


def _of_calls(function, arity, noise_kind):
    """How a kernel of the function is called: tf.function asks."""
    inputs = list(inspect.signature(function).parameters.values())[:arity]
    seed = inspect.Parameter("seed", inspect.Parameter.KEYWORD_ONLY)
    return inspect.Signature([*inputs, seed] if noise_kind else inputs)


def leading_dtype(tensors):
    """The dtype that the choice of a path goes by."""
    return next((x.dtype for x in tensors if x.dtype.is_floating), tensors[0].dtype)


def summed_to(x, gradient):
    """The gradient of an input from that of what it was broadcast to."""
    if x.shape.is_fully_defined() and x.shape == gradient.shape:
        return gradient
    shape = tf.shape(x)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    wide = tf.float32 if gradient.dtype.size == 2 else gradient.dtype
    total = tf.cast(tf.reduce_sum(tf.cast(gradient, wide), axes), gradient.dtype)
    return tf.reshape(total, shape)


def op_name(name):
    """The name of a kernel as one of a node in a graph."""
    return re.sub(r"\W", "_", name).strip("_") or "kernel"


def gradients_of(reference, inputs, drawn, upstream):
    """The gradients of floating inputs of stock ops, from those of their floating outputs."""
    floating = [x for x in inputs if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(floating)
        outputs = tf.nest.flatten(reference(*inputs, *drawn))
    pairs = zip(outputs, upstream, strict=True)
    pairs = [(y, d) for y, d in pairs if d is not None and y.dtype.is_floating]
    if not pairs:
        return [tf.zeros_like(x) for x in floating]
    targets, given = zip(*pairs, strict=True)
    given = [tf.cast(tf.convert_to_tensor(d), y.dtype) for y, d in zip(targets, given, strict=True)]
    return tape.gradient(list(targets), floating, given, unconnected_gradients="zero")
