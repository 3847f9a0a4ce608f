#include "cuda/flat.h"
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

// The number, or where it lies on the device.
struct LabelSmoothing {
  double value;
  const double* on_device;

  template <class U, class K>
  SmoothTargets<U, K> of(const void* targets) const {
    SmoothTargets<U, K> result = {(const U*)targets, 0, 0, on_device};
    result.smooth(value);
    return result;
  }
};

// body(smoothing) for a number that kernels read where it lies.
template <class Body>
int for_smoothing_on_device(const char* op, const double* number, const Body& body) {
  if (number) return body(LabelSmoothing{0, number});
  return fail(FG_INVALID_ARGUMENT, "%s: label_smoothing must be on the device. Received: NULL", op);
}

double share_of(int64_t cols) { return 1 / (double)(cols > 0 ? cols : 1); }

int cross_entropy(void* stream, fg_dtype dtype, fg_dtype targets_dtype, int64_t rows, int64_t cols,
                  const void* targets, const void* logits, const LabelSmoothing& smoothing,
                  void* loss, void* slope) {
  constexpr const char* op = "sigmoid_cross_entropy";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef decltype(target) U;
    typedef typename Compute<T>::type K;
    if (cols == 1) {
      return for_alignment<T>({targets, logits, slope, loss}, [&](auto n) {
        return launch_flat(op, stream, rows, n, sigmoid_cross_entropy_each_kernel<T, n, U, K>,
                           smoothing.of<U, K>(targets), (const T*)logits, (T*)slope, (K*)loss);
      });
    }
    const auto pointers = {targets, logits, (const void*)slope};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      const double share = share_of(cols);
      return sum_rows(op, stream, lines, (K*)loss, share, [&](const RowSums<K>& sums) {
        return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                      sigmoid_cross_entropy_kernel<T, U, n, wide, K>, lines,
                      smoothing.of<U, K>(targets), (const T*)logits, (K)share, (T*)slope, sums);
      });
    });
  });
}

int cross_entropy_grad(void* stream, fg_dtype dtype, fg_dtype targets_dtype, int64_t rows,
                       int64_t cols, const void* targets, const void* logits,
                       const LabelSmoothing& smoothing, const void* d_loss, void* d_logits) {
  constexpr const char* op = "sigmoid_cross_entropy_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef decltype(target) U;
    typedef typename Compute<T>::type K;
    if (cols == 1) {
      return for_alignment<T>({targets, logits, d_loss, d_logits}, [&](auto n) {
        return launch_flat(op, stream, rows, n, sigmoid_cross_entropy_each_grad_kernel<T, n, U, K>,
                           smoothing.of<U, K>(targets), (const T*)logits, (const K*)d_loss,
                           (T*)d_logits);
      });
    }
    const auto pointers = {targets, logits, (const void*)d_logits};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                    sigmoid_cross_entropy_grad_kernel<T, U, n, wide, K>, lines,
                    smoothing.of<U, K>(targets), (const T*)logits, (K)share_of(cols),
                    (const K*)d_loss, (T*)d_logits);
    });
  });
}

}  // namespace

extern "C" {

int fg_cuda_sigmoid_cross_entropy(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                  int64_t rows, int64_t cols, const void* targets,
                                  const void* logits, double label_smoothing, void* loss,
                                  void* slope) {
  return cross_entropy(stream, dtype, targets_dtype, rows, cols, targets, logits,
                       {label_smoothing, nullptr}, loss, slope);
}
int fg_cuda_sigmoid_cross_entropy_device_smoothing(void* stream, fg_dtype dtype,
                                                   fg_dtype targets_dtype, int64_t rows,
                                                   int64_t cols, const void* targets,
                                                   const void* logits,
                                                   const double* label_smoothing, void* loss,
                                                   void* slope) {
  return for_smoothing_on_device("sigmoid_cross_entropy", label_smoothing, [&](auto smoothing) {
    return cross_entropy(stream, dtype, targets_dtype, rows, cols, targets, logits, smoothing, loss,
                         slope);
  });
}

int fg_cuda_sigmoid_cross_entropy_grad(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                       int64_t rows, int64_t cols, const void* targets,
                                       const void* logits, double label_smoothing,
                                       const void* d_loss, void* d_logits) {
  return cross_entropy_grad(stream, dtype, targets_dtype, rows, cols, targets, logits,
                            {label_smoothing, nullptr}, d_loss, d_logits);
}
int fg_cuda_sigmoid_cross_entropy_grad_device_smoothing(void* stream, fg_dtype dtype,
                                                        fg_dtype targets_dtype, int64_t rows,
                                                        int64_t cols, const void* targets,
                                                        const void* logits,
                                                        const double* label_smoothing,
                                                        const void* d_loss, void* d_logits) {
  return for_smoothing_on_device("sigmoid_cross_entropy_grad", label_smoothing, [&](auto number) {
    return cross_entropy_grad(stream, dtype, targets_dtype, rows, cols, targets, logits, number,
                              d_loss, d_logits);
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
    if (cols == 1) {
      return for_alignment<T>({slope, d_loss, d_logits}, [&](auto n) {
        return launch_flat(op, stream, rows, n, scale_each_kernel<T, n, K>, (const T*)slope,
                           (const K*)d_loss, (T*)d_logits);
      });
    }
    return for_width_of_rows<T>(cols, {slope, d_logits}, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0, scale_rows_kernel<T, n, wide, K>,
                    lines, (const T*)slope, (const K*)d_loss, (T*)d_logits);
    });
  });
}
}
