"""CuPy's own way of fusing: elementwise and reduction kernels, compiled when first called."""

import cupy

sample = cupy.ElementwiseKernel(
    "float32 mean, float32 log_var, float32 noise",
    "float32 z",
    "z = mean + expf(0.5f * log_var) * noise",
    "sample",
)
kl = cupy.ReductionKernel(
    "float32 mean, float32 log_var",
    "float32 kl",
    "1 + log_var - expf(log_var) - mean * mean",
    "a + b",
    "kl = -0.5f * a",
    "0",
    "kl",
)
sample_kl_grad = cupy.ElementwiseKernel(
    "float32 mean, float32 log_var, float32 d_z, float32 d_kl, float32 noise",
    "float32 d_mean, float32 d_log_var",
    """
    float root = expf(0.5f * log_var);
    d_mean = d_z + d_kl * mean;
    d_log_var = 0.5f * (d_z * root * noise + d_kl * (root * root - 1));
    """,
    "sample_kl_grad",
)
cross_entropy = cupy.ReductionKernel(
    "float32 target, float32 logit, float32 cols",
    "float32 loss",
    "(fmaxf(logit, 0) - logit * target + log1pf(expf(-fabsf(logit)))) / cols",
    "a + b",
    "loss = a",
    "0",
    "cross_entropy",
)
cross_entropy_slope = cupy.ElementwiseKernel(
    "float32 target, float32 logit, float32 cols",
    "float32 slope",
    "slope = (1 / (1 + expf(-logit)) - target) / cols",
    "cross_entropy_slope",
)
