"""What the ops accept: conversion of arguments, and the errors for those that do not fit."""

import collections.abc
import math
import numbers

import tensorflow as tf

from fastgen import dispatch

DTYPES = frozenset({tf.float16, tf.bfloat16, tf.float32, tf.float64})
SEED_DTYPES = frozenset({tf.int32, tf.int64})
WIDE = {tf.float16: tf.float32, tf.bfloat16: tf.float32}


def wide(dtype):
    """The dtype an op computes in: float32 for half and bfloat16."""
    return WIDE.get(dtype, dtype)


def gaussian(op, mean, log_var):
    """Convert and check the parameters of a diagonal Gaussian.

    Args:
        op: name for the messages.
        mean: tensor, array or numbers.
        log_var: likewise.

    Returns:
        Two tensors of one dtype and of compatible shapes.

    Raises:
        ValueError: for a fault that is known before anything runs.
    """
    if not (isinstance(mean, tf.Tensor) and isinstance(log_var, tf.Tensor)):
        # Plain numbers take the dtype of the other argument.
        typed = [tf.as_dtype(x.dtype) for x in (mean, log_var) if hasattr(x, "dtype")]
        hint = typed[0] if typed else tf.float32
        mean = _convert(op, "mean", mean, hint)
        log_var = _convert(op, "log_var", log_var, hint)
    _check_float(op, "mean", mean)
    _check_float(op, "log_var", log_var)
    if mean.dtype != log_var.dtype:
        raise ValueError(
            f"{op}: mean and log_var must have the same dtype. "
            f"Received: mean.dtype={mean.dtype.name}, log_var.dtype={log_var.dtype.name}"
        )
    if not mean.shape.is_compatible_with(log_var.shape):
        raise ValueError(
            f"{op}: mean and log_var must have the same shape. "
            f"Received: mean.shape={mean.shape}, log_var.shape={log_var.shape}"
        )
    return mean, log_var


def cross_entropy(op, targets, logits):
    """Convert and check targets and the logits that they are compared with.

    Args:
        op: name for the messages.
        targets: tensor, array or numbers.
        logits: likewise.

    Returns:
        Two tensors of compatible shapes: targets of the dtype of logits, or uint8.

    Raises:
        ValueError: for a fault that is known before anything runs.
    """
    typed = [tf.as_dtype(x.dtype) for x in (logits, targets) if hasattr(x, "dtype")]
    hint = typed[0] if typed and typed[0] in DTYPES else tf.float32
    targets, logits = (
        _convert(op, name, x, hint) for name, x in (("targets", targets), ("logits", logits))
    )
    _check_float(op, "logits", logits)
    if targets.dtype not in (logits.dtype, tf.uint8):
        raise ValueError(
            f"{op}: targets must be uint8 or have the dtype of logits. "
            f"Received: targets.dtype={targets.dtype.name}, logits.dtype={logits.dtype.name}"
        )
    if not targets.shape.is_compatible_with(logits.shape):
        raise ValueError(
            f"{op}: targets and logits must have the same shape. "
            f"Received: targets.shape={targets.shape}, logits.shape={logits.shape}"
        )
    return targets, logits


def matmul(op, x, kernel, bias, inputs_axis):
    """Convert and check the operands of a dense layer.

    Args:
        op: name for the messages.
        x: `(..., inputs)` tensor, array or numbers.
        kernel: a matrix; its axis `inputs_axis` goes with the last axis of `x`.
        bias: None, or a vector as long as the other axis of `kernel`.
        inputs_axis: 0 or 1.

    Returns:
        Two tensors, and a third or None; of one dtype and of shapes that fit.

    Raises:
        ValueError: for a fault that is known before anything runs.
    """
    named = {"x": x, "kernel": kernel} | ({} if bias is None else {"bias": bias})
    typed = [tf.as_dtype(value.dtype) for value in named.values() if hasattr(value, "dtype")]
    hint = typed[0] if typed else tf.float32
    named = {name: _convert(op, name, value, hint) for name, value in named.items()}
    for name, rank in ("x", "2 or more"), ("kernel", "2"), ("bias", "1"):
        tensor = named.get(name)
        if tensor is None:
            continue
        _check_float(op, name, tensor)
        if tensor.shape.rank is not None and not _has_rank(tensor, rank):
            raise ValueError(
                f"{op}: {name} must have rank {rank}. Received: {name}.shape={tensor.shape}"
            )
    _check_alike(op, named, inputs_axis)
    return named["x"], named["kernel"], named.get("bias")


def _has_rank(tensor, rank):
    least = int(rank[0])
    return tensor.shape.rank >= least if "more" in rank else tensor.shape.rank == least


