"""The layers of a stacked autoencoder in pairs: a stage of the encoder and its mirror image."""

import itertools
from typing import NamedTuple

import keras

# They have weights, and belong to the layer before them all the same.
NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)


class Pair(NamedTuple):
    """What is trained together."""

    encoder: list  # of layers
    decoder: list

    @property
    def weights(self):
        """The weights of all these layers, each once."""
        return list({id(w): w for layer in self.layers for w in layer.weights}.values())

    @property
    def layers(self):
        """The encoder's, then the decoder's."""
        return [*self.encoder, *self.decoder]

    @property
    def names(self):
        """The names of those with weights."""
        return tuple(layer.name for layer in self.layers if layer.weights)


def pairs(op, encoder, decoder):
    """Cuts two chains of layers into stages, mirrored, the outermost pair first.

    A stage is a layer with weights and those without that go with it, normalization included: they
    follow it, but for noise, which is of the inputs of the next layer, and for those that must
    precede the next one so that the stages of a pair fit each other, as upsampling mirrors pooling.
    Where nothing makes them fit, a stage and the next are one.

    Args:
        op: Name of the caller, for errors.
        encoder: built functional or sequential `keras.Model`.
        decoder: likewise.

    Returns:
        A list of `Pair`.

    Raises:
        ValueError: if a model is no chain, the two have not as many layers with weights, or no
            stages fit, or two of them share weights.
    """
    chains = [list(_chain(op, model)) for model in (encoder, decoder)]
    heads = [_heads(chain) for chain in chains]
    if not heads[0] or len(heads[0]) != len(heads[1]):
        names = (
            [chain[i][0].name for i in found] for chain, found in zip(chains, heads, strict=True)
        )
        raise ValueError(
            f"{op}: the encoder and the decoder must have as many layers with weights, one at "
            f"least. Received: {' and '.join(map(str, names))}"
        )
    gaps = [list(itertools.pairwise(found)) for found in heads]
    cuts = [_cut(chains, *both) for both in zip(gaps[0], reversed(gaps[1]), strict=True)]
    if cuts and not any(cuts):
        shapes = [chains[0][gaps[0][0][1] - 1][1], chains[1][gaps[1][-1][1] - 1][1]]
        raise ValueError(
            f"{op}: what the stages of the encoder give must have the shapes that the decoder's "
            f"take. Received: {shapes[0]} and {shapes[1]} of the outermost"
        )
    layers = [[layer for layer, _ in chain] for chain in chains]
    first, last = [0], [len(layers[1])]
    for cut in filter(None, cuts):
        first.append(cut[0])
        last.append(cut[1])
    outer = zip(first, [*first[1:], len(layers[0])], last, [*last[1:], 0], strict=True)
    found = [Pair(layers[0][a:b], layers[1][d:c]) for a, b, c, d in outer]
    _check_apart(op, found)
    return found


def _chain(op, model):
    """The layers in the order of data, those of models within in their place, and what they give.

    What they give is a shape.
    """
    found, x, inputs = [], model.outputs[0], {id(tensor) for tensor in model.inputs}
    while id(x) not in inputs:
        layer, index, _ = x._keras_history
        node = layer._inbound_nodes[index]
        if len(node.input_tensors) != 1 or len(node.output_tensors) != 1:
            raise ValueError(
                f"{op}: the layers of {model.name!r} must follow one another. Received: "
                f"{layer.name!r}, with several inputs or outputs"
            )
        if not isinstance(layer, keras.Layer):
            raise ValueError(
                f"{op}: {model.name!r} must be made of layers. Received: {layer.name!r}"
            )
        found.append((layer, x.shape))
        x = node.input_tensors[0]
    for layer, shape in reversed(found):
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            yield from _chain(op, layer)
        else:
            yield layer, shape


def _heads(chain):
    """Where in a chain the layers with weights are."""
    plain = lambda layer: layer.weights and not isinstance(layer, NORMALIZATIONS)  # noqa: E731
    return [i for i, (layer, _) in enumerate(chain) if plain(layer)]


def _cut(chains, *gaps):
    """Where to cut the two chains between two layers with weights each, or None."""
    choices = [_cuts(chain, *gap) for chain, gap in zip(chains, gaps, strict=True)]
    shapes = lambda cut: [chain[i - 1][1] for chain, i in zip(chains, cut, strict=True)]  # noqa: E731
    return next((c for c in itertools.product(*choices) if len({*shapes(c)}) == 1), None)


def _cuts(chain, head, following):
    """Where a chain may be cut between two layers with weights, what is natural first."""
    places = range(head + 1, following + 1)
    noise = (i for i in places[:-1] if chain[i][0]._seed_generators)
    natural = next(noise, following)
    normalized = max((i + 1 for i in places[:-1] if chain[i][0].weights), default=0)
    return sorted((i for i in places if i >= normalized), key=lambda i: abs(i - natural))


def _check_apart(op, found):
    for one, other in itertools.combinations(found, 2):
        mine = {id(w): w for w in one.weights}
        shared = [w.path for w in other.weights if id(w) in mine]
        if shared:
            raise ValueError(
                f"{op}: stages must have weights of their own, tied ones within a pair. Received: "
                f"{shared[0]!r}, which {one.names[0]!r} and {other.names[0]!r} share"
            )
