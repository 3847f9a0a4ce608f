"""What fastgen.core asks of CuPy, over the CPU's memory, for tests where there is no GPU."""

import ctypes

import ml_dtypes  # noqa: F401, NumPy knows bfloat16 then
import numpy as np


class _Memory:
    def __init__(self, array):
        self.array, self.ptr = array, array.ctypes.data


class _Device:
    current = 0

    def __init__(self, id=None):
        self.id = self.current if id is None else id


class ndarray:
    """An array whose elements only get() shows."""

    def __init__(self, array, device=0):
        self.data, self.device = _Memory(array), _Device(device)
        self.shape, self.dtype = array.shape, array.dtype

    @property
    def flags(self):
        return self.data.array.flags

    @property
    def __cuda_array_interface__(self):
        whole = {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False)}
        return {**whole, "strides": self.data.array.strides, "version": 3}

    def get(self):
        return self.data.array.copy()


class cuda:
    Device = _Device

    class get_current_stream:
        ptr = 0


def array(x, device=0):
    return ndarray(np.array(x), device)


def empty(shape, dtype):
    return ndarray(np.full(shape, np.nan, dtype))


def ascontiguousarray(x):
    return x if x.flags.c_contiguous else ndarray(np.ascontiguousarray(x.data.array))


def asarray(x):
    """Of whatever has the interface; no copy."""
    return ndarray(_at(**{k: x.__cuda_array_interface__[k] for k in ("shape", "typestr", "data")}))


def from_dlpack(x):
    return ndarray(np.from_dlpack(x.on_cpu))


def _at(shape, typestr, data):
    size = int(np.prod(shape)) * np.dtype(typestr).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(data[0]), typestr).reshape(shape)
