"""Functions of scalars as machine code that runs over arrays, kept on disk between processes."""

import functools
import hashlib
import pickle
import re
from pathlib import Path

import llvmlite
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from fastgen import cache
from fastgen.jit import source

# Bounds are checked so that what can leave them is refused: checks that are left in the code show
# up as calls of Python, as all that raises does.
OPTIONS = {"error_model": "numpy", "boundscheck": True, "forceinline": True}
FORBIDDEN = re.compile(r"^declare .*@\"?(Py\w+|_Py\w+|NRT_\w+|numba_gil_ensure)\"?\(", re.MULTILINE)
STORED_AS = {"bool": "uint8"}
COMPUTED_AS = {"float16": "float32", "bfloat16": "float32"}
FORMAT = 1  # rises when the entry of compiled functions or the files change
ENTRY = types.int32(types.int64, types.CPointer(types.voidptr), types.CPointer(types.voidptr))


class Machine:
    """Machine code of one kernel for some dtypes, alive as long as this object."""

    def __init__(self, outputs, symbol, library):
        self.outputs = outputs
        self.symbol = symbol
        self.library = library
        self.address = library.get_pointer_to_function(symbol)


def machine_code(name, function, inputs, outputs, fastmath):
    """The code for inputs of these dtypes, from the disk or from Numba.

    Args:
        name: of the kernel, for messages.
        function: the user's function.
        inputs: names of the inputs' dtypes.
        outputs: likewise, None where nobody wants an output; or None, for what is returned.
        fastmath: as Numba's.

    Returns:
        The key of it, and a `Machine`, whose `outputs` are the names of the dtypes.

    Raises:
        ValueError: if Numba does not compile the function, or if what it makes could raise.
    """
    about = [FORMAT, source.fingerprint(name, function), inputs, outputs, str(fastmath)]
    key = hashlib.sha256(repr([about, _this_machine()]).encode()).hexdigest()[:32]
    path = cache.folder() / f"kernel-{key}.bin"
    machine = _load(path)
    if machine is None:
        machine = _compile(name, function, inputs, outputs, fastmath)
        _save(path, machine)
    return key, machine


@functools.cache
def _this_machine():
    """What makes the code of the same function another."""
    ours = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        ours.update(path.read_bytes())
    made_by = numba.__version__, llvmlite.__version__, ours.hexdigest()
    return made_by, cpu_target.target_context.codegen().magic_tuple()


def _load(path):
    """The code in a file, or None; LLVM would end the process over a file that is not whole."""
    try:
        digest, body = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    outputs, symbol, stored = pickle.loads(body)
    return Machine(outputs, symbol, cpu_target.target_context.codegen().unserialize_library(stored))


def _save(path, machine):
    stored = machine.library.serialize_using_object_code()
    body = pickle.dumps((machine.outputs, machine.symbol, stored))
    digest = hashlib.sha256(body).hexdigest().encode()
    cache.write(path, lambda file: file.write(digest + b"\n" + body))


def _compile(name, function, inputs, outputs, fastmath):
    jit = numba.njit(fastmath=fastmath, **OPTIONS)
    computed = [COMPUTED_AS.get(dtype, dtype) for dtype in inputs]
    floats = [dtype for dtype in computed if dtype.startswith("float")]
    float32 = bool(floats) and set(floats) == {"float32"}
    try:
        scalar = jit(source.compilable(function, float32, jit))
        arguments = tuple(_scalar_type(dtype) for dtype in computed)
        scalar.compile(arguments)
        returned = scalar.overloads[arguments].signature.return_type
        given = returned.types if isinstance(returned, types.BaseTuple) else (returned,)
        if outputs is None:
            outputs = [output_dtype(name, result, inputs) for result in given]
        elif len(outputs) != len(given):
            raise source.Refusal(
                f"{name}: a gradient returns a value for each input of its kernel, "
                f"{len(outputs)} here. Received: {len(given)}"
            )
        entry = _entry(scalar, computed, outputs, isinstance(returned, types.BaseTuple))
        compiled = numba.cfunc(ENTRY, error_model="numpy", fastmath=fastmath)(entry)
    except source.Refusal:
        raise
    except Exception as error:  # whatever a compiler makes of a stranger's code
        said = " ".join(str(error).split())
        raise source.Refusal(f"{name}: Numba cannot compile it for {inputs}: {said}") from error
    library = compiled._library
    if calls := sorted(set(FORBIDDEN.findall(library.get_llvm_str()))):
        raise source.Refusal(
            f"{name}: a kernel cannot raise, print or allocate memory, nor index what it cannot be "
            f"sure to stay inside. Received: code for {inputs} that calls {', '.join(calls)}"
        )
    return Machine([dtype for dtype in outputs if dtype], compiled._wrapper_name, library)


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


def _scalar_type(dtype):
    return types.boolean if dtype == "bool" else getattr(types, dtype)


def _entry(scalar, inputs, outputs, is_tuple):
    """The loop over `count` elements, as a Python function for Numba."""
    names = {"scalar": scalar}
    kept = [i for i, dtype in enumerate(outputs) if dtype]
    arrays = len(inputs) + len(kept)
    lines = ["def entry(count, inputs, outputs):"]
    lines += [f"    p{i} = inputs[{i}]" for i in range(len(inputs))]
    lines += [f"    q{n} = outputs[{n}]" for n in range(len(kept))]
    lines += ["    for k in range(count):"]
    values = ", ".join(f"load{i}(p{i}, k)" for i in range(len(inputs)))
    lines += [f"        y = scalar({values})"]
    for n, i in enumerate(kept):
        lines += [f"        store{n}(q{n}, k, y{f'[{i}]' if is_tuple else ''})"]
        dtype = COMPUTED_AS.get(outputs[i], outputs[i])
        names[f"store{n}"] = _access(len(inputs) + n, arrays, dtype)[1]
    for i, dtype in enumerate(inputs):
        names[f"load{i}"] = _access(i, arrays, dtype)[0]
    exec("\n".join([*lines, "    return 0"]), names)
    return names["entry"]


def _access(slot, arrays, dtype):
    """Loads and stores of one array, which tell LLVM that no other array is written by them.

    Without that it asks when the loop begins whether arrays overlap, and of many it takes that for
    granted. An output in the place of an input is read before it is written, element by element.
    """
    stored = getattr(types, STORED_AS.get(dtype, dtype))
    seen = _scalar_type(dtype)

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
