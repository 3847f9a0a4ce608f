"""CUDA's driver behind the op library: which code it can use, found before a graph runs."""

import contextlib
import ctypes
import functools
from typing import NamedTuple

import tensorflow as tf

from fastgen import native
from fastgen.jit import registry


class Refusal(NamedTuple):
    """What the driver says of code that it cannot use."""

    said: str
    cuda: tuple  # the version of CUDA that it knows


def register(key, name, entry, code):
    """Let graphs of this process run code by its key.

    Args:
        key: of the kernel.
        name: for messages.
        entry: the name of the kernel in the code.
        code: PTX or machine code, in bytes.
    """
    _register_function()(*(x.encode() for x in (key, name, entry)), code, len(code))


@functools.cache
def _register_function():
    function = registry.library().fg_device_code_register
    function.restype, function.argtypes = None, [*[ctypes.c_char_p] * 4, ctypes.c_int64]
    return function


def refusal(key, devices=(None,)):
    """Load the code of a key, if TensorFlow runs ops at once, for the device at hand or for others.

    Args:
        key: under which it was registered.
        devices: TensorFlow's names of them.

    Returns:
        A `Refusal`, or None where the driver can use it.

    Raises:
        tf.errors.OpError: for all else that the driver says, such as that memory is out.
    """
    with tf.init_scope():
        if not tf.executing_eagerly():  # a graph of TensorFlow 1, which loads it when it runs
            return None
        for device in devices:
            with tf.device(device) if device else contextlib.nullcontext():
                said, version = native.load_ops().fastgen_load_device_code(kernel=key)
            if said := said.numpy().decode(errors="replace"):
                version = int(version)
                return Refusal(" ".join(said.split()), (version // 1000, version % 1000 // 10))
    return None


def gpus():
    """TensorFlow's name of each GPU of this process, once where it is cut into several."""
    names, index = [], 0
    for gpu in tf.config.get_visible_devices("GPU"):
        names.append(f"/GPU:{index}")
        index += len(tf.config.get_logical_device_configuration(gpu) or [None])
    return names
