"""CUDA kernels compiled at run time by CuPy's NVRTC, for libraries that were built without nvcc.

`fastgen.core` calls `launch` where it would call the C function of a kernel, with the arguments of
that function. Which kernel it is, and how the work is cut, follow csrc/kernels/NAME.cu.
"""

import ctypes
import functools

import numpy as np

from fastgen import native
from fastgen.cuda_cuts import (
    COLUMN_CUT,
    L1,
    LINES,
    NOISE_SEED,
    ROW_SUMS,
    STORAGE,
    THREADS,
    cut_columns,
    cut_rows,
    grid,
    pointers,
    struct,
    width,
    width_of_columns,
)

CROSS_ENTROPY = "kernels/sigmoid_cross_entropy.cuh"


def launch(kernel, *arguments):
    """Start a kernel on CuPy's current stream.

    Args:
        kernel: name of a kernel, `"gaussian_sample_kl"`.
        arguments: those of its C function after the stream; pointers are integers.

    Raises:
        NotImplementedError: for a kernel that needs nvcc.
    """
    if kernel not in LAUNCHERS:
        raise NotImplementedError(
            f"{kernel}: on a GPU this kernel needs a fastgen that was built with nvcc. "
            f"To build one: {native.rebuild_command()}"
        )
    LAUNCHERS[kernel](*arguments)


def gaussian_sample_kl(dtype, rows, cols, seed, mean, log_var, z, kl):
    """csrc/kernels/gaussian_sample_kl.cu, forward."""
    cut = cut_rows(dtype, rows, cols, (mean, log_var, z))
    with_sums = functools.partial(
        start,
        "kernels/gaussian_sample_kl.cuh",
        f"gaussian_sample_kl_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        noise_seed(seed),
        *pointers(mean, log_var, z),
    )
    sum_rows(cut, rows, kl, 1, with_sums)


def gaussian_sample_kl_grad(dtype, rows, cols, seed, mean, log_var, d_z, d_kl, d_mean, d_log_var):
    """Likewise, its gradients."""
    cut = cut_rows(dtype, rows, cols, (mean, log_var, d_z, d_mean, d_log_var))
    start(
        "kernels/gaussian_sample_kl.cuh",
        f"gaussian_sample_kl_grad_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        noise_seed(seed),
        *pointers(mean, log_var, d_z, d_kl, d_mean, d_log_var),
    )


def gaussian_sample(dtype, size, seed, mean, log_var, z):
    """csrc/kernels/gaussian_sample.cu, forward."""
    arrays = mean, log_var, z
    header, name = "kernels/gaussian_sample.cuh", "gaussian_sample_kernel"
    start_flat(header, name, dtype, size, arrays, noise_seed(seed), *pointers(*arrays))


def gaussian_sample_grad(dtype, size, seed, log_var, d_z, d_log_var):
    """Likewise, its gradient."""
    arrays = log_var, d_z, d_log_var
    header, name = "kernels/gaussian_sample.cuh", "gaussian_sample_grad_kernel"
    start_flat(header, name, dtype, size, arrays, noise_seed(seed), *pointers(*arrays))


def gaussian_kl(dtype, rows, cols, mean, log_var, kl):
    """csrc/kernels/gaussian_kl.cu, forward."""
    cut = cut_rows(dtype, rows, cols, (mean, log_var))
    with_sums = functools.partial(
        start,
        "kernels/gaussian_kl.cuh",
        f"gaussian_kl_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        *pointers(mean, log_var),
    )
    sum_rows(cut, rows, kl, 1, with_sums)


def gaussian_kl_grad(dtype, rows, cols, mean, log_var, d_kl, d_mean, d_log_var):
    """Likewise, its gradients."""
    cut = cut_rows(dtype, rows, cols, (mean, log_var, d_mean, d_log_var))
    start(
        "kernels/gaussian_kl.cuh",
        f"gaussian_kl_grad_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        *pointers(mean, log_var, d_kl, d_mean, d_log_var),
    )


