"""A user's function in its loop as machine code, kept on disk between processes."""

import functools
import hashlib
import pickle
import re
from pathlib import Path

import llvmlite
import numba
from numba.core.registry import cpu_target

from fastgen import cache
from fastgen.jit import source

# Bounds are checked so that what can leave them is refused: checks that are left in the code show
# up as calls of Python, as all that raises does.
OPTIONS = {**source.INLINED, "boundscheck": True}
FORBIDDEN = re.compile(
    r"^declare .*@\"?(Py\w+|_Py\w+|NRT_\w+|numba_gil_ensure|numba_get_\w+_random_state)\"?\(",
    re.MULTILINE,
)
OF_ARRAYS = "invalid type in Constant"  # what Numba says of `2 * x` of an array, its numbers weak
FORMAT = 1  # rises when the entry of compiled functions or the files change


class Machine:
    """Machine code of one kernel for some dtypes, alive as long as this object."""

    def __init__(self, outputs, symbol, library):
        self.outputs = outputs
        self.symbol = symbol
        self.library = library
        self.address = library.get_pointer_to_function(symbol)


def machine_code(name, function, form, fastmath):
    """The code of a function in its loop, from the disk or from Numba.

    Args:
        name: of the kernel, for messages.
        function: the user's function.
        form: what writes the loop, see loops.py.
        fastmath: as Numba's.

    Returns:
        The key of it, and a `Machine`, whose `outputs` are the names of the dtypes.

    Raises:
        ValueError: if Numba does not compile the function, or if what it makes could raise.
    """
    flags = sorted(fastmath) if isinstance(fastmath, set | frozenset) else fastmath
    about = [source.fingerprint(name, function), type(form).__name__, tuple(form), flags]
    key = hashlib.sha256(repr([FORMAT, about, _this_machine()]).encode()).hexdigest()[:32]
    path = cache.folder() / f"kernel-{key}.bin"
    machine = _load(path)
    if machine is None:
        machine = _compile(name, function, form, fastmath)
        _save(path, machine)
    return key, machine


@functools.cache
def _this_machine():
    """What makes the code of the same function another."""
    ours = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        ours.update(path.read_bytes())
    made_by = numba.__version__, llvmlite.__version__, ours.hexdigest()
    return made_by, cpu_target.target_context.codegen().magic_tuple()


def _load(path):
    """The code in a file, or None; LLVM would end the process over a file that is not whole."""
    body = cache.read_sealed(path)
    if body is None:
        return None
    outputs, symbol, stored = pickle.loads(body)
    return Machine(outputs, symbol, cpu_target.target_context.codegen().unserialize_library(stored))


def _save(path, machine):
    stored = machine.library.serialize_using_object_code()
    cache.write_sealed(path, pickle.dumps((machine.outputs, machine.symbol, stored)))


def _compile(name, function, form, fastmath):
    options = {**OPTIONS, "fastmath": fastmath}
    floats = {dtype for dtype in form.computed if dtype.startswith("float")}
    try:
        plain = source.compilable(function, floats == {"float32"}, numba.njit(**options))
        form = form.typed(name, plain, options)
        inner = form.jitted(plain, options)
        inner.compile(form.arguments)
        outputs, entry = form.entry(name, inner)
        # Inlined, or what could not raise leaves the code that would tell Python.
        flags = {"error_model": "numpy", "forceinline": True, "fastmath": fastmath}
        compiled = numba.cfunc(form.ENTRY, **flags)(entry)
    except source.Refusal:
        raise
    except Exception as error:  # whatever a compiler makes of a stranger's code
        said = " ".join(str(error).split())
        if OF_ARRAYS in said:
            said = "it computes with whole arrays, which allocates memory: write a loop"
        raise source.Refusal(
            f"{name}: Numba cannot compile it for {form.inputs}: {said}"
        ) from error
    library = compiled._library
    if calls := sorted(set(FORBIDDEN.findall(library.get_llvm_str()))):
        raise source.Refusal(
            f"{name}: a kernel cannot raise, print or allocate memory (as expressions of whole "
            "arrays do), nor index what it cannot be sure to stay inside, nor draw numbers other "
            f"than those of noise=. Received: code for {form.inputs} that calls {', '.join(calls)}"
        )
    return Machine([dtype for dtype in outputs if dtype], compiled._wrapper_name, library)
