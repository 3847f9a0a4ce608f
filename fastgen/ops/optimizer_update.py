"""One step of an optimizer for all variables of a model, in place."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops.arguments import apart, for_host


def optimizer_update(
    rule,
    iterations,
    variables,
    gradients,
    slots,
    learning_rate,
    *,
    variation=False,
    slot_places=(),
    momentum=0.0,
    rho=0.0,
    epsilon=0.0,
    weight_decay=0.0,
    decayed=None,
    clip="nothing",
    clip_at=0.0,
    loss_scale=0.0,
    averages=(),
    ema_momentum=0.0,
    ema_overwrite_frequency=0,
    accumulators=(),
    accumulation_steps=1,
    u_product=None,
):
    """Updates variables and slots by one step of Keras' SGD, RMSprop, Adam or Nadam.

    There is no composite: `fastgen.optimizers` fall back on Keras' own update.

    Example:
    >>> import tensorflow as tf
    >>> from fastgen import ops
    >>> steps, w = tf.Variable(0, dtype="int64"), tf.Variable([1.0, 2.0])
    >>> ops.optimizer_update("sgd", steps, [w], [tf.constant([1.0, 1.0])], [], 0.5)
    True
    >>> w.numpy(), steps.numpy()
    (array([0.5, 1.5], dtype=float32), np.int64(1))

    Args:
        rule: `"sgd"`, `"rmsprop"`, `"adam"` or `"nadam"`.
        iterations: int64 `tf.Variable`, the number of calls before; 1 is added. All variables are
            on one device; on a GPU nothing waits for the step.
        variables: list of float32 and float64 `tf.Variable`s, those with a gradient first.
        gradients: list of tensors with the shapes and dtypes of the first variables.
        slots: list of lists, one a kind, of a `tf.Variable` for every gradient.
        learning_rate: scalar, float32 or float64, or a function that returns one.
        variation: Nesterov's SGD, centered RMSprop, Adam with AMSGrad.
        slot_places: for each kind of slots its place in `fg_optimizer_tensor`.
        momentum: of SGD and RMSprop; `beta_1` of Adam and Nadam.
        rho: of RMSprop; `beta_2` of Adam and Nadam.
        epsilon: as in Keras: RMSprop's is inside the root.
        weight_decay: variables first lose `learning_rate * weight_decay` of themselves.
        decayed: list of a bool for every gradient; by default all variables decay.
        clip: `"nothing"`, `"value"`, `"norm"` or `"global_norm"`.
        clip_at: the bound of it.
        loss_scale: gradients are divided by it; unless all are finite, nothing is written.
        averages: moving averages of all variables, or none.
        ema_momentum: of the averages.
        ema_overwrite_frequency: every so many updates the averages overwrite the variables.
        accumulators: sums of gradients, for all variables, if `accumulation_steps` is above 1.
        accumulation_steps: calls whose gradients make one update.
        u_product: scalar `tf.Variable` of Nadam.

    Returns:
        Whether the step was taken by the kernel. If not, nothing was done: there is none, or the
        variables are on several devices.

    Raises:
        ValueError: if a gradient has another shape than its variable.
    """
    slots = [v for kind in slots for v in kind]
    obstacle = apart([iterations, *variables, *slots, *averages, *accumulators, u_product])
    for dtype in {v.dtype for v in variables}:
        op = dispatch.fused_op("optimizer_update", dtype, obstacle=obstacle)
        if op is None:
            return False
    for v, gradient in zip(variables, gradients, strict=False):
        if not v.shape.is_compatible_with(gradient.shape):
            raise ValueError(
                "optimizer_update: a gradient must have the shape of its variable, "
                f"{v.name} {v.shape}. Received: {gradient.shape}"
            )
    rate = tf.convert_to_tensor(learning_rate() if callable(learning_rate) else learning_rate)
    if rate.dtype not in (tf.float32, tf.float64):
        rate = tf.cast(rate, tf.float32)
    numbers = (momentum, rho, epsilon, weight_decay, clip_at, loss_scale, ema_momentum)
    op(
        iterations=iterations.handle,
        variables=_handles(variables),
        slots=_handles(slots),
        averages=_handles(averages),
        accumulators=_handles(accumulators),
        u_products=_handles([] if u_product is None else [u_product]),
        gradients=gradients,
        learning_rate=rate,
        numbers=for_host([float(x) for x in numbers]),
        rule=rule,
        variation=variation,
        slot_places=list(slot_places),
        clip=clip,
        decayed=[True] * len(gradients) if decayed is None else decayed,
        ema_overwrite_frequency=ema_overwrite_frequency,
        accumulation_steps=accumulation_steps,
        name="optimizer_update",
    )
    return True


def _handles(variables):
    return [v.handle for v in variables]
