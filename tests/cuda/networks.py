"""Calls of the CUDA kernels on networks, for the worker: NumPy and ctypes alone.

Layers are (kernel, bias or None, activation, transposed, corruption) as `fastgen.core` takes them,
and so are optimizers: what `tests.core.dense_networks.optimizer_of` makes. Each call gives what its
arrays hold afterwards.
"""

import ctypes
import os
from ctypes import c_double, c_int, c_int64, c_void_p

import numpy as np

from tests.cuda.memory import run

CODES = {"float32": 0, "float64": 1, "uint8": 4}
ACTIVATIONS = [
    *("linear", "relu", "selu", "elu", "gelu_tanh"),
    *("leaky_relu", "sigmoid", "tanh", "softplus", "silu"),
]
CORRUPTIONS = {None: 0, "dropout": 1, "gaussian": 2}
RULES = ["sgd", "rmsprop", "adam", "nadam"]
CLIPS = ["nothing", "value", "norm", "global_norm"]
DISCRIMINATOR = [
    *("loss", "real_accuracy", "fake_accuracy"),
    *("real_probability", "fake_probability", "gradient_norm"),
]
GAN = [
    *(f"discriminator_{name}" for name in DISCRIMINATOR),
    *("generator_loss", "generator_gradient_norm", "pairwise_distance"),
]


class Tensor(ctypes.Structure):
    _fields_ = [
        *(("dtype", c_int), ("decays", c_int), ("size", c_int64), ("variable", c_void_p)),
        *(("gradient", c_void_p), ("slots", c_void_p * 3)),
        *(("average", c_void_p), ("accumulator", c_void_p)),
    ]


class Layer(ctypes.Structure):
    _fields_ = [
        *(("inputs", c_int64), ("units", c_int64), ("activation", c_int), ("transposed", c_int)),
        *(("kernel", Tensor), ("bias", Tensor), ("kind", c_int), ("slope", c_double)),
        *(("corruption", c_int), ("amount", c_double)),
        *(("sparsity", c_int), ("sparsity_weight", c_double), ("sparsity_target", c_double)),
    ]


class Mlp(ctypes.Structure):
    _fields_ = [
        *(("dtype", c_int), ("count", c_int64), ("layers", ctypes.POINTER(Layer))),
        ("seeds", c_void_p),
    ]


class Optimizer(ctypes.Structure):
    _fields_ = [
        *(("rule", c_int), ("variation", c_int), ("clip", c_int)),
        *((name, c_double) for name in ("learning_rate", "momentum", "rho", "epsilon")),
        *((name, c_double) for name in ("weight_decay", "clip_at", "loss_scale", "ema_momentum")),
        *((name, c_int64) for name in ("ema_overwrite_frequency", "accumulation_steps")),
        *(("iterations", c_int64), ("u_product", c_void_p), ("u_product_dtype", c_int)),
        *(("device_iterations", c_void_p), ("device_learning_rate", c_void_p)),
        ("device_learning_rate_dtype", c_int),
    ]


class Player(ctypes.Structure):
    _fields_ = [("mlp", Mlp), ("optimizer", Optimizer)]


class Images(ctypes.Structure):
    _fields_ = [("dtype", c_int), ("data", c_void_p), ("count", c_int64)]


class Feed(ctypes.Structure):
    _fields_ = [
        *((name, c_int64) for name in ("steps", "n_critic", "batch")),
        ("images", Images),
        *((name, c_void_p) for name in ("rows", "seeds", "targets")),
        *((name, c_void_p) for name in ("discriminator_rates", "generator_rates")),
        ("corrupts_fakes", c_int),
    ]


class Arrays:
    """Where the kernels have each array."""

    def __init__(self, memory):
        self._memory, self._places, self._arrays = memory, {}, []

    def pointer(self, array):
        if array is None:
            return None
        if id(array) not in self._places:
            self._places[id(array)] = self._memory.put(array)
            self._arrays.append(array)
        return self._memory.pointer(self._places[id(array)])

    def get(self, array):
        return self._memory.get(self._places[id(array)], array)


def variables_of(layers):
    """Kernels and biases in order, what is shared once."""
    found = []
    for kernel, bias, *_ in layers:
        found += [x for x in (kernel, bias) if x is not None and not any(x is y for y in found)]
    return found


def arrays_of(layers, optimizer):
    """All that a step may write to."""
    lists = [variables_of(layers), *optimizer["slots"]]
    singles = ("u_product", "device_iterations")
    lists.append([optimizer[name] for name in singles if name in optimizer])
    return [x for each in lists for x in each]


def _tensor(arrays, x, gradient=None, slots=()):
    if x is None:
        return Tensor()
    made = Tensor(CODES[x.dtype.name], 1, x.size, arrays.pointer(x), arrays.pointer(gradient))
    for place, slot in slots:
        made.slots[place] = arrays.pointer(slot)
    return made


