"""What `fastgen.profile` says of a program, and how it ends."""

import json
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, ops
from fastgen.profiling import session
from fastgen.profiling.table import reasons

MEAN = np.random.default_rng(0).standard_normal((700, 33)).astype("float32")


def sample_kl(seed=(1, 2)):
    return ops.gaussian_sample_kl(MEAN, MEAN, seed)


def ours(profile):
    return {(r["op"], r["path"]): r["launches"] for r in profile.rows if r["path"] != "stock"}


def test_calls_outside_a_graph(record, row):
    start = time.perf_counter()
    p = record(lambda: [sample_kl() for _ in range(3)])
    wall = time.perf_counter() - start
    found = row(p, "gaussian_sample_kl")
    assert (found["launches"], found["steps"], found["shape"]) == (3, 3, "700×33")
    assert (found["device"], found["dtype"], found["flops"]) == ("CPU", "float32", 0)
    assert 0 < found["seconds"] <= found["total"] < p.seconds < wall
    assert found["bytes"] == 12 * MEAN.size + 4 * len(MEAN) + 16  # z's rows of kl, and the seed
    assert found["bandwidth"] == found["bytes"] / found["seconds"]


def test_what_was_traced_before(record, row):
    """Of a loop in a graph each iteration counts, and gradients have a row of their own."""

    @tf.function
    def steps(mean, n):
        for _ in tf.range(n):
            with tf.GradientTape() as tape:
                tape.watch(mean)
                loss = tf.reduce_sum(ops.gaussian_kl(mean, mean))
            mean = tape.gradient(loss, mean) + 0.0 * loss  # else a graph leaves it out
        return mean

    mean = tf.constant(MEAN)
    steps(mean, tf.constant(1))
    p = record(lambda: steps(mean, tf.constant(5)))
    assert ours(p) == {("gaussian_kl", "fused"): 5, ("gaussian_kl_grad", "fused"): 5}
    assert row(p, "gaussian_kl_grad")["shape"] == "700×33"
    assert any(r["op"] == "AddV2" and r["path"] == "stock" for r in p.rows)


def test_composites_in_a_graph_and_outside(record):
    @tf.function
    def graph(mean):
        with tf.GradientTape() as tape:
            tape.watch(mean)
            z, kl = ops.gaussian_sample_kl(mean, mean, (1, 2))
            loss = tf.reduce_sum(z**2) + tf.reduce_sum(kl)
        return tape.gradient(loss, mean)

    mean = tf.constant(MEAN)
    with fastgen.portable():
        graph(mean)
        p = record(lambda: [graph(mean), graph(mean), sample_kl()])
    found = ours(p)
    assert found.pop(("gaussian_sample_kl_grad", "composite")) == 2
    assert found == {("gaussian_sample_kl", "composite"): 3}
    stock = {r["op"] for r in p.rows if r["path"] == "stock"}
    assert not stock & {"Exp", "Square", "EagerLocalExecute"}  # they are in the composites


def test_keras_layers_of_the_names_of_ops_are_stock(record):
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(4, name="dense")])
    model.compile("sgd", "mse", jit_compile=False)
    x = np.ones((8, 9), "float32")
    p = record(lambda: model.fit(x, x[:, :4], verbose=0))
    assert ours(p) == {}
    assert any("MatMul" in r["op"] for r in p.rows)


@pytest.mark.parametrize("epochs", [1, 2])
def test_steps_of_fit(record, images, epochs, row):
    """96 images are 9 steps of 10 and one of 6, several in a launch."""
    vae = fastgen.models.variational_autoencoder((6, 5), 3, hidden=(8,), seed=0)
    vae.compile("nadam")
    vae.fit(images, batch_size=10, verbose=0)
    p = record(lambda: vae.fit(images, batch_size=10, epochs=epochs, verbose=0))
    found = [r for r in p.rows if r["op"] == "autoencoder_step"]
    assert sum(r["steps"] for r in found) == 10 * epochs
    assert {r["shape"] for r in found} == {
        "30-8-3-3-8-30, batch 10",
        "30-8-3-3-8-30, batch 6",
    }
    assert all(r["launches"] < r["steps"] for r in found if "10" in r["shape"][-2:])


def test_steps_of_a_gan(record, images, row):
    gan = fastgen.models.dense_gan(4, (6, 5), hidden=(7, 8))
    gan.compile("rmsprop", "adam")
    p = record(lambda: gan.fit(images[:80], batch_size=16, verbose=0))
    found = row(p, "gan_step")
    assert found["steps"] == 5 and found["shape"] == "4-7-8-30 and 30-8-7-1, batch 16"


