"""exp, log, log1p, sigmoid, softplus, tanh and sincospi for kernels, of csrc/core's polynomials.

Calls of the C library are made element by element; these become vectors. ULP are against exact
results that are normal; asserted by tests/jit/test_math.py. NaN gives NaN, overflow inf, underflow
is gradual.

Example:
>>> from fastgen import jit
>>> from fastgen.jit import math
>>> @jit.elementwise
... def swish(x):
...     return x * math.sigmoid(x)
>>> swish([0.0, 1.0]).numpy()
array([0.       , 0.7310586], dtype=float32)
"""

from numba import types

from fastgen.jit.emit import function

__all__ = ["exp", "log", "log1p", "sigmoid", "sincospi", "softplus", "tanh"]

_INF = float("inf")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
# ln 2 in two parts, the first of which leaves products with small whole numbers exact.
_LN2 = {
    types.float32: (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20")),
    types.float64: (
        float.fromhex("0x1.62e42fefa0000p-1"),
        float.fromhex("0x1.cf79abc9e3b3ap-40"),
    ),
}
_LIMITS = {types.float32: (-104.0, 89.0), types.float64: (-746.0, 710.0)}
_EXP = {
    types.float32: (0.49999994, 0.16666521, 0.04166839, 0.008368711, 0.0013814601),
    types.float64: (
        *(0.5, 0.16666666666666666, 0.041666666666666706, 0.008333333333333269),
        *(0.001388888888886578, 0.00019841269841473685, 2.480158736051957e-05),
        *(2.755731893405324e-06, 2.7557243901402446e-07, 2.505228876072233e-08),
        *(2.092386067233854e-09, 1.6029277329681253e-10),
    ),
}
_LOG_FLOAT32 = (
    *(-0.5, 0.33333215, -0.24999799, 0.20010412, -0.16680463),
    *(0.14005783, -0.12184605, 0.13984814, -0.12890185),
)
_LOG_FLOAT64 = (
    *(0.666666666666666, 0.40000000000056396, 0.285714285559301, 0.22222224282723338),
    *(0.18181666783619285, 0.15391080447129324, 0.13174150636345022, 0.13839200094021348),
)
_LOG1P_FLOAT32 = (
    *(-0.49999648, 0.33321324, -0.24857163, 0.19153655),
    *(-0.13753802, 0.07920452, -0.030065786, 0.0053648227),
)
_SIN = {
    types.float32: (6.2831855, -41.341766, 81.608635, -76.72798, 40.875916),
    types.float64: (
        *(6.283185307179586, -41.341702240399755, 81.60524927607362, -76.70585975282492),
        *(42.058693925428685, -15.0946416761179, 3.8199280942271643, -0.7177337921413454),
        0.10089695501646812,
    ),
}
_COS = {
    types.float32: (1.0, -19.739208, 64.939285, -85.45034, 60.079037, -24.538853),
    types.float64: (
        *(1.0, -19.739208802178716, 64.93939402266828, -85.45681720669151, 60.24464137164672),
        *(-26.426256769631195, 7.903535871103938, -1.7143794371382703, 0.28185225938435093),
        -0.03521960463814676,
    ),
}


def _exp_of_parts(x, plus):
    """e^x = 2^n (1 + p): p, and a whole number that ends in the bits of n + plus."""
    rounding = x.of(x.layout.rounding + plus)
    shifted = x.fma(_LOG2_E, rounding)
    n = shifted - rounding
    upper, lower = _LN2[x.kind]
    r = n.fma(-lower, n.fma(-upper, x))
    return (r * r).fma(r.polynomial(*_EXP[x.kind]), r), shifted.bits()


def _exp(x):
    low, high = _LIMITS[x.kind]
    x = x.of(low).where(x < low, x)
    x = x.of(high).where(x > high, x)
    # n may be twice what a float's exponent holds: two powers.
    p, n = _exp_of_parts(x, 2 * x.layout.bias)
    half = n.shifted(-1)
    return (p + 1.0) * half.power_of_two() * n.minus(half).power_of_two()


def _minus_abs(x, low):
    x = -x.abs()
    return x.of(low).where(x < low, x)


def _exp_of_minus_abs(x):
    low, _ = _LIMITS[x.kind]
    # 2^64 times what it is, which is never less than normal, so that the last product alone rounds.
    p, n = _exp_of_parts(_minus_abs(x, low), x.layout.bias + 64)
    return (p + 1.0) * n.power_of_two() * 2.0**-64


def _log_of_parts(f, n):
    """ln((1 + f) 2^n) with 1 + f in [2/3, 4/3]."""
    if f.kind == types.float32:
        ln = (f * f).fma(f.polynomial(*_LOG_FLOAT32), f)
        return n.fma(float.fromhex("0x1.62e43p-1"), ln)
    upper, lower = _LN2[f.kind]
    s = f / (f + 2.0)  # 2 atanh(s)
    z, half_square = s * s, f * f * 0.5
    q = z * z.polynomial(*_LOG_FLOAT64)
    # ln(1 + f) = f - (f^2/2 - s (f^2/2 + q)), exact to a rounding in its largest term.
    tail = s.fma(half_square + q, n * lower)
    return n.fma(upper, f - (half_square - tail))


def _log(x):
    layout = x.layout
    small = x < layout.tiny
    scaled = (x * 2.0**layout.mantissa).where(small, x)
    # m 2^e with m in [2/3, 4/3).
    two_thirds = {32: 0x3F2AAAAB, 64: 0x3FE5555555555555}[layout.bits]
    e = scaled.bits().minus(two_thirds).shifted(-layout.mantissa)
    f = scaled.bits().minus(e.shifted(layout.mantissa)).float() - 1.0
    n = e.as_float()
    ln = _log_of_parts(f, (n - float(layout.mantissa)).where(small, n))
    ln = x.where(x.equals(_INF), ln)
    ln = x.of(-_INF).where(x.equals(0.0), ln)
    ln = x.of(float("nan")).where(x < 0.0, ln)
    return ln.where(x.equals(x), x)


def _log1p_of_fraction(u):
    """Of 0 <= u <= 1, to 2 ULP."""
    if u.kind == types.float32:
        return (u * u).fma(u.polynomial(*_LOG1P_FLOAT32), u)
    upper = u > 1 / 3
    f = ((u - 1.0) * 0.5).where(upper, u)
    return _log_of_parts(f, u.of(1.0).where(upper, u.of(0.0)))


@function
def exp(x):
    """e^x to 1.2 ULP."""
    return _exp(x)


@function
def log(x):
    """The natural logarithm to 2 ULP; of 0 -inf, of less NaN."""
    return _log(x)


@function
def log1p(x):
    """The logarithm of 1 + x to 2 ULP; of -1 -inf, of less NaN."""
    w = x + 1.0
    # What the sum lost, times the slope of ln.
    lost = (x - (w - 1.0)) / w
    finite = x.abs() < _INF
    ln = _log(w)
    ln = (ln + lost).where(finite, ln)
    ln = x.of(-_INF).where(w.equals(0.0), ln)
    return x.where(x.equals(0.0), ln)


@function
def sigmoid(x):
    """1 / (1 + e^-x) to 3 ULP."""
    e = _exp_of_minus_abs(x)
    return e.where(x < 0.0, 1.0) / (e + 1.0)


@function
def softplus(x):
    """The logarithm of 1 + e^x to 3 ULP."""
    positive = x.of(0.0).where(x < 0.0, x)
    return positive + _log1p_of_fraction(_exp_of_minus_abs(x))


@function
def tanh(x):
    """The hyperbolic tangent to 3 ULP."""
    x2 = _minus_abs(x, -20.0) * 2.0  # beyond, the result is 1
    p, n = _exp_of_parts(x2, x.layout.bias)
    power = n.power_of_two()
    d = p.fma(power, power - 1.0)  # e^-2|x| - 1
    return (-d / (d + 2.0)).with_sign_of(x)


def _sincospi(x):
    """The sine of πx to 4 ULP and its cosine to 2 ULP of 1, as a pair."""
    n = x.rounded()
    t = (x - n) * 0.5
    z = t * t
    even = (n * 0.5).rounded() * 2.0
    sign = x.of(1.0).where(even.equals(n), -1.0)
    sin, cos = t * z.polynomial(*_SIN[x.kind]), z.polynomial(*_COS[x.kind])
    return sin * sign, cos * sign


sincospi = function(_sincospi, outputs=2)
