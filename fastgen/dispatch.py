"""Which path an op takes, fused, custom call (the same kernel inside XLA) or composite, and why.

Every public op decides when it is called, that is at trace time inside a `tf.function`.
`decide` is the whole rule; the rest of this file asks TensorFlow for the situation.
"""

import collections
import contextlib
import functools
import logging
import os
import threading
import warnings
from typing import NamedTuple

from fastgen import native
from fastgen.kernels import BOTH, FLOATS, KERNELS, USERS, Kernel, kernel_of  # noqa: F401, the table

FUSED, CUSTOM_CALL, COMPOSITE, REFUSED = "fused", "custom call", "composite", "refused"
BY_KERNEL = (FUSED, CUSTOM_CALL)
BACKENDS = ("auto", FUSED, COMPOSITE)


def _native_name(op):
    kernel = USERS.get(op)
    return kernel.op if kernel else op


class Situation(NamedTuple):
    """All that the choice of path depends on."""

    op: str
    dtype: str
    device: str = "CPU"
    backend: str = "auto"
    portable: bool = False
    xla: bool = False
    missing: str | None = None  # why the native library or the op is not there, or of no use
    size: tuple | None = None  # rows and weights that a product has; 0: not known
    lacking: str | None = None  # what kernels, or a user's one, lack to run on the device


class Choice(NamedTuple):
    """The path, why, and whether the user should be warned of it."""

    path: str
    why: str
    warn: bool = False


@functools.cache
def decide(situation):
    """Choose the path of one op.

    Args:
        situation: a `Situation`.

    Returns:
        A `Choice` whose path is `"fused"`, inside XLA `"custom call"`, `"composite"` or, when
        `FASTGEN_BACKEND=fused` asks for what cannot be had, `"refused"`.
    """
    op, dtype, device, backend, portable, xla, missing, _, lacking = situation
    kernel = kernel_of(op)
    if portable:
        return Choice(COMPOSITE, "inside fastgen.portable()")
    if backend == COMPOSITE:
        return Choice(COMPOSITE, "FASTGEN_BACKEND=composite")
    if xla and not (kernel and device in kernel.custom_call):
        choice = Choice(COMPOSITE, "inside XLA, which does not call this kernel")
    elif kernel is None:
        choice = Choice(COMPOSITE, f"no kernel of the name {op}", warn=True)
    elif missing:
        choice = Choice(COMPOSITE, missing)  # fastgen.native has warned
    elif dtype not in kernel.dtypes:
        choice = Choice(COMPOSITE, f"no kernel for {dtype}", warn=True)
    elif device not in kernel.devices:
        choice = Choice(COMPOSITE, f"no kernel for the {device}", warn=True)
    elif lacking:
        choice = Choice(COMPOSITE, f"not compiled for the {device}: {lacking}", warn=True)
    elif backend != FUSED and (faster := _where_stock_is_faster(kernel.bounds(device), situation)):
        return Choice(COMPOSITE, f"stock ops are faster {faster}")
    elif xla:
        return Choice(CUSTOM_CALL, "kernel, called by XLA")
    else:
        return Choice(FUSED, _kernel_in_words(kernel.bounds(device), situation))
    if backend == FUSED:
        return choice._replace(path=REFUSED, warn=False)
    return choice._replace(warn=False) if xla else choice  # where stock ops are what one expects


def _where_stock_is_faster(bounds, situation):
    """By which of the measured bounds, in words, weights before rows; `""` by none."""
    if bounds is None:
        return ""
    if situation.dtype in bounds.slower:
        return "in this dtype"
    size = situation.size or bounds.least
    missed = zip(size, bounds.least, _in_words(bounds.least), strict=True)
    return next((f"below {words}" for n, limit, words in reversed([*missed]) if n < limit), "")


def _kernel_in_words(bounds, situation):
    if bounds is None:
        return f"kernel, unmeasured on a {situation.device}"
    if situation.size is None and any(bounds.least):
        return f"kernel, from {' and '.join(_in_words(bounds.least))} on"
    return "kernel"


def _in_words(least):
    return [f"{n:,} {unit}" for n, unit in zip(least, ("rows", "weights"), strict=True)]


_lock = threading.Lock()
_counts = collections.defaultdict(collections.Counter)
_said = set()
_portable_depth = 0
_rehearsals = 0
ranges = None  # op → a decorator and context manager around its calls: see fastgen.profiling