def network(arrays, layers, seeds=None, gradients=None, optimizer=None):
    """gradients, slots: by the place of a variable among those of the network."""
    variables, made = variables_of(layers), (Layer * max(len(layers), 1))()

    def tensor(x):
        place = next((i for i, w in enumerate(variables) if w is x), None)
        slots = []
        if optimizer and x is not None:
            kinds = zip(optimizer["slot_places"], optimizer["slots"], strict=True)
            slots = [(at, kind[place]) for at, kind in kinds]
        return _tensor(arrays, x, gradients[place] if gradients and x is not None else None, slots)

    for to, (kernel, bias, activation, *more) in zip(made, layers, strict=False):
        transposed, corruption = [*more, False, None][:2] if len(more) < 2 else more[:2]
        name, slope = activation if isinstance(activation, tuple) else (activation, np.float32(0.2))
        to.inputs, to.units = kernel.shape[::-1] if transposed else kernel.shape
        to.activation, to.transposed, to.slope = ACTIVATIONS.index(name), transposed, slope
        to.kernel, to.bias = tensor(kernel), tensor(bias)
        kind, amount = corruption or (None, 0.0)
        to.corruption, to.amount = CORRUPTIONS[kind], amount
    code = CODES[layers[0][0].dtype.name]
    return Mlp(code, len(layers), made, arrays.pointer(seeds))


def player(arrays, layers, optimizer, seeds=None):
    options = {"accumulation_steps": 1, **optimizer}
    made = Player(network(arrays, layers, seeds, optimizer=optimizer))
    made.optimizer.rule = RULES.index(options["rule"])
    made.optimizer.clip = CLIPS.index(options.get("clip", "nothing"))
    made.optimizer.variation = bool(options.get("variation"))
    for name, _ in Optimizer._fields_[3:14]:
        setattr(made.optimizer, name, options.get(name, 0))
    made.optimizer.device_iterations = arrays.pointer(options.get("device_iterations"))
    if "u_product" in options:
        made.optimizer.u_product = arrays.pointer(options["u_product"])
        made.optimizer.u_product_dtype = CODES[options["u_product"].dtype.name]
    return made


def images_of(arrays, x):
    return Images(CODES[x.dtype.name], arrays.pointer(x), len(x))


def forward(library, memory, layers, x, y, seeds=None, precision=0):
    """What the network gives of rows x; y is of its shape."""
    arrays = Arrays(memory)
    mlp = network(arrays, layers, seeds)
    places = arrays.pointer(x), arrays.pointer(y)
    run(
        library,
        "fg_cuda_mlp_forward",
        None,
        precision,
        ctypes.byref(mlp),
        c_int64(len(x)),
        *map(c_void_p, places),
    )
    return arrays.get(y)


def grad(library, memory, layers, x, d_y, d_x, gradients, seeds=None, precision=0):
    """The gradient of x and those of the variables, all of their shapes."""
    arrays = Arrays(memory)
    mlp = network(arrays, layers, seeds, gradients)
    places = (arrays.pointer(each) for each in (x, d_y, d_x))
    run(
        library,
        "fg_cuda_mlp_grad",
        None,
        precision,
        ctypes.byref(mlp),
        c_int64(len(x)),
        *map(c_void_p, places),
    )
    return [None if each is None else arrays.get(each) for each in (d_x, *gradients)]


def discriminator_update(
    library, memory, layers, optimizer, real, fake, targets, seeds, told, precision=0
):
    """The telemetry and all that a step may write to."""
    arrays = Arrays(memory)
    d = player(arrays, layers, optimizer, seeds)
    given = d, images_of(arrays, real), images_of(arrays, fake)
    places = map(c_void_p, (arrays.pointer(targets), arrays.pointer(told)))
    name = "fg_cuda_discriminator_update"
    run(library, name, None, precision, *map(ctypes.byref, given), *places)
    return arrays.get(told), [arrays.get(x) for x in arrays_of(layers, optimizer)]


def gan_step(library, memory, players, images, feed, told, done, precision=0):
    """Likewise; players: (layers, optimizer, seeds) of both, feed: arrays by name, sizes."""
    arrays = Arrays(memory)
    g, d = (player(arrays, *each) for each in players)
    given = Feed(*feed["sizes"], images_of(arrays, images))
    for name, *_ in Feed._fields_[4:9]:
        setattr(given, name, arrays.pointer(feed[name]))
    given.corrupts_fakes = feed.get("corrupts_fakes", 1)
    places = map(c_void_p, (arrays.pointer(told), arrays.pointer(done)))
    run(library, "fg_cuda_gan_step", None, precision, *map(ctypes.byref, (g, d, given)), *places)
    states = [[arrays.get(x) for x in arrays_of(*each[:2])] for each in players]
    return arrays.get(told), arrays.get(done), states


def set_mode(library, memory, mode):
    """How the kernels run the phases of their calls from now on."""
    os.environ["FASTGEN_CUDA_GAN"] = mode
