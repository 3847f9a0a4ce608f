"""Arrays of other libraries, by DLPack: read and written where they are."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.core.cases import CSRC, SEED, core, draw, poisoned


class Exporter:
    """Has DLPack and nothing else that NumPy knows."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


class Refusing(Exporter):
    """Raises; with a dtype of ml_dtypes, as JAX does."""

    def __init__(self, error, array=None):
        super().__init__(array)
        self.error = error

    def __dlpack__(self, **options):
        raise self.error


class Convertible(Refusing):
    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_read(dtype):
    mean, log_var = draw(dtype, (5, 12), (5, 12))
    z, kl = core.gaussian_sample_kl(Exporter(mean), Exporter(log_var), SEED)
    assert type(z) is type(kl) is np.ndarray
    for ours, numpys in zip((z, kl), core.gaussian_sample_kl(mean, log_var, SEED), strict=True):
        np.testing.assert_array_equal(ours, numpys)


def test_read_without_a_copy():
    """An output that lies across the memory of an input is seen to."""
    memory = np.zeros(41, "float32")
    with pytest.raises(ValueError, match=r"^exp: .* Received: overlapping memory"):
        core.exp(Exporter(memory[:40]), out=memory[1:])


def test_read_of_any_layout_and_kind():
    mean, log_var = draw("float64", (12, 5), (5, 12))
    strided = core.gaussian_kl(Exporter(mean.T), Exporter(log_var))
    np.testing.assert_array_equal(strided, core.gaussian_kl(mean.T, log_var))
    images, logits = np.arange(10, dtype="uint8").reshape(2, 5), np.zeros([2, 5])
    np.testing.assert_array_equal(
        core.sigmoid_cross_entropy(Exporter(images), logits),
        core.sigmoid_cross_entropy(images, logits),
    )
    scalar = [x.copy() for x in draw("float64", ())]
    np.testing.assert_array_equal(core.exp(Exporter(scalar[0])), core.exp(scalar[0]))


def test_integers():
    layers, x = [(np.ones([2, 2]), None, "linear", False, ("dropout", 0.5))], np.ones([3, 2])
    seeds = np.array([[[1, 2]]])
    np.testing.assert_array_equal(
        core.mlp_forward(x, layers, seeds=Exporter(seeds)), core.mlp_forward(x, layers, seeds=seeds)
    )


def test_written():
    mean, log_var = draw("float32", (5, 12), (5, 12))
    z, kl = poisoned((5, 12), "float32"), poisoned(5, "float32")
    out = Exporter(z), Exporter(kl)
    ours = core.gaussian_sample_kl(mean, log_var, SEED, out=out)
    assert ours[0] is out[0] and ours[1] is out[1]
    expected = core.gaussian_sample_kl(mean, log_var, SEED)
    np.testing.assert_array_equal(z, expected[0])
    np.testing.assert_array_equal(kl, expected[1])


