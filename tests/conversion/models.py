"""Keras models as books and tutorials write them."""

import keras
import numpy as np
import tensorflow as tf

X = np.random.default_rng(0).random((12, 6))
dense = keras.layers.Dense


class Sampling(keras.layers.Layer):
    """The book's, without a config of its own."""

    def call(self, inputs):
        mean, log_var = inputs
        return tf.random.normal(tf.shape(log_var)) * tf.exp(log_var / 2) + mean


class DenseTranspose(keras.layers.Layer):
    """The book's."""

    def __init__(self, dense, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.biases = self.add_weight(
            name="bias", shape=(self.dense.kernel.shape[0],), initializer="zeros"
        )

    def call(self, inputs):
        z = tf.matmul(inputs, self.dense.weights[0], transpose_b=True)
        return self.activation(z + self.biases)


def sequential(units=6, activation="sigmoid"):
    layers = [dense(4, "selu"), keras.layers.Flatten(), dense(units, activation)]
    return keras.Sequential([keras.Input((6,)), *layers])


def branches():
    """A functional model with a shared layer, an op, and two outputs."""
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    shared = dense(5, "gelu", name="shared")
    x = keras.layers.Concatenate()([shared(inputs["a"]), shared(inputs["b"])])
    x = keras.ops.tanh(x) * 2
    outputs = {"c": dense(3, name="c")(x), "d": dense(1, "sigmoid", name="d")(x)}
    return keras.Model(inputs, outputs, name="branches")


def autoencoder():
    """A nested model: encoder, decoder, the whole."""
    encoder = keras.Sequential([dense(4, "relu"), dense(2)], name="encoder")
    codings = keras.Input((2,))
    x = dense(4, "relu", name="hidden")(codings)
    decoder = keras.Model(codings, dense(6, "sigmoid", name="out")(x), name="decoder")
    return keras.Sequential([keras.Input((6,)), encoder, decoder], name="autoencoder")


def tied(transpose=DenseTranspose):
    """The book's tied autoencoder."""
    dense_1, dense_2 = dense(4, "selu"), dense(2, "selu")
    encoder = keras.Sequential([dense_1, dense_2], name="encoder")
    layers = [transpose(dense_2, activation="selu"), transpose(dense_1, activation="sigmoid")]
    model = keras.Sequential([encoder, keras.Sequential(layers, name="decoder")])
    model(X)
    return model


def vae(sampling):
    inputs = keras.Input((6,))
    x = dense(5, "selu")(inputs)
    z = sampling([dense(2, name="mean")(x), dense(2, name="log_var")(x)])
    return keras.Model(inputs, dense(6, "sigmoid")(z))


def gan():
    """The book's: the discriminator is compiled, then frozen, and the whole is compiled."""
    generator = keras.Sequential([keras.Input((2,)), dense(6, "selu")], name="generator")
    layers = [keras.Input((6,)), dense(4, "selu"), dense(1, "sigmoid")]
    discriminator = keras.Sequential(layers, name="discriminator")
    model = keras.Sequential([generator, discriminator], name="gan")
    discriminator.compile("rmsprop", "binary_crossentropy")
    discriminator.trainable = False
    model.compile("rmsprop", "binary_crossentropy")
    return model
