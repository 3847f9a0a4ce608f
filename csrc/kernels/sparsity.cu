#include "cuda/columns.h"
#include "kernels/sparsity.cuh"
#include "kernels/sparsity.h"

using namespace fastgen;
using namespace fastgen::cuda;

namespace {

int check_kind(const char* op, int kind) {
  if (kind >= FG_SPARSITY_KL && kind <= FG_SPARSITY_MSE) return FG_OK;
  return fail(FG_INVALID_ARGUMENT, "%s: kind must be kl, l1 or mse. Received: code %d", op, kind);
}

// A cut of [rows, cols] that no block's piece divides.
ColumnCut whole_columns(int64_t rows, int64_t cols) {
  ColumnCut cut = columns_of(rows, cols, 1);
  cut.rows_of_piece = rows;
  return cut;
}

template <class T>
int mean_of_columns(const char* op, void* stream, int64_t rows, int64_t cols, bool absolute,
                    const T* activations, double* activity) {
  return for_width<T>(cols, {activations}, [&](auto n) {
    const ColumnCut cut = columns_of(rows, cols, n);
    const int64_t pieces = pieces_of(cut);
    Scratch sums(op, stream);
    if (int code = sums.allocate(pieces * cols * sizeof(double))) return code;
    if (int code = launch(op, stream, grid_of(cut), kColumnThreads, 0, sum_activities<T, n>, cut,
                          absolute, activations, sums.as<double>())) {
      return code;
    }
    const ColumnCut whole = whole_columns(pieces, cols);
    return launch(op, stream, grid_of(whole), kColumnThreads, 0, mean_activities, whole, rows,
                  sums.as<double>(), activity);
  });
}

}  // namespace

extern "C" {

int fg_cuda_sparsity(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                     double target, const void* activations, void* penalty, double* activity) {
  constexpr const char* op = "sparsity";
  if (int code = check_shape(op, rows, cols)) return code;
  if (int code = check_kind(op, kind)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    if (rows == 0 || cols == 0) {
      const auto queue = (cudaStream_t)stream;
      if (int code = check(op, cudaMemsetAsync(activity, 0, cols * sizeof(double), queue))) {
        return code;
      }
      return check(op, cudaMemsetAsync(penalty, 0, sizeof(K), queue));
    }
    const bool absolute = kind == FG_SPARSITY_L1;
    if (int code =
            mean_of_columns(op, stream, rows, cols, absolute, (const T*)activations, activity)) {
      return code;
    }
    return launch(op, stream, 1, kBlockLanes, 0, sparsity_penalty_kernel<K>, cols, kind, target,
                  activity, (K*)penalty);
  });
}

int fg_cuda_sparsity_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                          double target, const void* activations, const double* activity,
                          const void* d_penalty, const double* d_activity, const void* d_passed,
                          void* d_activations) {
  constexpr const char* op = "sparsity_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  if (int code = check_kind(op, kind)) return code;
  if (rows == 0 || cols == 0) return FG_OK;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    const auto pointers = {activations, d_passed, (const void*)d_activations};
    return for_width<T>(cols, pointers, [&](auto n) {
      const ColumnCut cut = columns_of(rows, cols, n);
      return launch(op, stream, grid_of(cut), kColumnThreads, 0, sparsity_grad_kernel<T, n, K>, cut,
                    kind, target, (const T*)activations, activity, (const K*)d_penalty, d_activity,
                    (const T*)d_passed, (T*)d_activations);
    });
  });
}
}
