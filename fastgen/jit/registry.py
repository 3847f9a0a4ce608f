"""Compiled code by the keys under which graphs name it, and the gradient of its ops."""

import ctypes
import functools
from typing import NamedTuple

import tensorflow as tf

from fastgen import dispatch, native
from fastgen.jit.compilation import Machine


class Compiled(NamedTuple):
    """A kernel for some dtypes."""

    kernel: object
    key: str
    form: tuple
    outputs: list
    machine: Machine


_compiled = {}  # key → Compiled, as it was last defined
_alive = []  # what graphs may call


def registered(compiled):
    """Let graphs call it by its key; returns it."""
    if compiled.key not in _compiled:
        _alive.append(compiled.machine)
        if native.load_ops():
            _register(compiled, compiled.form.inputs)
    _compiled[compiled.key] = compiled
    return compiled


@functools.cache
def library():
    """The library of the ops, for its C functions."""
    return ctypes.CDLL(str(native.library_folder() / "libfastgen_tf.so"))


@functools.cache
def register_function():
    """The C function through which graphs learn of compiled code."""
    function = library().fg_compiled_register
    function.restype = None
    return function


def _register(compiled, dtypes):
    names = [*dtypes, *compiled.outputs]
    numbers = [tf.as_dtype(name).as_datatype_enum for name in names]
    register_function()(
        compiled.key.encode(),
        compiled.kernel.__name__.encode(),
        ctypes.c_void_p(compiled.machine.address),
        len(dtypes),
        len(compiled.outputs),
        (ctypes.c_int * len(numbers))(*numbers),
    )


def known(key):
    """What was compiled under a key."""
    if key not in _compiled:
        raise LookupError(f"{key}: its gradient needs the module that defines it")
    return _compiled[key]


@dispatch.on_device_of_op
def gradient(op, *upstream):
    """That of any op of compiled code, whose inputs are a kernel's and perhaps a seed."""
    compiled = known(op.get_attr("kernel").decode())
    unwanted = getattr(op, "skip_input_indices", None) or ()  # which a tape knows
    return backward(compiled, op.inputs, op.outputs, upstream, unwanted)


def backward(compiled, inputs, outputs, upstream, unwanted=()):
    """The gradients of a kernel's inputs, and None for its seed."""
    arity = compiled.kernel.arity
    inputs, seed = inputs[:arity], inputs[arity:]
    outputs, upstream = _of_all_outputs(compiled.form, inputs, outputs, upstream)
    return compiled.kernel.backward(inputs, seed, outputs, upstream, unwanted) + [None] * len(seed)


def _of_all_outputs(form, inputs, outputs, upstream):
    """The outputs and what arrives at them, also at those of a gradient that nobody wanted."""
    if not form.outputs or all(form.outputs):
        return outputs, upstream
    given = iter(zip(outputs, upstream, strict=True))
    pairs = [
        next(given) if dtype else (tf.zeros_like(outputs[0], x.dtype), None)
        for dtype, x in zip(form.outputs, inputs, strict=False)  # those of the forward kernel
        if x.dtype.is_floating
    ]
    return zip(*pairs, strict=True)
