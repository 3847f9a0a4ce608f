"""The optimizers in float64, as Keras writes them, one line after the other."""

import numpy as np

# Options of every rule, and the kinds of slots that it keeps. Keras takes some numbers by way of
# float32: those here are the same there.
RULES = {
    "sgd": ("sgd", {}, ()),
    "sgd_momentum": ("sgd", {"momentum": 0.875}, (0,)),
    "nesterov": ("sgd", {"momentum": 0.875, "variation": True}, (0,)),
    "rmsprop": ("rmsprop", {"rho": 0.9, "epsilon": 1e-3}, (0,)),
    "rmsprop_momentum": ("rmsprop", {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.75}, (0, 1)),
    "centered": (
        "rmsprop",
        {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.75, "variation": True},
        (0, 1, 2),
    ),
    "adam": ("adam", {"momentum": 0.875, "rho": 0.96875, "epsilon": 1e-3}, (0, 1)),
    "amsgrad": (
        "adam",
        {"momentum": 0.875, "rho": 0.96875, "epsilon": 1e-3, "variation": True},
        (0, 1, 2),
    ),
    "nadam": ("nadam", {"momentum": 0.875, "rho": 0.96875, "epsilon": 1e-3}, (0, 1)),
}


def step(rule, iterations, variables, gradients, slots, learning_rate, **options):
    """What `core.optimizer_update` does to the same lists of float64 arrays."""
    get = {"accumulation_steps": 1, "clip": "nothing", **options}.get
    n, steps = iterations // get("accumulation_steps"), get("accumulation_steps")
    update = (iterations + 1) % steps == 0
    if get("loss_scale"):
        gradients = [g / get("loss_scale") for g in gradients]
    if steps > 1:
        sums = get("accumulators")
        total = [g + a for g, a in zip(gradients, sums, strict=False)]
        for i, a in enumerate(sums):
            if update or i < len(total):
                a[...] = 0 if update else total[i]
        gradients = [g / steps for g in total]
    if update:
        u_product = get("u_product")
        if rule == "nadam":
            u_product *= get("momentum") * (1 - 0.5 * 0.96 ** (n + 1))
        gradients = clipped(gradients, get("clip"), get("clip_at"))
        for i, g in enumerate(gradients):
            w = variables[i]
            w -= w * get("weight_decay", 0) * learning_rate
            apply(rule, n + 1, w, g, [kind[i] for kind in slots], learning_rate, get)
    frequency = get("ema_overwrite_frequency", 0)
    for w, average in zip(variables, get("averages", ()), strict=False):
        momentum = get("ema_momentum") if n else 0
        average[...] = momentum * average + (1 - momentum) * w
        if frequency and (n + 1) % frequency == 0:
            w[...] = average


def clipped(gradients, clip, at):
    """The gradients, clipped by value, by norm or by their global norm."""
    if clip == "value":
        return [np.clip(g, -at, at) for g in gradients]
    if clip == "norm":
        return [g * at / max(np.linalg.norm(g), at) for g in gradients]
    if clip == "global_norm":
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        return [g * at * min(1 / norm, 1 / at) for g in gradients]
    return gradients


def apply(rule, t, w, g, slots, lr, get):
    """One variable's step number t."""
    beta_1, beta_2, epsilon, variation = (
        get(name) for name in ("momentum", "rho", "epsilon", "variation")
    )
    if rule == "sgd":
        if slots:
            slots[0][...] = slots[0] * beta_1 - lr * g
            w += slots[0] * beta_1 - lr * g if variation else slots[0]
        else:
            w -= lr * g
    elif rule == "rmsprop":
        slots[0][...] = beta_2 * slots[0] + (1 - beta_2) * g**2
        spread = slots[0] + epsilon
        if variation:
            slots[2][...] = beta_2 * slots[2] + (1 - beta_2) * g
            spread = spread - slots[2] ** 2
        increment = lr * g / np.sqrt(spread)
        if len(slots) > 1:
            slots[1][...] = increment = beta_1 * slots[1] + increment
        w -= increment
    else:
        m, v = slots[:2]
        m += (g - m) * (1 - beta_1)
        v += (g**2 - v) * (1 - beta_2)
        if rule == "nadam":
            u, next_u = (beta_1 * (1 - 0.5 * float(np.float32(0.96)) ** k) for k in (t, t + 1))
            product = float(get("u_product").item())
            m = next_u * m / (1 - product * next_u) + (1 - u) * g / (1 - product)
            v = v / (1 - beta_2**t)
        else:
            lr = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            if variation:
                slots[2][...] = v = np.maximum(slots[2], v)
        w -= m * lr / (np.sqrt(v) + epsilon)
