// Formula: loss = mean_cols(max(l, 0) - l y + ln(1 + exp(-|l|))), y = targets (1 - s) + s / 2, with
//   logits l and label smoothing s (Goodfellow et al. 2016, section 6.2.2.2);
//   slope = (sigmoid(l) - y) / cols, d_logits = d_loss slope.
// Shapes: targets, logits, slope, d_logits [rows, cols] row-major; loss, d_loss [rows]. 1 column: no
//   mean; 1 row: the mean of all.
// Dtypes: float32, float64; bfloat16, float16 compute in float32. targets likewise, or uint8, which
//   stands for 255ths. loss and d_loss: float64 for float64, else float32. float32 rows are summed
//   in float32 lanes, longer than 1,024 columns tile by tile in double.
// Error: loss 8 u mean_cols(1 + |l| (1 + |y|)), slope 8 u (sigmoid(l) + |y|) / cols, d_logits that
//   times |d_loss|; u = 2^-24 or 2^-53; plus half an ulp of the storage dtype. Subnormal slopes lose
//   bits.
// Edges: every finite l has a finite loss; NaN stays NaN; at l = +-inf the loss is inf or NaN, as
//   that of stock ops, and the slope finite; any alignment; 0 cols: loss 0.
// Bytes: forward 12, backward 8 an element in float32 by way of the slope; 8 and 12 without it.
// Determinism: bit-equal for any thread count within an ISA, with slope and without. slope may be
//   logits or targets, d_logits slope, logits or targets, of one dtype; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// slope: NULL where no gradient will be asked for, or where it is to be computed anew.
FG_API int fg_sigmoid_cross_entropy(const fg_threads* threads, fg_dtype dtype,
                                    fg_dtype targets_dtype, int64_t rows, int64_t cols,
                                    const void* targets, const void* logits, double label_smoothing,
                                    void* loss, void* slope);
FG_API int fg_sigmoid_cross_entropy_grad(const fg_threads* threads, fg_dtype dtype,
                                         fg_dtype targets_dtype, int64_t rows, int64_t cols,
                                         const void* targets, const void* logits,
                                         double label_smoothing, const void* d_loss,
                                         void* d_logits);
FG_API int fg_sigmoid_cross_entropy_from_slope_grad(const fg_threads* threads, fg_dtype dtype,
                                                    int64_t rows, int64_t cols, const void* slope,
                                                    const void* d_loss, void* d_logits);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment.
FG_API int fg_cuda_sigmoid_cross_entropy(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                         int64_t rows, int64_t cols, const void* targets,
                                         const void* logits, double label_smoothing, void* loss,
                                         void* slope);
FG_API int fg_cuda_sigmoid_cross_entropy_grad(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                              int64_t rows, int64_t cols, const void* targets,
                                              const void* logits, double label_smoothing,
                                              const void* d_loss, void* d_logits);
FG_API int fg_cuda_sigmoid_cross_entropy_from_slope_grad(void* stream, fg_dtype dtype, int64_t rows,
                                                         int64_t cols, const void* slope,
                                                         const void* d_loss, void* d_logits);

// The same bits of a label_smoothing on the device, which is read when the stream gets there.
FG_API int fg_cuda_sigmoid_cross_entropy_device_smoothing(void* stream, fg_dtype dtype,
                                                          fg_dtype targets_dtype, int64_t rows,
                                                          int64_t cols, const void* targets,
                                                          const void* logits,
                                                          const double* label_smoothing, void* loss,
                                                          void* slope);
FG_API int fg_cuda_sigmoid_cross_entropy_grad_device_smoothing(void* stream, fg_dtype dtype,
                                                               fg_dtype targets_dtype, int64_t rows,
                                                               int64_t cols, const void* targets,
                                                               const void* logits,
                                                               const double* label_smoothing,
                                                               const void* d_loss, void* d_logits);

#ifdef __cplusplus
}

#include "core/host_device.h"

namespace fastgen {

// sigmoid(logit) - y, where rest = exp(-|logit|) / (1 + exp(-|logit|)) is the smaller of sigmoid and
// 1 - sigmoid: exact to its last places where y is 0 or 1.
template <class V>
FG_MATH V sigmoid_minus(V logit, V y, V rest) {
  return (logit < 0.0f ? -y : 1.0f - y) + (logit < 0.0f ? rest : -rest);
}

}  // namespace fastgen
#endif