def test_updated_in_place():
    w, slot, gradient = np.ones([3]), np.zeros([3]), Exporter(np.ones([3]))
    arrays = [Exporter(w)], [gradient], [[Exporter(slot)]]
    core.optimizer_update("sgd", 0, *arrays, 0.25, slot_places=[0], momentum=0.5)
    assert w.tolist() == [0.75] * 3 and slot.tolist() == [-0.25] * 3
    kernel, sgd = np.zeros([2, 1]), {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
    layers = [(Exporter(kernel), None, "sigmoid")]
    core.discriminator_update(layers, sgd, Exporter(np.ones([1, 2])), Exporter(np.zeros([3, 2])))
    assert kernel.ravel().tolist() == [0.125, 0.125]


def test_what_is_read_only():
    x = np.zeros([3], "float32")
    fixed = Exporter(x.copy())
    fixed.array.flags.writeable = False
    np.testing.assert_array_equal(core.exp(fixed), np.ones(3))
    with pytest.raises(ValueError, match=r"^exp: out for y must be .* Received: a read-only array"):
        core.exp(x, out=fixed)
    with pytest.raises(ValueError, match=r"variables .* Received: a read-only array"):
        core.optimizer_update("sgd", 0, [fixed], [np.ones([3], "float32")], [], 0.25)
    np.testing.assert_array_equal(fixed.array, x)


def test_outputs_that_do_not_fit():
    x, wide = np.zeros([4]), np.zeros([4, 2])
    for out, message in {
        Exporter(np.zeros([3])): r"float64 of shape \(4,\). Received: float64 of shape \(3,\)",
        Exporter(np.zeros([4], "float32")): "Received: float32 of shape",
        Exporter(wide[:, 0]): "Received: a non-contiguous array",
        Refusing(BufferError("not now")): "Received: y of type Refusing: not now",
        Convertible(BufferError("not now"), x): "Received: y of type Convertible: not now",
    }.items():
        with pytest.raises(ValueError, match=f"^exp: .*{message}"):
            core.exp(x, out=out)


def test_the_words_of_who_does_not_export():
    """As ValueError, from the error; but what ends a program is none of ours."""
    x, error = np.zeros([2, 3]), BufferError("tensors that need a gradient stay here")
    match = "^gaussian_kl: log_var must be .* Received: log_var of type Refusing: tensors that need"
    with pytest.raises(ValueError, match=match) as raised:
        core.gaussian_kl(x, Refusing(error))
    assert raised.value.__cause__ is error
    with pytest.raises(KeyboardInterrupt):
        core.gaussian_kl(x, Refusing(KeyboardInterrupt()))


def test_a_dtype_that_only_ml_dtypes_has():
    mean, log_var = draw("bfloat16", (5, 12), (5, 12))
    unsupported = RuntimeError("Unsupported dtype in DLTensor.")
    given = (Convertible(unsupported, x) for x in (mean, log_var))
    np.testing.assert_array_equal(core.gaussian_kl(*given), core.gaussian_kl(mean, log_var))
    with pytest.raises(ValueError, match="x of type Refusing: Unsupported dtype"):
        core.dropout(Refusing(unsupported, mean), 0.5, SEED)


def test_a_device_that_is_not_told():
    """Such an object is no array by DLPack, and is not asked again."""

    class Lost(Exporter):
        def __dlpack_device__(self):
            raise RuntimeError("no device")

    with pytest.raises(ValueError, match=r"^exp: .* Received: "):
        core.exp(Lost(np.zeros(3)))


@pytest.mark.parametrize("device", [None, (), {}, ("cpu", 0), (None, 0), (2**70, 0), 1], ids=str)
def test_a_device_of_another_form(device):
    class Odd(Convertible):
        def __dlpack_device__(self):
            return device

    x = np.zeros(3)
    np.testing.assert_array_equal(core.exp(Odd(BufferError("not asked"), x)), np.ones(3))
    with pytest.raises(ValueError, match=r"^exp: out .* Received: out of type Odd"):
        core.exp(x, out=Odd(BufferError("not asked"), x))


def test_what_ends_a_program_goes_on():
    """Where the array could be had in another way, too."""

    class Interrupted(Exporter):
        def __dlpack_device__(self):
            raise KeyboardInterrupt

    for value in Interrupted(np.zeros(3)), Convertible(KeyboardInterrupt(), np.zeros(3)):
        with pytest.raises(KeyboardInterrupt):
            core.exp(value)


PROLOGUE = """
import numpy as np, pytest
from fastgen import core
rng = np.random.default_rng(0)
mean, log_var = (rng.standard_normal((5, 12)).astype("float32") for _ in range(2))
z, kl = core.gaussian_sample_kl(mean, log_var, (1, 2))
def same(a, b):
    assert type(a) is np.ndarray
    np.testing.assert_array_equal(a, b)
def refused(message, call, *arguments, **more):
    with pytest.raises(ValueError, match=message):
        call(*arguments, **more)
"""


def run_with(library, code):
    """In a process of its own: the threads that these libraries start do not survive a fork."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    command = [sys.executable, "-c", f"import {library}\n{PROLOGUE}{code}"]
    done = subprocess.run(command, cwd=CSRC.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tensors_of_torch():
    run_with(
        "torch",
        """
of = torch.from_numpy
for ours, expected in zip(core.gaussian_sample_kl(of(mean), of(log_var), (1, 2)), (z, kl)):
    same(ours, expected)
same(core.exp(of(mean).T), core.exp(mean.T))
out = torch.zeros(5, 12), torch.zeros(5)
ours = core.gaussian_sample_kl(mean, log_var, (1, 2), out=out)
assert ours[0] is out[0] and ours[1] is out[1]
same(out[0].numpy(), z), same(out[1].numpy(), kl)
w = torch.nn.Parameter(torch.ones(3))
core.optimizer_update("sgd", 0, [w.detach()], [torch.ones(3)], [], 0.25)
assert w.tolist() == [0.75] * 3
x = torch.ones(5, 12)
refused("log_var of type Parameter: .*gradient", core.gaussian_kl, x, torch.nn.Parameter(x))
refused("mean of type Tensor: .*gradient", core.gaussian_kl, x * torch.nn.Parameter(x), x)
refused("mean of type Tensor: .*dtype", core.gaussian_kl, x.bfloat16(), x.bfloat16())
refused("Received: a non-contiguous array", core.exp, mean, out=torch.zeros(12, 5).T)
""",
    )


def test_arrays_of_jax():
    run_with(
        "jax",
        """
of = jax.numpy.asarray
for ours, expected in zip(core.gaussian_sample_kl(of(mean), of(log_var), (1, 2)), (z, kl)):
    same(ours, expected)
half = mean.astype(of(mean).astype("bfloat16").dtype)
same(core.dropout(of(half), 0.5, (1, 2)), core.dropout(half, 0.5, (1, 2)))
fixed = of(mean)
refused("out for y must be .* Received: a read-only array", core.exp, mean, out=fixed)
refused("variables .* Received: a read-only array", core.optimizer_update,
        "sgd", 0, [fixed], [mean], [], 0.25)
same(np.asarray(fixed), mean)
""",
    )
