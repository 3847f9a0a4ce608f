"""Whatever a kernel is: it gives what Python gives, or a ValueError with its name."""

import math
import textwrap

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastgen import jit
from fastgen.jit import compiled_op
from tests.jit.kernels import count_up

X, Y = np.meshgrid([-2.5, 0.0, 1.0, 3e300, np.inf, np.nan], [-1.0, 0.0, 0.5, 7.0, np.nan])
OUTSIDE = {
    "math": math,
    "np": np,
    "TABLE": (1.0, 2.0, 3.0),
    "PAIRS": ((1.0, 2), (3.0, 4)),
    "TEXT": "text",
    "ARRAY": np.arange(3.0),
    "ONE": np.float32(1),
    "NOTHING": None,
    "LIST": [1.0],
    "DICTIONARY": {"a": 1.0},
    "OBJECT": object(),
    "COMPLEX": 1j,
}
STATEMENTS = """
pass
x = y
x, y = y, x
x += 1
x = (x, y)[0]
x = TABLE[0]
x = TABLE[-1]
x = TABLE[3]
x = TABLE[int(x)]
x = PAIRS[1][0]
x = PAIRS[0]
x = len(TABLE)
x = ONE
x = x * ONE
x = NOTHING
x = ARRAY[0]
x = LIST[0]
x = DICTIONARY["a"]
x = TEXT
x = TEXT[0]
x = len(TEXT)
x = OBJECT
x = OBJECT.attribute
x = COMPLEX.imag
x = missing
x = missing(x)
x = x.real
x = x.shape
x = x.nothing
x = x[0]
x = x()
x = 10**400
x = 10**400 * x
x = 2**63
x = 2**64 + 1
x = -2**63 - 1
x = 1 / 0
x = 1 // 0
x = x / 0
x = x % 0
x = x // 0
x = ~x
x = x << 1
x = x @ y
x = not x
x = x and y
x = x or y
x = x in TABLE
x = "a" in TEXT
x = 1j * x
x = None
x = "text"
x = f"{x}"
x = b"x"
x = ...
x = [x, y][0]
x = {0: x}[0]
x = {1, 2}
x = [z * z for z in (x, y)][0]
x = sum(z for z in (x, y))
x = sum((x, y))
x = sorted((x, y))[0]
x = (lambda z: z + y)(x)
x = float("nan")
x = float("1")
x = int("3")
x = str(x)
x = round(x)
x = divmod(x, y)[0]
x = eval("x")
x = isinstance(x, float)
x = type(x)(3)
x = math.sqrt(x)
x = math.log(x)
x = math.nothing(x)
x = math.factorial(5)
x = np.sqrt(x)
x = np.float32(x)
x = np.zeros(3)[0]
x = np.array([x, y]).sum()
x = it(x, y)
print(x)
print("text", x)
input()
raise ValueError
raise ValueError("text")
assert x > 0
assert x > 0, "text"
del x
global OBJECT; OBJECT = x
import math as m; x = m.sin(x)
for i in range(3): x += i
for i in TABLE: x += i
for i in (x, 1, 2.5): x += i
for i in [x, y]: x += i
for i in "text": x += 1
while x > 0 and x < 1e6: x = 2 * x + 1
while True: break
try: x = x / y
except ZeroDivisionError: x = 0.0
try: x = TABLE[int(y)]
except IndexError: x = 0.0
with open("nowhere"): x = y
yield x
x = yield
def inner(z): return z + x
x = inner(y)
def inner(z): raise ValueError
x = inner(y)
class Inner: pass
return
return None
return x, y
return (x,)
return ()
return x, (y, x)
return x, "text"
return [x, y]
return {"a": x}
return "text"
return x > 0
return x > 0, 1, x
return x if x > 0 else None
return x if x > 0 else 1
return x if x > 0 else "text"
return int(x > 0)
return lambda: x
return it
return OBJECT
return 1j
return NotImplemented
if x > 0: return y
if x > 0: return x, y
if x > 0: z = y
x = z
match x:
    case 1.0: x = y
"""


def statements():
    """Each on its own: lines that follow from one before stay with it."""
    found = []
    for line in STATEMENTS.strip().splitlines():
        goes_on = line.startswith((" ", "except")) or (
            found and found[-1].startswith(("def", "if x > 0: z")) and line.startswith("x =")
        )
        if goes_on and "\n" not in found[-1]:
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found


def function_of(body):
    """The function of x and y with this body."""
    names = dict(OUTSIDE)
    exec("def it(x, y):\n" + textwrap.indent(body, "    "), names)
    return names["it"]


def in_python(function, x, y):
    """A tuple of what Python makes of an element; None where it fails or leaves int64."""
    try:
        with np.errstate(all="ignore"):
            result = function(x, y)
    except (ArithmeticError, ValueError, UnboundLocalError):
        return None
    result = result if isinstance(result, tuple) else (result,)
    return None if any(isinstance(y, int) and abs(y) >= 2**63 for y in result) else result


def check(function):
    """It is refused by name, or right."""
    try:
        outputs = jit.elementwise(function, name="it")(X, Y)
    except ValueError as error:
        assert str(error).startswith("it: "), error
        return
    outputs = [np.ravel(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]
    for i, (x, y) in enumerate(zip(X.ravel(), Y.ravel(), strict=True)):
        if (expected := in_python(function, x, y)) is not None:
            found = [float(y[i]) for y in outputs]
            np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-13)


@pytest.mark.filterwarnings("ignore")  # Python's of what the bodies hold
@settings(max_examples=40)
@given(st.lists(st.sampled_from(statements()), min_size=1, max_size=3))
@example(["return ()"])
@example(["x = TABLE[int(x)]"])
def test_any_statements(body):
    check(function_of("\n".join([*body, "return x"])))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("body", statements())
def test_every_statement(body):
    check(function_of(body + "\nreturn x"))


def expressions():
    """Of x and y, numbers and operators that Python has for all numbers."""
    leaves = st.sampled_from(["x", "y", "x", "y", "0.5", "-3", "2", "0", "1e300", "True"])

    def larger(parts):
        operators = st.sampled_from(["+", "-", "*", "/", "//", "%"])
        return st.one_of(
            st.tuples(parts, operators, parts).map("({0[0]} {0[1]} {0[2]})".format),
            st.tuples(parts, parts, parts).map("({0[0]} if {0[1]} > {0[2]} else y)".format),
            st.tuples(parts, parts).map("min({0[0]}, {0[1]})".format),
            parts.map("abs({})".format),
            parts.map("({}) ** 2".format),
        )

    return st.recursive(leaves, larger, max_leaves=8)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=20)
@given(expressions())
def test_any_expression(expression):
    check(function_of(f"return {expression}"))


DTYPES = [tf.as_dtype(dtype).as_numpy_dtype for dtype in compiled_op.DTYPES]


@settings(max_examples=25)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=70),
    st.tuples(*[st.sampled_from(DTYPES)] * 2),
    st.randoms(use_true_random=False),
)
def test_any_shapes_and_dtypes(shapes, dtypes, random):
    """Sums of numbers that all dtypes hold."""
    draw = np.random.default_rng(random.getrandbits(32))
    inputs = [
        draw.integers(0, 2, shape).astype(dtype)
        for shape, dtype in zip(shapes.input_shapes, dtypes, strict=True)
    ]
    y = count_up(*inputs)
    assert y.shape == shapes.result_shape
    floating = [dtype for dtype in dtypes if "float" in np.dtype(dtype).name]
    assert y.dtype.is_floating or not floating
    np.testing.assert_array_equal(tf.cast(y, tf.int32), np.add(*(x.astype(int) for x in inputs)))