def test_names_in_the_trace(tmp_path, images):
    """As TensorBoard shows them."""
    from fastgen.profiling.trace import load

    x = tf.constant(MEAN)
    graph = tf.function(lambda x: ops.gaussian_kl(x, x), autograph=False)
    gan = fastgen.models.dense_gan(4, (6, 5))
    gan.compile("rmsprop", "rmsprop")
    with fastgen.profile(stock=False, quiet=True, trace=tmp_path):
        graph(x)
        gan.fit(images, verbose=0)
        optimizer = fastgen.optimizers.SGD()
        optimizer.apply([x], [tf.Variable(x)])
    planes = load(tmp_path).planes
    names = {meta.name for plane in planes for meta in plane.event_metadata.values()}
    assert {"fastgen.gaussian_kl", "fastgen.gan_step", "fastgen.optimizer_update"} <= names
    assert {"gaussian_kl:FastgenGaussianKl", "gan_step:FastgenGanStep"} <= names


def wait_for_the_end_of(recording):
    end = time.monotonic() + 60
    while not recording._written and time.monotonic() < end:
        time.sleep(0.01)


def test_the_limit():
    sample_kl()
    with fastgen.profile(stock=False, quiet=True, seconds=0.5) as p:
        sample_kl()
        wait_for_the_end_of(p)
        seconds = p.seconds
        sample_kl()
    assert 0.5 <= seconds == p.seconds
    assert ours(p) == {("gaussian_sample_kl", "fused"): 1}
    assert p.notes == ["the first 0.5 seconds were recorded; seconds= sets how many"]


def test_the_limit_of_memory(monkeypatch):
    monkeypatch.setattr(session, "GROWTH", 2**26)
    monkeypatch.setattr(session, "LOOK", 0.01)
    with fastgen.profile(stock=False, quiet=True) as p:
        sample_kl()
        kept = np.ones(2**27, "uint8")
        wait_for_the_end_of(p)
        sample_kl()
    assert kept.all() and ours(p) == {("gaussian_sample_kl", "fused"): 1}
    assert p.notes == ["what ran was recorded until the process had grown by 0.0625 GiB"]


def test_a_folder_that_cannot_be_written(tmp_path, capsys, record):
    (tmp_path / "file").write_text("")
    with fastgen.profile(trace=tmp_path / "file/inside") as p:
        sample_kl()
    assert p.rows == [] and p.notes[0].startswith("the trace could not be written")
    assert p.notes[0] in capsys.readouterr().out
    assert ours(record(sample_kl))


def test_nothing_ran(capsys):
    with fastgen.profile() as p:
        pass
    assert p.rows == [] and p.ceilings is None
    assert "no op ran" in capsys.readouterr().out
    with pytest.raises(ValueError, match="rows must be those of a profile in which an op ran"):
        p.plot()


def test_an_error_passes_and_what_was_seen_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(session.stock, "compare", lambda call: pytest.fail("compared"))
    with pytest.raises(KeyboardInterrupt), fastgen.profile() as p:
        sample_kl()
        raise KeyboardInterrupt
    assert ours(p) == {("gaussian_sample_kl", "fused"): 1}
    assert "gaussian_sample_kl" in capsys.readouterr().out
    assert ours(p) and p.rows[0]["why"] == ""


def test_profiles_follow_one_another_and_do_not_nest(record):
    assert ours(record(sample_kl)) == {("gaussian_sample_kl", "fused"): 1}
    with fastgen.profile(stock=False, quiet=True) as outer:
        with pytest.raises(RuntimeError, match="profiles do not nest"), fastgen.profile():
            pytest.fail("entered")
        ops.gaussian_kl(MEAN, MEAN)
    assert ours(outer) == {("gaussian_kl", "fused"): 1}
    with pytest.raises(RuntimeError, match="of one use"), outer:
        pytest.fail("entered")


def test_beside_tensorflows_own(tmp_path, record):
    tf.profiler.experimental.start(str(tmp_path))
    try:
        with pytest.raises(RuntimeError, match="profiler is running already"), fastgen.profile():
            pytest.fail("entered")
    finally:
        tf.profiler.experimental.stop(save=False)
    assert ours(record(sample_kl))

    record(sample_kl, trace=tmp_path)
    with fastgen.profile(quiet=True, trace=tmp_path) as p:  # where there is one of before
        sample_kl()
        tf.profiler.experimental.stop(save=False)
    assert p.rows == [] and p.notes == [
        "TensorFlow's profiler was stopped inside: what it saw is lost"
    ]
    assert ours(record(sample_kl))


