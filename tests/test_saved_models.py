"""What was saved loads in a new process that has imported fastgen and named none of its modules."""

import keras
import pytest
import tensorflow as tf

import fastgen
from fastgen import models

TWO_DEVICES = (
    "import sys; assert 'fastgen.models' in sys.modules; "
    "cpu = tf.config.list_physical_devices('CPU')[0]; tf.config.set_logical_device_configuration("
    "cpu, 2 * [tf.config.LogicalDeviceConfiguration()])"
)


class Sample(tf.Module):
    @tf.function(input_signature=2 * [tf.TensorSpec([None, 3], tf.float32)])
    def run(self, mean, log_var):
        return fastgen.ops.gaussian_sample_kl(mean, log_var, (1, 2))


@pytest.fixture
def saved(tmp_path, fused):
    """A folder with a layer and a model as `.keras`, and a SavedModel of a fused op."""
    inputs = [keras.Input([3]), keras.Input([3])]
    keras.Model(inputs, fastgen.layers.GaussianLatent()(inputs)).save(tmp_path / "layer.keras")
    vae = models.variational_autoencoder((4, 4), codings=2, hidden=(5,), beta=models.Warmup(3))
    vae.save(tmp_path / "model.keras")
    tf.saved_model.save(Sample(), str(tmp_path / "ops"))
    assert b"FastgenGaussianSampleKl" in (tmp_path / "ops" / "saved_model.pb").read_bytes()
    return tmp_path


@pytest.mark.parametrize(
    "imports",
    [
        # Which leaves the devices to be set.
        f"import fastgen; import tensorflow as tf; {TWO_DEVICES}; import keras",
        pytest.param(
            "import tensorflow as tf; import keras; import fastgen", marks=pytest.mark.slow
        ),
        # The layers import Keras here, in the middle of which the models cannot be imported.
        "import fastgen.layers; import keras; import tensorflow as tf",
    ],
)
def test_both_formats_load_whatever_is_imported_first(saved, run_python, imports):
    run_python(f"""
{imports}
keras.saving.load_model({str(saved / "layer.keras")!r})
vae = keras.saving.load_model({str(saved / "model.keras")!r})
assert vae.generate(2, seed=1).shape == (2, 4, 4)
z, kl = tf.saved_model.load({str(saved / "ops")!r}).run(tf.ones([2, 3]), tf.zeros([2, 3]))
assert kl.numpy().tolist() == [1.5, 1.5]
""")


def test_what_cannot_be_imported_fails_where_it_is_touched(run_python):
    output = run_python("""
import sys
import fastgen
sys.modules["fastgen.dispatch"] = None
import keras
try:
    fastgen.layers
except ImportError as error:
    print(error)
""")
    assert "fastgen.dispatch" in output
