"""What Numba's simulator of CUDA lacks: shuffles, libdevice, vectors. Each thread is one of Python.

Switched on by NUMBA_ENABLE_CUDASIM=1 before Numba is imported; for tests.
"""

import functools
import sys
import threading
from threading import BrokenBarrierError

import numpy as np
from numba import cuda as _numba_cuda
from numba.cuda.simulator import kernel


class _Block(kernel.BlockManager):
    """A block whose threads wait for each other; the simulator polls them, which takes longer."""

    def run(self, grid_point, *arguments):
        points = list(np.ndindex(*self._block_dim))
        barrier = threading.Barrier(len(points))

        def run_thread():
            try:
                self._f(*arguments)
            except BaseException:
                barrier.abort()
                raise

        make = functools.partial(kernel.BlockThread, run_thread, self, grid_point)
        threads = [make(point, self._debug) for point in points]
        for thread in threads:
            thread.barrier = barrier
            thread.start()
        for thread in threads:
            thread.join()
        raised = [thread.exception for thread in threads if thread.exception]
        for error, traceback in sorted(raised, key=lambda x: type(x[0]) is BrokenBarrierError):
            raise error.with_traceback(traceback)


def run(function, grid, arguments):
    """A launch."""
    polled, kernel.BlockManager = kernel.BlockManager, _Block
    try:
        function[grid](*(x.reshape(-1) if isinstance(x, np.ndarray) else x for x in arguments))
    finally:
        kernel.BlockManager = polled


class _Shared:
    @staticmethod
    def array(shape, dtype):
        """One for all threads; the simulator's own may be made twice if two ask for it at once."""
        caller = sys._getframe(1)
        made = kernel._get_kernel_context().shared._allocations
        return made.setdefault((caller.f_code, caller.f_lineno), np.empty(shape, dtype))


class _Cuda:
    """The module `cuda` as kernels see it, and the functions that they call.

    The simulator puts its own in the place of the real one while a kernel runs, and takes it out
    again when any thread leaves a function of another module.
    """

    shared = _Shared

    def __init__(self):
        self.shuffled = {}

    def __getattr__(self, name):
        return getattr(kernel._get_kernel_context() or _numba_cuda, name)

    def shfl_xor_sync(self, mask, value, lanes):
        """As in a warp, but every thread of the block has to come."""
        assert mask == 0xFFFFFFFF
        me = threading.current_thread().thread_id
        self.shuffled[me] = value
        self.syncthreads()
        theirs = self.shuffled[me ^ lanes]
        self.syncthreads()
        return theirs

    def syncthreads(self):
        """Of all threads of the block, as a GPU has it."""
        threading.current_thread().barrier.wait()


cuda = _Cuda()


def load_16_bytes(array, first, values):
    """`intrinsics.load_16_bytes`."""
    for k in range(len(values)):
        values[k] = array[first + k]


def store_16_bytes(array, first, values):
    """`intrinsics.store_16_bytes`."""
    for k in range(len(values)):
        array[first + k] = values[k]


def sincospi(x):
    """`intrinsics.sincospi`."""
    angle = np.longdouble(x) * np.pi
    return type(x)(np.sin(angle)), type(x)(np.cos(angle))
