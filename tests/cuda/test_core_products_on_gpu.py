"""fastgen.core's dense layers on arrays of a GPU: see test_core_on_gpu.py."""


def test_dense_layers(run_core):
    run_core("""
for dtype, error in [("float32", 1e-5), ("float64", 1e-13), ("float16", 1e-2), ("bfloat16", 8e-2)]:
    shapes = {"x": (2, 3, 12), "kernel": (12, 7), "bias": 7, "d_y": (2, 3, 7)}
    x, kernel, bias, d_y = (rng.standard_normal(s).astype(dtype) for s in shapes.values())
    def near(ours, numpys):
        ours, numpys = ours.get().astype("float64"), numpys.astype("float64")
        np.testing.assert_allclose(ours, numpys, rtol=0, atol=error * np.abs(numpys).max())
    for name, k in ("dense", kernel), ("dense_transpose", kernel.T.copy()):
        op, grad = getattr(core, name), getattr(core, name + "_grad")
        for activation in ("linear", "selu", "silu"):
            on_gpu = [cupy.array(a) for a in (x, k, bias, d_y)]
            y = op(*on_gpu[:3], activation)
            assert type(y) is cupy.ndarray and y.dtype == dtype and y.shape == (2, 3, 7)
            near(y, op(x, k, bias, activation))
            near(op(*on_gpu[:2], activation=activation), op(x, k, None, activation))
            saved = op(x, k, bias, "linear" if activation == "silu" else activation)
            given = on_gpu[0], on_gpu[1], cupy.array(saved), on_gpu[3], activation
            for one, other in zip(grad(*given), grad(x, k, saved, d_y, activation), strict=True):
                near(one, other)
        for other in Interface(on_gpu[0]), Dlpack(x):
            if dtype != "bfloat16":  # which neither has a name for
                near(op(other, on_gpu[1]), op(x, k))
""")


def test_precision_is_float32s_and_a_gpus(run_core):
    run_core("""
x = rng.standard_normal((40, 1)).astype("float32")
bits = x.view(np.uint32) + np.uint32(0x1000)
rounded = (bits & ~np.uint32(0x1FFF)).view(np.float32)  # 11 bits
one, ones = np.ones((1, 1), "float32"), np.ones((40, 1), "float32")
for name in ("dense", "dense_transpose"):
    op, grad = getattr(core, name), getattr(core, name + "_grad")
    for how, factors in [({}, x), ({"precision": "float32"}, x), ({"precision": "tf32"}, rounded)]:
        a, b = cupy.array(x), cupy.array(one)
        np.testing.assert_array_equal(op(a, b, **how).get(), factors)
        np.testing.assert_array_equal(op(x, one, **how), x)
        d_x, d_kernel, d_bias = grad(cupy.array(ones), b, a, a, **how)
        np.testing.assert_array_equal(d_x.get(), factors)
        np.testing.assert_allclose(d_kernel.get(), factors.sum(0, keepdims=True), rtol=1e-6)
        np.testing.assert_allclose(d_bias.get(), x.sum(0), rtol=1e-6)
        wide = [cupy.array(a.astype("float64")) for a in (x, one)]
        np.testing.assert_array_equal(op(*wide, **how).get(), x.astype("float64"))
    for bad in ("high", "TF32", ""):
        with pytest.raises(ValueError, match=f"^{name}: precision must be.*Received: {bad}"):
            op(x, one, precision=bad)
        with pytest.raises(ValueError, match=f"^{name}_grad: precision must be.*Received: {bad}"):
            grad(a, b, a, a, precision=bad)
""")


def test_cross_entropy_of_a_tied_decoder(run_core):
    run_core("""
x, kernel, bias = (rng.standard_normal(s).astype("float32") for s in ((6, 5), (9, 5), 9))
floats = rng.uniform(size=(6, 9)).astype("float32")
on_gpu = [cupy.array(a) for a in (x, kernel, bias)]
for targets in floats, (255 * floats).astype("uint8"):
    for how, error in ("float32", 1e-6), ("tf32", 5e-4):
        slope, on_cpu = cupy.empty((6, 9), "float32"), np.empty((6, 9), "float32")
        to = cupy.array(targets)
        ours = core.dense_transpose_cross_entropy(*on_gpu, to, 0.1, precision=how, slope=slope)
        loss = core.dense_transpose_cross_entropy(x, kernel, bias, targets, 0.1, slope=on_cpu)
        assert type(ours) is cupy.ndarray
        for one, other in (ours, loss), (slope, on_cpu):
            worst = np.abs(one.get() - other).max()
            assert worst <= 4 * error and (worst > 1e-6) == (how == "tf32")
to = cupy.array(floats)
out = cupy.empty(6, "float32")
assert core.dense_transpose_cross_entropy(*on_gpu, to, 0.1, out=out, slope=to) is out
close(out, core.dense_transpose_cross_entropy(x, kernel, bias, floats, 0.1, slope=on_cpu))
close(to, on_cpu)
with pytest.raises(ValueError, match="slope must not overlap that for x"):
    square = cupy.array(x[:5]), cupy.array(kernel[:5]), None, cupy.array(floats[:5, :5])
    core.dense_transpose_cross_entropy(*square, slope=square[0])
""")


def test_products_need_nvcc(run_core):
    run_core(
        """
a, b = cupy.array(mean), cupy.array(mean)
for call in (
    lambda: core.dense_transpose(a, b),
    lambda: core.dense_transpose_grad(a, b, cupy.array(np.ones((5, 5), "float32")),
                                      cupy.array(np.ones((5, 5), "float32"))),
    lambda: core.dense_transpose_cross_entropy(a, b, None, cupy.array(np.ones((5, 5), "float32"))),
):
    with pytest.raises(NotImplementedError, match="dense_transpose.*needs a fastgen .* nvcc"):
        call()
for arrays in ((a, mean), (mean, a)):
    with pytest.raises(ValueError, match="dense_transpose: arrays must be on one device. Received"):
        core.dense_transpose(*arrays)
with pytest.raises(ValueError, match="one device. Received: x on a GPU, bias in NumPy"):
    core.dense_transpose(a, b, mean[0, :5])
""",
        FASTGEN_NVRTC="1",
    )
