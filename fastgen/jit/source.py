"""A user's function before it is compiled: what it may hold, what it stands on, its constants.

Numba makes a float64 of `0.5 * x` and of `2 * x` where x is float32: loops would run in float64.
`in_float32` gives numbers the weak types that they have in NumPy and TensorFlow.
"""

import builtins
import dis
import hashlib
import inspect
import types

import numpy as np

# Numba's options for what is inlined, and nobody calls from Python or C: without the ways to do so
# a kernel is compiled in 0.093 s, not 0.136.
INLINED = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINED |= {"error_model": "numpy", "forceinline": True}
RAISING = {"RAISE_VARARGS": "raise", "LOAD_ASSERTION_ERROR": "assert"}
# What follows a whole number that must stay one: x**2 is a product, t[0] has a type of its own.
KEEPS_INTEGERS = {"BINARY_SUBSCR"}
NUMBERS = (bool, int, float, np.generic)


class Refusal(ValueError):
    """Why a function cannot be a kernel."""


def check(name, function):
    """Refuse what is no function of scalars, and what would raise."""
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        raise Refusal(f"{name}: a kernel is a Python function. Received: {function!r}")
    parameters = inspect.signature(function).parameters.values()
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    if not parameters or any(p.kind not in plain or p.default is not p.empty for p in parameters):
        raise Refusal(
            f"{name}: a kernel takes one scalar or more by position, without defaults. "
            f"Received: {name}{inspect.signature(function)}"
        )
    for each in functions_in(name, function):
        for instruction in _instructions(each.__code__):
            if word := RAISING.get(instruction.opname):
                raise Refusal(
                    f"{name}: a kernel cannot raise, its outputs would be left unwritten; return "
                    f"NaN instead. Received: {word} in {each.__name__}"
                )


def check_outputs(name, function, first, count):
    """Refuse a function of arrays that gives the name of an output to something else."""
    outputs = function.__code__.co_varnames[first : first + count]
    for instruction in dis.get_instructions(function):
        if instruction.opname.startswith("STORE_FAST") and instruction.argval in outputs:
            lost = instruction.argval
            raise Refusal(
                f"{name}: outputs are written element by element, as {lost}[0] = 1.0, or as "
                f"{lost}[:] = 1.0. Received: an assignment to {lost}"
            )


def functions_in(name, function, callers=()):
    """The function, then those it calls, as often as it names them."""
    if function in callers:
        raise Refusal(
            f"{name}: a kernel cannot call itself, its stack has an end. "
            f"Received: {function.__name__}, which does"
        )
    yield function
    for key, value in references(function).items():
        inner = python_function(value)
        plain_of_a_module = "." in key and inner is value  # which Numba knows, or refuses
        if inner is not None and not plain_of_a_module:
            yield from functions_in(name, inner, (*callers, function))


def python_function(value):
    """The function behind a user's plain, jitted or vectorized one; None for anything else."""
    value = getattr(value, "_dispatcher", value)
    value = getattr(value, "py_func", value)
    return value if isinstance(value, types.FunctionType) else None


def references(function):
    """Names that a function takes from outside, `"module.name"` from modules, and their values."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    cells = {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}
    outside = {"LOAD_GLOBAL": function.__globals__, "LOAD_DEREF": cells}
    found, name, value = dict(cells), "", None
    for instruction in _instructions(function.__code__):
        key = instruction.argval
        if key in outside.get(instruction.opname, ()):
            name, value = key, outside[instruction.opname][key]
            found[name] = value
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and _has(value, key):
            name, value = f"{name}.{key}", getattr(value, key)
            found[name] = value
        else:
            value = None
    return found


def _instructions(code):
    """Those of the code, and of functions that are defined in it."""
    yield from dis.get_instructions(code)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _instructions(inner)


def _has(value, key):
    return isinstance(value, types.ModuleType) and getattr(value, key, None) is not None


def fingerprint(name, function):
    """A hash of the functions' code and of all that they refer to."""
    digest = hashlib.sha256()
    for each in functions_in(name, function):
        outside = sorted(references(each).items())
        described = [(key, _described(name, key, x)) for key, x in outside]
        defaults = _described(name, "a default", each.__defaults__ or ())
        digest.update(repr([*_parts(each.__code__), described, defaults]).encode())
    return digest.hexdigest()


def _parts(code):
    """What a code object does, in what has the same `repr` in every process."""
    constants = [_parts(x) if isinstance(x, types.CodeType) else x for x in code.co_consts]
    return [code.co_code, constants, code.co_names, code.co_varnames]


def _described(name, key, value):
    if isinstance(value, NUMBERS):
        return type(value).__name__, repr(value)
    if isinstance(value, types.ModuleType):
        return value.__name__, getattr(value, "__version__", "")
    if isinstance(value, tuple) and not any(map(callable, value)):
        return getattr(value, "_fields", ()), [_described(name, key, x) for x in value]
    named = getattr(value, "__qualname__", repr(value))
    if callable(value) and " at 0x" not in named:  # an address is another's in the next process
        return getattr(value, "__module__", ""), named
    raise Refusal(
        f"{name}: a kernel may refer to numbers, tuples of them, functions and modules. "
        f"Received: {key}, of type {type(value).__name__}"
    )


def compilable(function, float32, jit):
    """The function as Numba is to see it, what it calls compiled by `jit`.

    Args:
        function: a Python function.
        float32: whether numbers written in it are float32, not float64.
        jit: function → what compiled functions can call.
    """
    code = function.__code__
    outside = {}
    for name, value in references(function).items():
        inner = python_function(value)
        if inner is not None and "." not in name:
            value = jit(compilable(inner, float32, jit))
        outside[name] = weak(value) if float32 else value
    if lost := set(code.co_freevars) - set(outside):
        raise NameError(f"{sorted(lost)[0]} is not defined")
    cells = tuple(types.CellType(outside[name]) for name in code.co_freevars)
    code = in_float32(code) if float32 else code
    names = {"__builtins__": builtins, "__name__": function.__module__, **outside}
    defaults = tuple(weak(x) if float32 else x for x in function.__defaults__ or ())
    return types.FunctionType(code, names, function.__name__, defaults, cells)


def weak(value):
    """A number as Numba lets it meet a float32 without widening it."""
    if type(value) is float:
        return np.float32(value)
    if type(value) is int and -(2**15) <= value < 2**15:
        return np.int16(value)
    return value


def in_float32(code):
    """The code with its numbers weak, but for whole ones that are exponents or indices."""
    constants = list(code.co_consts)
    weakened = {i: weak(x) for i, x in enumerate(constants)}
    weakened = {i: x for i, x in weakened.items() if x is not constants[i]}
    place = {i: len(constants) + n for n, i in enumerate(weakened)}
    if not weakened or len(constants) + len(weakened) > 255:
        return code
    raw = bytearray(code.co_code)
    instructions = list(dis.get_instructions(code))
    for this, following in zip(instructions, [*instructions[1:], None], strict=True):
        if this.opname not in ("LOAD_CONST", "RETURN_CONST") or this.arg not in place:
            continue
        power = following is not None and "**" in following.argrepr
        keeps = following is not None and following.opname in KEEPS_INTEGERS
        if not (isinstance(this.argval, int) and (power or keeps)):
            raw[this.offset + 1] = place[this.arg]
    return code.replace(co_code=bytes(raw), co_consts=(*constants, *weakened.values()))
