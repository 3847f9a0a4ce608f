"""The ops inside tf.function, XLA, vectorised loops and SavedModels."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from tests.ops.cases import (
    OPS,
    array,
    draw,
    each_op,
    gradients,
    second_gradients,
    weighted_sum,
    wide,
)
from tests.ops.gaussian import (
    GAUSSIAN,
    SEED,
    call,
    call_exact,
    each_gaussian,
    parameters,
    with_seed,
)
from tests.tolerances import SIGMAS, assert_close


def op_types(function, *specs):
    """Types of all ops in the graph of a tf.function and in the functions that it calls."""
    graph = function.get_concrete_function(*specs).graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {node.op for node in nodes}


@each_gaussian
@pytest.mark.parametrize("shape", [[None, 10], [None, None, 10], [7, None], None], ids=str)
def test_unknown_shapes(path, name, shape):
    spec = tf.TensorSpec(shape, tf.float32)
    function = tf.function(functools.partial(call, name), input_signature=[spec, spec])
    outputs = function.get_concrete_function().outputs
    expected = tf.TensorShape(shape)
    for out in outputs:
        kl = name == "gaussian_kl" or (len(outputs) == 2 and out is outputs[1])
        wanted = expected[:-1] if kl and expected.rank is not None else expected
        assert out.shape.as_list() == wanted.as_list() if wanted.rank else out.shape.rank is None
    ranks = [2] if shape is not None and len(shape) == 2 else [3]
    for rank in ranks if shape else [1, 2, 3]:
        mean, log_var = parameters([7, 2, 10][-rank:] if rank != 2 else [7, 10], tf.float32)
        for one, other in zip(function(mean, log_var), call(name, mean, log_var), strict=True):
            assert_close(one, other, tf.float32, 10)


@each_gaussian
def test_shapes_that_differ_when_they_are_known(path, name):
    spec = tf.TensorSpec(None, tf.float32)
    function = tf.function(functools.partial(call, name), input_signature=[spec, spec])
    for shapes in [([4, 3], [1, 3]), ([4, 3], [3]), ([2, 6], [3, 4])]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same shape"):
            function(*map(tf.zeros, shapes))


def compiled(function, inputs):
    """What XLA makes of a function of tensors, none of it ours."""
    run = tf.function(lambda *x: (function(*x), gradients(function, *x)), jit_compile=True)
    assert not any("Fastgen" in op for op in op_types(run, *inputs))
    return run(*inputs)


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if not op.random])
def test_xla(stock_xla, name):
    op = OPS[name]
    inputs = op.make((33, 10), tf.float32)
    outputs, grads = compiled(op.run, inputs)
    for one, other in zip(outputs, op.run(*inputs), strict=True):
        assert_close(one, other, tf.float32, 33)
    for one, other in zip(grads, gradients(op.run, *inputs), strict=True):
        assert_close(one, other, tf.float32, 33)


@with_seed
def test_xla_draws_noise_of_its_own(stock_xla, name):
    mean, log_var = parameters((33, 10), tf.float32)
    outputs, grads = compiled(functools.partial(call, name), (mean, log_var))
    # Recovered from z; the rest must follow from it.
    noise = (array(outputs[0]) - array(mean)) / np.exp(array(log_var) / 2)
    assert abs(noise.mean()) < SIGMAS / np.sqrt(330)
    assert abs(noise.std() - 1) < SIGMAS / np.sqrt(660)
    exact = functools.partial(call_exact, name, noise=noise)
    for one, other in zip(grads, gradients(exact, *wide((mean, log_var))), strict=True):
        assert_close(one, other, tf.float32)


def test_xla_tells_replicas_apart(stock_xla):
    # XLA reads the low half of each seed word only.
    zeros = tf.zeros([1000])
    run = tf.function(fastgen.ops.gaussian_sample, jit_compile=True)
    draws = [
        run(zeros, zeros, tf.constant(seed, tf.int64)).numpy()
        for seed in [(5, 9), (5 + (1 << 32), 9), (5 + (2 << 32), 9)]
    ]
    assert np.max(np.abs(np.corrcoef(draws) - np.eye(3))) < SIGMAS / np.sqrt(1000)
    for seed in [(5, 9), (-5, 9)]:
        seeds = tf.constant(seed, tf.int32), tf.constant(seed, tf.int64)
        np.testing.assert_array_equal(*(run(zeros, zeros, seed) for seed in seeds))


def test_inside_control_flow(path):
    mean, log_var = parameters((7, 10), tf.float32)

    @tf.function
    def run(mean, log_var, n):
        total = tf.zeros_like(mean)
        for i in tf.range(n):
            if i % 2 == 0:
                total += fastgen.ops.gaussian_sample(mean, log_var, tf.stack([i, 0]))
        return [total]

    def unrolled(mean, log_var):
        seeds = [tf.constant([i, 0]) for i in (0, 2, 4)]
        return [sum(fastgen.ops.gaussian_sample(mean, log_var, seed) for seed in seeds)]

    looped = functools.partial(run, n=tf.constant(5))
    assert_close(looped(mean, log_var)[0], unrolled(mean, log_var)[0], tf.float32)
    actual, expected = gradients(looped, mean, log_var), gradients(unrolled, mean, log_var)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, tf.float32, 3)


@functools.partial(tf.function, autograph=False)
def jacobians(function, inputs, use_pfor=True):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = [tf.identity(out) for out in function(*inputs)]
    return [
        tape.jacobian(out, x, experimental_use_pfor=use_pfor, unconnected_gradients="zero")
        for out in outputs
        for x in inputs
    ]


@functools.cache
def exact_jacobians(name):
    """In float64, of the inputs that `make` gives."""
    op = OPS[name]
    return jacobians(op.exact(tf.float64), op.make(op.small, tf.float64))


@each_op
@pytest.mark.parametrize(
    ("path", "use_pfor"),
    [("fused", True), ("fused", False), ("composite", True)],
    indirect=["path"],
)
def test_jacobian(path, name, use_pfor):
    op = OPS[name]
    actual = jacobians(op.run, op.make(op.small, tf.float64), use_pfor)
    for one, other in zip(actual, exact_jacobians(name), strict=True):
        assert_close(one, other, tf.float64)


@each_op
@pytest.mark.parametrize(
    ("path", "dtype", "stacked"),
    [
        *(("fused", tf.float64, stacked) for stacked in ("all", 0, 1)),
        ("fused", tf.float16, "all"),
        *(("composite", tf.float64, stacked) for stacked in ("all", 0)),
    ],
    ids=lambda value: getattr(value, "name", value),
    indirect=["path"],
)
def test_vectorized_map(path, name, dtype, stacked):
    op = OPS[name]
    draws = [tuple(x + i / 4 for x in op.make(op.small, dtype)) for i in range(3)]

    def both(i):
        inputs = [
            tf.gather(tf.stack(xs), i) if stacked in ("all", at) else xs[0]
            for at, xs in enumerate(zip(*draws, strict=True))
        ]
        return (*op.run(*inputs), *gradients(op.run, *inputs))

    actual = tf.vectorized_map(both, tf.range(3), fallback_to_while_loop=False)
    expected = [both(i) for i in range(3)]
    for out, rows in zip(actual, zip(*expected, strict=True), strict=True):
        assert_close(array(out), np.stack([array(row) for row in rows]), dtype)


@with_seed
def test_vectorized_map_over_seeds(path, name):
    mean, log_var = parameters((3, 4), tf.float32)
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]], tf.int64)
    outputs = tf.vectorized_map(lambda seed: call(name, mean, log_var, seed), seeds)
    for i in range(3):
        for out, right in zip(outputs, call(name, mean, log_var, seeds[i]), strict=True):
            assert_close(out[i], right, tf.float32)


class Module(tf.Module):
    """All ops and a gradient, as a user would save them."""

    @tf.function(input_signature=2 * [tf.TensorSpec([None, 10], tf.float32)])
    def run(self, mean, log_var):
        outputs = [out for name in GAUSSIAN for out in call(name, mean, log_var)]
        every = functools.partial(call, "gaussian_sample_kl")
        return outputs, gradients(every, mean, log_var)


def test_saved_model(path, tmp_path):
    module, (mean, log_var) = Module(), parameters((7, 10), tf.float32)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    with_fused_ops = b"Fastgen" in (tmp_path / "saved_model.pb").read_bytes()
    assert with_fused_ops == (path == "fused")
    expected, actual = module.run(mean, log_var), loaded.run(mean, log_var)
    for one, other in zip(tf.nest.flatten(expected), tf.nest.flatten(actual), strict=True):
        np.testing.assert_array_equal(one, other)
    # Its gradient, too, is there after loading.
    for one, other in zip(
        gradients(lambda *x: loaded.run(*x)[0], mean, log_var),
        gradients(lambda *x: module.run(*x)[0], mean, log_var),
        strict=True,
    ):
        assert_close(one, other, tf.float32)


def test_portable_saved_model_without_fastgen(tmp_path, run_python):
    module, (mean, log_var) = Module(), parameters((7, 10), tf.float32)
    with fastgen.portable():
        tf.saved_model.save(module, str(tmp_path / "portable"))
    outputs = [x.numpy() for x in tf.nest.flatten(module.run(mean, log_var))]
    np.savez(tmp_path / "arrays.npz", *outputs, mean=mean, log_var=log_var)
    run_python(f"""
