"""dense_transpose is dense with the kernel transposed, to the bit. test_dense.py has the rest."""

from tests.core.cases import assert_same_bits, dtypes
from tests.core.dense_layer import Layer


@dtypes
def test_bits_of_dense(isa, dtype):
    plain, tied = Layer("dense"), Layer("dense_transpose")
    x, kernel, bias, d_y = plain.make(dtype, 37, 300, 45)
    y = plain.run(x, kernel, bias, "sigmoid")
    assert_same_bits(tied.run(x, kernel.T.copy(), bias, "sigmoid"), y)
    d_x, d_kernel, d_bias = plain.grad(x, kernel, y, d_y, "sigmoid")
    other = tied.grad(x, kernel.T.copy(), y, d_y, "sigmoid")
    for one, two in zip((d_x, d_kernel.T.copy(), d_bias), other, strict=True):
        assert_same_bits(one, two)
