"""How many bytes a run of a kernel has to move, and how many operations its products take.

Bytes are those of the "Bytes:" line of csrc/kernels/NAME.h: what the contract says that the kernel
reads and writes, wherever the caches have it. Operations are those of matrix products, a multiply
and an add counting two; kernels without one are bound by bytes.
"""

import math
from typing import NamedTuple

SIZES = {
    **dict.fromkeys(("bool", "int8", "uint8"), 1),
    **dict.fromkeys(("half", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("float", "int32", "uint32"), 4),
    **dict.fromkeys(("double", "int64", "uint64"), 8),
}


class Work(NamedTuple):
    """Bytes, operations and training steps of a run."""

    bytes: int
    flops: int = 0
    steps: int = 1


def work(call):
    """The `Work` of a run of a fused `trace.Call`; None where its shapes are not known."""
    if not call.inputs:
        return None
    count = {
        "dense": _dense,
        "dense_transpose": _dense,
        "dense_grad": _dense_grad,
        "dense_transpose_grad": _dense_grad,
        "sigmoid_cross_entropy_from_slope_grad": _from_slope,
        "sparsity": _sparsity,
        "sparsity_grad": _sparsity_grad,
        "autoencoder_step": _autoencoder_step,
        "discriminator_update": _discriminator_update,
        "gan_step": _gan_step,
    }.get(call.op, _once)
    return count(call)


def size(tensor):
    """Bytes of a tensor; a variable is read and written."""
    return SIZES.get(tensor.dtype, 0) * math.prod(tensor.shape) * (2 if tensor.variable else 1)


def _sum(tensors):
    return sum(map(size, tensors))


def _once(call):
    """Each input is read once, each output written."""
    return Work(_sum(call.inputs) + _sum(call.outputs))


def _product(x, kernel):
    return 2 * math.prod(x.shape[:-1]) * math.prod(kernel.shape)


def _dense(call):
    x, kernel = call.inputs[:2]
    return Work(_once(call).bytes, _product(x, kernel))


def _dense_grad(call):
    attributes, (x, kernel, *_, d_y) = dict(call.attributes), call.inputs
    products = attributes.get("need_x", True) + attributes.get("need_kernel", True)
    # The gradient of what the activation is of, in d_y's shape, is written and read.
    return Work(_once(call).bytes + 2 * size(d_y), products * _product(x, kernel))


def _from_slope(call):
    """Of a scalar loss that is sent 1, as most are, the slope is passed on as it stands."""
    return _once(call) if call.inputs[1].shape else None


def _sparsity(call):
    # What is passed on is the activations' own memory.
    return Work(size(call.inputs[0]))


def _sparsity_grad(call):
    activations, passed = call.inputs[0], call.inputs[5:]
    read = passed + (activations,) * (dict(call.attributes).get("kind") == "l1")
    return Work(_sum(read) + _sum(call.outputs))


class Player(NamedTuple):
    """A network of dense layers and its optimizer among the inputs of an op.

    Attributes:
        layers: `(inputs, units)` of each.
        variables: bytes of weights and slots, read and written.
        rest: the inputs of the op after the player's own.
    """

    layers: list
    variables: int
    rest: tuple

    def products(self, first=0):
        """Operations that a row takes through the layers from one on."""
        return 2 * sum(inputs * units for inputs, units in self.layers[first:])


def player(call, prefix, inputs):
    """The `Player` of a prefix, in the order of FASTGEN_PLAYER in csrc/tensorflow/player.h."""
    of = {
        name.removeprefix(prefix): value
        for name, value in call.attributes
        if name.startswith(prefix)
    }
    held = 1 + of["num_variables"] + of["num_slots"] + of["num_u_products"]
    weights = inputs[1 : 1 + of["num_variables"]]
    shapes = [weights[i].shape for i in of["kernels"]]
    layers = [
        shape[::-1] if t else shape for shape, t in zip(shapes, of["transposed"], strict=True)
    ]
    return Player(layers, _sum(inputs[:held]), inputs[held + 5 :])


def _autoencoder_step(call):
    network = player(call, "autoencoder_", call.inputs)
    images, targets, rows, *_ = network.rest
    steps = rows.shape[0]
    row = sum(SIZES[x.dtype] * x.shape[-1] for x in (images, targets) if len(x.shape) == 2)
    # Forwards, of weights, and of inputs but for images.
    flops = 2 * network.products() + network.products(1)
    bytes_ = steps * network.variables + rows_of(rows) * row + _sum(call.outputs)
    return Work(bytes_, rows_of(rows) * flops, steps)


def rows_of(rows):
    """How many images `rows` picks."""
    return math.prod(rows.shape)


def _update(discriminator):
    """Of a real row and a fake one: forwards, of weights, and of inputs but for images."""
    return 2 * (2 * discriminator.products() + discriminator.products(1))


def _discriminator_update(call):
    network = player(call, "discriminator_", call.inputs)
    real, fake, _ = network.rest
    each = (real.shape[0] + fake.shape[0]) / 2
    return Work(network.variables + size(real) + size(fake), round(each * _update(network)))


def _gan_step(call):
    generator = player(call, "generator_", call.inputs)
    discriminator = player(call, "discriminator_", generator.rest)
    images, rows, *_ = discriminator.rest
    steps, updates, batch = rows.shape
    of_discriminator = generator.products() + _update(discriminator)
    # Forwards through both; back to the images; back through the generator.
    of_generator = generator.products() + discriminator.products()
    of_generator += discriminator.products() + generator.products() + generator.products(1)
    row = SIZES[images.dtype] * images.shape[-1]
    return Work(
        steps * (updates * discriminator.variables + generator.variables) + rows_of(rows) * row,
        steps * batch * (updates * of_discriminator + of_generator),
        steps,
    )
