"""A network and its optimizer, as the ops that train them take them."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import network, optimizer_rules
from fastgen.ops.arguments import apart, for_host
from fastgen.ops.noise import layer_seeds

MOST_LAYERS_ON_A_GPU = 12  # csrc/mlp/network.cuh


class Player:
    """A model's dense layers with the state of its optimizer.

    Args:
        op: name for the messages.
        model: the model, or its layers as `network.dense_chain` gives them.
        optimizer: Keras optimizer, or one of ours.

    Raises:
        network.NotDense: says what of the model or of the optimizer the kernels do not take.
        ValueError: if the optimizer was built for other variables.
    """

    def __init__(self, op, model, optimizer):
        self.chain = model if isinstance(model, list) else network.dense_chain(model)
        self.variables = network.variables(self.chain)
        self.optimizer = optimizer
        self.rule, why = optimizer_rules.of(optimizer)
        if why:
            raise network.NotDense(why)
        if tf.distribute.has_strategy():
            raise network.NotDense("under tf.distribute")
        build(op, optimizer, self.variables)

    @property
    def dtype(self):
        """Dtype of the variables."""
        return tf.as_dtype(self.chain[0].kernel.dtype)

    @property
    def state(self):
        """All that a step writes, `tf.Variable`s."""
        return [v.value for v in (*self.variables, *self.optimizer.variables)]

    @property
    def on_gpu(self):
        """Whether that is on a GPU, where nothing waits for a step: an op of it raises no error."""
        return tf.DeviceSpec.from_string(self.variables[0].value.device).device_type == "GPU"

    def arguments(self, prefix, steps, seeds):
        """The inputs and attributes of an op, for `steps` updates; seeds of `corruption_seeds`."""
        optimizer = self.optimizer
        rule = self.rule(optimizer)
        places = [optimizer._get_variable_index(v) for v in self.variables]
        place = {id(v): i for i, v in enumerate(self.variables)}
        slots, clip = rule["slots"], optimizer_rules.clip(optimizer)
        decay = optimizer.weight_decay or 0.0
        numbers = (
            rule.get("momentum", 0.0),
            rule.get("rho", 0.0),
            rule.get("epsilon", 0.0),
            decay,
            clip.get("clip_at", 0.0),
        )
        u_product = rule.get("u_product")
        named = {
            "iterations": optimizer._iterations.value.handle,
            "variables": [v.value.handle for v in self.variables],
            "slots": [kind[i].value.handle for kind in slots.values() for i in places],
            "u_products": [] if u_product is None else [u_product.handle],
            "learning_rates": optimizer_rules.learning_rates(optimizer, steps),
            "numbers": for_host([float(x) for x in numbers]),
            "kernels": [place[id(layer.kernel)] for layer in self.chain],
            "biases": [-1 if x.bias is None else place[id(x.bias)] for x in self.chain],
            "activations": [layer.activation for layer in self.chain],
            "slopes": [layer.slope for layer in self.chain],
            "transposed": [layer.transposed for layer in self.chain],
            "corruptions": [x.corruption.kind if x.corruption else "none" for x in self.chain],
            "amounts": for_host([x.corruption.amount if x.corruption else 0.0 for x in self.chain]),
            "seeds": seeds,
            "sparsities": [x.penalty.kind if x.penalty else "none" for x in self.chain],
            "penalties": for_host([_penalty(x) for x in self.chain]),
            "rule": rule["rule"],
            "variation": bool(rule.get("variation", False)),
            "slot_places": list(slots),
            "clip": clip.get("clip", "nothing"),
            "decayed": [
                bool(decay) and bool(optimizer._use_weight_decay(v)) for v in self.variables
            ],
        }
        return {f"{prefix}_{name}": value for name, value in named.items()}

    def corruption_seeds(self, passes):
        """The next seeds of the layers that corrupt their inputs, `(passes, layers, 2)` int64."""
        generators = [layer.corruption.seeds for layer in self.chain if layer.corruption]
        drawn = {}
        for generator in {id(g): g for g in generators}.values():
            count = sum(g is generator for g in generators)  # layers that share one draw in turn
            seeds = layer_seeds(generator, passes * count)
            drawn[id(generator)] = tf.unstack(tf.reshape(seeds, [passes, count, 2]), axis=1)
        columns = [drawn[id(g)].pop(0) for g in generators]
        return tf.cast(tf.stack(columns, 1), tf.int64) if columns else tf.zeros([0], tf.int64)


def _penalty(layer):
    return (layer.penalty.weight, layer.penalty.target) if layer.penalty else (0.0, 0.0)


def build(op, optimizer, variables):
    """Make an optimizer's slots, if it has none yet, whatever of the model is frozen."""
    import keras  # not above: Keras imports TensorFlow, and that imports fastgen.ops

    if not optimizer.built:
        with tf.init_scope(), keras.name_scope(optimizer.name, caller=optimizer):
            optimizer.build(variables)
    known = {id(v) for v in optimizer._trainable_variables}
    if not all(id(v) in known for v in variables):
        raise ValueError(
            f"{op}: an optimizer must be new, or built for all weights of its model. Received: "
            f"{type(optimizer).__name__}, built for {len(known)} others"
        )


def players(op, *pairs):
    """The players of `(model, optimizer)` pairs, the discriminator last, and the op that they take.

    The op is None where stock operations are to be used.
    """
    found, obstacle = _find(op, pairs)
    dtype = found[0].dtype if found else tf.as_dtype(pairs[0][0].variable_dtype)
    return found, dispatch.fused_op(op, dtype, obstacle=obstacle)


def why_not(op, *pairs):
    """Why the op's kernel does not take `(model, optimizer)` pairs; None where it does."""
    found, obstacle = _find(op, pairs)
    if obstacle:
        return obstacle
    choice = dispatch.choose(op, found[0].dtype.name)
    return None if choice.path == dispatch.FUSED else choice.why


def _find(op, pairs):
    try:
        found = [Player(op, *pair) for pair in pairs]
    except network.NotDense as reason:
        return [], str(reason)
    return found, _obstacle(found)


def _obstacle(found):
    """What keeps a kernel from players that it could take one by one."""
    last = found[-1].chain[-1].activation
    if last not in ("linear", "sigmoid"):
        return f"the discriminator ends in {last}"
    dtypes = [player.dtype.name for player in found]
    if len(set(dtypes)) > 1:
        return f"generator and discriminator have weights of {' and '.join(dtypes)}"
    each = [id(x) for player in found for x in (player.optimizer, *player.variables)]
    if len(set(each)) < len(each):
        return "generator and discriminator share weights or their optimizer"
    if several := apart([v for player in found for v in player.state]):
        return several
    deepest = max(len(player.chain) for player in found)
    if found[0].on_gpu and deepest > MOST_LAYERS_ON_A_GPU:
        return f"a network of {deepest} layers, on a GPU at most {MOST_LAYERS_ON_A_GPU}"
    for layer in (x for player in found for x in player.chain):
        if layer.penalty:
            return f"{layer.penalty.layer.name!r} has a sparsity penalty"
    seeds = [{id(x.corruption.seeds) for x in p.chain if x.corruption} for p in found]
    if len(found) > 1 and set.intersection(*seeds):
        return "generator and discriminator share seeds"
    return None
