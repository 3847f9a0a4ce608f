"""Keras losses on top of fastgen.ops: drop-ins for stock ones, without mathematics of their own."""

from fastgen import native

native.require_tensorflow("fastgen.losses")

from fastgen.losses.binary_crossentropy import BinaryCrossentropy  # noqa: E402

__all__ = ["BinaryCrossentropy"]