def test_from_threads(record):
    def run():
        threads = [threading.Thread(target=sample_kl) for _ in range(4)]
        [t.start() for t in threads], [t.join() for t in threads]

    assert ours(record(run)) == {("gaussian_sample_kl", "fused"): 4}


def test_peak_of_tensors(record):
    shape = (2048, 4096)  # 32 MB; the CPU counts where oneDNN is on

    def run():
        x = tf.zeros(shape) + 1
        del x

    memory = record(run).memory
    assert memory["process"] > 2**25
    if "CPU:0" in memory:  # beside what lived before
        beside = record(sample_kl).memory["CPU:0"]
        assert 2**25 <= memory["CPU:0"] < beside + 2**27
        assert memory["CPU:0"] - beside > 2**24


def test_saved(record, tmp_path):
    p = record(sample_kl)
    p.save(tmp_path / "p.json")
    found = json.loads((tmp_path / "p.json").read_text())
    assert found["rows"] == p.rows and found["seconds"] == p.seconds
    assert found["ceilings"]["bandwidth"] == p.ceilings.bandwidth


def test_share_of_the_roofline(record, row):
    p = record(sample_kl)
    found, ceilings = row(p, "gaussian_sample_kl"), p.ceilings
    assert 1e9 < ceilings.bandwidth < 1e13 and 1e9 < ceilings.flops < 1e15
    assert found["bound"] == "memory"
    assert found["share"] == pytest.approx(found["bandwidth"] / ceilings.bandwidth)


def test_comparison_with_stock(row, capsys):
    counted = dispatch.stats()
    with fastgen.profile(quiet=True) as p:
        sample_kl()
    found = row(p, "gaussian_sample_kl")
    assert found["stock"] > 1 and found["why"] == ""
    assert capsys.readouterr().out == ""
    p.table()
    assert f"{found['stock']:.1f}×" in capsys.readouterr().out
    # The runs of the comparison are not the user's.
    now = dispatch.stats()["gaussian_sample_kl"]
    assert now["fused"] == counted.get("gaussian_sample_kl", {}).get("fused", 0) + 1
    assert now.get("composite") == counted.get("gaussian_sample_kl", {}).get("composite")


def test_ops_of_little_time_are_not_timed_again(row, monkeypatch):
    compared = []
    asked = session.stock.compare
    monkeypatch.setattr(session.stock, "compare", lambda c: compared.append(c.op) or asked(c))
    x = tf.zeros((4096, 1024))
    with fastgen.profile(quiet=True) as p:
        ops.gaussian_kl(MEAN[:1, :2], MEAN[:1, :2])
        [ops.gaussian_noise(x, 0.5, (1, 2)) for _ in range(3)]
    assert compared == ["gaussian_noise"]
    assert row(p, "gaussian_kl")["why"] == "below 2% of the time of all, not timed again"


def test_table_of_stock_ops_alone(record, capsys):
    """Columns in which nothing stands are left out, and what a profile cannot see is said."""
    record(lambda: tf.square(tf.zeros([3]))).table()
    output = capsys.readouterr().out
    assert "Square" in output and "total" in output
    assert "roofline" not in output and "shape" not in output
    assert "XLA" in output
    record(sample_kl).table()
    output = capsys.readouterr().out
    assert "roofline" in output and "XLA" not in output


def test_reasons_are_said_once():
    rows = [{"op": "a", "shape": shape, "why": "slow"} for shape in ("2×3", "4×5", "2×3")]
    rows += [{"op": "b", "shape": "", "why": "odd"}, {"op": "c", "shape": "1", "why": ""}]
    assert reasons(rows) == ["– odd: b", "– slow: a 2×3, a 4×5"]


def test_nothing_is_in_the_way_where_no_profile_is_open():
    from fastgen import native

    raw = native.load_ops().fastgen_gaussian_kl
    assert dispatch.fused_op("gaussian_kl", tf.float32) is raw


@pytest.mark.parametrize("seconds", [0, -1, "long", True, float("nan")])
def test_seconds_that_are_none(seconds):
    with pytest.raises(ValueError, match=r"profile: seconds must be a number above 0\. Received"):
        fastgen.profile(seconds=seconds)


def test_without_tensorflow(run_python):
    output = run_python(
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'tensorflow' else find(n, *a)\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "import fastgen\n"
        "try:\n    fastgen.profile()\n"
        "except ImportError as error:\n    print(error)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    assert output.startswith("fastgen.profile needs TensorFlow")
