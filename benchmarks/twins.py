"""The autoencoder family of stock Keras layers, as the book has it; each function gives layers."""

import keras
from keras import layers, ops

IMAGE, PIXELS = (28, 28), 784


@keras.saving.register_keras_serializable(package="book")
class DenseTranspose(layers.Layer):
    """The book's tied layer."""

    def __init__(self, dense, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.activation = dense, keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.biases = self.add_weight(shape=self.dense.kernel.shape[:1], initializer="zeros")
        super().build(batch_input_shape)

    def call(self, inputs):
        z = ops.matmul(inputs, ops.transpose(self.dense.kernel))
        return self.activation(z + self.biases)


class Noise(layers.Layer):
    """`keras.layers.GaussianNoise`, which takes no deviation above 1."""

    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.stddev, self.seed_generator = stddev, keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        if not training:
            return inputs
        noise = keras.random.normal(ops.shape(inputs), seed=self.seed_generator)
        return inputs + self.stddev * noise


class KLDivergenceRegularizer(keras.regularizers.Regularizer):
    """The book's; times the batch size, by which Keras divides it from 3.14 on."""

    def __init__(self, weight, target):
        self.weight, self.target = weight, target

    def __call__(self, inputs):
        p, q = self.target, ops.mean(inputs, axis=0)
        kl = p * ops.log(p / q) + (1 - p) * ops.log((1 - p) / (1 - q))
        return self.weight * ops.sum(kl) * ops.cast(ops.shape(inputs)[0], "float32")


class MSERegularizer(KLDivergenceRegularizer):
    """The same of squared distances."""

    def __call__(self, inputs):
        distances = ops.square(ops.mean(inputs, axis=0) - self.target)
        return self.weight * ops.sum(distances) * ops.cast(ops.shape(inputs)[0], "float32")


def linear():
    return [layers.Dense(2), layers.Dense(3)]


def relu(*units):
    return [layers.Dense(n, "relu") for n in units]


def image(activation=None):
    return [layers.Dense(PIXELS, activation), layers.Reshape(IMAGE)]


def stacked(*corruption):
    return [layers.Flatten(), *corruption, *relu(100, 30, 100), *image()]


def tied():
    outer, inner = relu(100, 30)
    up = [DenseTranspose(inner, "relu"), DenseTranspose(outer), layers.Reshape(IMAGE)]
    return [layers.Flatten(), outer, inner, *up]


def sparse(regularizer):
    codings = layers.Dense(300, "sigmoid", activity_regularizer=regularizer)
    return [layers.Flatten(), *relu(100), codings, *relu(100), *image()]


def overcomplete():
    return [layers.Flatten(), *relu(2 * PIXELS), *image()]


def hashing():
    down = [layers.Dense(100, "selu"), Noise(15.0), layers.Dense(16, "sigmoid")]
    return [layers.Flatten(), *down, layers.Dense(100, "selu"), *image("sigmoid")]


def convolutional():
    same = {"padding": "same", "activation": "relu"}
    down = [layers.Reshape((*IMAGE, 1))]
    for filters in (16, 32, 64):
        down += [layers.Conv2D(filters, 3, **same), layers.MaxPool2D()]
    down += [layers.Conv2D(30, 3, **same), layers.GlobalAvgPool2D()]
    up = [layers.Dense(3 * 3 * 16), layers.Reshape((3, 3, 16))]
    up += [layers.Conv2DTranspose(32, 3, strides=2, activation="relu")]
    up += [layers.Conv2DTranspose(16, 3, strides=2, **same)]
    up += [layers.Conv2DTranspose(1, 3, strides=2, padding="same"), layers.Reshape(IMAGE)]
    return [*down, *up]


def recurrent():
    down = [layers.LSTM(100, return_sequences=True), layers.LSTM(30)]
    up = [layers.RepeatVector(28), layers.LSTM(100, return_sequences=True), layers.Dense(28)]
    return [*down, *up]
