// Formula: z = x kernel^T + bias, y = act(z); d_z = act'(z) d_y, d_x = d_z kernel,
//   d_kernel = d_z^T x, d_bias = sum_rows(d_z). act: core/activation.h.
// Shapes: x, d_x [rows, inputs]; kernel, d_kernel [units, inputs]; bias, d_bias [units]; y, z, d_y
//   [rows, units]; all row-major. bias, z, d_x, d_kernel and d_bias may be NULL: left out.
// Dtypes: float32, float64; bfloat16, float16 compute in float32. One running sum an element, cut
//   at each 256 (float64: 128) of depth.
// Error: of z, d_x, d_kernel and d_bias u (n + 2) sum |a b| over n terms, u = 2^-24 or 2^-53 (d_bias
//   adds up rows of d_z: b = 1); of act 4 u (1 + |z|) more; plus half an ulp of the storage dtype.
//   Products on a GPU, with FG_CUDA_TF32: 2^-10 sum |a b| + 2 u (n + 2) sum |a b|; of 16 bits
//   2 u (n + 2) sum |a b|, of a d_z that is rounded to the storage dtype unless act is linear.
// Edges: NaN and inf propagate; any alignment; 0 rows: d_kernel and d_bias 0; 0 inputs: z = bias.
// Bytes: forward 4 (rows inputs + inputs units + rows units) in float32, backward d_z twice more. Up to
//   512 rows x is copied, transposed; from there on both operands of a product are packed first
//   (core/gemm.h, core/small_gemm.h).
// Determinism: bit-equal for any thread count within an ISA; a row of y and d_x, for any number of
//   rows. Outputs overlap nothing.
#pragma once
#include "core/abi.h"
#include "core/activation.h"
#include "cuda/precision.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_dense_transpose(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                              int64_t inputs, int64_t units, fg_activation activation,
                              const void* x, const void* kernel, const void* bias, void* y,
                              void* z);
// saved: z for an activation that fg_needs_input, else y.
FG_API int fg_dense_transpose_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                                   int64_t inputs, int64_t units, fg_activation activation,
                                   const void* x, const void* kernel, const void* saved,
                                   const void* d_y, void* d_x, void* d_kernel, void* d_bias);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment.
// precision is that of float32; 16 bits always take tensor cores (sm_80 and later). Bits depend on
// the sizes and the operands' alignment alone, except where cuBLASLt multiplies (cuda/cublaslt.h;
// FASTGEN_CUBLAS=0 forbids it): there on its version and the GPU, and act takes a z as it is stored.
FG_API int fg_cuda_dense_transpose(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs,
                                   int64_t units, fg_activation activation,
                                   fg_cuda_precision precision, const void* x, const void* kernel,
                                   const void* bias, void* y, void* z);
FG_API int fg_cuda_dense_transpose_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs,
                                        int64_t units, fg_activation activation,
                                        fg_cuda_precision precision, const void* x,
                                        const void* kernel, const void* saved, const void* d_y,
                                        void* d_x, void* d_kernel, void* d_bias);

// Loss and slope of kernels/sigmoid_cross_entropy.h, of logits = x kernel^T + bias that are never in
// memory. targets, slope [rows, units], loss [rows]; dtypes as there; slope may be NULL or targets of
// its dtype. Error: that of z, times (1 + |y|) in loss, / (4 cols) in slope, and what is stated
// there. Bytes: 4 (rows inputs + inputs units + 2 rows units) in float32.
FG_API int fg_cuda_dense_transpose_cross_entropy(
    void* stream, fg_dtype dtype, fg_dtype targets_dtype, int64_t rows, int64_t inputs,
    int64_t units, fg_cuda_precision precision, const void* x, const void* kernel, const void* bias,
    const void* targets, double label_smoothing, void* loss, void* slope);

#ifdef __cplusplus
}
#endif
