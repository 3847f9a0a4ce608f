"""PyTorch: autograd and RMSprop over lists of tensors, eager or with both losses compiled."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import linear, selu

from benchmarks import gan
from benchmarks.adversaries import Adversary
from benchmarks.providers import THREADS


def network(w, x):
    x = selu(linear(x, w[0], w[1]))
    return linear(selu(linear(x, w[2], w[3])), w[4], w[5])


def imagine(g, noise):
    return torch.sigmoid(network(g, noise))


def discriminator_loss(d, images, labels):
    return cross_entropy(network(d, images), labels)


def generator_loss(g, d, noise, labels):
    return cross_entropy(network(d, imagine(g, noise)), labels)


class Provider(Adversary):
    root_epsilon = True

    def build(self, weights):
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        w = [
            torch.tensor(value.T.copy() if value.ndim == 2 else value, requires_grad=True)
            for value in weights
        ]
        self._g, self._d = w[: gan.GENERATOR_VARIABLES], w[gan.GENERATOR_VARIABLES :]
        # The generator's phase needs no gradient in these.
        self._frozen = [x.detach() for x in self._d]
        options = {"alpha": gan.RHO, "eps": gan.EPSILON**0.5, "foreach": True}
        self._optimizers = [
            torch.optim.RMSprop(x, gan.LEARNING_RATE, **options) for x in (self._g, self._d)
        ]
        wrap = (
            (lambda f: torch.compile(f, dynamic=False))
            if self.name == "torch_compile"
            else (lambda f: f)
        )
        functions = imagine, discriminator_loss, generator_loss
        self._imagine, self._discriminator_loss, self._generator_loss = map(wrap, functions)
        self.images = torch.from_numpy(self.images.reshape(-1, gan.PIXELS))
        zeros, self._ones = torch.zeros(self.batch, 1), torch.ones(self.batch, 1)
        self._labels = torch.cat([zeros, self._ones])
        self._pair = [self.images[torch.from_numpy(rows)] for rows in self.shuffle(2)]

    def _descend(self, loss, which):
        self._optimizers[which].zero_grad()
        loss.backward()
        self._optimizers[which].step()

    def _update(self, real, fake):
        loss = self._discriminator_loss(self._d, torch.cat([fake, real]), self._labels)
        self._descend(loss, 1)

    def _step(self, real, noise=None):
        shape = self.batch, gan.CODINGS
        first, second = (torch.randn(shape), torch.randn(shape)) if noise is None else noise
        with torch.no_grad():
            fake = self._imagine(self._g, first)
        self._update(real, fake)
        self._descend(self._generator_loss(self._g, self._frozen, second, self._ones), 0)

    def call(self, rows):
        if self.operation == "discriminator_update":
            return self._update(*self._pair)
        self._step(self.images[torch.from_numpy(rows[0])])

    def take(self, feed):
        for real, fake, noise in zip(feed.real, feed.fake, feed.noise, strict=True):
            real, fake = (torch.from_numpy(x.reshape(len(x), -1)) for x in (real, fake))
            if self.operation == "discriminator_update":
                self._update(real, fake)
            else:
                self._step(real, torch.from_numpy(noise))

    def weights(self):
        return [(x.T if x.ndim == 2 else x).detach().numpy().copy() for x in self._g + self._d]
