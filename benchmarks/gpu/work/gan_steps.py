"""Training the book's dense GAN: shape is (batch,), or (batch, steps of a launch)."""

import numpy as np

from benchmarks import gan
from benchmarks.gpu.gan_peers import CUT, JaxGan, TorchGan
from benchmarks.gpu.kernels import CODES
from benchmarks.gpu.structures import RMSPROP, SELU, SIGMOID, GanFeed, Images, optimizer, player
from benchmarks.gpu.work import MATMULS, Run, Work, Wrong
from benchmarks.gpu.work.tied import PRECISIONS
from tests.core import reference
from tests.tolerances import MOVEMENT

TELEMETRY = 9  # FG_GAN_TELEMETRY
ACTIVATIONS = SELU, SELU, SIGMOID
# Of the way that weights move: RMSprop makes as much of a small gradient as of a large one.
MOVEMENTS = {"float32": MOVEMENT, "tf32": 5 * MOVEMENT}


class DiscriminatorUpdate(Work):
    """A step of RMSprop of 784-150-100-1 on a batch of real images and one of fake ones."""

    outputs = ("weights",)
    operation = "discriminator_update"
    trained = slice(CUT, 2 * CUT)  # which weights are
    checked = 3
    stateful = True

    def draw(self, seed):
        """The weights of both networks, real images, fake ones."""
        batch = self.shape[0]
        images = gan.make_images(2 * batch, seed=seed)
        arrays = [*gan.make_weights(seed), images[:batch], 1 - images[batch:]]
        return [self.device.put(x) for x in arrays]

    def check(self, provider, inputs, outputs):
        before = [self.device.get(x) for x in inputs[: 2 * CUT]]
        truth = gan.Reference(self.operation, before, root_epsilon="torch" in provider)
        truth.take(self.feed(inputs))
        pairs = zip(before[self.trained], outputs, truth.weights()[self.trained], strict=True)
        worst = 0.0
        for w, found, exact in pairs:
            away = np.linalg.norm(self.device.get(found) - exact)
            moved = away / np.linalg.norm(exact - w)
            if not moved <= MOVEMENTS[self.row.precision]:
                raise Wrong(f"moved {moved:.2g} of the way elsewhere than the reference")
            worst = max(worst, float(away / np.linalg.norm(exact)))
        return {"weights": worst}

    def feed(self, inputs):
        """What the reference takes."""
        real, fake = (self.device.get(x)[None] for x in inputs[2 * CUT :])
        every = [np.repeat(x, self.checked, 0) for x in (real, fake)]
        return gan.Feed(*every, np.zeros((self.checked, 2, 1, 1)), None)

    def player(self, weights):
        """Copies of the weights, and the player that trains them."""
        weights = [self.device.copy(w) for w in weights]
        velocities = [w * 0 for w in weights]
        rule = optimizer(RMSPROP, gan.LEARNING_RATE, gan.RHO, gan.EPSILON)
        made = player(self.device, weights, velocities, ACTIVATIONS, rule)
        made.keeps = weights, velocities
        return weights, made

    def images(self, array):
        data = self.device.pointer(array)
        return Images(dtype=CODES["float32"], data=data, count=len(array))

    def bind(self, name, steps, **arguments):
        precision = PRECISIONS[self.row.precision]
        may_lack = ("done",) if precision else ("done", "precision")
        telemetry = self.device.put(np.zeros((steps, TELEMETRY)))
        return self.kernels.bind(
            name, may_lack, telemetry=telemetry, precision=precision, **arguments
        )

    def fastgen(self, inputs):
        real, fake = map(self.images, inputs[2 * CUT :])
        weights, made = self.player(inputs[CUT : 2 * CUT])
        launch = self.bind(
            "fg_cuda_discriminator_update", 1, discriminator=made, real=real, fake=fake,
            targets=None,
        )  # fmt: skip

        def once():
            launch()
            made.optimizer.iterations += 1

        once.keeps = inputs
        return Run(once, lambda: weights)

    def _torch(self, inputs, *wrap):
        made = TorchGan(self.device, inputs, *wrap)
        real, fake = (self.device.to_torch(x) for x in inputs[2 * CUT :])
        return Run(lambda: made.update(real, fake), lambda: made.weights()[self.trained])

    def _torch_compile(self, inputs):
        import torch

        return self._torch(inputs, lambda function: torch.compile(function, dynamic=False))

    def _jax(self, inputs):
        from benchmarks.adversaries import jax_steps

        made = JaxGan(self.device, inputs, jax_steps.update, MATMULS[self.row.precision])
        real, fake = (self.device.to_jax(x) for x in inputs[2 * CUT :])
        outputs = lambda: made.weights()[self.trained]  # noqa: E731
        return Run(lambda: made.take(real, fake), outputs, made.finish)


