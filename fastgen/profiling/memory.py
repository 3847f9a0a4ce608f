"""Peaks of memory, where TensorFlow and the system count them."""

import os
import sys
from pathlib import Path

import tensorflow as tf


def devices():
    """Names of the devices whose allocator counts: GPU:0, and with oneDNN CPU:0."""
    found = [device.name.rpartition("device:")[2] for device in tf.config.list_logical_devices()]
    return [name for name in found if _peak(name) is not None]


def reset():
    """Let the peaks of the devices begin anew."""
    for name in devices():
        tf.config.experimental.reset_memory_stats(name)


def peaks():
    """Most bytes that tensors took on each device since `reset`, and `process`: since its start.

    The CPU's allocator does not count tensors below 256 KiB.
    """
    found = {name: _peak(name) for name in devices()}
    try:
        import resource
    except ImportError:  # not on Windows
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return found | {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def resident():
    """Bytes of the process that are in memory now; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:  # not Linux
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _peak(name):
    try:
        return tf.config.experimental.get_memory_info(name)["peak"]
    except (ValueError, tf.errors.OpError):
        return None
