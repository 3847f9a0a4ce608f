"""Sample and KL divergence, forward and backward; peers get the backward pass's noise stored."""

import numpy as np

from benchmarks.draws import assert_right, normal
from benchmarks.gpu.kernels import CODES, words
from benchmarks.gpu.work import OWN, Run, Work, Wrong
from tests.core import reference
from tests.tolerances import NOISE

SEED = (20, 7)
LOOKED_AT = 1 << 21  # draws whose statistics are taken
COMPARED = 4096  # draws that are compared with TensorFlow's


class SampleKl(Work):
    """z and kl of mean and log_var."""

    outputs = ("z", "kl")

    def draw(self, seed):
        return [self.device.normal(self.shape, seed + i) for i in range(2)]

    def fastgen(self, inputs):
        rows, cols = self.shape
        outputs = [self.device.poisoned((rows, cols)), self.device.poisoned((rows,))]
        z, kl = outputs
        mean, log_var = inputs
        once = self.kernels.bind(
            "fg_cuda_gaussian_sample_kl", dtype=CODES["float32"], rows=rows, cols=cols,
            seed=words(*SEED), mean=mean, log_var=log_var, z=z, kl=kl,
        )  # fmt: skip
        return Run(once, lambda: outputs)

    def fastgen_core(self, inputs):
        """The Python module, on arrays of CuPy's."""
        import cupy

        from fastgen import core

        mean, log_var = (cupy.from_dlpack(x) for x in inputs)
        outputs = tuple(cupy.from_dlpack(x) for x in self._poisoned())
        once = lambda: core.gaussian_sample_kl(mean, log_var, SEED, out=outputs)  # noqa: E731
        return Run(once, lambda: list(outputs))

    def noise(self, provider):
        """What a kernel that makes its noise of a seed draws: z, where mean and log_var are 0."""
        zeros = [self.device.put(np.zeros(self.shape, "float32")) for _ in range(2)]
        run = (
            SampleKl.triton(self, zeros) if provider == "triton" else SampleKl.fastgen(self, zeros)
        )
        run.once()
        self.device.wait()
        noise = self.device.wide(run.outputs()[0])
        look_at(self.device, noise)
        if provider != "triton":
            first = self.device.get(noise.reshape(-1)[:COMPARED])
            stock = reference.normal(first.size, SEED, "float32")
            if not np.all(np.abs(first - stock) <= NOISE * (1 + np.abs(stock))):
                raise Wrong("the noise is not that of stateless_normal")
        return noise

    def reference(self, provider, inputs, outputs):
        mean, log_var = map(self.device.wide, inputs)
        exp = self.device.xp.exp
        if provider in OWN:
            noise = self.noise(provider)
        else:
            noise = (self.device.wide(outputs[0]) - mean) / exp(log_var / 2)
            look_at(self.device, noise)
        kl = -0.5 * (1 + log_var - exp(log_var) - mean * mean).sum(-1)
        return mean + exp(log_var / 2) * noise, kl

    def torch(self, mean, log_var):
        import torch

        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(log_var)
        return z, -0.5 * torch.sum(1 + log_var - log_var.exp() - mean.square(), dim=-1)

    def jax_more(self):
        import jax

        return [jax.random.key(SEED[0])]

    def jax(self, mean, log_var, key):
        import jax
        import jax.numpy as jnp

        z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
        return z, -0.5 * jnp.sum(1 + log_var - jnp.exp(log_var) - mean**2, axis=-1)

    def cupy(self, mean, log_var):
        import cupy

        from benchmarks.gpu import cupy_kernels

        noise = cupy.random.standard_normal(mean.shape, dtype="float32")
        return cupy_kernels.sample(mean, log_var, noise), cupy_kernels.kl(mean, log_var, axis=1)

    def triton(self, inputs):
        from benchmarks.gpu import triton_kernels

        mean, log_var = map(self.device.to_torch, inputs)
        outputs = [self.device.to_torch(x) for x in self._poisoned()]
        return Run(triton_kernels.sample_kl(mean, log_var, *outputs, seed=SEED[0]), lambda: outputs)

    def _poisoned(self):
        return [self.device.poisoned(self.shape), self.device.poisoned(self.shape[:1])]


class SampleKlGrad(SampleKl):
    """d_mean and d_log_var; the last input is the noise, which ours and Triton's make again."""

    outputs = ("d_mean", "d_log_var")

    def draw(self, seed):
        shapes = self.shape, self.shape, self.shape, self.shape[:1], self.shape
        return [self.device.normal(shape, seed + i) for i, shape in enumerate(shapes)]

    def fastgen(self, inputs):
        rows, cols = self.shape
        outputs = [self.device.poisoned(self.shape) for _ in range(2)]
        mean, log_var, d_z, d_kl, _ = inputs
        once = self.kernels.bind(
            "fg_cuda_gaussian_sample_kl_grad", dtype=CODES["float32"], rows=rows, cols=cols,
            seed=words(*SEED), mean=mean, log_var=log_var, d_z=d_z, d_kl=d_kl,
            d_mean=outputs[0], d_log_var=outputs[1],
        )  # fmt: skip
        return Run(once, lambda: outputs)

    def reference(self, provider, inputs, outputs):
        mean, log_var, d_z, d_kl, noise = map(self.device.wide, inputs)
        if provider in OWN:
            noise = self.noise(provider)
        exp, d_kl = self.device.xp.exp, d_kl[:, None]
        sample = d_z * exp(log_var / 2) * noise
        return d_z + d_kl * mean, 0.5 * (sample + d_kl * (exp(log_var) - 1))

    def torch(self, mean, log_var, d_z, d_kl, noise):
        import torch

        root, d_kl = torch.exp(0.5 * log_var), d_kl[:, None]
        return d_z + d_kl * mean, 0.5 * (d_z * root * noise + d_kl * (root * root - 1))

    def jax_more(self):
        return ()

    def jax(self, mean, log_var, d_z, d_kl, noise):
        import jax.numpy as jnp

        root, d_kl = jnp.exp(0.5 * log_var), d_kl[:, None]
        return d_z + d_kl * mean, 0.5 * (d_z * root * noise + d_kl * (root * root - 1))

    def cupy(self, mean, log_var, d_z, d_kl, noise):
        from benchmarks.gpu import cupy_kernels

        return cupy_kernels.sample_kl_grad(mean, log_var, d_z, d_kl[:, None], noise)

    def triton(self, inputs):
        from benchmarks.gpu import triton_kernels

        arrays = [self.device.to_torch(x) for x in inputs[:4]]
        outputs = [self.device.to_torch(self.device.poisoned(self.shape)) for _ in range(2)]
        once = triton_kernels.sample_kl_grad(*arrays, *outputs, seed=SEED[0])
        return Run(once, lambda: outputs)


def look_at(device, noise):
    """Raise Wrong unless draws look standard normal: all by two moments, the first by more."""
    n = float(np.prod(tuple(noise.shape)))
    mean, square = float(noise.mean()), float((noise * noise).mean())
    rows = noise[: max(2, LOOKED_AT // noise.shape[-1])]
    try:
        assert_right({"mean of all": mean * n**0.5, "square of all": (square - 1) * (n / 2) ** 0.5})
        assert_right(normal(device.get(rows)))
    except AssertionError as error:
        raise Wrong(str(error)) from None
