"""fastgen.core on arrays of a GPU, which CuPy's stand-in and the kernels on the CPU are here."""


def test_arrays_of_a_gpu(run_core):
    """CuPy's, and those of whoever has one of the two interfaces; outputs are CuPy's."""
    run_core("""
ours = core.gaussian_sample_kl(cupy.array(mean), cupy.array(log_var), (1, 2))
assert all(type(x) is cupy.ndarray for x in ours)
close(ours[0], z), close(ours[1], kl)
others = Interface(cupy.array(mean)), Dlpack(log_var)
for x, y in zip(core.gaussian_sample_kl(*others, (1, 2)), (z, kl)):
    close(x, y)
arrays = cupy.array(mean), cupy.array(log_var), (1, 2), cupy.array(d_z), cupy.array(d_kl)
for x, y in zip(core.gaussian_sample_kl_grad(*arrays), grads):
    close(x, y)
on_gpu = [cupy.array(x) for x in (mean, log_var, d_z, d_kl)]
close(core.gaussian_sample(on_gpu[0], on_gpu[1], (1, 2)), z)
close(core.gaussian_kl(on_gpu[0], on_gpu[1]), kl)
close(core.gaussian_sample_grad(on_gpu[1], (1, 2), on_gpu[2]),
      core.gaussian_sample_grad(log_var, (1, 2), d_z))
for x, y in zip(core.gaussian_kl_grad(on_gpu[0], on_gpu[1], on_gpu[3]),
                core.gaussian_kl_grad(mean, log_var, d_kl)):
    close(x, y)
for dtype in ("float64", "float16", "bfloat16"):
    arrays = [cupy.array(x.astype(dtype)) for x in (mean, log_var)]
    x = core.gaussian_sample_kl(*arrays, (1, 2))[0]
    assert x.dtype == dtype and np.isfinite(x.get().astype("float32")).all()
""")


def test_losses_and_penalties(run_core):
    run_core("""
p, t = 1 / (1 + np.exp(-mean)), (log_var > 0).astype("float32")
b = rng.integers(0, 256, (5, 12)).astype("uint8")
m, g = cupy.array(mean), cupy.array(d_kl)
for targets in (t, b):
    x = cupy.array(targets)
    slope, on_cpu = cupy.empty((5, 12), "float32"), np.empty((5, 12), "float32")
    loss = core.sigmoid_cross_entropy(targets, mean, 0.1, slope=on_cpu)
    close(core.sigmoid_cross_entropy(x, m, 0.1, slope=slope), loss)
    close(slope, on_cpu)
    d_logits = core.sigmoid_cross_entropy_grad(targets, mean, d_kl, 0.1)
    close(core.sigmoid_cross_entropy_grad(x, m, g, 0.1), d_logits)
    close(core.sigmoid_cross_entropy_from_slope_grad(slope, g), d_logits)
one = np.float32(2)
for kind in ("kl", "l1", "mse"):
    penalty, activity = core.sparsity(p, 0.1, kind)
    ours = core.sparsity(cupy.array(p), 0.1, kind)
    close(ours[0], penalty), close(ours[1], activity)
    for passed in (None, mean):
        given = cupy.array(p), 0.1, kind, ours[1], cupy.array(one)
        on_gpu = passed if passed is None else cupy.array(passed)
        close(core.sparsity_grad(*given, d_passed=on_gpu),
              core.sparsity_grad(p, 0.1, kind, activity, one, d_passed=passed))
with pytest.raises(ValueError, match="must be float32.*Received: targets.dtype=int64"):
    core.sigmoid_cross_entropy(cupy.array(b.astype(int)), m, 0.1)
""")


