"""The noise of a seed inside a compiled loop, as tf.random.stateless_* lay it out.

Words of Philox first, then floats of them, a chunk at a time: both loops become vectors.
"""

import functools

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgen.jit import math, philox, source

KINDS = ("normal", "uniform")
CHUNK = 256  # groups
SPARE = 4  # elements around those asked for that a filled buffer may hold
_JIT = numba.njit(**source.INLINED)
_stream, _group = (_JIT(source.compilable(f, False, _JIT)) for f in (philox.stream, philox.group))

Place = types.CPointer(types.int64)  # a seed's two words, the index of the first element


@functools.cache
def filler(kind, dtype):
    """What fills a buffer, for Numba's code.

    Args:
        kind: one of `KINDS`.
        dtype: `"float32"` or `"float64"`.

    Returns:
        Function `(out, place, begin, count) → skip`: the noise of elements `begin` to
        `begin + count` from the place on is in `out[skip]` and those that follow.
    """
    doubles = dtype == "float64"
    per_group = 2 if doubles else 4
    number = types.float64 if doubles else types.float32
    word = types.uint64 if doubles else types.uint32
    split = _two_of_64_bits if doubles else _four_of_32_bits
    make = _box_muller if kind == "normal" else _as_they_are
    pairs = CHUNK * per_group // 2
    first_words, second_words = scratch(word, pairs), scratch(word, pairs)
    uniform = from_mantissa(number, word)

    @_JIT
    def fill(out, place, begin, count):
        key0, key1, counter2, counter3 = _stream(np.uint64(place[0]), np.uint64(place[1]))
        u, v = first_words(), second_words()
        begin += place[2]
        skip, first = begin % per_group, begin // per_group
        groups = (skip + count + per_group - 1) // per_group
        for start in range(0, groups, CHUNK):
            size = min(CHUNK, groups - start)
            for g in range(size):
                index = np.uint64(first + start + g)
                split(u, v, g, _group(index, key0, key1, counter2, counter3))
            for i in range(size * per_group // 2):
                a, b = make(uniform(u[i]), uniform(v[i]))
                out[start * per_group + 2 * i] = a
                out[start * per_group + 2 * i + 1] = b
        return skip

    return fill


@_JIT
def _four_of_32_bits(u, v, g, words):
    u[2 * g], v[2 * g] = words[0], words[1]
    u[2 * g + 1], v[2 * g + 1] = words[2], words[3]


@_JIT
def _two_of_64_bits(u, v, g, words):
    half = np.uint64(32)
    u[g], v[g] = words[0] << half | words[1], words[2] << half | words[3]


@_JIT
def _box_muller(u, v):
    least = type(u)(1e-7)
    radius = np.sqrt(type(u)(-2) * math.log(u if u > least else least))
    sine, cosine = math.sincospi(type(u)(2) * v)
    return radius * sine, radius * cosine


@_JIT
def _as_they_are(u, v):
    return u, v


def scratch(kind, count):
    """An intrinsic `() → pointer` to `count` elements on the stack."""

    @intrinsic
    def allocate(typing_context):
        def generate(context, builder, signature, arguments):
            element = context.get_data_type(kind)
            with builder.goto_entry_block():
                array = builder.alloca(ir.ArrayType(element, count))
            return builder.bitcast(array, element.as_pointer())

        return types.CPointer(kind)(), generate

    return allocate


def from_mantissa(number, word):
    """An intrinsic: the float in [0, 1) whose mantissa is the low bits of a word."""
    bits, one = word.bitwidth, {32: 0x3F800000, 64: 0x3FF0000000000000}[word.bitwidth]
    mantissa = {32: 0x7FFFFF, 64: 0xFFFFFFFFFFFFF}[bits]

    @intrinsic
    def convert(typing_context, given):
        def generate(context, builder, signature, arguments):
            whole = ir.IntType(bits)
            chosen = builder.and_(arguments[0], ir.Constant(whole, mantissa))
            chosen = builder.or_(chosen, ir.Constant(whole, one))
            value = builder.bitcast(chosen, context.get_value_type(number))
            return builder.fsub(value, ir.Constant(value.type, 1.0))

        return number(word), generate

    return convert
