"""Arrays where a kernel reads and writes them, and the call of a kernel by its C name.

A call takes NumPy arrays, which travel to the kernels' memory and, inside `Out`, back; an array
named twice is one array there, too. `Host` stays in the CPU's memory. NumPy alone is needed: a
worker under a sanitizer loads this file.
"""

import ctypes
from typing import NamedTuple

import numpy as np

ALIGNMENT = 16


def at_offset(size, offset):
    """Bytes, the first of them `offset` after an address that 16 divides, none after the last."""
    memory = np.empty(offset + size, np.uint8)
    assert memory.ctypes.data % ALIGNMENT == 0
    return memory[offset:]


class Out(NamedTuple):
    """An array that the kernel writes; what it holds before is what it has to be written over."""

    array: np.ndarray


class Host(NamedTuple):
    """An array that stays in the CPU's memory."""

    array: np.ndarray


class KernelError(Exception):
    """What a kernel refused, in its own words."""


class Heap:
    """Arrays of exactly their size, so that AddressSanitizer sees an access beside them."""

    def put(self, array):
        place = at_offset(array.nbytes, array.ctypes.data % ALIGNMENT)
        place[:] = np.frombuffer(array.tobytes(), np.uint8)
        return place

    def pointer(self, place):
        return place.ctypes.data

    def get(self, place, like):
        return np.frombuffer(place.tobytes(), like.dtype).reshape(like.shape)


class Gpu:
    """Arrays of CuPy on the current device, between guards that nothing may change."""

    GUARD = 256

    def put(self, array):
        import cupy

        offset = self.GUARD + array.ctypes.data % ALIGNMENT
        memory = cupy.full(offset + array.nbytes + self.GUARD, 0xA5, np.uint8)
        place = memory[offset:][: array.nbytes]
        place.set(np.frombuffer(array.tobytes(), np.uint8))
        return memory, offset, place

    def pointer(self, where):
        return where[2].data.ptr

    def get(self, where, like):
        memory, offset, place = where
        beside = [memory[:offset].get(), memory[offset + place.size :].get()]
        assert all((x == 0xA5).all() for x in beside), "the kernel wrote beside an array"
        return np.frombuffer(place.get().tobytes(), like.dtype).reshape(like.shape)


def call(library, memory, function, arguments):
    """Call a kernel on the default stream; the arrays of `Out` as it left them.

    Args:
        library: the `ctypes.CDLL`.
        memory: a `Heap` or `Gpu`.
        function: the name of a C function whose first parameter is a stream.
        arguments: the others: arrays, `Out`, `Host`, None, ints and floats.

    Raises:
        KernelError: with what `fg_last_error` says.
    """
    places = {}  # by the identity of an array
    values = [_value(memory, argument, places) for argument in arguments]
    run(library, function, None, *values)
    outs = [x.array for x in arguments if isinstance(x, Out)]
    return [memory.get(places[id(x)], x) for x in outs]


def run(library, function, *values):
    """Call a C function that returns an fg_code; raise what it says."""
    if getattr(library, function)(*values):
        library.fg_last_error.restype = ctypes.c_char_p
        raise KernelError(library.fg_last_error().decode())


def _value(memory, argument, places):
    if argument is None:
        return None
    if isinstance(argument, Host):
        return ctypes.c_void_p(argument.array.ctypes.data)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    if isinstance(argument, (int, np.integer)):
        return ctypes.c_int64(int(argument))
    array = argument.array if isinstance(argument, Out) else argument
    if id(array) not in places:
        places[id(array)] = memory.put(array)
    return ctypes.c_void_p(memory.pointer(places[id(array)]))