def sigmoid_cross_entropy(
    dtype, targets_dtype, rows, cols, targets, logits, label_smoothing, loss, slope
):
    """csrc/kernels/sigmoid_cross_entropy.cu, forward."""
    smoothed = smooth_targets(dtype, targets_dtype, targets, label_smoothing)
    if cols == 1:
        each, arrays = "sigmoid_cross_entropy_each_kernel", (targets, logits, slope, loss)
        given = smoothed, *pointers(logits, slope, loss)
        return start_each(each, dtype, targets_dtype, rows, arrays, *given)
    cut = cut_rows(dtype, rows, cols, (targets, logits, slope), targets_dtype)
    share = 1 / max(cols, 1)
    with_sums = functools.partial(
        start,
        CROSS_ENTROPY,
        f"sigmoid_cross_entropy_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        smoothed,
        *pointers(logits),
        STORAGE[dtype].number(share),
        *pointers(slope),
    )
    return sum_rows(cut, rows, loss, share, with_sums)


def sigmoid_cross_entropy_grad(
    dtype, targets_dtype, rows, cols, targets, logits, label_smoothing, d_loss, d_logits
):
    """Likewise, its gradient."""
    smoothed = smooth_targets(dtype, targets_dtype, targets, label_smoothing)
    if cols == 1:
        each, arrays = "sigmoid_cross_entropy_each_grad_kernel", (targets, logits, d_loss, d_logits)
        given = smoothed, *pointers(logits, d_loss, d_logits)
        return start_each(each, dtype, targets_dtype, rows, arrays, *given)
    cut = cut_rows(dtype, rows, cols, (targets, logits, d_logits), targets_dtype)
    return start(
        CROSS_ENTROPY,
        f"sigmoid_cross_entropy_grad_kernel<{cut.template}>",
        cut.blocks,
        struct(LINES, cut.lines),
        smoothed,
        *pointers(logits),
        STORAGE[dtype].number(1 / max(cols, 1)),
        *pointers(d_loss, d_logits),
    )


def sigmoid_cross_entropy_from_slope_grad(dtype, rows, cols, slope, d_loss, d_logits):
    """Likewise, by way of the slope."""
    arrays = slope, d_loss, d_logits
    if cols == 1:
        return start_each("scale_each_kernel", dtype, None, rows, arrays, *pointers(*arrays))
    cut = cut_rows(dtype, rows, cols, (slope, d_logits))
    name, lines = f"scale_rows_kernel<{cut.template}>", struct(LINES, cut.lines)
    return start(CROSS_ENTROPY, name, cut.blocks, lines, *pointers(*arrays))


def start_each(name, dtype, targets_dtype, size, arrays, *arguments):
    """A kernel of cross-entropies that are not averaged."""
    kinds = [] if targets_dtype is None else [STORAGE[targets_dtype].name]
    kinds.append(STORAGE[dtype].real)
    start_flat(CROSS_ENTROPY, name, dtype, size, arrays, *arguments, types=kinds)


