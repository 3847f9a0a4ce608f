#include "kernels/sparsity.h"

#include "core/columns.h"

namespace fastgen {
namespace FASTGEN_TARGET {
namespace {

FG_INLINE int check_kind(const char* op, int kind) {
  if (kind >= FG_SPARSITY_KL && kind <= FG_SPARSITY_MSE) return FG_OK;
  return fail(FG_INVALID_ARGUMENT, "%s: kind must be kl, l1 or mse. Received: code %d", op, kind);
}

}  // namespace

int sparsity(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
             double target, const void* activations, void* penalty, double* activity) {
  if (int code = check_shape("sparsity", rows, cols)) return code;
  if (int code = check_kind("sparsity", kind)) return code;
  return for_dtype("sparsity", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    const T* const a = (const T*)activations;
    const auto identity = [](V x) { return x; };
    const auto absolute = [](V x) { return magnitude(x); };
    const auto take = [&](int64_t col, double total) {
      put(activity, col, rows ? total / (double)rows : 0);
    };
    if (int code = kind == FG_SPARSITY_L1
                       ? column_sums("sparsity", threads, rows, cols, a, absolute, take)
                       : column_sums("sparsity", threads, rows, cols, a, identity, take)) {
      return code;
    }
    put((K*)penalty, 0, (K)(rows ? sparsity_penalty(kind, target, activity, cols) : 0));
    return (int)FG_OK;
  });
}

int sparsity_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                  double target, const void* activations, const double* activity,
                  const void* d_penalty, const double* d_activity, const void* d_passed,
                  void* d_activations) {
  if (int code = check_shape("sparsity_grad", rows, cols)) return code;
  if (int code = check_kind("sparsity_grad", kind)) return code;
  if (rows == 0 || cols == 0) return FG_OK;
  return for_dtype("sparsity_grad", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    ColumnValues<V> slopes(cols);
    K* const slope = slopes.values();
    if (!slope) {
      return fail(FG_RESOURCE_EXHAUSTED, "sparsity_grad: no memory for %lld slopes",
                  (long long)cols);
    }
    const double up = get((const K*)d_penalty, 0);
    for (int64_t col = 0; col < cols; ++col) {
      const double more = d_activity ? get(d_activity, col) : 0;
      const double q = get(activity, col);
      slope[col] = (K)((up * sparsity_slope(kind, q, target) + more) / (double)rows);
    }
    slopes.extend();
    const T *const a = (const T*)activations, *const passed = (const T*)d_passed;
    const Output<T> out = output<T>(d_activations, rows * cols);
    const auto write = [&](const auto& element) {
      for_tiles(threads, rows * cols, kElementCycles, [&](int64_t first, int64_t size) {
        const Output<T> to = out.from(first);
        slopes.template for_elements<T>(first, size, [&](int64_t i, V value, auto lanes) {
          store(to, i, element(first + i, value, lanes), lanes);
        });
      });
      return (int)FG_OK;
    };
    if (kind == FG_SPARSITY_L1 && passed) {
      return write([&](int64_t i, V value, auto lanes) {
        return load(passed, i, lanes) + with_sign(value, load(a, i, lanes));
      });
    }
    if (kind == FG_SPARSITY_L1) {
      return write(
          [&](int64_t i, V value, auto lanes) { return with_sign(value, load(a, i, lanes)); });
    }
    if (passed) {
      return write([&](int64_t i, V value, auto lanes) { return load(passed, i, lanes) + value; });
    }
    return write([](int64_t, V value, auto) { return value; });
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, sparsity,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                double target, const void* activations, void* penalty, double* activity),
               (threads, dtype, rows, cols, kind, target, activations, penalty, activity))
FASTGEN_EXPORT(int, sparsity_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                double target, const void* activations, const double* activity,
                const void* d_penalty, const double* d_activity, const void* d_passed,
                void* d_activations),
               (threads, dtype, rows, cols, kind, target, activations, activity, d_penalty,
                d_activity, d_passed, d_activations))
