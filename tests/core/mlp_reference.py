"""Dense networks in float64: forwards, backwards by hand, and the losses of a GAN."""

import numpy as np
from scipy.special import expit

from tests.core import optimizer_reference
from tests.core.reference import normal, sparsity, sparsity_grad, uniform

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
LEAKY_SLOPE = float(np.float32(0.2))  # an attribute of float32 in TensorFlow


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def gelu_gate(z):
    return np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


def gelu_slope(z):
    t, inner = gelu_gate(z), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return (1 + t) / 2 + z * (1 - t**2) * inner / 2


def selu(z):
    return SELU_SCALE * np.where(z < 0, SELU_ALPHA * np.expm1(np.minimum(z, 0)), z)


# Value and derivative at z.
ACTIVATIONS = {
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "selu": (selu, lambda z: SELU_SCALE * np.where(z < 0, SELU_ALPHA * np.exp(z), 1)),
    "elu": (
        lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z),
        lambda z: np.where(z < 0, np.exp(z), 1),
    ),
    "gelu_tanh": (lambda z: z * (1 + gelu_gate(z)) / 2, gelu_slope),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, LEAKY_SLOPE * z),
        lambda z: np.where(z > 0, 1, LEAKY_SLOPE),
    ),
    "sigmoid": (expit, lambda z: expit(z) * (1 - expit(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "softplus": (softplus, expit),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * (1 - expit(z)))),
}


def layer_of(
    kernel, bias=None, activation="linear", transposed=False, corruption=None, sparsity=None
):
    return kernel, bias, activation, transposed, corruption, sparsity


def value_of(activation, z):
    """Of a name, or of leaky_relu with its slope."""
    if isinstance(activation, tuple):
        return np.where(z > 0, z, activation[1] * z)
    return ACTIVATIONS[activation][0](z)


def slope_of(activation, z):
    if isinstance(activation, tuple):
        return np.where(z > 0, 1, activation[1])
    return ACTIVATIONS[activation][1](z)


def corrupted(x, corruption, seed, dtype):
    """What a layer multiplies, and the factors of x in it."""
    if corruption is None or seed is None:
        return x, 1.0
    kind, amount = corruption
    if kind == "gaussian":
        return x + amount * normal(x.size, seed, dtype).reshape(x.shape), 1.0
    kept = uniform(x.size, seed, dtype).reshape(x.shape) >= np.dtype(dtype).type(amount)
    mask = kept / (1 - amount)
    return x * mask, mask


def penalty_of(a, kind, weight, target):
    """The weighted penalty of activations, and their mean."""
    penalty, activity = sparsity(a, target, kind)
    return weight * penalty, activity.mean()


def penalty_grad(a, kind, weight, target):
    return sparsity_grad(a, target, kind, sparsity(a, target, kind)[1], weight)


class Network:
    """Layers as `core.mlp_forward` takes them, copied to float64; those tied stay tied."""

    def __init__(self, layers):
        copies, self.variables = {}, []
        self.layers = [layer_of(*layer) for layer in layers]
        self.dtype = self.layers[0][0].dtype if layers else None
        for kernel, bias, *_ in self.layers:
            for x in (kernel, bias):
                if x is not None and id(x) not in copies:
                    copies[id(x)] = x.astype("float64")
                    self.variables.append(copies[id(x)])
        self.layers = [
            (copies[id(k)], None if b is None else copies[id(b)], *rest)
            for k, b, *rest in self.layers
        ]

    def forward(self, x, logits=False, seeds=None):
        """Outputs; with `logits`, those before a sigmoid at the end; seeds: of what corrupts."""
        self.tape, self.penalties, seeds = [], [], iter([] if seeds is None else seeds)
        for i, (kernel, bias, activation, transposed, corruption, penalty) in enumerate(
            self.layers
        ):
            seed = next(seeds, None) if corruption else None
            x, mask = corrupted(x, corruption, seed, self.dtype)
            if logits and i == len(self.layers) - 1 and activation == "sigmoid":
                activation = "linear"
            z = x @ (kernel.T if transposed else kernel) + (0 if bias is None else bias)
            self.tape.append((x, z, activation, mask))
            x = value_of(activation, z)
            if penalty:
                self.penalties.append(penalty_of(x, *penalty))
        return x

    def backward(self, d_y):
        """The gradient of what forward() read; those of the variables are in .gradients."""
        self.gradients = [np.zeros_like(w) for w in self.variables]
        for (kernel, bias, _, transposed, _, penalty), (x, z, activation, mask) in zip(
            self.layers[::-1], self.tape[::-1], strict=True
        ):
            if penalty:
                d_y = d_y + penalty_grad(value_of(activation, z), *penalty)
            d_z = d_y * slope_of(activation, z)
            d_kernel = d_z.T @ x if transposed else x.T @ d_z
            self.gradients[self.place(kernel)] += d_kernel
            if bias is not None:
                self.gradients[self.place(bias)] += d_z.sum(0)
            d_y = d_z @ (kernel if transposed else kernel.T) * mask
        return d_y

    def place(self, variable):
        return next(i for i, w in enumerate(self.variables) if w is variable)