class GanStep(DiscriminatorUpdate):
    """Both phases, as many steps a repetition as the shape says; peers are given the noise."""

    operation = "gan_step"
    trained = slice(0, 2 * CUT)
    checked = 1

    def draw(self, seed):
        """The weights of both networks, the images of all steps, and the noise."""
        batch, steps = self.shape
        draws = [reference.normal(batch * gan.CODINGS, s, "float32") for s in self.seeds()]
        noise = np.reshape(draws, (steps, 2, batch, gan.CODINGS)).astype("float32")
        images = gan.make_images(batch * steps, seed=seed)
        return [self.device.put(x) for x in (*gan.make_weights(seed), images, noise)]

    def seeds(self):
        return gan.seeds(0, self.shape[1]).reshape(-1, 2)

    def feed(self, inputs):
        images, noise = (self.device.get(x) for x in inputs[2 * CUT :])
        real = images.reshape(self.shape[1], self.shape[0], -1)
        return gan.Feed(real, real, noise, None)

    def fastgen(self, inputs):
        (batch, steps), images = self.shape, inputs[2 * CUT]
        (of_g, g), (of_d, d) = self.player(inputs[:CUT]), self.player(inputs[CUT : 2 * CUT])
        arrays = self._feed(batch, steps)
        places = {name: self.device.pointer(array) for name, array in arrays.items()}
        feed = GanFeed(
            steps=steps, n_critic=1, batch=batch, corrupts_fakes=1, images=self.images(images),
            **places,
        )  # fmt: skip
        launch = self.bind(
            "fg_cuda_gan_step", steps, generator=g, discriminator=d, feed=feed,
            done=self.device.put(np.zeros(2, np.int64)),
        )  # fmt: skip

        def once():
            launch()
            g.optimizer.iterations += steps
            d.optimizer.iterations += steps

        once.keeps = arrays, inputs
        return Run(once, lambda: of_g + of_d)

    def _feed(self, batch, steps):
        """What a feed points to, all on the device."""
        rates = np.full(steps, gan.LEARNING_RATE)
        arrays = {
            "rows": np.arange(steps * batch, dtype=np.int64),
            "seeds": np.asarray(self.seeds(), np.int64),
            "discriminator_rates": rates,
            "generator_rates": rates,
        }
        return {name: self.device.put(array) for name, array in arrays.items()}

    def _torch(self, inputs, *wrap):
        made = TorchGan(self.device, inputs, *wrap)
        images, noise = (self.device.to_torch(x) for x in inputs[2 * CUT :])
        images = images.reshape(self.shape[1], self.shape[0], -1)

        def once():
            for real, of_step in zip(images, noise, strict=True):
                made.step(real, of_step)

        return Run(once, made.weights)

    def _jax(self, inputs):
        import jax.numpy as jnp

        from benchmarks.adversaries import jax_steps

        made = JaxGan(self.device, inputs, jax_steps.steps, MATMULS[self.row.precision])
        images, noise = (self.device.to_jax(x) for x in inputs[2 * CUT :])
        rows = jnp.arange(len(images)).reshape(self.shape[1], self.shape[0])
        return Run(lambda: made.take(images, rows, 0, noise), made.weights, made.finish)