def _check_alike(op, named, inputs_axis):
    dtypes = {name: tensor.dtype.name for name, tensor in named.items()}
    if len(set(dtypes.values())) > 1:
        received = ", ".join(f"{name}.dtype={dtype}" for name, dtype in dtypes.items())
        raise ValueError(
            f"{op}: {' and '.join(dtypes)} must have the same dtype. Received: {received}"
        )
    x, kernel, bias = named["x"], named["kernel"], named.get("bias")
    if None in (x.shape.rank, kernel.shape.rank):
        return
    axis = "first" if inputs_axis == 0 else "last"
    if not x.shape[-1:].is_compatible_with(kernel.shape[inputs_axis : inputs_axis + 1]):
        raise ValueError(
            f"{op}: the last axis of x must be as long as the {axis} of kernel. "
            f"Received: x.shape={x.shape}, kernel.shape={kernel.shape}"
        )
    units = kernel.shape[1 - inputs_axis : 2 - inputs_axis]
    if bias is not None and not bias.shape.is_compatible_with(units):
        raise ValueError(
            f"{op}: bias must be as long as the {'last' if inputs_axis == 0 else 'first'} axis of "
            f"kernel. Received: bias.shape={bias.shape}, kernel.shape={kernel.shape}"
        )


def floats(op, name, value):
    """Convert and check a tensor of floats, of rank 1 or more; plain numbers become float32."""
    tensor = _convert(op, name, value, tf.float32)
    _check_float(op, name, tensor)
    return tensor


def number(op, name, value, low, high):
    """Check a finite Python number in [low, high]; as a float."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not low <= value <= high or math.isinf(value):
        left = "(-∞" if math.isinf(low) else f"[{low:g}"
        right = "∞)" if math.isinf(high) else f"{high:g}]"
        raise ValueError(
            f"{op}: {name} must be a number in {left}, {right}. Received: {name}={value!r}"
        )
    return float(value)


def count(op, name, value, least=1):
    """Check an integer ≥ `least`; as an int."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{op}: {name} must be an integer ≥ {least}. Received: {value!r}")
    return int(value)


def integers(op, name, values, empty=False):
    """Check integers ≥ 1, or a single one; as a tuple, which may be empty if `empty`."""
    found = tuple(values) if isinstance(values, collections.abc.Iterable) else (values,)
    whole = (isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in found)
    if not (found or empty) or not all(whole) or not all(n >= 1 for n in found):
        raise ValueError(f"{op}: {name} must be integers ≥ 1. Received: {values!r}")
    return tuple(int(n) for n in found)


def choice(op, name, value, choices):
    """Check that a value is among those to choose from."""
    if value not in choices:
        raise ValueError(f"{op}: {name} must be one of {choices}. Received: {value!r}")


def seed(op, value):
    """Convert and check a seed: two integers, or an int32 or int64 tensor of shape [2]."""
    # Plain integers may need 64 bits; TensorFlow would take 32 for granted.
    tensor = _convert(op, "seed", value, tf.int64)
    if tensor.dtype not in SEED_DTYPES or not tensor.shape.is_compatible_with([2]):
        raise ValueError(
            f"{op}: seed must be an int32 or int64 tensor of shape [2]. "
            f"Received: seed.dtype={tensor.dtype.name}, seed.shape={tensor.shape}"
        )
    return tensor


def apart(variables):
    """Why no kernel takes these `tf.Variable`s together, some perhaps None; or None."""
    several = len({v.device for v in variables if v is not None}) > 1
    return "variables are on several devices" if several else None


def for_host(values):
    """float64 numbers that the host must know before a kernel starts.

    They are on the CPU, so that an op on a GPU waits for no copy of them.
    """
    with tf.device("/CPU:0"):
        return tf.constant(values, tf.float64)


def assert_same_shape(op, one, other, names=("mean", "log_var")):
    """`one` for the composite, which fails where the kernel fails and never broadcasts."""
    known = one.shape.is_fully_defined() and other.shape.is_fully_defined()
    if known or dispatch.inside_xla():  # XLA drops assertions
        return one
    checked = tf.debugging.assert_equal(
        tf.shape(one),
        tf.shape(other),
        message=f"{op}: {' and '.join(names)} must have the same shape.",
    )
    # Stateless ops would not wait for the assertion.
    with tf.control_dependencies([checked] if checked is not None else []):
        return tf.identity(one)


def _check_float(op, name, tensor):
    if tensor.dtype not in DTYPES:
        raise ValueError(
            f"{op}: {name} must be float16, bfloat16, float32 or float64. "
            f"Received: {name}.dtype={tensor.dtype.name}"
        )
    if tensor.shape.rank == 0:
        raise ValueError(f"{op}: {name} must have rank 1 or more. Received: a scalar")


def _convert(op, name, value, dtype_of_numbers):
    """A tensor of what has a dtype as it is, and of plain numbers in the dtype given."""
    if isinstance(value, tf.Tensor):
        return value
    dtype = None if hasattr(value, "dtype") else dtype_of_numbers
    try:
        return tf.convert_to_tensor(value, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{op}: {name} must be convertible to a tensor. Received: {name}={value!r}"
        ) from error
