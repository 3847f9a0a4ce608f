"""The driver's stand-in, tests/cuda/on_cpu/driver, and kernels for it: the loops of a GPU."""

import ctypes
import hashlib

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgen.jit import grid_loop, loops, source
from tests.cuda import build

COUNTED = ("cuModuleLoadDataEx", "cuModuleUnload", "cuLaunchKernel")
_jit = numba.njit(error_model="numpy")
_alive = []  # what the stand-in calls


@numba.cfunc(types.void(types.int64, types.int64, types.voidptr))
def _nothing(thread, threads, given):
    pass


class Driver:
    """The stand-in in this process: what is loaded by its name from now on."""

    def __init__(self, core=None):
        """With the memory of a library of tests/cuda/plugin, if one is given."""
        self.library = ctypes.CDLL(str(build.driver()), ctypes.RTLD_GLOBAL)
        self.library.stand_in_count.restype = ctypes.c_int64
        self.library.stand_in_kernel(b"nothing", ctypes.c_void_p(_nothing.address))
        if core is not None:
            how = core.on_cpu_begin_access, core.on_cpu_end_access
            self.library.stand_in_access(*(ctypes.cast(f, ctypes.c_void_p) for f in how))

    def counts(self):
        """How often modules were loaded and unloaded, and kernels launched."""
        return {name: self.library.stand_in_count(name.encode()) for name in COUNTED}

    def fail(self, function, result):
        """Let a function of the driver return this from now on; 0: what it should."""
        self.library.stand_in_fail(function.encode(), result)

    def know(self, newest_ptx, cuda):
        """Be a driver of another age: `(8, 4)` and `(12, 4)`."""
        major, minor = cuda
        self.library.stand_in_version(10 * newest_ptx[0] + newest_ptx[1], 1000 * major + 10 * minor)

    def last_launch(self):
        """Blocks, threads of each, and contexts that this thread has left pushed."""
        last = (ctypes.c_int64 * 3)()
        self.library.stand_in_last(last)
        return tuple(last)

    def code_of(self, compiled, function, fastmath):
        """In the place of `device_code.code_of`: as it, but that the CPU runs what is named."""
        form = compiled.form
        outputs = form.outputs or compiled.outputs
        name = "kernel_" + hashlib.sha256(compiled.key.encode()).hexdigest()[:16]
        run = on_cpu(function, form, outputs)
        _alive.append(run)
        self.library.stand_in_kernel(name.encode(), ctypes.c_void_p(run.address))
        return name, ptx(name, len(grid_loop.parameters(form, outputs)))

    def of_nothing(self):
        """In the place of `device_code.of_nothing`."""
        return "nothing", ptx("nothing", 0)


def ptx(name, parameters):
    """As far as the stand-in reads it."""
    given = ",\n".join(f"  .param .u64 {name}_param_{i}" for i in range(parameters))
    return f".version 8.4\n.target sm_80\n.visible .entry {name}(\n{given}\n)\n{{ ret; }}\n"


def on_cpu(function, form, outputs):
    """The loop of `grid_loop` as a C function `(thread, threads, parameters)`."""
    float32 = {dtype for dtype in form.computed if dtype.startswith("float")} == {"float32"}
    plain = _jit(source.compilable(function, float32, _jit))
    names = {"entry": grid_loop.loop(form, plain, outputs, _jit), "as_pointer": _as_pointer}
    typed = enumerate(grid_loop.parameters(form, outputs))
    given = [
        f"as_pointer(given[{i}])" if x == types.voidptr else f"given[{i}]" for i, (_, x) in typed
    ]
    lines = [f"entry(thread, threads, {', '.join(given)})"]
    run = loops.defined("run(thread, threads, given)", lines, names)
    return numba.cfunc(types.void(types.int64, types.int64, types.CPointer(types.int64)))(run)


@intrinsic
def _as_pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate
