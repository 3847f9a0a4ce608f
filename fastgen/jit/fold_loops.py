"""The loop of a reduction: a function of scalars, its values folded along an axis of a row."""

from typing import NamedTuple

import numba
import numpy as np

from fastgen.jit.loops import Scalars, defined
from fastgen.jit.row_loops import Rows
from fastgen.jit.signature import Signature

# What a fold does with a value v and what it has so far; NaN stays.
STEPS = {
    "sum": "{t} + {v}",
    "max": "{v} if {v} > {t} or {v} != {v} else {t}",
    "min": "{v} if {v} < {t} or {v} != {v} else {t}",
}
ANY_ORDER = {"reassoc", "nsz"}  # of sums, so that they become vectors


class Folds(NamedTuple):
    """Inputs with `axes` each: `("n",)`, `("1",)`, `("b", "c")`, `("c",)`, none; of n or b."""

    axes: tuple
    inputs: tuple
    fold: str
    outputs: tuple | None = None

    ENTRY = Rows.ENTRY

    @property
    def computed(self):
        """The dtypes in which the function gets its inputs."""
        return self.inputs

    @property
    def arguments(self):
        """Numba's types of the row's arguments."""
        return self._rows.arguments

    @property
    def columns(self):
        """Whether there is a fold for each of several columns."""
        return ("b", "c") in self.axes

    def signature(self, outputs):
        """That of the row, with so many outputs."""
        core, cut = (("c",), "b") if self.columns else ((), "n")
        return Signature(self.axes, (core,) * outputs, cut=cut)

    @property
    def _rows(self):
        return Rows(self.signature(len(self.outputs)), self.inputs, self.outputs)

    def typed(self, name, function, options):
        """This form with the dtypes of what the function returns; of comparisons they count."""
        scalars = Scalars(self.inputs)
        compiled = scalars.jitted(function, options)
        compiled.compile(scalars.arguments)
        outputs, _ = scalars.results(name, compiled)
        return self._replace(outputs=tuple("int64" if x == "bool" else x for x in outputs))

    def jitted(self, function, options):
        """The row's function for Numba, around the user's."""
        scalar = Scalars(self.inputs).jitted(function, options)
        if options["fastmath"] is not True:
            fast = ANY_ORDER | set(options["fastmath"] or ())
            options = {**options, "fastmath": fast}
        return self._rows.jitted(self._row(scalar), options)

    def entry(self, name, function):
        """As that of `Rows`."""
        return self._rows.entry(name, function)

    def _row(self, scalar):
        inputs = [f"x{i}" for i in range(len(self.inputs))]
        totals = [f"t{n}" for n in range(len(self.outputs))]
        outputs = [f"y{n}" for n in range(len(self.outputs))]
        elements = {("n",): "[i]", ("1",): "[0]", ("b", "c"): "[i, j]", ("c",): "[j]", (): ""}
        values = [x + elements[axes] for x, axes in zip(inputs, self.axes, strict=True)]
        call = f"v = function({', '.join(values)})"
        length = f"{inputs[self.axes.index(('b', 'c') if self.columns else ('n',))]}.shape"
        many = len(self.outputs) > 1
        step = STEPS[self.fold]
        body, begin, end = [call], [], []
        for n, (total, y) in enumerate(zip(totals, outputs, strict=True)):
            place = f"{y}[j]" if self.columns else total
            begin += [f"{place} = start{n}"]
            body += [f"w = as{n}(v{f'[{n}]' if many else ''})"]
            body += [f"{place} = as{n}({step.format(t=place, v='w')})"]
            end += [] if self.columns else [f"{y}[0] = {total}"]
        if self.columns:
            each = [f"for j in range({length}[1]):"]
            lines = [*each, *_indented(begin), f"for i in range({length}[0]):"]
            lines += _indented([*each, *_indented(body)])
        else:
            lines = [*begin, f"for i in range({length}[0]):", *_indented(body), *end]
        names = {"function": scalar}
        for n, dtype in enumerate(self.outputs):
            names[f"as{n}"], names[f"start{n}"] = _cast(dtype), _start(self.fold, dtype)
        return defined(f"row({', '.join(inputs + outputs)})", lines, names)


def _indented(lines):
    return ["    " + line for line in lines]


def _cast(dtype):
    kind = np.dtype(dtype).type

    @numba.njit(forceinline=True)
    def cast(x):
        return kind(x)

    return cast


def _start(fold, dtype):
    dtype = np.dtype(dtype)
    if fold == "sum":
        return dtype.type(0)
    if dtype.kind == "f":
        return dtype.type(-np.inf if fold == "max" else np.inf)
    info = np.iinfo(dtype)
    return dtype.type(info.min if fold == "max" else info.max)
