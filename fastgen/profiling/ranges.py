"""NVTX ranges around the calls of ops, for Nsight Systems; by NVIDIA's nvtx package, if asked for.

TensorFlow's builds for GPUs name the nodes of a graph by ranges of their own. These here are of
Python: of an op that is called outside a graph, and of the tracing of one that is called inside.
"""

import contextlib
import os

from fastgen import dispatch

DOMAIN = "fastgen"
VARIABLE = "FASTGEN_NVTX"


def wanted(choice):
    """Whether there are to be ranges: as chosen, or as the environment says where it is None."""
    if choice is not None:
        return bool(choice)
    value = os.environ.get(VARIABLE) or "0"
    if value not in ("0", "1"):
        raise ValueError(f"{VARIABLE} must be 0 or 1. Received: {value!r}")
    return value == "1"


@contextlib.contextmanager
def ranges(name):
    """A range of a name, and in it one for each call of an op.

    Raises:
        ImportError: without the nvtx package; says how to install it.
    """
    try:
        import nvtx
    except ImportError as error:
        raise ImportError(
            "NVTX ranges need NVIDIA's nvtx package: pip install 'fastgen[nvtx]'"
        ) from error

    def of_op(op):
        return nvtx.annotate(op, domain=DOMAIN)

    before, dispatch.ranges = dispatch.ranges, of_op
    try:
        with nvtx.annotate(name, domain=DOMAIN):
            yield
    finally:
        dispatch.ranges = before
