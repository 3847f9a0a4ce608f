"""The loop around a user's function of scalars on a GPU, each thread with elements of its own.

Written so that it compiles for the CPU too, where tests run it thread by thread.
"""

import math as c_math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgen.jit import loops, math, noise, philox, source

ELEMENTS = 4  # kElements of csrc/tensorflow/elementwise.cc
MOST_READS = 16  # that a thread waits for at once, each in a register or two
AXES = 4  # of the elements of a launch, kAxes of csrc/tensorflow/elementwise.cc
WORDS = ("key0", "key1", "counter2", "counter3")


def parameters(form, outputs):
    """Names and Numba's types of a kernel's parameters, 8 bytes each.

    Of `count` elements on `rank` axes the noise begins at `first`; `d0`, `d1`, ... are the sizes of
    the last axes, from the last on; input i has strides `s{i}_0`, ... along these, and `s{i}_3`
    along the first.

    Args:
        form: a `loops.Scalars`.
        outputs: names of the dtypes of what it returns, None for what nobody wants.
    """
    whole = ["count", "rank", "first", *(WORDS if form.noise else ())]
    whole += [f"d{a}" for a in range(AXES - 1)]
    typed = [(name, types.int64) for name in whole]
    for i in range(len(form.inputs)):
        typed.append((f"p{i}", types.voidptr))
        typed += [(f"s{i}_{a}", types.int64) for a in range(AXES)]
    return typed + [(f"q{n}", types.voidptr) for n in range(_kept(outputs))]


def loop(form, function, outputs, jit):
    """The function `(thread, threads, *parameters)` that computes the elements of one thread.

    It takes `elements` at a time, with noise those of a group, and asks memory for all they need
    before it computes the first. By Little's law 13 KB have to be on their way to each of an H200's
    132 SMs if reads are half of its 4.8 TB/s and take 0.7 us. 2,048 threads, of 32 registers each,
    ask for 4 KB of bfloat16 if each waits for one element, and for 16 if for four. Unmeasured.

    Args:
        form: a `loops.Scalars`.
        function: the user's, compiled by `jit`.
        outputs: as for `parameters`.
        jit: makes what compiled code can call.
    """
    given = ", ".join(name for name, _ in parameters(form, outputs))
    names = {
        "read": jit(_reader(form, given)),
        "write": jit(_writer(form, function, outputs, given)),
    }
    if form.noise:
        size = 2 if form.noise_dtype == "float64" else 4
        names["draw"] = drawer(form.noise, form.noise_dtype, jit)
        head = [
            f"group = first // {size} + thread",
            f"while group * {size} < first + count:",
            *(f"    k{e} = group * {size} - first + {e}" for e in range(size)),
            *(f"    at{e} = k{e} if 0 <= k{e} < count else 0" for e in range(size)),
            *(f"    x{e} = read(at{e}, {given})" for e in range(size)),
            f"    noise = draw(group, {', '.join(WORDS)})",
        ]
        tail = ["    group += threads"]
    else:
        size = elements(form)
        head = [
            "k0 = thread",
            "while k0 < count:",
            *(f"    k{e} = k0 + {e} * threads" for e in range(1, size)),
            *(f"    at{e} = k{e} if k{e} < count else k0" for e in range(size)),
            *(f"    x{e} = read(at{e}, {given})" for e in range(size)),
        ]
        tail = [f"    k0 += {size} * threads"]
    lines = []
    for e in range(size):
        drawn = f"noise[{e}]" if form.noise else "0"
        lines += [f"    if 0 <= k{e} < count:", f"        write(k{e}, x{e}, {drawn}, {given})"]
    return jit(loops.defined(f"entry(thread, threads, {given})", [*head, *lines, *tail], names))


