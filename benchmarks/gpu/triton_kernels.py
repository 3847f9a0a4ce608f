"""Sampling, KL and binary cross-entropy as a user of Triton would fuse them."""

import triton
import triton.language as tl

TILE = 4096  # elements of a program


@triton.jit
def _normals(seed, group, quarters: tl.constexpr):
    """Standard normal numbers: four tiles by one Philox each, or one."""
    if quarters:
        return tl.randn4x(seed, group)
    one = tl.randn(seed, group)
    return one, one, one, one


@triton.jit
def _forward(mean, log_var, z, kl, seed, rows, cols, R: tl.constexpr, C: tl.constexpr,
             quarters: tl.constexpr):  # fmt: skip
    row = tl.program_id(0) * R + tl.arange(0, R)[:, None]
    col = tl.arange(0, C)[None, :]
    width = cols // 4 if quarters else cols
    noise = _normals(seed, row * width + col, quarters)
    total = tl.zeros((R,), tl.float32)
    for q in tl.static_range(4 if quarters else 1):
        at = row.to(tl.int64) * cols + q * width + col
        mask = (row < rows) & (col < width)
        m, v = tl.load(mean + at, mask, other=0.0), tl.load(log_var + at, mask, other=0.0)
        root = tl.exp(0.5 * v)
        tl.store(z + at, m + root * noise[q], mask)
        total += tl.sum(1 + v - root * root - m * m, axis=1)
    row = tl.program_id(0) * R + tl.arange(0, R)
    tl.store(kl + row, -0.5 * total, row < rows)


@triton.jit
def _backward(mean, log_var, d_z, d_kl, d_mean, d_log_var, seed, rows, cols, R: tl.constexpr,
              C: tl.constexpr, quarters: tl.constexpr):  # fmt: skip
    row = tl.program_id(0) * R + tl.arange(0, R)[:, None]
    col = tl.arange(0, C)[None, :]
    width = cols // 4 if quarters else cols
    noise = _normals(seed, row * width + col, quarters)
    d = tl.load(d_kl + row, row < rows, other=0.0)
    for q in tl.static_range(4 if quarters else 1):
        at = row.to(tl.int64) * cols + q * width + col
        mask = (row < rows) & (col < width)
        m, v = tl.load(mean + at, mask, other=0.0), tl.load(log_var + at, mask, other=0.0)
        g, root = tl.load(d_z + at, mask, other=0.0), tl.exp(0.5 * v)
        tl.store(d_mean + at, g + d * m, mask)
        tl.store(d_log_var + at, 0.5 * (g * root * noise[q] + d * (root * root - 1)), mask)


@triton.jit
def _cross_entropy(targets, logits, loss, slope, rows, cols, C: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    col = tl.arange(0, C)
    mask = col < cols
    y = tl.load(targets + row * cols + col, mask, other=0.0)
    x = tl.load(logits + row * cols + col, mask, other=0.0)
    rest = tl.exp(-tl.abs(x))
    each = tl.maximum(x, 0.0) - x * y + tl.log(1 + rest)
    tl.store(loss + row, tl.sum(tl.where(mask, each, 0.0), axis=0) / cols)
    sigmoid = tl.where(x < 0, rest, 1.0) / (1 + rest)
    tl.store(slope + row * cols + col, (sigmoid - y) / cols, mask)


def _tiling(cols):
    """Grid and sizes of a program's tile."""
    quarters = cols % 4 == 0
    wide = triton.next_power_of_2(cols // 4 if quarters else cols)
    return max(1, TILE // (4 * wide)), wide, quarters


def sample_kl(mean, log_var, z, kl, seed):
    (rows, cols), (r, c, quarters) = mean.shape, _tiling(mean.shape[1])
    grid = (triton.cdiv(rows, r),)
    return lambda: _forward[grid](mean, log_var, z, kl, seed, rows, cols, r, c, quarters)


def sample_kl_grad(mean, log_var, d_z, d_kl, d_mean, d_log_var, seed):
    (rows, cols), (r, c, quarters) = mean.shape, _tiling(mean.shape[1])
    grid = (triton.cdiv(rows, r),)
    arrays = mean, log_var, d_z, d_kl, d_mean, d_log_var
    return lambda: _backward[grid](*arrays, seed, rows, cols, r, c, quarters)


def cross_entropy(targets, logits, loss, slope):
    rows, cols = logits.shape
    width = triton.next_power_of_2(cols)
    return lambda: _cross_entropy[(rows,)](targets, logits, loss, slope, rows, cols, width)
