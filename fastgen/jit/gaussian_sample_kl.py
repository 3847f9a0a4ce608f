"""Sample of a diagonal Gaussian and its KL divergence, as a kernel of Numba's.

What `fastgen.ops.gaussian_sample_kl` computes, for reading and for where its kernel was not built.
"""

from fastgen.jit.array_kernel import kernel
from fastgen.jit.math import exp
from fastgen.ops import gaussian_sample_kl as stock

SUMS = {"reassoc", "nsz", "contract"}


@kernel("(n),(n),(n),(),(n),(n)->(n),(n),(n),()", noise="normal", fastmath=SUMS)
def _second(mean, log_var, d_z, d_kl, g_mean, g_log_var, d_mean, d_log_var, d_d_z, d_d_kl, noise):
    total = 0.0
    for i in range(mean.shape[0]):
        deviation = exp(0.5 * log_var[i])
        scaled, variance = 0.5 * deviation * noise[i], deviation * deviation
        d_mean[i] = g_mean[i] * d_kl
        d_log_var[i] = 0.5 * g_log_var[i] * (d_z[i] * scaled + d_kl * variance)
        d_d_z[i] = g_mean[i] + g_log_var[i] * scaled
        total += g_mean[i] * mean[i] + 0.5 * g_log_var[i] * (variance - 1)
    d_d_kl[0] = total


@kernel(
    "(n),(n),(n),()->(n),(n)",
    gradient=_second,
    reference=lambda mean, log_var, d_z, d_kl, noise: stock.gaussian_sample_kl_grad_composite(
        mean, log_var, None, d_z, d_kl, noise
    ),
    noise="normal",
)
def _gradient(mean, log_var, d_z, d_kl, d_mean, d_log_var, noise):
    for i in range(mean.shape[0]):
        deviation = exp(0.5 * log_var[i])
        d_mean[i] = d_z[i] + d_kl * mean[i]
        d_variance = d_kl * (deviation * deviation - 1)
        d_log_var[i] = 0.5 * (d_z[i] * deviation * noise[i] + d_variance)


@kernel(
    "(n),(n)->(n),()",
    gradient=_gradient,
    reference=lambda mean, log_var, noise: stock.gaussian_sample_kl_composite(
        mean, log_var, None, noise
    ),
    noise="normal",
    fastmath=SUMS,
)
def _sample_kl(mean, log_var, z, kl, noise):
    total = 0.0
    for i in range(mean.shape[0]):
        deviation = exp(0.5 * log_var[i])
        z[i] = mean[i] + deviation * noise[i]
        total += mean[i] * mean[i] + deviation * deviation - 1 - log_var[i]
    kl[0] = 0.5 * total
