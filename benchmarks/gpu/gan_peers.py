"""PyTorch and JAX at the steps of work/gan_steps.py, their networks those of the CPU's rows."""

from benchmarks import gan

CUT = gan.GENERATOR_VARIABLES


class TorchGan:
    """Autograd and RMSprop over lists of tensors; `wrap` compiles the losses, or does not."""

    def __init__(self, device, inputs, wrap=lambda function: function):
        import torch

        from benchmarks.adversaries import torch_steps

        self._torch = torch
        weights = [device.to_torch(device.copy(x)) for x in inputs[: 2 * CUT]]
        w = [(x.T.contiguous() if x.ndim == 2 else x).requires_grad_() for x in weights]
        self._g, self._d = w[:CUT], w[CUT:]
        self._frozen = [x.detach() for x in self._d]
        # Its count of steps on the device, so that a graph can be captured.
        options = {"foreach": True, "capturable": not device.dry}
        options |= {"alpha": gan.RHO, "eps": gan.EPSILON**0.5}
        self._rules = [
            torch.optim.RMSprop(x, gan.LEARNING_RATE, **options) for x in (self._g, self._d)
        ]
        functions = torch_steps.imagine, torch_steps.discriminator_loss, torch_steps.generator_loss
        self._imagine, self._discriminator_loss, self._generator_loss = map(wrap, functions)
        self._labels = {}

    def labels(self, count, value):
        """Made once: a captured graph must not copy from the host."""
        if (count, value) not in self._labels:
            full = self._torch.full((count, 1), float(value), device=self._d[0].device)
            self._labels[count, value] = full
        return self._labels[count, value]

    def update(self, real, fake):
        """A step of the discriminator."""
        join = self._torch.cat
        labels = join([self.labels(len(fake), 0), self.labels(len(real), 1)])
        self._descend(self._discriminator_loss(self._d, join([fake, real]), labels), 1)

    def step(self, real, noise):
        """Both phases."""
        with self._torch.no_grad():
            fake = self._imagine(self._g, noise[0])
        self.update(real, fake)
        ones = self.labels(len(real), 1)
        self._descend(self._generator_loss(self._g, self._frozen, noise[1], ones), 0)

    def _descend(self, loss, which):
        self._rules[which].zero_grad()
        loss.backward()
        self._rules[which].step()

    def weights(self):
        return [x.T if x.ndim == 2 else x for x in self._g + self._d]


class JaxGan:
    """One jitted step, or a scan over some, its state donated."""

    def __init__(self, device, inputs, function, precision):
        import jax
        import jax.numpy as jnp

        w = [jnp.array(device.to_jax(x)) for x in inputs[: 2 * CUT]]
        v = [x * 0 for x in w]
        self._state = w[:CUT], v[:CUT], w[CUT:], v[CUT:]

        def whole(state, *arrays):
            with jax.default_matmul_precision(precision):
                return function(state, *arrays)

        self._step = jax.jit(whole, donate_argnums=0)
        self._wait = jax.block_until_ready

    def take(self, *arrays):
        self._state = self._step(self._state, *arrays)

    def finish(self):
        self._wait(self._state)

    def weights(self):
        return [*self._state[0], *self._state[2]]
