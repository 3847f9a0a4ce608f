"""The loop over rows around a function of arrays: `fg_array_function` of array_kernel.h.

LLVM is told which axes are as long as others, and proves that `y[i]` is within
`for i in range(x.shape[0])`. An index of which it cannot prove it is checked, and fails the row.
"""

from typing import NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Compiler
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from fastgen.jit import emit, noise, source
from fastgen.jit.loops import TILE, cast_to, defined, scalar_type
from fastgen.jit.signature import Signature


class _ArraysApart(Compiler):
    """Numba's compiler, told that arguments share no memory: it need not ask before loops."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.state.flags.noalias = True


class Rows(NamedTuple):
    """A function `(*inputs, *outputs, noise)` of arrays of a signature, for `count` rows.

    Inputs without axes are scalars; outputs without axes arrays of one element, as in Numba's
    guvectorize.
    """

    signature: Signature
    inputs: tuple
    outputs: tuple
    noise: str | None = None

    ENTRY = types.int64(
        types.int64,
        types.CPointer(types.int64),
        types.CPointer(types.int64),
        types.CPointer(types.voidptr),
        types.CPointer(types.voidptr),
    )

    @property
    def computed(self):
        """The dtypes in which the function gets its inputs."""
        return self.inputs

    @property
    def noise_dtype(self):
        """That of the noise."""
        return "float64" if "float64" in self.inputs else "float32"

    def typed(self, name, function, options):
        """This form, which has the dtypes of its outputs."""
        return self

    def jitted(self, function, options):
        """The function for Numba, in one that says which axes are as long as others.

        Numba inlines it: had LLVM seen it by itself, its checks of indices would stay.
        """
        inputs, outputs, noisy, _ = self.signature
        arrays = [*inputs, *outputs, *([noisy] if self.noise else [])]
        names = [f"x{i}" for i in range(len(arrays))]
        first, lines = {}, []
        for name, axes in zip(names, arrays, strict=True):
            for a, size in enumerate(axes):
                length = f"{name}.shape[{a}]"
                known = size if size.isdigit() else first.setdefault(size, length)
                lines.append(f"assume({length} {'>= 0' if known == length else '== ' + known})")
        lines.append(f"return function({', '.join(names)})")
        within = {"assume": _assume, "function": numba.njit(inline="always", **options)(function)}
        row = defined(f"row({', '.join(names)})", lines, within)
        return numba.njit(pipeline_class=_ArraysApart, **options)(row)

    @property
    def arguments(self):
        """Numba's types of the function's arguments."""
        pairs = zip(self.signature.inputs, self.inputs, strict=True)
        given = [_array(dtype, axes, True) if axes else scalar_type(dtype) for axes, dtype in pairs]
        pairs = zip(self.signature.outputs, self.outputs, strict=True)
        given += [_array(dtype, axes, False) for axes, dtype in pairs]
        if self.noise:
            given.append(_array(self.noise_dtype, self.signature.noise, True))
        return tuple(given)

    def entry(self, name, function):
        """The loop around the function, which has been compiled for `arguments`.

        Returns:
            The names of the outputs' dtypes, and a Python function for Numba.
        """
        returned = function.overloads[self.arguments].signature.return_type
        if returned != types.none:
            raise source.Refusal(
                f"{name}: a kernel of arrays writes its outputs, which are its last arguments, and "
                f"returns nothing. Received: {returned}"
            )
        return list(self.outputs), self._loop(function)

    def _loop(self, function):
        inputs, outputs, noisy, _ = self.signature
        names = {"call": _caller(function, self.arguments)}
        sizes = self.signature.sizes
        begin = [f"{_name(size)} = sizes[{i}]" for i, size in enumerate(sizes)]
        arrays = []
        for i, axes in enumerate(inputs):
            begin += [f"p{i}, t{i} = inputs[{i}], steps[{i}]"]
            names[f"view{i}"] = _viewer(_array(self.inputs[i], axes, True))
            element = "" if axes else "[0]"
            arrays += [f"view{i}(p{i}, r * t{i}, {_shape(axes)}){element}"]
        for i, axes in enumerate(outputs):
            begin += [f"q{i} = outputs[{i}]"]
            names[f"out{i}"] = _viewer(_array(self.outputs[i], axes, False))
            arrays += [f"out{i}(q{i}, r * {_count(axes)}, {_shape(axes)})"]
        head, inner = ["for r in range(count):"], "    "
        if self.noise:
            each = _count(noisy)
            begin += [
                f"place, buffer = as_place(inputs[{len(inputs)}]), inputs[{len(inputs) + 1}]",
                f"block = max(1, {TILE} // max(1, {each}))",
            ]
            head = [
                "for start in range(0, count, block):",
                "    size = min(block, count - start)",
                f"    skip = fill(as_floats(buffer), place, start * {each}, size * {each})",
                "    for r in range(start, start + size):",
            ]
            inner = "        "
            arrays += [f"drawn(buffer, skip + (r - start) * {each}, {_shape(noisy)})"]
            number = scalar_type(self.noise_dtype)
            names["fill"] = noise.filler(self.noise, self.noise_dtype)
            names["as_floats"] = cast_to(types.CPointer(number))
            names["as_place"] = cast_to(noise.Place)
            names["drawn"] = _viewer(_array(self.noise_dtype, noisy, True))
        body = [f"if call(({', '.join(arrays)},)):", "    return r + 1"]
        lines = [*begin, *head, *(inner + line for line in body), "return 0"]
        return defined("entry(count, sizes, steps, inputs, outputs)", lines, names)


@intrinsic
def _assume(typing_context, condition):
    """Tell LLVM that a condition holds."""

    def generate(context, builder, signature, arguments):
        module = builder.module
        assume = module.declare_intrinsic(
            "llvm.assume", (), ir.FunctionType(ir.VoidType(), [ir.IntType(1)])
        )
        builder.call(assume, arguments)
        emit.in_widest_vectors(builder.function)
        return context.get_dummy_value()

    return types.void(types.boolean), generate


def _name(size):
    return f"size_{size}"


def _shape(axes):
    return f"({', '.join(map(_name, axes))},)" if axes else "(1,)"


def _count(axes):
    return f"({' * '.join(map(_name, axes))})" if axes else "1"


def _array(dtype, axes, readonly):
    return types.Array(scalar_type(dtype), max(1, len(axes)), "C", readonly=readonly)


def _viewer(array):
    """An intrinsic `(pointer, offset, shape) → array` of this type, its memory somebody else's."""

    @intrinsic
    def view(typing_context, pointer, offset, shape):
        def generate(context, builder, signature, arguments):
            pointer, offset, shape = arguments
            element = context.get_data_type(array.dtype)
            made = make_array(array)(context, builder)
            dims = cgutils.unpack_tuple(builder, shape, array.ndim)
            size = context.get_constant(types.intp, context.get_abi_sizeof(element))
            strides = [size]
            for dim in dims[:0:-1]:
                strides.insert(0, builder.mul(strides[0], dim))
            data = builder.gep(builder.bitcast(pointer, element.as_pointer()), [offset])
            populate_array(made, data, dims, strides, size, meminfo=None)
            return made._getvalue()

        return array(types.voidptr, types.int64, types.UniTuple(types.int64, array.ndim)), generate

    return view


def _caller(function, arguments):
    """An intrinsic `(arguments) → bool`: whether the function raised; Python never hears of it."""
    compiled = function.overloads[arguments]

    @intrinsic
    def call(typing_context, given):
        def generate(context, builder, signature, values):
            values = cgutils.unpack_tuple(builder, values[0], len(arguments))
            context.active_code_library.add_linking_library(compiled.library)
            status, _ = context.call_internal_no_propagate(
                builder, compiled.fndesc, compiled.signature, values
            )
            return status.is_error

        return types.boolean(types.Tuple(arguments)), generate

    return call
