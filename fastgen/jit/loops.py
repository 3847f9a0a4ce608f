"""The loop around a user's function: what becomes machine code and is called by csrc/kernels.

A form says what the function gets and returns, and writes the loop. Dtypes are names; those of
outputs may be None, for what nobody wants.
"""

from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgen.jit import emit, noise, source

STORED_AS = {"bool": "uint8"}
COMPUTED_AS = {"float16": "float32", "bfloat16": "float32"}
TILE = 1024  # elements whose noise is made at a time


class Scalars(NamedTuple):
    """A function of scalars, over `count` elements: `fg_elementwise_function`."""

    inputs: tuple
    outputs: tuple | None = None
    noise: str | None = None

    ENTRY = types.int32(types.int64, types.CPointer(types.voidptr), types.CPointer(types.voidptr))

    @property
    def computed(self):
        """The dtypes in which the function gets its inputs."""
        return [COMPUTED_AS.get(dtype, dtype) for dtype in self.inputs]

    @property
    def noise_dtype(self):
        """That of the noise."""
        return "float64" if "float64" in self.inputs else "float32"

    def typed(self, name, function, options):
        """This form with the dtypes of its outputs, where it needs them to write its loop."""
        return self

    def jitted(self, function, options):
        """The function for Numba."""
        return numba.njit(**options)(function)

    @property
    def arguments(self):
        """Numba's types of the function's arguments."""
        made = [scalar_type(self.noise_dtype)] if self.noise else []
        return (*map(scalar_type, self.computed), *made)

    def entry(self, name, function):
        """The loop around the function, which has been compiled for `arguments`.

        Returns:
            The names of the outputs' dtypes, and a Python function for Numba.
        """
        outputs, is_tuple = self.results(name, function)
        return outputs, self._loop(function, outputs, is_tuple)

    def results(self, name, function):
        """The names of the outputs' dtypes, and whether the function returns them in a tuple."""
        returned = function.overloads[self.arguments].signature.return_type
        is_tuple = isinstance(returned, types.BaseTuple)
        given = returned.types if is_tuple else (returned,)
        if not given:
            raise source.Refusal(f"{name}: a kernel returns a number or more. Received: ()")
        outputs = self.outputs or [output_dtype(name, result, self.inputs) for result in given]
        if len(outputs) != len(given):
            raise source.Refusal(
                f"{name}: a gradient returns a value for each input of its kernel, "
                f"{len(outputs)} here. Received: {len(given)}"
            )
        return outputs, is_tuple

    def _loop(self, function, outputs, is_tuple):
        kept = [i for i, dtype in enumerate(outputs) if dtype]
        arrays = len(self.inputs) + len(kept)
        names = {"function": function}
        values = [f"load{i}(p{i}, k)" for i in range(len(self.inputs))]
        begin = [f"p{i} = inputs[{i}]" for i in range(len(self.inputs))]
        begin += [f"q{n} = outputs[{n}]" for n in range(len(kept))]
        head = ["for k in range(count):"]
        if self.noise:
            values.append("noise[skip + k - start]")
            begin += [f"place, noise = as_place(inputs[{len(self.inputs)}]), buffer()"]
            head = [
                f"for start in range(0, count, {TILE}):",
                f"    size = min({TILE}, count - start)",
                "    skip = fill(noise, place, start, size)",
                "    for k in range(start, start + size):",
            ]
            number = scalar_type(self.noise_dtype)
            names["fill"] = noise.filler(self.noise, self.noise_dtype)
            names["buffer"] = noise.scratch(number, TILE + noise.SPARE)
            names["as_place"] = cast_to(noise.Place)
        body = [f"y = function({', '.join(values)})"]
        for n, i in enumerate(kept):
            body += [f"store{n}(q{n}, k, y{f'[{i}]' if is_tuple else ''})"]
            dtype = COMPUTED_AS.get(outputs[i], outputs[i])
            names[f"store{n}"] = _access(len(self.inputs) + n, arrays, dtype)[1]
        for i, dtype in enumerate(self.computed):
            names[f"load{i}"] = _access(i, arrays, dtype)[0]
        inner = "        " if self.noise else "    "
        lines = [*begin, *head, *(inner + line for line in body), "return 0"]
        return defined("entry(count, inputs, outputs)", lines, names)


def defined(signature, lines, names):
    """The Python function of these lines."""
    exec("\n    ".join([f"def {signature}:", *lines]), names)
    return names[signature.partition("(")[0]]


def output_dtype(name, result, inputs):
    """The dtype of an output: of the kind that is returned, as wide as the inputs of that kind."""
    result = types.unliteral(result)
    if isinstance(result, types.Boolean):
        return "bool"
    if isinstance(result, types.Float):
        floats = {dtype for dtype in inputs if "float" in dtype}
        return floats.pop() if len(floats) == 1 else _wider(floats)
    if isinstance(result, types.Integer):
        integers = [dtype for dtype in inputs if "int" in dtype]
        widest = np.result_type(*integers).name if integers else "int64"
        return widest if "int" in widest else "int64"
    raise source.Refusal(
        f"{name}: a kernel returns numbers, or a tuple of them. Received: {result}"
    )


def _wider(floats):
    return "float32" if floats and "float64" not in floats else "float64"


def scalar_type(dtype):
    """Numba's type of a number."""
    return types.boolean if dtype == "bool" else getattr(types, dtype)


def cast_to(pointer):
    """An intrinsic: a void pointer as another."""

    @intrinsic
    def cast(typing_context, given):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(pointer))

        return pointer(types.voidptr), generate

    return cast


def _access(slot, arrays, dtype):
    """Loads and stores of one array, which tell LLVM that no other array is written by them.

    Without that it asks when the loop begins whether arrays overlap, and of many it takes that for
    granted. An output in the place of an input is read before it is written, element by element.
    """
    stored = getattr(types, STORED_AS.get(dtype, dtype))
    seen = scalar_type(dtype)

    def scopes(module, slots):
        domain = module.add_metadata([ir.MetaDataString(module, "fastgen")])
        names = [ir.MetaDataString(module, f"array {i}") for i in slots]
        return module.add_metadata([module.add_metadata([name, domain]) for name in names])

    def mark(builder, instruction):
        others = [i for i in range(arrays) if i != slot]
        instruction.set_metadata("alias.scope", scopes(builder.module, [slot]))
        instruction.set_metadata("noalias", scopes(builder.module, others))
        return instruction

    def place(context, builder, array, index):
        emit.in_widest_vectors(builder.function)
        pointer = context.get_value_type(stored).as_pointer()
        return builder.gep(builder.bitcast(array, pointer), [index])

    @intrinsic
    def load(typing_context, array, index):
        def generate(context, builder, signature, arguments):
            value = mark(builder, builder.load(place(context, builder, *arguments)))
            return context.cast(builder, value, stored, seen)

        return seen(array, index), generate

    @intrinsic
    def store(typing_context, array, index, value):
        def generate(context, builder, signature, arguments):
            given = context.cast(builder, arguments[2], signature.args[2], seen)
            given = context.cast(builder, given, seen, stored)
            mark(builder, builder.store(given, place(context, builder, *arguments[:2])))
            return context.get_dummy_value()

        return types.void(array, index, value), generate

    return load, store
