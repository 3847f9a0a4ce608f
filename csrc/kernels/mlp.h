// Formula: a dense network, y = act_n(... act_1(x W_1 + b_1) ... W_n + b_n), and its gradients.
//   In training, a layer's inputs may be corrupted: x m / (1 - amount), m the mask of dropout.h, or
//   x + amount z, z the noise of gaussian_noise.h.
// Shapes: x[rows, inputs of the first layer], y[rows, units of the last]; kernels [inputs, units], or
//   [units, inputs] if transposed; biases [units].
// Dtypes: float32, float64.
// Error: each layer as dense: (depth + 4) u of the sum of the terms' magnitudes, u = 2^-24 or 2^-53,
//   and what its activation adds; weight gradients likewise, their depth is rows.
// Edges: NaN and inf propagate; no rows: gradients are 0; any alignment.
// Bytes: weights once per 32 rows (16 where there are fewer than 64), forwards and backwards;
//   activations and their gradients of all rows stay in memory until the weights' are made of them.
// Determinism: bit-equal for any thread count within an ISA; rows are cut by their number alone.
#pragma once
#include "core/activation.h"
#include "cuda/precision.h"
#include "kernels/optimizer_update.h"
#include "kernels/sparsity.h"

#ifdef __cplusplus
extern "C" {
#endif

// FG_LOG_VARIANCE: the second head of a variational encoder. It reads what the layer before it reads,
// that one being the mean; what follows reads mean + exp(log_variance / 2) noise. Both are linear.
enum { FG_DENSE = 0, FG_LOG_VARIANCE = 1 };
enum { FG_INTACT = 0, FG_DROPOUT = 1, FG_GAUSSIAN_NOISE = 2 };

typedef struct fg_mlp_layer {
  int64_t inputs, units;
  fg_activation activation;
  int transposed;  // nonzero: the kernel is [units, inputs], as that of the layer it is tied to
  // variable, slots and decays of each; a bias without a variable: none. gradient: where fg_mlp_grad
  // puts it, or NULL. Layers of one kernel variable are tied: its gradient is the sum of theirs.
  fg_optimizer_tensor kernel, bias;
  int kind;        // FG_DENSE or, for kernels that say so, FG_LOG_VARIANCE
  double slope;    // below 0, in [0, 1], of FG_LEAKY_RELU
  int corruption;  // what the layer's inputs go through in training; those of two heads share it
  double amount;   // the share that is dropped, or the noise's standard deviation
  // FG_NO_SPARSITY or, for kernels that say so, the kind of a penalty of what the layer gives in
  // training, before that is corrupted: weight times that of sparsity.h.
  int sparsity;
  double sparsity_weight, sparsity_target;
} fg_mlp_layer;

typedef struct fg_mlp {
  fg_dtype dtype;
  int64_t count;
  const fg_mlp_layer* layers;
  // [passes, layers that corrupt, 2]: of each pass in training, in their order; NULL: none corrupts.
  // Row r of a batch has the numbers of row r of stateless_uniform's or stateless_normal's matrix.
  const int64_t* seeds;
} fg_mlp;

// y[rows, units of the last layer] of x[rows, inputs of the first].
FG_API int fg_mlp_forward(const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x,
                          void* y);
// d_x, if not NULL, and the layers' gradients that are not NULL.
FG_API int fg_mlp_grad(const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x,
                       const void* d_y, void* d_x);

// The same on a CUDA stream, in builds with CUDA, of at most 12 layers: all arrays on its device, of
// their elements' alignment, the seeds too; what is pointed from to them on the host, read before the
// call returns. precision is that of float32: of products that
// are large enough, FG_CUDA_TF32 rounds the factors. See gan_step.h.
FG_API int fg_cuda_mlp_forward(void* stream, fg_cuda_precision precision, const fg_mlp* mlp,
                               int64_t rows, const void* x, void* y);
FG_API int fg_cuda_mlp_grad(void* stream, fg_cuda_precision precision, const fg_mlp* mlp,
                            int64_t rows, const void* x, const void* d_y, void* d_x);

#ifdef __cplusplus
}
#endif
