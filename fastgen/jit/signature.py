"""Signatures of gufuncs: which axes of arrays a kernel gets, `"(rows,cols),(cols)->(rows)"`."""

import re
from typing import NamedTuple

from fastgen.jit.source import Refusal

_SIDE = re.compile(r"\([^()]*\)(,\([^()]*\))*")
_ARRAY = re.compile(r"\(([^()]*)\)")
_SIZE = re.compile(r"[A-Za-z_]\w*|[1-9]\d*")


class Signature(NamedTuple):
    """The core axes of inputs, outputs and noise: a tuple of names and numbers for each.

    The first of all sizes is `cut`, if there is one.
    """

    inputs: tuple
    outputs: tuple
    noise: tuple = ()
    cut: str | None = None

    @classmethod
    def parse(cls, name, text):
        """Read a signature of a kernel of this name."""
        sides = re.sub(r"\s", "", text).split("->") if isinstance(text, str) else []
        if len(sides) != 2 or not all(map(_SIDE.fullmatch, sides)):
            raise Refusal(
                f"{name}: a signature is of the form '(n,m),(m)->(n),()', at least one array on "
                f"either side. Received: {text!r}"
            )
        made = cls(*(tuple(map(_axes, _ARRAY.findall(side))) for side in sides))
        sizes = [size for axes in made.inputs + made.outputs for size in axes]
        known = {size for axes in made.inputs for size in axes}
        for size in sizes:
            if not _SIZE.fullmatch(size):
                raise Refusal(
                    f"{name}: the size of an axis is a name or a number. Received: {size!r}"
                )
        lost = [x for axes in made.outputs for x in axes if not x.isdigit() and x not in known]
        if lost:
            raise Refusal(
                f"{name}: sizes of outputs must be numbers or sizes of inputs. Received: {lost[0]}"
            )
        return made

    @property
    def sizes(self):
        """All sizes, as often as they differ, in order."""
        arrays = (*self.inputs, *self.outputs, self.noise)
        cut = [self.cut] if self.cut else []
        return list(dict.fromkeys([*cut, *(x for axes in arrays for x in axes)]))

    def attributes(self):
        """Those of the op, see csrc/tensorflow/array_kernel.cc."""
        arrays, sizes = self.inputs + self.outputs, self.sizes
        return {
            "ranks": [len(axes) for axes in arrays],
            "axes": [sizes.index(x) for axes in arrays for x in axes],
            "sizes": [int(x) if x.isdigit() else -1 for x in sizes],
            "noise": [sizes.index(x) for x in self.noise],
        }

    def of_gradient(self, floating):
        """That of the gradient: inputs and those outputs that are floating, to the inputs."""
        given = [axes for axes, is_float in zip(self.outputs, floating, strict=True) if is_float]
        return Signature((*self.inputs, *given), self.inputs, self.noise)


def _axes(text):
    return tuple(x for x in text.split(",") if text)
