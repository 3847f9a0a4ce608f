"""The ops of compiled code where no native library was built: the same code, called by NumPy.

On one thread, and the interpreter's lock is taken to get there; but what Numba compiled runs.
"""

import ctypes

import numpy as np
import tensorflow as tf

from fastgen.jit import registry
from fastgen.jit.loops import COMPUTED_AS
from fastgen.jit.noise import SPARE

SCALARS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, *[ctypes.c_void_p] * 2)
ROWS = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 4)
MOST_NOISE = 1032  # FG_ARRAY_KERNEL_NOISE of csrc/kernels/array_kernel.h


def elementwise(inputs, seed, kernel, Out, name):
    """As the op FastgenElementwise."""
    compiled = registry.known(kernel)

    def run(*arrays):
        arrays, noise = arrays[: len(inputs)], arrays[len(inputs) :]
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        wide = [_computed(np.broadcast_to(x, shape)) for x in arrays]
        outputs = [np.empty(shape, COMPUTED_AS.get(dtype, dtype)) for dtype in Out]
        place = [np.array([*each, 0]) for each in noise]
        count = int(np.prod(shape))
        given = _pointers([*wide, *place]), _pointers(outputs)
        SCALARS(compiled.machine.address)(count, *given)
        return _stored(outputs, Out)

    return _op(compiled, run, [*inputs, *seed], Out, name)


def array_kernel(inputs, seed, kernel, Out, name, ranks, axes, sizes, noise, split=False):
    """As the op FastgenArrayKernel; an axis that it cuts is one row."""
    compiled = registry.known(kernel)
    ends = np.cumsum(ranks)
    axes = [axes[end - rank : end] for rank, end in zip(ranks, ends, strict=True)]

    def run(*arrays):
        arrays, drawn = arrays[: len(inputs)], arrays[len(inputs) :]
        known = dict(enumerate(sizes))
        for x, own in zip(arrays, axes, strict=False):
            for axis, dim in zip(own, x.shape[x.ndim - len(own) :], strict=True):
                if known.setdefault(axis, dim) not in (-1, dim):
                    raise ValueError(
                        f"{compiled.kernel.__name__}: axes of one size must be alike. "
                        f"Received: {[x.shape for x in arrays]}"
                    )
                known[axis] = dim
        shapes = [tuple(known[axis] for axis in own) for own in axes]
        rows = np.broadcast_shapes(
            *(x.shape[: x.ndim - len(s)] for x, s in zip(arrays, shapes, strict=False))
        )
        rows = (1,) if split else rows
        pairs = zip(arrays, shapes, strict=False)
        wide = [np.ascontiguousarray(np.broadcast_to(x, (*rows, *s))) for x, s in pairs]
        outputs = [np.empty((*rows, *s), d) for s, d in zip(shapes[len(wide) :], Out, strict=True)]
        each = int(np.prod([known[axis] for axis in noise]))
        more = [np.array([*words, 0]) for words in drawn]
        more += [np.empty(max(MOST_NOISE, each + 2 * SPARE)) for _ in drawn]
        steps = np.array([int(np.prod(s)) for s in shapes[: len(wide)]], np.int64)
        all_sizes = np.array([known[i] for i in range(len(sizes))] or [0], np.int64)
        failed = ROWS(compiled.machine.address)(
            int(np.prod(rows)),
            all_sizes.ctypes.data,
            steps.ctypes.data,
            _pointers([*wide, *more]),
            _pointers(outputs),
        )
        if failed:
            raise ValueError(
                f"{compiled.kernel.__name__}: an index is out of bounds. Received: row {failed - 1}"
            )
        return outputs

    return _op(compiled, run, [*inputs, *seed], Out, name)


OPS = {"elementwise": elementwise, "array_kernel": array_kernel}


def _op(compiled, run, inputs, outputs, name):
    """A node that calls `run` with arrays, with the kernel's gradient."""

    @tf.custom_gradient
    def node(*tensors):
        dtypes = [tf.as_dtype(x) for x in outputs]
        ys = tf.nest.flatten(tf.numpy_function(run, tensors, dtypes, name=name))

        def gradient(*upstream):
            return registry.backward(compiled, tensors, ys, upstream)

        return ys, gradient

    return tf.nest.flatten(node(*inputs))


def _computed(x):
    return np.ascontiguousarray(x, COMPUTED_AS.get(x.dtype.name, x.dtype))


def _stored(outputs, dtypes):
    types = [tf.as_dtype(dtype).as_numpy_dtype for dtype in dtypes]
    return [y.astype(kind, copy=False) for y, kind in zip(outputs, types, strict=True)]


def _pointers(arrays):
    return (ctypes.c_void_p * max(1, len(arrays)))(*(x.ctypes.data for x in arrays))