def test_kernels_that_nvrtc_compiles(run_core, tmp_path):
    """With the arguments, structs among them, that the launchers of the .cu files give them."""
    run_core(
        """
from unittest import mock
import fastgen.nvrtc
cases = [("float32", (5, 12)), ("float32", (1, 16384 + 24)), ("float64", (3, 7))]
for dtype, shape in [*cases, ("float16", (2, 1040)), ("bfloat16", (5, 16))]:
    arrays = [rng.standard_normal(shape).astype(dtype) for _ in range(3)]
    d_kl = rng.standard_normal(shape[0]).astype("float64" if dtype == "float64" else "float32")
    results = []
    for wish in "01":
        os.environ["FASTGEN_NVRTC"] = wish
        a, b, c, d = map(cupy.array, (*arrays, d_kl))
        with mock.patch("fastgen.nvrtc.launch", wraps=fastgen.nvrtc.launch) as launch:
            results.append(core.gaussian_sample_kl(a, b, (1, -2)))
            results[-1] += core.gaussian_sample_kl_grad(a, b, (1, -2), c, d)
        assert launch.call_count == (2 if wish == "1" else 0)
    for one, other in zip(*results, strict=True):
        assert one.get().tobytes() == other.get().tobytes(), (shape, dtype)
on_gpu = [cupy.array(x) for x in (mean, log_var, d_z, d_kl)]
m, v, g, k = on_gpu
b = cupy.array(rng.integers(0, 256, (5, 12)).astype("uint8"))
results = []
for wish in "01":
    os.environ["FASTGEN_NVRTC"] = wish
    slope = cupy.empty((5, 12), "float32")
    results.append([
        core.gaussian_sample(m, v, (1, -2)),
        core.gaussian_sample_grad(v, (1, -2), g),
        core.gaussian_kl(m, v),
        *core.gaussian_kl_grad(m, v, k),
        core.sigmoid_cross_entropy(b, m, 0.1, slope=slope),
        slope,
        core.sigmoid_cross_entropy_grad(v, m, k, 0.1),
        core.sigmoid_cross_entropy_from_slope_grad(slope, k),
    ])
    for dtype in ("float32", "bfloat16"):  # of elements that are not averaged
        x, y = (cupy.array(a.reshape(60, 1).astype(dtype)) for a in (mean, log_var))
        slope, d = cupy.empty((60, 1), dtype), cupy.array(d_z.reshape(60))
        results[-1] += [core.sigmoid_cross_entropy(y, x, 0.1, slope=slope), slope]
        results[-1].append(core.sigmoid_cross_entropy_grad(y, x, d, 0.1))
        results[-1].append(core.sigmoid_cross_entropy_from_slope_grad(slope, d))
for i, (one, other) in enumerate(zip(*results, strict=True)):
    assert one.get().tobytes() == other.get().tobytes(), i
""",
        FASTGEN_STAND_IN_CACHE=str(tmp_path),
    )


def test_sparsity_that_nvrtc_compiles(run_core, tmp_path):
    """Shapes with pieces of rows, tiles of columns, odd ones, and none."""
    run_core(
        """
from unittest import mock
import fastgen.nvrtc
def penalties(dtype, shape):
    a = rng.uniform(0.05, 0.9, shape).astype(dtype)
    passed = cupy.array(rng.standard_normal(shape).astype(dtype))
    d_penalty = cupy.array(np.array(2, "float64" if dtype == "float64" else "float32"))
    d_activity = cupy.array(rng.standard_normal(shape[-1]))
    for kind in ("kl", "l1", "mse"):
        results = []
        for wish in "01":
            os.environ["FASTGEN_NVRTC"] = wish
            x = cupy.array(a)
            with mock.patch("fastgen.nvrtc.launch", wraps=fastgen.nvrtc.launch) as launch:
                penalty, activity = core.sparsity(x, 0.1, kind)
                given = x, 0.1, kind, activity, d_penalty
                both = core.sparsity_grad(*given, d_activity=d_activity, d_passed=passed)
                results.append([penalty, activity, core.sparsity_grad(*given), both])
            assert launch.call_count == (3 if wish == "1" else 0)
        for i, (one, other) in enumerate(zip(*results, strict=True)):
            assert one.get().tobytes() == other.get().tobytes(), (i, dtype, shape, kind)
            assert np.isfinite(one.get().astype("float64")).all(), (i, dtype, shape, kind)
shapes = [(5, 12), (4099, 4), (9, 1030), (3, 7), (0, 4), (5, 0)]
for dtype, shape in [("float32", shape) for shape in shapes] + [
    ("float64", (300, 6)), ("float16", (40, 16)), ("bfloat16", (40, 9))
]:
    penalties(dtype, shape)
with pytest.raises(NotImplementedError, match="gan_step: on a GPU this kernel needs a fastgen"):
    fastgen.nvrtc.launch("gan_step")
""",
        FASTGEN_STAND_IN_CACHE=str(tmp_path),
    )