def backend():
    """The value of `FASTGEN_BACKEND`; `"auto"` where it is empty."""
    value = os.environ.get("FASTGEN_BACKEND") or "auto"
    if value not in BACKENDS:
        raise ValueError(f"FASTGEN_BACKEND must be one of {BACKENDS}. Received: {value!r}")
    return value


def inside_xla():
    """Whether the ops created now will be compiled by XLA."""
    import tensorflow as tf

    return tf.__internal__.get_enclosing_xla_context() is not None


@functools.cache
def _missing_library():
    """Why there are no fused ops, or None; fastgen.native warns the first time."""
    return None if native.load_ops() else native.status()["why"]


@functools.cache
def _missing_op(op):
    """Why that fused op is not there, or None; likewise."""
    return native.why_missing(op)


@functools.cache
def _missing_cuda():
    """Why no kernels run on the GPUs that TensorFlow has, or None."""
    import tensorflow as tf

    seen = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return native.why_no_gpu([x["compute_capability"] for x in seen if "compute_capability" in x])


def _missing_custom_calls(op):
    """Why XLA cannot call the kernels, if it could call that one; else None."""
    kernel = kernel_of(op)
    return native.why_no_custom_calls() if kernel and kernel.custom_call else None


def device_type():
    """Type of the device on which TensorFlow would place an op created now."""
    import tensorflow as tf

    if not tf.config.get_visible_devices("GPU"):
        return "CPU"
    if tf.executing_eagerly():
        from tensorflow.python.eager import context

        scope = context.context().device_name
    else:
        scope = tf.no_op().device  # a node is the only thing that knows its scope
    return (tf.DeviceSpec.from_string(scope).device_type if scope else None) or "GPU"


def on_device_of_op(gradient):
    """Make a registered gradient run where its op ran, or will run.

    TensorFlow calls it in the scope of whoever asks for the gradient. On a machine with a GPU that
    is the GPU, for which the backward kernel of an op that was placed on the CPU does not exist.

    Args:
        gradient: function `(op, *upstream)`, as `tf.RegisterGradient` takes it.
    """

    @functools.wraps(gradient)
    def placed(op, *upstream):
        import tensorflow as tf

        device = op.outputs[0].device  # an op that a tape hands over has no device of its own
        if not device or inside_xla():  # where XLA compiles for one device
            return gradient(op, *upstream)
        with tf.device(device):
            return gradient(op, *upstream)

    return placed


def unasked():
    """Whether stock ops were asked for, or must run: by the backend, for export, inside XLA."""
    return backend() == COMPOSITE or _portable_depth > 0 or inside_xla()


def choose(op, dtype, device=None, xla=None, size=None, obstacle=None):
    """`decide` in the present situation, without counting or warning."""
    asked = backend()
    unasked = asked == COMPOSITE or _portable_depth
    missing = None if unasked else _missing_library() or _missing_op(_native_name(op)) or obstacle
    device = device or device_type()
    lacking = None
    if device == "GPU" and not unasked:
        users = USERS.get(op)  # whose kernels the driver compiles: no CUDA has to be built in
        lacking = users.why_not and users.why_not() if users else missing or _missing_cuda()
    xla = inside_xla() if xla is None else xla
    if xla and not unasked:
        missing = missing or _missing_custom_calls(op)
    return decide(
        Situation(
            op,
            dtype,
            device,
            asked,
            _portable_depth > 0,
            xla,
            missing,
            size,
            lacking,
        )
    )


def fused_op(op, dtype, size=None, obstacle=None):
    """The raw fused op to call, or None when the composite is to be used.

    Args:
        op: name of an op in `KERNELS` or `USERS`, or of its gradient op (`NAME_grad`).
        dtype: a `tf.DType`.
        size: `(rows, weights)` of a matrix product, 0 for what is not known; else None.
        obstacle: why the kernel cannot take what it would be given, or None.

    Raises:
        RuntimeError: under `FASTGEN_BACKEND=fused`, when there is no fused op to be had.
    """
    choice = choose(op, dtype.name, size=size, obstacle=obstacle)
    if choice.path == REFUSED:
        raise RuntimeError(
            f"{op}: FASTGEN_BACKEND=fused asks for the kernel, which cannot be had: "
            f"{choice.why}. Received: dtype={dtype.name}"
        )
    if not _rehearsals:
        with _lock:
            _counts[op][choice.path] += 1
    if choice.path in BY_KERNEL:
        fused = getattr(native.load_ops(), f"fastgen_{_native_name(op)}")
        return fused if ranges is None else ranges(op)(fused)
    if choice.warn:
        warn_once(choice.why, f"{op} runs as stock TensorFlow ops: {choice.why}")
    return None


