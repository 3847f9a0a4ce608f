#include "cuda/rows.h"
#include "kernels/sigmoid_cross_entropy.cuh"
#include "kernels/sigmoid_cross_entropy.h"

using namespace fastgen;
using namespace fastgen::cuda;

namespace {

// body(T{}, U{}) with the storage types of logits and targets.
template <class Body>
int for_dtypes(const char* op, fg_dtype dtype, fg_dtype targets_dtype, const Body& body) {
  if (targets_dtype != dtype && targets_dtype != FG_UINT8) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: targets must be uint8 or have the dtype of logits. Received: code %d, code %d",
                op, (int)targets_dtype, (int)dtype);
  }
  return for_dtype(op, dtype, [&](auto storage) {
    return targets_dtype == FG_UINT8 ? body(storage, uint8_t{}) : body(storage, storage);
  });
}

template <class U, class K>
SmoothTargets<U, K> smooth_targets(const void* targets, double label_smoothing) {
  return {(const U*)targets, (K)((1 - label_smoothing) / (sizeof(U) == 1 ? 255 : 1)),
          (K)(label_smoothing / 2)};
}

double share_of(int64_t cols) { return 1 / (double)(cols > 0 ? cols : 1); }

}  // namespace

extern "C" {

int fg_cuda_sigmoid_cross_entropy(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                  int64_t rows, int64_t cols, const void* targets,
                                  const void* logits, double label_smoothing, void* loss,
                                  void* slope) {
  constexpr const char* op = "sigmoid_cross_entropy";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef decltype(target) U;
    typedef typename Compute<T>::type K;
    const auto pointers = {targets, logits, (const void*)slope};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      const double share = share_of(cols);
      return sum_rows(op, stream, lines, (K*)loss, share, [&](const RowSums<K>& sums) {
        return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                      sigmoid_cross_entropy_kernel<T, U, n, wide, K>, lines,
                      smooth_targets<U, K>(targets, label_smoothing), (const T*)logits, (K)share,
                      (T*)slope, sums);
      });
    });
  });
}

int fg_cuda_sigmoid_cross_entropy_grad(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                       int64_t rows, int64_t cols, const void* targets,
                                       const void* logits, double label_smoothing,
                                       const void* d_loss, void* d_logits) {
  constexpr const char* op = "sigmoid_cross_entropy_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef decltype(target) U;
    typedef typename Compute<T>::type K;
    const auto pointers = {targets, logits, (const void*)d_logits};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                    sigmoid_cross_entropy_grad_kernel<T, U, n, wide, K>, lines,
                    smooth_targets<U, K>(targets, label_smoothing), (const T*)logits,
                    (K)share_of(cols), (const K*)d_loss, (T*)d_logits);
    });
  });
}

int fg_cuda_sigmoid_cross_entropy_from_slope_grad(void* stream, fg_dtype dtype, int64_t rows,
                                                  int64_t cols, const void* slope,
                                                  const void* d_loss, void* d_logits) {
  constexpr const char* op = "sigmoid_cross_entropy_from_slope_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    return for_width_of_rows<T>(cols, {slope, d_logits}, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0, scale_rows_kernel<T, n, wide, K>,
                    lines, (const T*)slope, (const K*)d_loss, (T*)d_logits);
    });
  });
}
}