def pixels(images):
    return np.float64(images) / (255 if images.dtype == np.uint8 else 1)


def norm_of(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


class Player(Network):
    """A network and the state of its optimizer, of which `options` is what the kernel gets."""

    def __init__(self, layers, options):
        super().__init__(layers)
        given = dict(options)
        self.rule, self.iterations = given.pop("rule"), given.pop("iterations")
        self.learning_rate = given.pop("learning_rate")
        given.pop("slot_places", None)
        self.slots = [[x.astype("float64") for x in kind] for kind in given.pop("slots", [])]
        for name in ("averages", "accumulators"):
            if name in given:
                given[name] = [x.astype("float64") for x in given[name]]
        if "u_product" in given:
            given["u_product"] = given["u_product"].astype("float64")
        self.options = given

    def update(self, rate=None):
        """A step of the optimizer; returns the norm of the gradients."""
        rate = self.learning_rate if rate is None else rate
        norm = norm_of(self.gradients)
        optimizer_reference.step(
            self.rule, self.iterations, self.variables, self.gradients, self.slots, rate,
            **self.options,
        )  # fmt: skip
        self.iterations += 1
        return norm

    def judge(self, x, targets, seeds=None):
        """Loss of every row and probabilities, and .gradients of the mean; returns d_x too."""
        logits = self.forward(x, logits=True, seeds=seeds)[:, 0]
        d_x = self.backward(((expit(logits) - targets) / len(x))[:, None])
        return softplus(logits) - targets * logits, expit(logits), d_x


def discriminator_update(d, real, fake, targets=None, rate=None, seeds=None):
    """The telemetry, by name."""
    if targets is None:
        targets = np.repeat([1.0, 0.0], [len(real), len(fake)])
    x = np.concatenate([pixels(real), pixels(fake)])
    losses, probabilities, _ = d.judge(x, np.float64(targets), seeds)
    of_real, of_fake = probabilities[: len(real)], probabilities[len(real) :]
    return {
        "loss": losses.mean(),
        "real_accuracy": np.mean(of_real > 0.5),
        "fake_accuracy": np.mean(of_fake <= 0.5),
        "real_probability": of_real.mean(),
        "fake_probability": of_fake.mean(),
        "gradient_norm": d.update(rate),
    }


def pairwise_distance(x):
    """The root of the mean of the squared distance of two rows."""
    apart = np.sum((x[:, None] - x[None]) ** 2, axis=-1)
    return np.sqrt(apart.sum() / max(len(x) * (len(x) - 1), 1))


def gan_step(
    g, d, images, rows, seeds, targets=None, d_rates=None, g_rates=None, dtype="float32",
    of_d=None, of_g=None, corrupts_fakes=True,
):  # fmt: skip
    """Telemetry by name, an array of steps each; of_d, of_g: seeds of what corrupts, of passes."""
    steps, n_critic, batch = rows.shape
    codings = g.layers[0][0].shape[g.layers[0][3]]
    told = []

    def imagine(seed, seeds):
        z = normal(batch * codings, seed, dtype).reshape(batch, codings)
        return g.forward(z, seeds=seeds)

    def of_pass(seeds, step, i):
        return None if seeds is None else seeds[step * (n_critic + 1) + i]

    for step in range(steps):
        updates = []
        for i in range(n_critic):
            fake = imagine(seeds[step, i], of_pass(of_g, step, i) if corrupts_fakes else None)
            wanted = None if targets is None else targets[step, i].ravel()
            rate = None if d_rates is None else d_rates[step, i]
            found = discriminator_update(
                d, images[rows[step, i]], fake, wanted, rate, of_pass(of_d, step, i)
            )
            updates.append(found)
        means = {f"discriminator_{k}": np.mean([x[k] for x in updates]) for k in updates[0]}
        means["pairwise_distance"] = pairwise_distance(fake)
        fake = imagine(seeds[step, -1], of_pass(of_g, step, n_critic))
        losses, _, d_x = d.judge(fake, 1.0, of_pass(of_d, step, n_critic))
        g.backward(d_x)
        means["generator_loss"] = losses.mean()
        means["generator_gradient_norm"] = g.update(None if g_rates is None else g_rates[step])
        told.append(means)
    return {name: np.array([each[name] for each in told]) for name in told[0]}


class Autoencoder(Player):
    """A player whose layer `log_variance`, if it has one, stands beside that of the mean."""

    def __init__(self, layers, options, log_variance=None):
        super().__init__(layers, options)
        cut = len(self.layers) if log_variance is None else log_variance
        self.variational = log_variance is not None
        self.encoder, self.head = (
            self.part(self.layers[:cut]),
            self.part(self.layers[cut : cut + 1]),
        )
        self.decoder = self.part(self.layers[cut + 1 :])

    def part(self, layers):
        """A network of some of the layers, with the variables of all."""
        network = Network([])
        network.layers, network.variables, network.dtype = layers, self.variables, self.dtype
        return network

    def step(
        self, x, targets, loss, noise=None, reconstruction_scale=1.0, kl_scale=1.0, rate=None,
        seeds=None,
    ):  # fmt: skip
        """The telemetry, by name."""
        logits = loss == "binary_crossentropy"
        first = sum(layer[4] is not None for layer in self.encoder.layers)
        if not self.variational:
            y, kl = self.encoder.forward(x, logits, seeds), 0.0
        else:
            mean = self.encoder.forward(x, seeds=seeds)
            log_var = self.head.forward(self.encoder.tape[-1][0])
            z = mean + np.exp(log_var / 2) * noise
            y = self.decoder.forward(z, logits, None if seeds is None else seeds[first:])
            kl = -np.mean(np.sum(1 + log_var - np.exp(log_var) - mean**2, 1)) / 2
        networks = (self.encoder, self.head, self.decoder) if self.variational else (self.encoder,)
        penalties = [pair for network in networks for pair in network.penalties]
        penalty = sum(weighted for weighted, _ in penalties)
        each = softplus(y) - targets * y if logits else (y - targets) ** 2
        reconstruction = reconstruction_scale * np.mean(np.sum(each, 1))
        d_y = expit(y) - targets if logits else 2 * (y - targets)
        d_y = d_y * reconstruction_scale / len(x)
        if not self.variational:
            self.encoder.backward(d_y)
            self.gradients = self.encoder.gradients
        else:
            d_z, scale = self.decoder.backward(d_y), kl_scale / len(x)
            d_log_var = d_z * noise * np.exp(log_var / 2) / 2 + scale * (np.exp(log_var) - 1) / 2
            self.backward_of_heads(d_z + scale * mean, d_log_var)
        return {
            "loss": reconstruction + kl_scale * kl + penalty,
            "reconstruction_loss": reconstruction,
            "kl": kl,
            "penalty": penalty,
            "activity": np.array([activity for _, activity in penalties]),
            "gradient_norm": self.update(rate),
        }

    def backward_of_heads(self, d_mean, d_log_var):
        """What both heads read has the sum of their gradients."""
        d_h = self.head.backward(d_log_var)
        *body, last = self.encoder.layers
        of_mean, of_body = self.part([last]), self.part(body)
        of_mean.tape, of_body.tape = self.encoder.tape[-1:], self.encoder.tape[:-1]
        mask = of_mean.tape[0][3]
        of_body.backward(d_h * mask + of_mean.backward(d_mean))
        parts = (self.decoder, self.head, of_mean, of_body)
        self.gradients = [sum(each) for each in zip(*(p.gradients for p in parts), strict=True)]

    def steps(
        self, images, rows, seeds, loss="binary_crossentropy", reconstruction_scale=1.0,
        targets=None, kl_scales=None, rates=None, dtype="float32", corruption=None,
    ):  # fmt: skip
        """Telemetry by name, an array of steps each; corruption: seeds of what corrupts."""
        targets, told = images if targets is None else targets, []
        for i, at in enumerate(rows):
            size = self.head.layers[0][0].shape[1] if self.variational else 0
            told.append(
                self.step(
                    pixels(images[at]),
                    pixels(targets[at]),
                    loss,
                    normal(len(at) * size, seeds[i], dtype).reshape(len(at), size),
                    reconstruction_scale,
                    1.0 if kl_scales is None else kl_scales[i],
                    None if rates is None else rates[i],
                    None if corruption is None else corruption[i],
                )
            )
        return {name: np.array([each[name] for each in told]) for name in told[0]}
