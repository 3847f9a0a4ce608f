"""What doctor says of ops and of models, against what runs, and how it prints it."""

import itertools
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, jit, layers, native, nvrtc
from fastgen.dispatch import COMPOSITE, CUSTOM_CALL, FUSED
from fastgen.jit import device_code
from fastgen.kernels import Bounds
from fastgen.losses import BinaryCrossentropy
from tests.test_dispatch import small_vae

dense = keras.layers.Dense
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("thing", ["model", dense(2)], ids=["text", "layer"])
def test_it_wants_a_model(thing):
    with pytest.raises(TypeError, match="doctor: model must be None or a Keras model. Received"):
        fastgen.doctor(thing)


def test_every_op_and_dtype(capsys):
    rows = fastgen.doctor()
    assert {(row["op"], row["dtype"]) for row in rows} == set(
        itertools.product([*dispatch.KERNELS, *dispatch.USERS], dispatch.FLOATS)
    )
    for row in rows:
        kernel = dispatch.kernel_of(row["op"])
        bounds = kernel.bounds(row["device"]) or Bounds()
        has_kernel = row["dtype"] in kernel.dtypes and row["dtype"] not in bounds.slower
        assert row["path"] == (FUSED if has_kernel else COMPOSITE)
    printed = capsys.readouterr().out
    assert all(op in printed for op in dispatch.KERNELS) and native.status()["isa"] in printed


H200 = {
    "name": "NVIDIA H200",
    "compute_capability": "9.0",
    "multiprocessors": 132,
    "bytes": 139 * 2**30,
    "runs": True,
}


@pytest.mark.parametrize(
    ("cuda", "gpus", "line"),
    [
        ([], [], "GPU: the library was built without nvcc; fastgen.core has CuPy compile"),
        (["80", "90a"], [], "GPU: none, no driver; kernels for compute capability 8.0, 9.0"),
        (["90"], [H200], "GPU 0: NVIDIA H200, compute capability 9.0, 132 multiproc.*, 139 GiB; "),
        (["90"], [{**H200, "runs": False}], "9.0, which do not run on it"),
    ],
    ids=["none built", "none seen", "one", "older"],
)
def test_gpus(cuda, gpus, line, monkeypatch, capsys):
    monkeypatch.setattr(native, "build_info", lambda: {"cuda": cuda})
    monkeypatch.setattr(native, "gpus", lambda: gpus)
    monkeypatch.setattr(native, "why_cuda_sees_none", lambda: "no driver")
    fastgen.doctor()
    assert re.search(line, capsys.readouterr().out)


def test_users_kernels_on_a_gpu(monkeypatch):
    """One that has no reference runs on the CPU where it cannot be compiled."""
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    monkeypatch.setattr(dispatch, "device_type", lambda: "GPU")
    monkeypatch.setattr(device_code, "_missing_compiler", lambda: "pip install it")
    jit.elementwise(lambda x: x, name="diagnosed")
    jit.elementwise(lambda x: x, name="referred", reference=lambda x: x)
    ready = dispatch.Kernel(devices=dispatch.BOTH, op="elementwise")
    monkeypatch.setitem(dispatch.USERS, "jit.ready", ready)
    rows = {row["op"]: row for row in fastgen.doctor() if row["device"] == "GPU"}
    assert rows["jit.ready"]["path"] == FUSED
    for op, path in (("jit.diagnosed", "on the CPU"), ("jit.referred", COMPOSITE)):
        assert rows[op]["path"] == path
        assert rows[op]["why"] == "not compiled for the GPU: pip install it"


