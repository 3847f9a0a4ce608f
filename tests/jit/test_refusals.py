"""What cannot be a kernel is refused, with its name; nothing ends the process."""

import ctypes
import math
import re

import numba
import numpy as np
import pytest
import tensorflow as tf

from fastgen import jit

TABLE = (1.0, 2.0, 3.0)
ARRAY = np.arange(3.0)
SQUARES = (numba.njit(lambda x: x * x),) * 2
ctypes_sqrt = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(math.sqrt)


def raises(x):
    if x < 0:
        raise ValueError
    return x


def asserts():
    """As Python compiles it: pytest makes other code of assertions in tests."""
    names = {}
    exec("def asserts(x):\n    assert x > 0\n    return x", names)
    return names["asserts"]


def calls_what_raises(x):
    return raises(x) + 1


def calls_itself(x):
    return calls_itself(x - 1) if x > 0 else x


def has_a_default(x, y=1.0):
    return x + y


async def is_awaited(x):
    return x


def takes_any(*x):
    return x


def refers_to_an_array(x):
    return x + ARRAY[0]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (raises, "cannot raise.*Received: raise in raises"),
        (asserts(), "cannot raise.*Received: assert"),
        (calls_what_raises, "cannot raise.*Received: raise in raises"),
        (calls_itself, "cannot call itself"),
        (has_a_default, "without defaults"),
        (takes_any, "by position"),
        (lambda: 1.0, "one scalar or more"),
        (math.exp, "is a Python function"),
        (is_awaited, "is a Python function"),
    ],
)
def test_refused_at_decoration(bad, why):
    with pytest.raises(ValueError, match=f"it: .*{why}"):
        jit.elementwise(bad, name="it")
    if why.startswith("cannot"):
        with pytest.raises(ValueError, match=r"good\.gradient: .*" + why):
            jit.elementwise(lambda x: x, gradient=bad, name="good")


def out_of_bounds(x):
    return TABLE[int(x)]


def prints(x):
    print(x)
    return x


def draws(x):
    return x + np.random.random()


def allocates(x):
    z = np.zeros(3)
    z[0] = x
    return z[0] + z[1]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (out_of_bounds, "index what it cannot be sure"),
        (prints, "print"),
        (allocates, "allocate"),
        (draws, "other than those of noise="),
        (refers_to_an_array, "Received: ARRAY, of type ndarray"),
        (lambda x: SQUARES[0](x), "Received: SQUARES, of type tuple"),
        (lambda x: ctypes_sqrt(x), "Received: ctypes_sqrt, of type CFunctionType"),
        (lambda x: "text", "Numba cannot compile|returns numbers"),
        (lambda x: x + 1j, "returns numbers"),
        (lambda x: None, "returns numbers"),
        (lambda x: x.no_such_method(), "Numba cannot compile"),
    ],
)
def test_refused_at_the_first_call(bad, why):
    kernel = jit.elementwise(bad, name="it")
    with pytest.raises(ValueError, match=f"it: .*({why})"):
        kernel([1.0, 5.0])


def test_noise_alone():
    with pytest.raises(ValueError, match=r"it: with noise .* Received: it\(noise\)"):
        jit.elementwise(lambda noise: noise, noise="normal", name="it")


def test_calls():
    kernel = jit.elementwise(lambda x, y: x + y, name="it")
    with pytest.raises(ValueError, match="it: takes 2 inputs. Received: 1"):
        kernel(1.0)
    assert kernel(y=1.0, x=2.0) == kernel(2.0, y=1.0) == 3
    for named in ({"z": 1.0}, {"x": 1.0}):
        with pytest.raises(ValueError, match=r"it: takes \(x, y\): .*Received: 1 inputs and \['.'"):
            kernel(1.0, **named)
    with pytest.raises(ValueError, match="it: takes 2 inputs. Received: 1"):
        kernel(x=1.0)
    with pytest.raises(ValueError, match="it: inputs must be .* 'complex64'"):
        kernel(tf.constant(1j, tf.complex64), 1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"it: .* broadcast.*\[2\], \[3\]"):
        kernel(tf.ones(2), tf.ones(3))
    with pytest.raises(ValueError, match="Dimensions must be equal"):
        tf.function(kernel)(tf.ones(2), tf.ones(3))


def gradient_of(kernel, *inputs):
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = kernel(*inputs)
    return tape.gradient(y, inputs)


def test_gradients():
    with pytest.raises(LookupError, match="it: has no gradient"):
        gradient_of(jit.elementwise(lambda x: x, name="it"), 1.0)
    kernel = jit.elementwise(lambda x, y: x * y, gradient=lambda x, y: (y, x), name="it")
    with pytest.raises(ValueError, match=re.escape("it.gradient: must take the 2 inputs")):
        gradient_of(kernel, 1.0, 2.0)
    kernel = jit.elementwise(lambda x, y: x * y, gradient=lambda x, y, d: y * d, name="it")
    with pytest.raises(ValueError, match="it.gradient: a gradient returns a value for each"):
        gradient_of(kernel, 1.0, 2.0)


def test_too_many_arrays():
    names = ", ".join(f"x{i}" for i in range(16))
    kernel = jit.elementwise(eval(f"lambda {names}: x0"), name="many")
    with pytest.raises(ValueError, match="many: inputs and outputs are 16 at most"):
        kernel(*[1.0] * 16)


def test_whole_numbers_divide_without_a_signal():
    """What ends a process in C: by zero, and the least number by -1."""
    kernel = jit.elementwise(lambda x, y: (x // y, x % y), name="divide")
    for dtype in ("int8", "int32", "int64"):
        x = tf.constant([np.iinfo(dtype).min, 7, 7], dtype)
        quotient, rest = kernel(x, tf.constant([-1, 0, 2], dtype))
        assert quotient.numpy()[1:].tolist() == [0, 3] and rest.numpy()[2] == 1
