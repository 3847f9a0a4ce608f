"""How tf.vectorized_map and jacobians run the fused ops for all iterations at once.

Every iteration that gets the same seed sees the same noise, as in a loop: it is drawn once, with
the shape of one iteration, and the composite broadcasts it. With a seed of its own for each
iteration, or where TensorFlow's internals have moved, the op runs in a while loop.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from fastgen.ops import dense, dropout, gaussian_noise, sparsity
from fastgen.ops import gaussian_kl as kl
from fastgen.ops import gaussian_sample as sample
from fastgen.ops import gaussian_sample_kl as sample_kl
from fastgen.ops import sigmoid_cross_entropy as cross_entropy
from fastgen.ops.arguments import wide
from fastgen.ops.noise import standard_normal, standard_uniform

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:
    pfor = None


class Conversion(NamedTuple):
    """How an op runs for all iterations.

    Attributes:
        composite: what works on stacked inputs as on single ones.
        seed: index of the op's seed, or None.
        attributes: those of the op that the composite takes by name.
        number: index of an input that was a Python number, the same in every iteration, or None.
        draw: `draw(shape, seed, dtype)`, the noise of the seed.
    """

    composite: Callable
    seed: int | None = None
    attributes: tuple = ()
    number: int | None = None
    draw: Callable = standard_normal


# op type: the fields of its Conversion.
COMPOSITES = {
    **{
        f"Fastgen{layer}{grad}": (functools.partial(composite, transposed=transposed), None, names)
        for layer, transposed in (("Dense", False), ("DenseTranspose", True))
        for grad, composite, names in (
            ("", dense.layer_of_loops, ("activation",)),
            ("Grad", dense.layer_grad_of_loops, ("activation", "need_x", "need_kernel")),
        )
    },
    "FastgenGaussianSample": (sample.gaussian_sample_composite, 2),
    "FastgenGaussianSampleGrad": (sample.gaussian_sample_grad_composite, 1),
    "FastgenGaussianKl": (kl.gaussian_kl_composite, None),
    "FastgenGaussianKlGrad": (kl.gaussian_kl_grad_composite, None),
    "FastgenGaussianSampleKl": (sample_kl.gaussian_sample_kl_composite, 2),
    "FastgenGaussianSampleKlGrad": (sample_kl.gaussian_sample_kl_grad_composite, 2),
    "FastgenGaussianNoise": (gaussian_noise.gaussian_noise_composite, 2, (), 1),
    "FastgenDropout": (dropout.dropout_composite, 2, (), 1, standard_uniform),
    "FastgenSparsity": (sparsity.sparsity_of_loops, None, ("kind", "N"), 1),
    "FastgenSparsityGrad": (
        functools.partial(sparsity.sparsity_grad_composite, loops=1),
        None,
        ("kind",),
        1,
    ),
    "FastgenSigmoidCrossEntropy": (cross_entropy.looped, None, ("reduction", "slopes"), 2),
    "FastgenSigmoidCrossEntropyGrad": (cross_entropy.looped_grad, None, ("reduction",), 2),
    "FastgenSigmoidCrossEntropyFromSlopeGrad": (
        cross_entropy.looped_from_slope_grad,
        None,
        ("reduction",),
    ),
}


def _converter(composite, seed_index, attributes, number, draw):
    single = [i for i in (seed_index, number) if i is not None]

    def convert(pfor_input):
        if any(pfor_input.input(i).is_stacked for i in single):
            return pfor._fallback_converter(pfor_input)
        pfor_input.stack_inputs([i for i in range(pfor_input.num_inputs) if i not in single])
        tensors = [x.t for x in pfor_input.inputs]
        named = {name: pfor_input.get_attr(name) for name in attributes}
        named = {name: x.decode() if isinstance(x, bytes) else x for name, x in named.items()}
        if seed_index is not None:
            shape, seed = tf.shape(tensors[0])[1:], tensors[seed_index]
            named["noise"] = draw(shape, seed, wide(tensors[0].dtype))
        return [pfor.wrap(x, True) for x in tf.nest.flatten(composite(*tensors, **named))]

    return convert


def register():
    """Register the converters, once, if this TensorFlow has the place for them."""
    needed = ("RegisterPFor", "wrap", "_fallback_converter", "_pfor_converter_registry")
    if pfor is None or not all(hasattr(pfor, name) for name in needed):
        return
    for op_type, fields in COMPOSITES.items():
        if op_type not in pfor._pfor_converter_registry:
            pfor.RegisterPFor(op_type)(_converter(*Conversion(*fields)))