def kernels_by_device():
    """README's table: kernel → the devices of its five columns."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("kernels by device")[1]
    for line in text.split("\n\n")[0].splitlines()[3:]:
        names, *columns = line.strip("|").split("|")
        for name in re.findall(r"`([\w@.]+)`", names):
            yield name, [tuple(re.findall(r"\w+", column)) for column in columns]


def test_the_readme_names_the_devices_of_every_kernel():
    table = dict(kernels_by_device())
    for kind in (jit.Elementwise, jit.ArrayKernel, jit.Reduction):
        assert table.pop(f"@jit.{kind.decorator}") == [(), kind.devices, (), (), ()]
    assert table.keys() == dispatch.KERNELS.keys()
    by_numba = (ROOT / "fastgen/jit/cuda/__init__.py").read_text(encoding="utf-8")
    for name, (in_c, tensorflow, core, by_nvrtc, numba) in table.items():
        header = (ROOT / f"csrc/kernels/{name}.h").read_text(encoding="utf-8")
        assert in_c == (("CPU", "GPU") if f" fg_cuda_{name}(" in header else ("CPU",)), name
        binding = (ROOT / f"csrc/python/{name}.cc").read_text(encoding="utf-8")
        assert tensorflow == dispatch.KERNELS[name].devices, name
        assert core == (("CPU", "GPU") if f"FASTGEN_BOTH({name})" in binding else ("CPU",)), name
        assert by_nvrtc == (("GPU",) if name in nvrtc.LAUNCHERS else ()), name
        assert numba == (("GPU",) if f'"{name}"' in by_numba else ()), name


def test_gpus_of_this_machine():
    """Whatever there is, CUDA's answer is read as it is written."""
    for gpu in native.gpus():
        assert gpu.keys() == H200.keys() and gpu["multiprocessors"] > 0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_model(jit_compile, capsys):
    model = small_vae()
    model.compile("nadam", "mse", jit_compile=jit_compile)
    rows = fastgen.doctor(model)
    (latent,) = (row for row in rows if row["part"] == "latent")
    expected = (CUSTOM_CALL, "kernel, called by XLA") if jit_compile else (FUSED, "kernel")
    assert latent["path"] == expected[0] and latent["why"].startswith(expected[1])
    assert latent["op"] == "gaussian_sample_kl" and latent["dtype"] == "float32"
    parts = {row["part"]: row for row in rows if row["part"] != "latent"}
    assert {"loss", "optimizer"} < set(parts) and parts["optimizer"]["type"] == "Nadam"
    assert {row["path"] for row in parts.values()} == {"keras"}
    assert "latent" in capsys.readouterr().out


def test_layers_are_in_the_order_of_data():
    model = fastgen.models.stacked_autoencoder((4,), 2, hidden=(3,), seed=1)
    encoder, decoder = ([layer.name for layer in part.layers] for part in model.layers[1:])
    parts = [row["part"] for row in fastgen.doctor(model) if row["path"] == "keras"]
    assert [part for part in parts if part in encoder] == encoder
    assert [part for part in parts if part in decoder] == decoder
    assert parts.index(encoder[-1]) < parts.index("decoder")


def test_activity_regularizers():
    ours = fastgen.regularizers.KLSparsity(0.1, 0.1)
    hidden = [dense(2, activity_regularizer=how, name=str(i)) for i, how in enumerate((ours, "l2"))]
    rows = {
        row["part"]: row for row in fastgen.doctor(keras.Sequential([keras.Input((2,)), *hidden]))
    }
    assert [rows["0/activity"][key] for key in ("type", "op", "path")] == [
        "KLSparsity",
        "sparsity",
        FUSED,
    ]
    assert [rows["1/activity"][key] for key in ("type", "path")] == ["L2", "keras"]


@pytest.mark.parametrize("activation", ["selu", "gelu", "sigmoid", lambda x: x])
def test_activations_that_are_not_the_kernels(activation, fused):
    encoder = layers.FusedDense(2, activation)
    model = keras.Sequential(
        [keras.Input((3,)), encoder, layers.DenseTranspose(encoder, activation)]
    )
    for row in fastgen.doctor(model)[-2:]:
        name = getattr(activation, "__name__", activation)
        expected = "kernel" if name == "selu" else f"kernel; {name} by stock ops"
        assert (row["path"], row["why"]) == (FUSED, expected)


def ends():
    """Ends of models: arguments of the loss, layers."""
    half = keras.layers.Dense(2, "sigmoid", dtype="mixed_float16")
    return {
        "sigmoid": ({}, [dense(2, "sigmoid")]),
        "ours": ({}, [layers.FusedDense(2, "sigmoid")]),
        "nested": ({}, [keras.Sequential([dense(2), keras.layers.Activation("sigmoid")])]),
        "function": ({}, [dense(2), keras.layers.Lambda(tf.sigmoid)]),
        "logits": ({"from_logits": True}, [dense(2), keras.layers.Reshape((1, 2))]),
        "reshape": ({}, [dense(2, "sigmoid"), keras.layers.Reshape((1, 2))]),
        "linear": ({}, [dense(2)]),
        "cast": ({}, [half]),
    }


