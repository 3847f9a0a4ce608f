"""What the tests of the kernels on networks share: layers, optimizers' state, comparisons."""

import numpy as np

from tests.core.cases import assert_same_bits, core
from tests.core.optimizer_reference import RULES
from tests.tolerances import assert_close

IMAGES = 12  # inputs of a discriminator


def layers_of(dtype, sizes, activations, key=0, bias=True):
    """A layer for each activation; sizes[0] inputs, then units."""
    rng = np.random.default_rng([key, *sizes])

    def draw(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype)

    return [
        (draw(inputs, units), draw(units) if bias else None, activation)
        for inputs, units, activation in zip(sizes[:-1], sizes[1:], activations, strict=True)
    ]


def discriminator(dtype, key=0):
    return layers_of(dtype, (IMAGES, 9, 1), ("leaky_relu", "sigmoid"), key)


def generator(dtype, key=1):
    return layers_of(dtype, (5, 9, IMAGES), ("selu", "sigmoid"), key)


def variables_of(layers):
    """Kernels and biases in order, what is shared once."""
    found = []
    for kernel, bias, *_ in layers:
        found += [x for x in (kernel, bias) if x is not None and not any(x is y for y in found)]
    return found


def optimizer_of(layers, rule="adam", learning_rate=0.01, **options):
    """A rule of optimizer_reference with its arrays."""
    name, fixed, places = RULES[rule]
    variables = variables_of(layers)
    made = {"rule": name, "iterations": 0, "learning_rate": learning_rate, **fixed, **options}
    made["slots"] = [[np.zeros_like(w) for w in variables] for _ in places]
    made["slot_places"] = places
    for key, wanted in {
        "averages": "ema_momentum" in options,
        "accumulators": "accumulation_steps" in options,
    }.items():
        if wanted:
            made[key] = [np.zeros_like(w) for w in variables]
    if name == "nadam":
        made["u_product"] = np.ones([1], variables[0].dtype)
    return made


def arrays_of(layers, optimizer):
    """All that a step may write to."""
    lists = [variables_of(layers), *optimizer["slots"]]
    lists += [optimizer.get(name, []) for name in ("averages", "accumulators")]
    lists.append([optimizer["u_product"]] if "u_product" in optimizer else [])
    return [x for each in lists for x in each]


def arrays_of_player(player):
    """The same of the reference."""
    lists = [player.variables, *player.slots]
    lists += [player.options.get(name, []) for name in ("averages", "accumulators")]
    lists.append([player.options["u_product"]] if "u_product" in player.options else [])
    return [x for each in lists for x in each]


def copies(layers, optimizer):
    return [x.copy() for x in arrays_of(layers, optimizer)]


def assert_unchanged(layers, optimizer, before):
    for x, y in zip(arrays_of(layers, optimizer), before, strict=True):
        assert_same_bits(x, y)


def assert_as_reference(layers, optimizer, player, dtype, n):
    for x, y in zip(arrays_of(layers, optimizer), arrays_of_player(player), strict=True):
        assert_close(x, y, dtype, n)


def assert_told(told, expected, dtype, n):
    assert set(told) == set(expected)
    for name in told:
        assert_close(told[name], expected[name], dtype, n)


def on_every_thread_count(threads, run):
    """run() gives a list of arrays: the same bits on any number of threads."""
    found = []
    for count in threads:
        core.set_threads(count)
        found.append(run())
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert_same_bits(np.asarray(one), np.asarray(two))
