"""A step of Adam on all tensors of a model: shape is the number of elements, or the book's GAN."""

import itertools

from benchmarks import gan, updates
from benchmarks.gpu.structures import ADAM, Tensor, optimizer, tensor
from benchmarks.gpu.work import Run, Work, Wrong, error
from tests.tolerances import MOVEMENT

RATE, BETAS, EPSILON = updates.LEARNING_RATE, (0.9, 0.999), 1e-7


class Adam(Work):
    """Weights after some steps; `draw` gives weights and gradients in turn."""

    outputs = ("weights",)
    checked = 3
    stateful = True

    def shapes(self):
        if self.shape != ("gan",):
            return [self.shape]
        pairs = gan.layers(gan.GENERATOR) + gan.layers(gan.DISCRIMINATOR)
        return [shape for pair in pairs for shape in (pair, pair[1:])]

    def draw(self, seed):
        drawn = []
        for shape in self.shapes():
            drawn.append(self.device.normal(shape, seed) * 0.1)
            # Of no gradient near 0, where it would matter on which side of the root epsilon is.
            g = self.device.normal(shape, seed + 1)
            drawn.append(g + self.device.xp.sign(g))
            seed += 2
        return drawn

    def check(self, provider, inputs, outputs):
        wide = self.device.wide
        worst = 0.0
        for w, g, found in zip(inputs[::2], inputs[1::2], outputs, strict=True):
            truth, state = wide(w), {}
            for t in range(1, self.checked + 1):
                truth = updates.adam(truth, wide(g), state, t)
            moved = error(self.device, wide(found) - wide(w), truth - wide(w))
            if not moved <= MOVEMENT:
                raise Wrong(f"moved {moved:.2g} of the way elsewhere than the reference")
            worst = max(worst, error(self.device, found, truth))
        return {"weights": worst}

    def fastgen(self, inputs):
        w = [self.device.copy(x) for x in inputs[::2]]
        m, v = ([x * 0 for x in w] for _ in range(2))
        found = zip(w, zip(m, v, strict=True), inputs[1::2], strict=True)
        tensors = (Tensor * len(w))(*(tensor(self.device, *each) for each in found))
        options = optimizer(ADAM, RATE, BETAS[1], EPSILON, BETAS[0])
        launch = self.kernels.bind(
            "fg_cuda_optimizer_update", optimizer=options, count=len(w), tensors=tensors,
            applied=None,
        )  # fmt: skip
        kept = m, v, inputs

        def once():
            launch()
            options.iterations += 1

        once.keeps = kept
        return Run(once, lambda: w)

    def _torch_adam(self, inputs, **how):
        import torch

        w = [self.device.to_torch(self.device.copy(x)).requires_grad_() for x in inputs[::2]]
        for x, g in zip(w, inputs[1::2], strict=True):
            x.grad = self.device.to_torch(g)
        on_device = not self.device.dry  # the count of steps: a graph can be captured
        return w, torch.optim.Adam(
            w, lr=RATE, betas=BETAS, eps=EPSILON, capturable=on_device, **how
        )

    def _torch(self, inputs, function=None):
        w, rule = self._torch_adam(inputs, fused=True)
        return Run(rule.step, lambda: w)

    def _torch_compile(self, inputs):
        import torch

        w, rule = self._torch_adam(inputs, foreach=True)
        return Run(torch.compile(rule.step), lambda: w)

    def _jax(self, inputs):
        import jax
        import jax.numpy as jnp

        g = [self.device.to_jax(x) for x in inputs[1::2]]
        w = [jnp.array(self.device.to_jax(x)) for x in inputs[::2]]
        carry = [w, [{"m": x * 0, "v": x * 0} for x in w]]
        count = itertools.count(1)

        def step(t, g, w, states):
            states = [dict(state) for state in states]
            found = zip(w, g, states, strict=True)
            return [updates.adam(x, d, state, t) for x, d, state in found], states

        step = jax.jit(step, donate_argnums=(2, 3))

        def once():
            carry[:] = step(jnp.float32(next(count)), g, *carry)

        return Run(once, lambda: carry[0], lambda: jax.block_until_ready(carry))