@pytest.mark.parametrize("end", ends())
def test_the_loss_takes_the_path_it_names(end):
    """In a graph, as in fit."""
    arguments, parts = ends()[end]
    model = keras.Sequential([keras.Input((3,)), *parts])
    model.compile("sgd", BinaryCrossentropy(**arguments))
    row = next(row for row in fastgen.doctor(model) if row["part"] == "loss")
    x = tf.ones([4, 3])
    step = tf.function(lambda: model.loss(tf.ones_like(model(x)), model(x)), autograph=False)
    before = fastgen.stats().get("sigmoid_cross_entropy", {}).get(FUSED, 0)
    step()
    took_the_op = fastgen.stats().get("sigmoid_cross_entropy", {}).get(FUSED, 0) > before
    assert (row["path"] == FUSED) == took_the_op
    assert took_the_op or row["why"] == "clipped as in Keras: y_pred is not from a sigmoid"


@pytest.mark.parametrize("how", ["names", "list", "one"])
def test_losses_of_several_outputs(how):
    inputs = keras.Input((3,))
    outputs = [dense(2, "sigmoid", name="a")(inputs), dense(2, name="b")(inputs)]
    model, each = keras.Model(inputs, outputs), [BinaryCrossentropy(), BinaryCrossentropy()]
    losses = {"names": dict(zip("ba", each, strict=True)), "list": each, "one": each[0]}[how]
    model.compile("sgd", losses)
    paths = [row["path"] for row in fastgen.doctor(model) if row["part"] == "loss"]
    expected = {"names": [FUSED, COMPOSITE], "list": [FUSED, COMPOSITE], "one": [COMPOSITE]}[how]
    assert paths == expected


def test_losses_of_a_model_that_has_no_inputs():
    class Own(keras.Model):
        def call(self, inputs):
            return tf.sigmoid(inputs)

    for loss, why in (
        (BinaryCrossentropy(), "unless y_pred is from a sigmoid"),
        (BinaryCrossentropy(from_logits=True), "kernel"),
    ):
        model = Own()
        model.compile("sgd", loss)
        (row,) = (row for row in fastgen.doctor(model) if row["part"] == "loss")
        assert row["why"] == why


def test_it_changes_nothing(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    sparse = layers.Sparsity(0.5, 0.1)
    parts = [layers.Corruption("dropout", 0.5, seed=1), dense(2, "sigmoid"), sparse]
    model = keras.Sequential([keras.Input((3,)), *parts])
    model.compile("sgd", BinaryCrossentropy())
    model(np.ones((4, 3)), training=True)
    state = [v.numpy() for v in (*model.variables, *sparse.activity_tracker.variables)]
    losses, counts = model.losses, fastgen.stats()
    fastgen.doctor(model)
    assert fastgen.stats() == counts
    assert all(now is before for now, before in zip(model.losses, losses, strict=True))
    for now, before in zip(
        (*model.variables, *sparse.activity_tracker.variables), state, strict=True
    ):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_breaks_no_word(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    model = small_vae()
    model.compile(fastgen.optimizers.Nadam(), BinaryCrossentropy())
    for make in (
        fastgen.doctor,
        lambda: fastgen.doctor(model),
        lambda: fastgen.convert(model).conversion,
    ):
        rows = make()
        title, *printed = capsys.readouterr().out.splitlines()
        assert max(map(len, printed)) <= width
        shown = set(" ".join([title, *printed]).replace("│", " ").replace(":", "").split())
        texts = [text for row in rows for text in row.values()]
        words = {word for text in texts for word in text.replace(":", "").split()}
        assert words - shown <= {"stock", "kernel"}
        assert ("CPU" in title) == ("device" in rows[0])


def test_a_dtype_is_named_once(capsys):
    layer = [keras.layers.ReLU(name="same"), keras.layers.ReLU(name="same")]
    fastgen.diagnosis.print_table(
        "title", [{"part": x.name, "dtype": d} for x in layer for d in ("float32", "float64")]
    )
    assert capsys.readouterr().out.count("float32") == 1