def sparsity(dtype, rows, cols, kind, target, activations, penalty, activity):
    """csrc/kernels/sparsity.cu, forward."""
    import cupy

    storage, header = STORAGE[dtype], "kernels/sparsity.cuh"
    if rows == 0 or cols == 0:
        stream = cupy.cuda.get_current_stream().ptr
        for start_of, size in ((activity, 8 * cols), (penalty, 8 if storage.size == 8 else 4)):
            cupy.cuda.runtime.memsetAsync(start_of, 0, size, stream)
        return
    n = width_of_columns(storage, cols, (activations,))
    cut = cut_columns(rows, cols, n)
    pieces = -(-rows // cut["rows_of_piece"])
    sums = cupy.empty((pieces * cols,), "float64")
    name, arrays = f"sum_activities<{storage.name}, {n}>", pointers(activations, sums.data.ptr)
    start_columns(header, name, cut, np.bool_(kind == L1), *arrays)
    whole = {**cut_columns(pieces, cols, 1), "rows_of_piece": pieces}
    arrays = pointers(sums.data.ptr, activity)
    start_columns(header, "mean_activities", whole, np.int64(rows), *arrays)
    numbers = np.int64(cols), np.int32(kind), np.float64(target)
    name = f"sparsity_penalty_kernel<{storage.real}>"
    start(header, name, 1, *numbers, *pointers(activity, penalty))


def sparsity_grad(
    dtype, rows, cols, kind, target, activations, activity, d_penalty, d_activity, d_passed, out
):
    """Likewise, its gradient."""
    if rows == 0 or cols == 0:
        return
    storage = STORAGE[dtype]
    n = width_of_columns(storage, cols, (activations, d_passed, out))
    start_columns(
        "kernels/sparsity.cuh",
        f"sparsity_grad_kernel<{storage.name}, {n}, {storage.real}>",
        cut_columns(rows, cols, n),
        np.int32(kind),
        np.float64(target),
        *pointers(activations, activity, d_penalty, d_activity, d_passed, out),
    )


LAUNCHERS = {
    function.__name__: function
    for function in (
        gaussian_sample_kl,
        gaussian_sample_kl_grad,
        gaussian_sample,
        gaussian_sample_grad,
        gaussian_kl,
        gaussian_kl_grad,
        sigmoid_cross_entropy,
        sigmoid_cross_entropy_grad,
        sigmoid_cross_entropy_from_slope_grad,
        sparsity,
        sparsity_grad,
    )
}


def start_flat(header, name, dtype, size, arrays, *arguments, types=()):
    """launch_flat of csrc/cuda/flat.h: a kernel of elements one after the other."""
    storage = STORAGE[dtype]
    n = width(storage, arrays)
    blocks = grid(-(-size // (n * THREADS)))
    template = ", ".join([storage.name, str(n), *types])
    start(header, f"{name}<{template}>", blocks, np.int64(size), *arguments)


def start_columns(header, name, cut, *arguments):
    """A kernel of csrc/cuda/columns.cuh, in the blocks of a cut."""
    blocks = -(-cut["rows"] // cut["rows_of_piece"]) * cut["tiles"]
    start(header, name, blocks, struct(COLUMN_CUT, cut), *arguments)


def smooth_targets(dtype, targets_dtype, targets, label_smoothing):
    """SmoothTargets of csrc/kernels/sigmoid_cross_entropy.cuh, its numbers given."""
    unit = 255 if STORAGE[targets_dtype].size == 1 else 1
    number = STORAGE[dtype].number
    kind = np.dtype(
        [
            *(("base", np.uint64), ("scale", number), ("shift", number)),
            ("label_smoothing", np.uint64),
        ]
    )
    values = {"base": targets, "scale": (1 - label_smoothing) / unit, "shift": label_smoothing / 2}
    return struct(kind, {**values, "label_smoothing": 0})


def sum_rows(cut, rows, sums, scale, start_lines):
    """sum_rows of csrc/cuda/rows.h: `start_lines(sums)` starts the kernel that sums lines."""
    import cupy

    in_pieces = cut.lines["pieces"] > 1
    pieces = cupy.empty((cut.lines["count"] if in_pieces else 0,), "float64")
    given = {"of_rows": sums, "of_pieces": pieces.data.ptr, "scale": scale}
    start_lines(struct(ROW_SUMS, given))
    if in_pieces:
        sizes = np.int64(rows), np.int64(cut.lines["pieces"])
        name = f"sum_pieces<{cut.real}>"
        start("cuda/rows.cuh", name, grid(rows), *sizes, struct(ROW_SUMS, given))


def start(header, name, blocks, *arguments):
    """Start a kernel of a header; nothing if it has no blocks."""
    if blocks:
        compiled(header, name)((blocks,), (THREADS,), arguments)


@functools.cache
def compiled(header, name):
    """A kernel by the name of its instance; CuPy keeps what it compiled on the disk."""
    import cupy

    name = f"fastgen::cuda::{name}"
    code, options = program(header)
    module = cupy.RawModule(code=code, options=options, name_expressions=[name])
    return module.get_function(name)


def program(header):
    """What NVRTC is given for the kernels of a header: code and options."""
    include = native.library_folder() / "include"
    return f'#include "{header}"\n', ("--std=c++17", f"-I{include}")


def noise_seed(seed):
    """seed_on_host of csrc/cuda/noise_seed.h; seed: the address of its two words."""
    key, out = (ctypes.c_uint32 * 2)(0x3EC8F720, 0x02461E29), (ctypes.c_uint32 * 4)()
    native.core_library().fg_philox(ctypes.c_void_p(seed), key, out)
    return np.array([(tuple(out), 0)], NOISE_SEED)
