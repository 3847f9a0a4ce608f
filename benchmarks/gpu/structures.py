"""The structs of csrc/kernels that launchers take, for ctypes, and what fills them."""

import ctypes

from benchmarks.gpu.kernels import CODES

c_int, c_int64, c_double, c_void_p = ctypes.c_int, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
RMSPROP, ADAM = 1, 2
SELU, LINEAR, SIGMOID = 2, 0, 6  # csrc/core/activation.h


class Optimizer(ctypes.Structure):
    """fg_optimizer."""

    _fields_ = (
        *((name, c_int) for name in ("rule", "variation", "clip")),
        *((name, c_double) for name in ("learning_rate", "momentum", "rho", "epsilon")),
        *((name, c_double) for name in ("weight_decay", "clip_at", "loss_scale", "ema_momentum")),
        *((name, c_int64) for name in ("ema_overwrite_frequency", "accumulation_steps")),
        *(("iterations", c_int64), ("u_product", c_void_p), ("u_product_dtype", c_int)),
        *(("device_iterations", c_void_p), ("device_learning_rate", c_void_p)),
        ("device_learning_rate_dtype", c_int),
    )


class Tensor(ctypes.Structure):
    """fg_optimizer_tensor."""

    _fields_ = (
        *(("dtype", c_int), ("decays", c_int), ("size", c_int64)),
        *(("variable", c_void_p), ("gradient", c_void_p), ("slots", c_void_p * 3)),
        *(("average", c_void_p), ("accumulator", c_void_p)),
    )


class Layer(ctypes.Structure):
    """fg_mlp_layer."""

    _fields_ = (
        *(("inputs", c_int64), ("units", c_int64), ("activation", c_int), ("transposed", c_int)),
        *(("kernel", Tensor), ("bias", Tensor), ("kind", c_int), ("slope", c_double)),
        *(("corruption", c_int), ("amount", c_double), ("sparsity", c_int)),
        *(("sparsity_weight", c_double), ("sparsity_target", c_double)),
    )


class Mlp(ctypes.Structure):
    """fg_mlp."""

    _fields_ = (
        *(("dtype", c_int), ("count", c_int64), ("layers", ctypes.POINTER(Layer))),
        ("seeds", c_void_p),
    )


class Player(ctypes.Structure):
    """fg_player."""

    _fields_ = (("mlp", Mlp), ("optimizer", Optimizer))


class Images(ctypes.Structure):
    """fg_images."""

    _fields_ = (("dtype", c_int), ("data", c_void_p), ("count", c_int64))


class GanFeed(ctypes.Structure):
    """fg_gan_feed."""

    _fields_ = (
        *(("steps", c_int64), ("n_critic", c_int64), ("batch", c_int64), ("images", Images)),
        *(("rows", c_void_p), ("seeds", c_void_p), ("targets", c_void_p)),
        *(("discriminator_rates", c_void_p), ("generator_rates", c_void_p)),
        ("corrupts_fakes", c_int),
    )


C_NAMES = {
    "fg_optimizer": Optimizer,
    "fg_optimizer_tensor": Tensor,
    "fg_mlp_layer": Layer,
    "fg_mlp": Mlp,
    "fg_player": Player,
    "fg_images": Images,
    "fg_gan_feed": GanFeed,
}


def optimizer(rule, learning_rate, rho, epsilon, momentum=0.0):
    """Of no clipping, no decay and nothing that Keras leaves out by default."""
    return Optimizer(
        rule=rule, learning_rate=learning_rate, momentum=momentum, rho=rho, epsilon=epsilon,
        accumulation_steps=1,
    )  # fmt: skip


def tensor(device, variable, slots, gradient=None):
    places = (c_void_p * 3)(*map(device.pointer, slots), *[None] * (3 - len(slots)))
    size = 1
    for extent in variable.shape:
        size *= extent
    return Tensor(
        dtype=CODES["float32"], decays=1, size=size, variable=device.pointer(variable),
        gradient=None if gradient is None else device.pointer(gradient), slots=places,
    )  # fmt: skip


def player(device, weights, velocities, activations, rule):
    """A dense network of kernels and biases in turn, trained by RMSprop."""
    tensors = [
        tensor(device, *pair) for pair in zip(weights, [[v] for v in velocities], strict=True)
    ]
    layers = (Layer * len(activations))()
    for i, activation in enumerate(activations):
        inputs, units = weights[2 * i].shape
        layers[i] = Layer(
            inputs=inputs, units=units, activation=activation, kernel=tensors[2 * i],
            bias=tensors[2 * i + 1],
        )  # fmt: skip
    mlp = Mlp(dtype=CODES["float32"], count=len(activations), layers=layers)
    return Player(mlp=mlp, optimizer=rule)
