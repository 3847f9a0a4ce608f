"""Stands in for the compiled module `fastgen.core`, which Python prefers once it is built."""

from fastgen import native

raise ImportError(
    "fastgen.core, the kernels on NumPy arrays, has not been built for this Python. "
    f"Build it: {native.rebuild_command()}"
)
