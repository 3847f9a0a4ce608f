"""Keras' optimizers, with one op in place of the hundreds that update the variables of a model.

Classes, arguments, slots and configs are Keras', and so are checkpoints and `.keras` files: what
was saved with one loads into the other, and files saved with ours open without fastgen.
"""

from fastgen import native

native.require_tensorflow("fastgen.optimizers")

from fastgen.optimizers.adam import Adam, AdamW  # noqa: E402
from fastgen.optimizers.nadam import Nadam  # noqa: E402
from fastgen.optimizers.rmsprop import RMSprop  # noqa: E402
from fastgen.optimizers.sgd import SGD  # noqa: E402
from fastgen.optimizers.stock import from_keras, get  # noqa: E402

__all__ = ["SGD", "Adam", "AdamW", "Nadam", "RMSprop", "from_keras", "get"]
