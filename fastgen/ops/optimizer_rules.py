"""What the kernels must know of an optimizer: its rule, and the variables that it keeps."""

import tensorflow as tf

# Keras is imported where it is needed: it imports TensorFlow, and that imports fastgen.ops.


def sgd(optimizer):
    """The rule of `keras.optimizers.SGD`."""
    slots = {0: optimizer.momentums} if optimizer.momentum != 0 else {}
    return {
        "rule": "sgd",
        "variation": optimizer.nesterov,
        "momentum": optimizer.momentum,
        "slots": slots,
    }


def rmsprop(optimizer):
    """The rule of `keras.optimizers.RMSprop`."""
    slots = {0: optimizer._velocities}
    if optimizer.momentum > 0:
        slots[1] = optimizer._momentums
    if optimizer.centered:
        slots[2] = optimizer._average_gradients
    return {
        "rule": "rmsprop",
        "variation": optimizer.centered,
        "momentum": optimizer.momentum,
        "rho": optimizer.rho,
        "epsilon": optimizer.epsilon,
        "slots": slots,
    }


def adam(optimizer):
    """The rule of `keras.optimizers.Adam` and `AdamW`."""
    slots = {0: optimizer._momentums, 1: optimizer._velocities}
    if optimizer.amsgrad:
        slots[2] = optimizer._velocity_hats
    return {
        "rule": "adam",
        "variation": optimizer.amsgrad,
        "momentum": optimizer.beta_1,
        "rho": optimizer.beta_2,
        "epsilon": optimizer.epsilon,
        "slots": slots,
    }


def nadam(optimizer):
    """The rule of `keras.optimizers.Nadam`."""
    return {
        "rule": "nadam",
        "momentum": optimizer.beta_1,
        "rho": optimizer.beta_2,
        "epsilon": optimizer.epsilon,
        "slots": {0: optimizer._momentums, 1: optimizer._velocities},
        "u_product": optimizer._u_product.value,
    }


STOCK = {"SGD": sgd, "RMSprop": rmsprop, "Adam": adam, "AdamW": adam, "Nadam": nadam}


def of(optimizer):
    """The function above that describes an optimizer, and None; or None, and why there is none.

    An optimizer of ours says by `steps_in_a_kernel()` whether a subclass has changed it.
    """
    import keras

    name, rule = type(optimizer).__name__, None
    stock = {getattr(keras.optimizers, cls): function for cls, function in STOCK.items()}
    if hasattr(optimizer, "steps_in_a_kernel"):
        found = next(cls for cls in type(optimizer).__mro__ if cls in stock)
        rule = stock[found] if optimizer.steps_in_a_kernel() else None
    else:
        rule = stock.get(type(optimizer))
    if rule is None:
        return None, f"no kernel for the optimizer {name}"
    for attribute, words in (
        ("use_ema", "moving averages"),
        ("gradient_accumulation_steps", "accumulated gradients"),
        ("loss_scale_factor", "a loss scale"),
    ):
        if getattr(optimizer, attribute, None):
            return None, f"{name} with {words}"
    return rule, None


def clip(optimizer):
    """How an optimizer clips gradients: the arguments `clip` and `clip_at`, or none."""
    for name, bound in (
        ("norm", optimizer.clipnorm),
        ("global_norm", optimizer.global_clipnorm),
        ("value", optimizer.clipvalue),
    ):
        if bound and bound > 0:
            return {"clip": name, "clip_at": bound}
    return {}


def learning_rates(optimizer, steps):
    """The learning rates of the next steps, a float64 vector."""
    import keras

    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        schedule, first = optimizer._learning_rate, optimizer.iterations.value
        rates = [schedule(first + i) for i in range(steps)]
        return tf.stack([tf.cast(rate, tf.float64) for rate in rates])
    return tf.fill([steps], tf.cast(optimizer.learning_rate, tf.float64))