def test_outputs_of_the_caller(run_core):
    run_core("""
place, to_kl = cupy.array(mean), cupy.empty(5, "float32")
ours = core.gaussian_sample_kl(place, cupy.array(log_var), (1, 2), out=(place, to_kl))
assert ours[0] is place and ours[1] is to_kl
close(place, z), close(to_kl, kl)
for out, message in [
    (np.empty((5, 12), "float32"), "out for z must be an array of CuPy"),
    (cupy.empty((5, 11), "float32"), "of shape .5, 12.. Received: float32 of"),
    (cupy.array(np.zeros((12, 5), "float32").T), "C-contiguous"),
    (cupy.array(mean, device=1), "current GPU, 0. Received: z on GPU 1"),
]:
    with pytest.raises(ValueError, match=message):
        arrays = cupy.array(mean), cupy.array(log_var)
        core.gaussian_sample_kl(*arrays, (1, 2), out=(out, to_kl))
""")


def test_what_is_refused(run_core):
    run_core("""
on_gpu = cupy.array(log_var)
for other, message in [
    (mean, "one device. Received: mean in NumPy, log_var on a GPU"),
    (cupy.array(mean, device=1), "current GPU, 0. Received: mean on GPU 1"),
    (cupy.array(mean[:2]), "same shape"),
    (cupy.array(mean.astype(int)), "mean must be float32.*Received: mean.dtype=int64"),
]:
    with pytest.raises(ValueError, match=message):
        core.gaussian_sample_kl(other, on_gpu, (1, 2))
with pytest.raises(ValueError, match="takes arrays of NumPy. Received: x on a GPU"):
    core.exp(on_gpu)
class Bound:
    def __dlpack_device__(self):
        return 2, 0
    @property
    def on_cpu(self):
        raise BufferError("not while it needs a gradient")
with pytest.raises(ValueError, match="CuPy can read. Received: mean of type Bound: not while it"):
    core.gaussian_kl(Bound(), on_gpu)
""")


def test_what_a_call_asks(run_core):
    """Of each array four things, once: what a call takes. And no copy is made to refuse one."""
    run_core("""
asked = []
class Watched(cupy.ndarray):
    def __getattribute__(self, name):
        asked.append(name)
        return super().__getattribute__(name)
cupy.ascontiguousarray = None  # which nothing here needs
given = [Watched(x.shape, over=x) for x in (mean, log_var)]
out = Watched(5, over=np.empty(5, "float32"))
core.gaussian_kl(*given)  # which looks CuPy up
asked.clear()
close(core.gaussian_kl(*given), kl)
assert sorted(asked) == sorted(["data", "dtype", "shape", "strides"] * 2)
asked.clear()
core.gaussian_kl(*given, out=out)
assert sorted(asked) == sorted(["data", "dtype", "shape", "strides"] * 3)
with pytest.raises(ValueError, match="out for kl must be C-contiguous"):
    core.gaussian_kl(*given, out=Watched(5, over=np.empty((5, 2), "float32")[:, 0]))
""")


def test_without_cupy(run_core):
    run_core("""
sys.modules["cupy"] = None
with pytest.raises(ImportError, match="gaussian_sample_kl: arrays on a GPU need CuPy.*pip install"):
    core.gaussian_sample_kl(Dlpack(mean), Dlpack(log_var), (1, 2))
""")
