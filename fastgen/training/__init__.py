"""Training that can be interrupted, resumed bit for bit, and watched."""

from fastgen import native

native.require_tensorflow("fastgen.training")

from fastgen.training.batches import batches, steps_per_epoch  # noqa: E402
from fastgen.training.checkpoint import Checkpoints  # noqa: E402

__all__ = ["Checkpoints", "batches", "steps_per_epoch"]
