"""What was seen, as rows: an op at some shapes, how often and how long it ran, and how well."""

import numpy as np

from fastgen.profiling.trace import LAUNCH
from fastgen.profiling.work import player, size, work

STEPS = {
    "autoencoder_step": ("autoencoder_",),
    "discriminator_update": ("discriminator_",),
    "gan_step": ("generator_", "discriminator_"),
}
LEAST_TIME = 0.02  # of the time of all of our ops: what is below is not worth a comparison
DTYPES = {"half": "float16", "float": "float32", "double": "float64"}


def rows_of(trace, ceilings, compare=None):
    """A list of dicts, those of the most time first; see `fastgen.profile` for their keys.

    Args:
        trace: `trace.Trace`.
        ceilings: `ceilings.Ceilings`, or None.
        compare: None, or a function of a `trace.Call` that gives a `stock.Comparison`; it is
            called for the ops that take a time worth it.
    """
    least = LEAST_TIME * sum(sum(seconds) for seconds in trace.calls.values())
    rows = []
    for call, seconds in trace.calls.items():
        timed = compare if sum(seconds) >= least else _too_short
        rows.append(_row(call, seconds, ceilings, compare and timed))
    for op, (launches, seconds) in trace.stock.items():
        rows.append(_empty(op, "stock") | _times(launches, seconds, seconds / launches))
    return sorted(rows, key=lambda row: -row["total"])


def _too_short(call):
    return None, f"below {LEAST_TIME:.0%} of the time of all, not timed again"


def _empty(op, path):
    names = ("dtype", "bytes", "bandwidth", "flops", "flops_rate", "share", "bound", "stock")
    return {"op": op, "path": path, "device": "", "shape": "", **dict.fromkeys(names), "why": ""}


def _times(launches, total, median):
    return {"launches": launches, "total": total, "seconds": median, "steps": launches}


def _row(call, seconds, ceilings, compare):
    median = float(np.median(seconds))
    row = _empty(call.op, call.path) | _times(len(seconds), sum(seconds), median)
    row["device"] = call.device
    if not call.inputs:  # of a composite they are not known
        return row
    row |= {"shape": shape_of(call), "dtype": dtype_of(call)}
    if call.device == LAUNCH:
        return row
    if found := work(call):
        row |= {"bytes": found.bytes, "flops": found.flops, "steps": found.steps * len(seconds)}
        row |= _rates(row, ceilings if call.device == "CPU" else None)
    if compare:
        row["stock"], row["why"] = compare(call)
    return row


def _rates(row, ceilings):
    median, found = row["seconds"], {}
    if median > 0:
        found = {"bandwidth": row["bytes"] / median, "flops_rate": row["flops"] / median}
    if median > 0 and ceilings:
        allowed, found["bound"] = ceilings.seconds(row["bytes"], row["flops"], row["dtype"])
        found["share"] = allowed / median
    return found


def dtype_of(call):
    """Of its first floating tensor, as NumPy calls it."""
    floats = (x.dtype for x in call.inputs if x.dtype in ("half", "bfloat16", "float", "double"))
    first = next(floats, "")
    return DTYPES.get(first, first)


def shape_of(call):
    """The shapes that matter, for people: those of the networks, or of the largest input."""
    if prefixes := STEPS.get(call.op):
        inputs, networks = call.inputs, []
        for prefix in prefixes:
            found = player(call, prefix, inputs)
            inputs = found.rest
            networks.append("-".join(map(str, (found.layers[0][0], *(n for _, n in found.layers)))))
        return f"{' and '.join(networks)}, batch {_batch(call, inputs)}"
    if call.op == "optimizer_update":
        count = dict(call.attributes)["N"]
        numbers = sum(np.prod(x.shape, dtype=int) for x in call.inputs[1 : 1 + count])
        return f"{count} tensor{'s' * (count > 1)}, {numbers:,} numbers"
    if call.op.startswith("dense"):
        x, kernel = call.inputs[:2]
        return f"{_times_sign(x.shape)} → {kernel.shape[0 if 'transpose' in call.op else 1]}"
    return _times_sign(max(call.inputs, key=size).shape)


def _batch(call, inputs):
    """Rows of a step, of the inputs after its players."""
    if call.op == "discriminator_update":
        return inputs[0].shape[0]
    rows = inputs[1 if call.op == "gan_step" else 2]
    return rows.shape[-1]


def _times_sign(shape):
    return "×".join(map(str, shape)) if shape else "1"
