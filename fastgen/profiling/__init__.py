"""Where the time of a program goes: op by op, beside stock ops and what the machine allows."""

from fastgen import native

__all__ = ["profile"]


def profile(*, stock=True, quiet=False, seconds=30.0, trace=None, nvtx=None):
    """Record what runs inside `with`, and print it at the end, op by op.

    Whatever TensorFlow runs is seen, in `fit`, in a `tf.function` or outside: the kernels of
    fastgen, their composites and stock ops. Calls of `fastgen.core` on NumPy arrays and what XLA
    compiles, which is one op to TensorFlow, are not. TensorBoard and `tf.profiler` show the ops
    under the same names, `fastgen.gaussian_sample_kl`, with their shapes.

    Each of `rows`, those of the most time first, is a dict:

    - `op`, `path` (`"fused"`, `"composite"`, or `"stock"` for what is not of fastgen), `device`,
      `dtype`, `shape`, in words;
    - `launches`, and `steps`, the training steps in them; `total` seconds, summed over threads, and
      `seconds` of a launch, the median. On a GPU they are those of its kernels, where the trace
      has its streams, and `device` says so where it has not;
    - `bytes` of a launch, by the contract of the kernel, and `flops`, of its products;
      `bandwidth` and `flops_rate`, both a second;
    - `share` of the roofline: the time that bytes and operations take at the machine's measured
      ceilings, the longer of both, over `seconds`; `bound`, the one: `"memory"` or `"arithmetic"`.
      What stays in the caches can exceed memory's. Ceilings are the CPU's, and so is `share`;
    - `stock`: the time of stock ops over the kernel's at these shapes, timed in turns after the
      end of the block; None with the reason in `why` where there is nothing to time, or the op
      took less than 2 % of the time of all.

    A key of which nothing is known is None. The trace is kept in memory until the end, where
    reading it takes a while: about 100 bytes and 10 µs an event, of which a small op in a graph
    makes 4 or more. So the recording stops after `seconds`, and where the process has grown by
    1 GiB.

    Example:
    >>> import fastgen
    >>> with fastgen.profile(stock=False, quiet=True) as p:
    ...     z = fastgen.ops.gaussian_kl([[1.0, 2.0]], [[0.0, 0.0]])
    >>> [(row["op"], row["launches"]) for row in p.rows if row["path"] != "stock"]
    [('gaussian_kl', 1)]
    >>> p.save("profile.json")
    >>> figure = p.plot("profile.png")

    Args:
        stock: whether to time stock ops for comparison: half a second for each op, some seconds
            for a whole step.
        quiet: whether to print nothing; `p.table()` prints it later.
        seconds: number, how long is recorded at most.
        trace: folder for TensorBoard, or None: the trace is not kept.
        nvtx: whether the calls of ops are NVTX ranges, for Nsight Systems; by default what the
            environment variable FASTGEN_NVTX says, 0 or 1.

    Returns:
        A context manager, whose `rows`, `seconds`, `memory`, `ceilings` and `notes` are filled at
        its end; with `table()`, `plot(path)` and `save(path)`. After an error in the block, Ctrl-C
        among them, what was seen is printed without a comparison.

    Raises:
        ImportError: without TensorFlow, or with `nvtx` but without its package; says what to
            install.
        ValueError: `seconds` is no positive number, FASTGEN_NVTX neither 0 nor 1.
        RuntimeError: on entering, where another profile, or TensorFlow's own, is running.
    """
    native.require_tensorflow("fastgen.profile")
    positive = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
    if not positive:
        raise ValueError(f"profile: seconds must be a number above 0. Received: {seconds!r}")
    from fastgen.profiling.session import Profile

    return Profile(stock, quiet, seconds, trace, nvtx)
