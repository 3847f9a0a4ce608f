"""Whether a model trains as its twin of stock Keras layers and operations does."""

from fastgen import native

native.require_tensorflow("fastgen.verification")

from fastgen.verification.parity import FORMS, Parity, Row, parity  # noqa: E402

__all__ = ["FORMS", "Parity", "Row", "parity"]