def elements(form):
    """How many elements a thread has under way, without noise: ELEMENTS, fewer of many inputs."""
    return max(1, min(ELEMENTS, MOST_READS // len(form.inputs)))


def _reader(form, given):
    """The function `(k, *parameters)` that reads the inputs of element k into a tuple."""
    names, inputs = {"divided": _divided}, range(len(form.inputs))
    lines = ["rest = k", *(f"o{i} = 0" for i in inputs)]
    for a in range(AXES - 1):
        lines += [f"if rank > {a + 1}:", f"    above = divided(rest, d{a})"]
        lines += [f"    o{i} += (rest - above * d{a}) * s{i}_{a}" for i in inputs]
        lines += ["    rest = above"]
    values = [f"load{i}(p{i}, o{i} + rest * s{i}_{AXES - 1})" for i in inputs]
    names.update({f"load{i}": _load(dtype) for i, dtype in enumerate(form.inputs)})
    lines.append(f"return ({', '.join(values)},)")
    return loops.defined(f"read(k, {given})", lines, names)


def _writer(form, function, outputs, given):
    """The function `(k, inputs, noise, *parameters)` that computes element k and writes it."""
    names = {"function": function}
    values = [f"inputs[{i}]" for i in range(len(form.inputs))] + ["noise"] * bool(form.noise)
    lines = [f"y = function({', '.join(values)})"]
    kept = [i for i, dtype in enumerate(outputs) if dtype]
    for n, i in enumerate(kept):
        lines.append(f"store{n}(q{n}, k, part{n}(y))")
        names[f"store{n}"], names[f"part{n}"] = _store(outputs[i]), _part(i)
    return loops.defined(f"write(k, inputs, noise, {given})", lines, names)


def _part(i):
    """An intrinsic: value i of a tuple; of a number itself, as 0."""

    @intrinsic
    def part(typing_context, y):
        is_tuple = isinstance(y, types.BaseTuple)

        def generate(context, builder, signature, arguments):
            return builder.extract_value(arguments[0], i) if is_tuple else arguments[0]

        return (y.types[i] if is_tuple else y)(y), generate

    return part


@intrinsic
def _divided(typing_context, n, size):
    """The quotient of numbers that are not negative."""

    def generate(context, builder, signature, arguments):
        return builder.udiv(*arguments)

    return types.int64(types.int64, types.int64), generate


def _kept(outputs):
    return sum(map(bool, outputs))


def drawer(kind, dtype, jit):
    """The function `(group, *stream) → tuple` of a group's noise, for compiled code.

    Args:
        kind: one of `noise.KINDS`.
        dtype: `"float32"`, of which a group has four, or `"float64"`, of which it has two.
        jit: makes what compiled code can call.
    """
    doubles = dtype == "float64"
    number, word = (types.float64, types.uint64) if doubles else (types.float32, types.uint32)
    uniform = noise.from_mantissa(number, word)
    block = jit(source.compilable(philox.group, False, jit))
    make = jit(_box_muller if kind == "normal" else _as_they_are)
    half = np.uint64(32)

    def words_of(group, key0, key1, counter2, counter3):
        stream = np.uint64(key0), np.uint64(key1), np.uint64(counter2), np.uint64(counter3)
        return block(np.uint64(group), *stream)

    words_of = jit(words_of)

    def two(group, key0, key1, counter2, counter3):
        a, b, c, d = words_of(group, key0, key1, counter2, counter3)
        return make(uniform(a << half | b), uniform(c << half | d))

    def four(group, key0, key1, counter2, counter3):
        a, b, c, d = words_of(group, key0, key1, counter2, counter3)
        first = make(uniform(np.uint32(a)), uniform(np.uint32(b)))
        second = make(uniform(np.uint32(c)), uniform(np.uint32(d)))
        return first[0], first[1], second[0], second[1]

    return jit(two if doubles else four)


def _box_muller(u, v):
    least = type(u)(1e-7)
    radius = c_math.sqrt(type(u)(-2) * math.log(u if u > least else least))
    sine, cosine = math.sincospi(type(u)(2) * v)
    return radius * sine, radius * cosine


def _as_they_are(u, v):
    return u, v


def _load(dtype):
    """An intrinsic `(pointer, index) → number`, 16-bit floats as float32."""
    seen = loops.scalar_type(loops.COMPUTED_AS.get(dtype, dtype))

    @intrinsic
    def load(typing_context, array, index):
        def generate(context, builder, signature, arguments):
            value = builder.load(_place(context, builder, dtype, *arguments))
            if dtype == "float16":
                return builder.fpext(value, ir.FloatType())
            if dtype == "bfloat16":
                wide = builder.shl(builder.zext(value, ir.IntType(32)), _i32(16))
                return builder.bitcast(wide, ir.FloatType())
            return context.cast(builder, value, _stored(dtype), seen)

        return seen(array, index), generate

    return load


def _store(dtype):
    """An intrinsic `(pointer, index, number)`, rounded to nearest even where it is narrower."""
    seen = loops.scalar_type(loops.COMPUTED_AS.get(dtype, dtype))

    @intrinsic
    def store(typing_context, array, index, value):
        def generate(context, builder, signature, arguments):
            given = context.cast(builder, arguments[2], signature.args[2], seen)
            if dtype == "float16":
                given = builder.fptrunc(given, ir.HalfType())
            elif dtype == "bfloat16":
                given = _as_bfloat16(builder, given)
            else:
                given = context.cast(builder, given, seen, _stored(dtype))
            builder.store(given, _place(context, builder, dtype, *arguments[:2]))
            return context.get_dummy_value()

        return types.void(array, index, value), generate

    return store


def _stored(dtype):
    return getattr(types, loops.STORED_AS.get(dtype, dtype))


def _place(context, builder, dtype, array, index):
    narrow = {"float16": ir.HalfType(), "bfloat16": ir.IntType(16)}
    element = narrow.get(dtype) or context.get_value_type(_stored(dtype))
    return builder.gep(builder.bitcast(array, element.as_pointer()), [index])


def _as_bfloat16(builder, value):
    bits = builder.bitcast(value, ir.IntType(32))
    upper = builder.lshr(bits, _i32(16))
    odd = builder.and_(upper, _i32(1))
    rounded = builder.lshr(builder.add(builder.add(bits, _i32(0x7FFF)), odd), _i32(16))
    is_nan = builder.fcmp_unordered("uno", value, value)
    rounded = builder.select(is_nan, builder.or_(upper, _i32(0x40)), rounded)
    return builder.trunc(rounded, ir.IntType(16))


def _i32(x):
    return ir.Constant(ir.IntType(32), x)