def warn_once(key, text):
    """Say what users may not expect, the first time that something of this key happens."""
    if _first_time(key):
        text = f"fastgen: {text}. fastgen.doctor() shows every op."
        warnings.warn(text, RuntimeWarning, stacklevel=4)


@contextlib.contextmanager
def composite_scope(op):
    """Give what the composite of an op creates, or runs, a name that profiles show: `fastgen.OP`.

    Args:
        op: name of the op.
    """
    import tensorflow as tf

    # What is traced here runs later, and is known by the names of its nodes.
    trace = tf.profiler.experimental.Trace if tf.executing_eagerly() else _no_trace
    range_ = contextlib.nullcontext() if ranges is None else ranges(op)
    with tf.name_scope(f"fastgen.{op}"), trace(f"fastgen.{op}", path=COMPOSITE), range_:
        yield


def _no_trace(name, **metadata):
    return contextlib.nullcontext()


def _first_time(key):
    with _lock:
        if key in _said:
            return False
        _said.add(key)
        return True


def noise_differs(op, dtype):
    """Whether a seed gives other noise here than the kernel draws: in stock ops, inside XLA.

    Args:
        op: name of an op in `KERNELS`, or of its gradient op.
        dtype: a `tf.DType`.
    """
    return inside_xla() and choose(op, dtype.name).path != CUSTOM_CALL


def note_xla(layer):
    """Log, once, that XLA keeps a drop-in layer from its kernel.

    Args:
        layer: a Keras layer or loss that names its ops in `fused_ops`.
    """
    if backend() == COMPOSITE or _portable_depth or not inside_xla():
        return
    if any(_kept_by_xla(op, layer.compute_dtype) for op in layer.fused_ops) and _first_time("xla"):
        logging.getLogger("fastgen").warning(
            "%s is inside XLA, where it runs as stock ops. "
            "model.compile(jit_compile=False) gives it the fused kernel.",
            type(layer).__name__.rpartition(".")[2],
        )


def _kept_by_xla(op, dtype):
    outside, inside = (choose(op, dtype, xla=xla).path for xla in (False, True))
    return outside == FUSED and inside == COMPOSITE


@contextlib.contextmanager
def portable():
    """Make every op take its composite of stock TensorFlow ops.

    What is traced inside can be saved and then loaded where fastgen is not installed. A
    `tf.function` that was traced before keeps the ops it was traced with.

    Example:
    >>> import keras, fastgen
    >>> inputs = [keras.Input((4,)), keras.Input((4,))]
    >>> model = keras.Model(inputs, fastgen.layers.Sampling()(inputs))
    >>> with fastgen.portable():
    ...     model.export("portable", verbose=False)
    """
    # Of the process, not of the thread: MirroredStrategy traces its replicas in threads.
    global _portable_depth
    with _lock:
        _portable_depth += 1
    try:
        yield
    finally:
        with _lock:
            _portable_depth -= 1


@contextlib.contextmanager
def uncounted():
    """What is called inside is not in `stats()`."""
    global _rehearsals
    with _lock:
        _rehearsals += 1
    try:
        yield
    finally:
        with _lock:
            _rehearsals -= 1


@contextlib.contextmanager
def rehearsal():
    """As `portable()`, and what is traced inside is not counted, for a graph that nobody runs."""
    with portable(), uncounted():
        yield


def stats():
    """How often each op took each path since the start: per call, per trace in a tf.function.

    Example:
    >>> import fastgen
    >>> kl = fastgen.ops.gaussian_kl([[0.0, 1.0]], [[0.0, 0.0]])
    >>> sum(fastgen.stats()["gaussian_kl"].values()) > 0
    True

    Returns:
        A dict: op → path → count.
    """
    with _lock:
        return {op: dict(paths) for op, paths in _counts.items()}
