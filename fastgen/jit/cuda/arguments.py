"""What the functions take and return: CuPy's arrays, or others with __cuda_array_interface__."""

import math
import numbers
import sys

import numpy as np

from fastgen.jit.cuda import target

HOST = target.SIMULATED  # NumPy's arrays are taken
FLOATS = ("float32", "float64")


def floats(op, **named):
    """Check float arrays of one shape and dtype.

    Args:
        op: name for the messages.
        **named: the arrays, each of rank 1 or more.

    Returns:
        A list of them as kernels want them: without gaps, at multiples of 16 bytes.

    Raises:
        ValueError: for what does not fit.
    """
    (name, first), *others = named.items()
    first = _array(op, name, first, FLOATS)
    if len(first.shape) == 0:
        raise ValueError(f"{op}: {name} must have rank 1 or more. Received: a scalar")
    return [first, *(shaped(op, other, x, first, first.shape, name) for other, x in others)]


def shaped(op, name, array, like, shape, like_name=None, dtypes=None):
    """Check an array of this shape and of the dtype of `like`, or one of those given.

    Args:
        op: name for the messages.
        name: of the array.
        array: it.
        like: an array that was checked before.
        shape: that it must have.
        like_name: where the shape is that of `like`, its name.
        dtypes: names of those that it may have.

    Returns:
        The array as kernels want it.

    Raises:
        ValueError: for what does not fit.
    """
    array = _array(op, name, array, dtypes or (like.dtype.name,))
    if tuple(array.shape) != tuple(shape):
        wanted = f"the shape of {like_name}, {shape}" if like_name else f"the shape {shape}"
        raise ValueError(f"{op}: {name} must have {wanted}. Received: {name}.shape={array.shape}")
    return array


def number(op, name, value, low=-math.inf, high=math.inf):
    """Check a finite Python number in [low, high]; as a float."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not low <= value <= high or math.isinf(value):
        raise ValueError(
            f"{op}: {name} must be a number in [{low:g}, {high:g}]. Received: {name}={value!r}"
        )
    return float(value)


def empty(like, shape, dtype=None):
    """A new array of the kind of `like`, and of its dtype if no other is given."""
    module = _module(like)
    make = target.cuda.device_array if module is None else module.empty
    return make(tuple(shape), dtype or like.dtype)


def zeros(like, shape, dtype=None):
    """The same, of zeros: the result where a kernel has nothing to do."""
    module = _module(like)
    if module is None:
        return target.cuda.to_device(np.zeros(shape, dtype or like.dtype))
    return module.zeros(tuple(shape), dtype or like.dtype)


def _module(array):
    """CuPy or NumPy; None for Numba's own arrays."""
    if type(array).__module__.partition(".")[0] == "cupy":
        return sys.modules["cupy"]
    return np if isinstance(array, np.ndarray) else None


def _array(op, name, array, dtypes):
    """Check an array's place and dtype, and copy it if it has gaps or lies between vectors."""
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None and HOST and isinstance(array, np.ndarray):
        interface = array.__array_interface__
    if interface is None:
        raise ValueError(
            f"{op}: {name} must be an array on the GPU, of CuPy or with __cuda_array_interface__. "
            f"Received: {name} of type {type(array).__name__}"
        )
    received = np.dtype(interface["typestr"]).name
    if received not in dtypes:
        raise ValueError(
            f"{op}: {name} must be {' or '.join(dtypes)}. Received: {name}.dtype={received}"
        )
    strides = interface.get("strides")
    gaps, module = strides is not None, _module(array)
    if module is None:
        # What kernels write for an array of another library is an array of Numba's, which waits for
        # the stream that the library names. Numba's own name no strides where they repeat a row.
        numbas = target.cuda.as_cuda_array(array)
        gaps = not getattr(array, "is_c_contiguous", numbas.is_c_contiguous)()
        array = numbas
    if gaps or interface["data"][0] % 16:
        if module is None:
            raise ValueError(
                f"{op}: {name} must lie in one piece, at a multiple of 16 bytes. Received: "
                f"{name} at {interface['data'][0]:#x}, strides={strides}"
            )
        array = array.copy()
    return array
