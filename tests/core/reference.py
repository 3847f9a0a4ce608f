"""What the kernels must compute, in NumPy float64 and as plainly as it can be written."""

import functools

import numpy as np
from scipy import special

LOW = np.uint64(0xFFFFFFFF)
TWO_PI = 2 * (np.longdouble(np.pi) + np.longdouble(1.2246467991473532e-16))  # pi in two parts


def philox(counter, key):
    """Philox4x32-10 of counters uint32 [..., 4] under one key [2] (Salmon et al., SC 2011)."""
    c = [np.asarray(counter)[..., i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(word) for word in key]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high0, high1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c = [high1 ^ c[1] ^ k[0], p1 & LOW, high0 ^ c[3] ^ k[1], p0 & LOW]
        k = [(k[0] + np.uint64(0x9E3779B9)) & LOW, (k[1] + np.uint64(0xBB67AE85)) & LOW]
    return np.stack(c, axis=-1).astype(np.uint32)


def words(seed, groups, first=0):
    """TensorFlow's random words for a seed [2], from a group on: uint32 [groups, 4]."""
    low_high = np.array(seed, np.int64).view(np.uint32)
    mixed = philox(low_high, (0x3EC8F720, 0x02461E29))
    counter = np.zeros([groups, 4], np.uint32)
    index = np.arange(first, first + groups, dtype=np.uint64)
    counter[:, 0], counter[:, 1] = index & LOW, index >> np.uint64(32)
    counter[:, 2:] = mixed[2:]
    return philox(counter, mixed[:2])


def box_muller(u, v):
    """Two normal numbers for each (u, v) in [0, 1)^2, sine first; in long double.

    Rounding 2 pi v to float64 would cost as much as the float64 kernels' whole error.
    """
    radius = np.sqrt(-2 * np.log(u.astype(np.longdouble)))
    angle = v * TWO_PI
    both = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)
    return both.astype(np.float64)


def normal(size, seed, dtype):
    """tf.random.stateless_normal([size], seed, dtype); half and bfloat16 take float32's noise."""
    return drawn_normal(int(size), tuple(map(int, seed)), np.dtype(dtype) == np.float64)


@functools.lru_cache(256)  # every ISA and narrow dtype asks again
def drawn_normal(size, seed, wide):
    if wide:
        w = words(seed, -(-size // 2)).astype(np.uint64)
        uniform = ((w[:, ::2] & np.uint64(0xFFFFF)) << np.uint64(32) | w[:, 1::2]) * 2.0**-52
        u, v, least = uniform[:, 0], uniform[:, 1], 1e-7
    else:
        uniform = (words(seed, -(-size // 4)) & 0x7FFFFF) * 2.0**-23
        u, v, least = uniform[:, ::2], uniform[:, 1::2], float(np.float32(1e-7))
    noise = box_muller(np.maximum(u, least), v).ravel()[:size]
    noise.setflags(write=False)
    return noise


def uniform(size, seed, dtype):
    """tf.random.stateless_uniform([size], seed, dtype); half and bfloat16 take float32's."""
    return drawn_uniform(int(size), tuple(map(int, seed)), np.dtype(dtype) == np.float64)


@functools.lru_cache(256)
def drawn_uniform(size, seed, wide):
    if wide:
        w = words(seed, -(-size // 2)).astype(np.uint64)
        u = ((w[:, ::2] & np.uint64(0xFFFFF)) << np.uint64(32) | w[:, 1::2]) * 2.0**-52
    else:
        u = (words(seed, -(-size // 4)) & 0x7FFFFF) * 2.0**-23
    u = u.ravel()[:size]
    u.setflags(write=False)
    return u


def dropout(x, rate, seed):
    """The kept elements of x, scaled; rate as a number of the precision computed in."""
    kept = uniform(x.size, seed, x.dtype).reshape(x.shape)
    kept = kept >= (rate if x.dtype == np.float64 else float(np.float32(rate)))
    return np.where(kept, wide(x)[0] / (1 - rate) if rate < 1 else 0, 0)


def noise_like(x, seed):
    return normal(x.size, seed, x.dtype).reshape(x.shape)


def wide(*arrays):
    return [np.asarray(a).astype(np.float64) for a in arrays]


def sample(mean, log_var, seed):
    eps = noise_like(mean, seed)
    mean, log_var = wide(mean, log_var)
    return mean + np.exp(log_var / 2) * eps


def sample_grad(log_var, seed, d_z):
    eps = noise_like(log_var, seed)
    log_var, d_z = wide(log_var, d_z)
    return d_z * np.exp(log_var / 2) * eps / 2


def kl(mean, log_var):
    mean, log_var = wide(mean, log_var)
    return -0.5 * np.sum(1 + log_var - np.exp(log_var) - mean**2, axis=-1)


def kl_grad(mean, log_var, d_kl):
    mean, log_var, d_kl = wide(mean, log_var, d_kl)
    return d_kl[..., None] * mean, d_kl[..., None] * (np.exp(log_var) - 1) / 2


def sample_kl(mean, log_var, seed):
    return sample(mean, log_var, seed), kl(mean, log_var)


def sample_kl_grad(mean, log_var, seed, d_z, d_kl):
    d_mean, d_log_var = kl_grad(mean, log_var, d_kl)
    return wide(d_z)[0] + d_mean, sample_grad(log_var, seed, d_z) + d_log_var


def sparsity(activations, target, kind):
    """The penalty, and the mean activity of each unit."""
    (a,) = wide(activations)
    a = a.reshape(np.prod(a.shape[:-1], dtype=int), a.shape[-1])
    if not len(a):
        return 0.0, np.zeros(a.shape[-1])
    q = np.mean(np.abs(a) if kind == "l1" else a, axis=0)
    if kind == "l1":
        return np.sum(q), q
    if kind == "mse":
        return np.sum((q - target) ** 2), q
    p, r = target, np.clip(q, 1e-7, 1 - 1e-7)
    return np.sum(special.rel_entr(p, r) + special.rel_entr(1 - p, 1 - r)), q


def sparsity_slope(q, target, kind):
    """Derivative of the penalty by the mean activity of each unit."""
    if kind == "l1":
        return np.ones_like(q)
    if kind == "mse":
        return 2 * (q - target)
    r = np.clip(q, 1e-7, 1 - 1e-7)
    return np.where((q < 1e-7) | (q > 1 - 1e-7), 0, (r - target) / (r * (1 - r)))


def sparsity_grad(activations, target, kind, activity, d_penalty, d_activity=0.0, d_passed=0.0):
    """Gradient of the penalty from the mean activities, and what else arrives."""
    a, d_penalty, d_activity, d_passed = wide(activations, d_penalty, d_activity, d_passed)
    rows = max(a.size // max(a.shape[-1], 1), 1)
    each = (sparsity_slope(activity, target, kind) * d_penalty + d_activity) / rows
    return d_passed + each * (np.sign(a) if kind == "l1" else np.ones_like(a))


def cross_entropy(targets, logits, label_smoothing=0.0):
    """Loss by row, and its slope by element."""
    y, x = wide(targets, logits)
    y = (y / 255 if np.asarray(targets).dtype == np.uint8 else y) * (1 - label_smoothing)
    y, small = y + label_smoothing / 2, np.exp(-np.abs(x))
    loss = np.maximum(x, 0) - x * y + np.log1p(small)
    small /= 1 + small
    cols = max(x.shape[-1], 1)
    return np.sum(loss, axis=-1) / cols, np.where(x < 0, small - y, (1 - y) - small) / cols
