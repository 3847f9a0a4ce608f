"""Numbers in LLVM's code, with Python's operators: what `fastgen.jit.math` is written in.

Code without branches and calls is what LLVM makes vectors of.
"""

import functools
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Numba adds the flags of fastmath= to instructions without any, and what follows is exact where its
# order is kept: each gets a flag that means nothing to it.
_EXACT = {"fadd": "arcp", "fsub": "arcp", "fmul": "arcp", "fdiv": "contract"}


class Layout(NamedTuple):
    """How a float is made up."""

    bits: int
    mantissa: int
    bias: int
    tiny: float
    rounding: float  # what is added to round to a whole number, which ends up in the low bits


LAYOUTS = {
    types.float32: Layout(32, 23, 127, 2.0**-126, 1.5 * 2**23),
    types.float64: Layout(64, 52, 1023, 2.0**-1022, 1.5 * 2**52),
}


class Number:
    """A float32 or float64 in the code, or a condition or whole number made of it."""

    def __init__(self, builder, value, kind):
        self.builder = builder
        self.value = value
        self.kind = kind  # of the float that it belongs to

    @property
    def layout(self):
        """The `Layout` of its kind of float."""
        return LAYOUTS[self.kind]

    def make(self, value):
        """What an instruction gave, as a `Number` of this kind."""
        return Number(self.builder, value, self.kind)

    def of(self, x):
        """A Python number as one of these."""
        if isinstance(x, Number):
            return x
        return self.make(ir.Constant(self.value.type, x))

    def _both(self, instruction, x):
        flags = (_EXACT[instruction],) if instruction in _EXACT else ()
        result = getattr(self.builder, instruction)(self.value, self.of(x).value, flags=flags)
        return self.make(result)

    def __add__(self, x):
        return self._both("fadd", x)

    def __sub__(self, x):
        return self._both("fsub", x)

    def __mul__(self, x):
        return self._both("fmul", x)

    def __truediv__(self, x):
        return self._both("fdiv", x)

    def __neg__(self):
        return self.of(-0.0) - self  # NVVM has no fneg; LLVM makes it one

    def _compared(self, sign, x):
        holds = self.builder.fcmp_ordered(sign, self.value, self.of(x).value, flags=("arcp",))
        return self.make(holds)

    def __lt__(self, x):
        return self._compared("<", x)

    def __gt__(self, x):
        return self._compared(">", x)

    def equals(self, x):
        """Whether it is x; a NaN is not."""
        return self._compared("==", x)

    def where(self, condition, other):
        """This where the condition holds, else the other."""
        chosen = self.builder.select(condition.value, self.value, self.of(other).value)
        return self.make(chosen)

    def call(self, name, *more):
        """One of LLVM's intrinsic functions."""
        module, kind = self.builder.module, self.value.type
        arguments = [self.value, *(self.of(x).value for x in more)]
        signature = ir.FunctionType(kind, [kind] * len(arguments))
        function = module.declare_intrinsic(f"llvm.{name}", [kind], signature)
        return self.make(self.builder.call(function, arguments))

    def rounded(self):
        """To the nearest whole number, of two the even one."""
        module, kind = self.builder.module, self.value.type
        if not module.triple.startswith("nvptx"):
            return self.call("roundeven")
        name = "__nv_rintf" if self.layout.bits == 32 else "__nv_rint"  # of libdevice
        function = cgutils.get_or_insert_function(module, ir.FunctionType(kind, [kind]), name)
        return self.make(self.builder.call(function, [self.value]))

    def fma(self, factor, term):
        """Times factor plus term, rounded once."""
        return self.call("fma", factor, term)

    def polynomial(self, *coefficients):
        """c0 + c1 x + ..., by Horner's rule."""
        *rest, last = coefficients
        result = self.of(last)
        for c in reversed(rest):
            result = result.fma(self, c)
        return result

    def abs(self):
        """Without its sign: of bits, for NVVM has no fabs."""
        return self.bits()._both("and_", self._magnitude).float()

    def with_sign_of(self, x):
        """Its magnitude, with the sign of another."""
        sign = x.bits()._both("and_", ~self._magnitude)
        return self.abs().bits()._both("or_", sign).float()

    @property
    def _magnitude(self):
        return 2 ** (self.layout.bits - 1) - 1

    def bits(self):
        """The float's bits, as a whole number."""
        return self.make(self.builder.bitcast(self.value, ir.IntType(self.layout.bits)))

    def float(self):
        """The float of these bits."""
        kind = ir.FloatType() if self.layout.bits == 32 else ir.DoubleType()
        return self.make(self.builder.bitcast(self.value, kind))

    def shifted(self, by):
        """A whole number times 2^by, rounded down."""
        return self._both("shl", by) if by > 0 else self._both("ashr", -by)

    def plus(self, x):
        """The sum of whole numbers."""
        return self._both("add", x)

    def minus(self, x):
        """The difference of whole numbers."""
        return self._both("sub", x)

    def as_float(self):
        """A whole number as a float."""
        kind = ir.FloatType() if self.layout.bits == 32 else ir.DoubleType()
        return self.make(self.builder.sitofp(self.value, kind))

    def power_of_two(self):
        """2^n as a float, of a whole number that ends in the bits of n plus the bias."""
        return self.shifted(self.layout.mantissa).float()


def in_widest_vectors(function):
    """Let an LLVM function use vectors of 512 bits where there are; LLVM itself takes half of them.

    Kernels of `fastgen.jit.math` take 0.67 to 0.84 times as long; what memory bounds, as long.
    """
    set.add(function.attributes, '"prefer-vector-width"="512"')  # of which llvmlite knows nothing


def function(body, outputs=1):
    """A function of one float in kernels, from one of a `Number`; whole numbers become float64.

    Args:
        body: `Number` → `Number`, or a tuple of them.
        outputs: how many.
    """

    def typed(typing_context, x):
        kind = x if x in LAYOUTS else types.float64
        if not isinstance(x, types.Number | types.Boolean):
            return None

        def generate(context, builder, signature, arguments):
            result = body(Number(builder, arguments[0], kind))
            if outputs == 1:
                return result.value
            values = [part.value for part in result]
            return context.make_tuple(builder, signature.return_type, values)

        returned = kind if outputs == 1 else types.UniTuple(kind, outputs)
        return returned(kind), generate

    functools.update_wrapper(typed, body)
    del typed.__wrapped__  # Numba would take its signature
    return intrinsic(typed)
