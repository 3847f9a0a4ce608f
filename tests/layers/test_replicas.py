"""The layers under MirroredStrategy, on two virtual CPUs in a process of their own."""

SETUP = """
import numpy as np, keras, tensorflow as tf, fastgen
from tests.tolerances import LOGGED, SIGMAS, assert_close
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
keras.utils.set_random_seed(1)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
zeros = [tf.zeros([1000, 2])] * 2
"""

DRAWS = """
with strategy.scope():
    layers = [fastgen.layers.Sampling(seed=3), fastgen.layers.GaussianLatent(seed=3)]
    for layer in layers:
        layer.build([(None, 2), (None, 2)])

for layer in layers:
    @tf.function
    def run():
        def inside_xla():
            return tf.function(lambda: layer(zeros), jit_compile=True)()
        return strategy.run(lambda: layer(zeros)), strategy.run(inside_xla)

    values = map(strategy.experimental_local_results, run() + run())
    draws = [x.numpy().ravel() for each in values for x in each]
    assert np.max(np.abs(np.corrcoef(draws) - np.eye(8))) < SIGMAS / np.sqrt(2000)
    for replica in (0, 1):
        expected = fastgen.ops.gaussian_sample(*zeros, (3 + (replica << 32), 0)).numpy().ravel()
        np.testing.assert_array_equal(draws[replica], expected)

for kind, stock in (("gaussian", keras.layers.GaussianNoise), ("dropout", keras.layers.Dropout)):
    with strategy.scope():
        layer = fastgen.layers.Corruption(kind, 0.5, seed=3)
    run = tf.function(lambda: strategy.run(lambda: layer(1 + zeros[0], training=True)))
    draws = [x.numpy().ravel() for x in strategy.experimental_local_results(run())]
    assert abs(np.corrcoef(draws)[0, 1]) < SIGMAS / np.sqrt(2000)
    assert np.std(draws) > 0.1 and layer.seed_generator.state.numpy().tolist() == [3, 1]
    expected = stock(0.5, seed=3)(1 + zeros[0], training=True)  # of the first replica
    assert_close(draws[0], tf.reshape(expected, [-1]), "float32")
"""

TRAINING = """
with strategy.scope():
    inputs = keras.Input([4])
    dense = keras.layers.Dense
    mean, log_var = dense(2)(inputs), dense(2)(inputs)
    latent = fastgen.layers.GaussianLatent(kl_weight=0.5, seed=3)
    model = keras.Model(inputs, dense(4)(latent([mean, log_var])))
    model.compile(keras.optimizers.Nadam(0.05), loss=lambda y, z: 0 * keras.ops.mean(z, -1))
parameters = keras.Model(inputs, [mean, log_var])

# Batches of 16, 8 for each replica, and one of 6; unlike images, so that every batch counts.
x = np.random.default_rng(0).normal(size=(70, 4)).astype("float32") * np.linspace(0, 2, 70)[:, None]
kl = fastgen.ops.gaussian_kl(*parameters(x)).numpy()
logs = model.evaluate(x, x, batch_size=16, verbose=0, return_dict=True)
np.testing.assert_allclose(logs["kl"], kl.mean(), rtol=LOGGED)
np.testing.assert_allclose(logs["loss"], kl.mean() / 2, rtol=LOGGED)

history = model.fit(x, x, epochs=3, batch_size=16, verbose=0).history
assert history["loss"][-1] < history["loss"][0] and len(history["kl"]) == 3, history
assert model.predict(x, verbose=0).shape == x.shape
"""

SPARSITY = """
with strategy.scope():
    model = keras.Sequential([keras.Input([3]), fastgen.layers.Sparsity(0.5, 0.1, "mse")])
    model.compile(loss=lambda y, z: 0 * keras.ops.mean(z, -1))
x = np.random.default_rng(0).random((48, 3)).astype("float32")
logs = model.evaluate(x, x, batch_size=16, verbose=0, return_dict=True)
np.testing.assert_allclose(logs["activity"], x.mean(), rtol=LOGGED)
# Each replica has the penalty of its own 8 rows.
penalties = [fastgen.ops.sparsity(rows, 0.1, "mse") for rows in x.reshape(6, 8, 3)]
np.testing.assert_allclose(logs["loss"], np.mean(penalties) / 2, rtol=LOGGED)
"""


def test_replicas_draw_apart_and_kl_is_that_of_the_whole_batch(run_python):
    run_python(SETUP + TRAINING + SPARSITY + DRAWS)