import sys
sys.modules["fastgen"] = None
import numpy as np, tensorflow as tf
from tests.tolerances import assert_close
arrays = np.load({str(tmp_path / "arrays.npz")!r})
loaded = tf.saved_model.load({str(tmp_path / "portable")!r})
outputs = tf.nest.flatten(loaded.run(tf.constant(arrays["mean"]), tf.constant(arrays["log_var"])))
for i, out in enumerate(outputs):
    assert_close(out, arrays[f"arr_{{i}}"], "float32")
try:
    loaded.run(tf.zeros([4, 10]), tf.zeros([1, 10]))  # stock ops would broadcast
except tf.errors.InvalidArgumentError as error:
    assert "mean and log_var must have the same shape" in str(error)
else:
    raise AssertionError("batches that differ must be refused")
""")


def test_names_in_the_graph(fused):
    mean, log_var = parameters((7, 10), tf.float32)
    function = tf.function(lambda *x: weighted_sum(call("gaussian_sample_kl", *x)))
    names = [op.name for op in function.get_concrete_function(mean, log_var).graph.get_operations()]
    assert "gaussian_sample_kl" in names


@each_op
@pytest.mark.parametrize("tape", [True, False])
def test_gradients_run_on_the_device_of_their_op(fused, name, tape):
    op = OPS[name]

    def on_the_cpu(*inputs):
        with tf.device("/CPU:0"):
            return op.run(*inputs)

    @tf.function
    def run(*inputs):
        if tape:  # takes the second derivative, too
            return second_gradients(on_the_cpu, *inputs)
        return tf.gradients(weighted_sum(on_the_cpu(*inputs)), inputs)

    graph = run.get_concrete_function(*op.make((7, 10), tf.float32)).graph
    ops = [op for op in graph.get_operations() if op.type.startswith("Fastgen")]
    # The gradient of gaussian_noise is what arrives, that of dropout the op itself.
    assert any(op.type.endswith("Grad") or "gradient" in op.name for op in ops) or name in (
        "gaussian_noise",
        "dropout",
    )
    assert {op.device for op in ops} == {"/device:CPU:0"}


def test_seed_may_be_computed(path):
    mean, log_var = draw((3, 4), tf.float32, 1), draw((3, 4), tf.float32, 2)
    run = tf.function(lambda seed: fastgen.ops.gaussian_sample(mean, log_var, seed + 1))
    expected = fastgen.ops.gaussian_sample(mean, log_var, np.array(SEED) + 1)
    assert_close(run(tf.constant(SEED, tf.int64)), expected, tf.float32)


@with_seed
def test_gradient_inside_xla_of_a_sample_drawn_outside(stock_xla, name):
    """XLA's noise of the seed is another: the gradient must fit the sample it is given."""
    mean, log_var = parameters((33, 65), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((mean, log_var))
        outputs = call(name, mean, log_var)
        loss = tf.add_n([tf.reduce_sum(tf.square(out)) for out in outputs])
    expected = tape.gradient(loss, (mean, log_var))
    got = tf.function(lambda: tape.gradient(loss, (mean, log_var)), jit_compile=True)()
    for value, reference in zip(got, expected, strict=True):
        assert_close(value.numpy(), reference.numpy(), "float32", 1000)


@with_seed
def test_second_derivative_inside_xla_of_a_sample_drawn_outside(stock_xla, fused, name):
    mean, log_var = parameters((3, 4), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((mean, log_var))
        grads = gradients(functools.partial(call, name), mean, log_var)
    with pytest.raises(NotImplementedError, match=r"inside XLA.*Received"):
        tf.function(lambda: tape.gradient(grads[1], log_var), jit_compile=True)()
