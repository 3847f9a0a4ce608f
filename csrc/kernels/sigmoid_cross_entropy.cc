#include "kernels/sigmoid_cross_entropy.h"

#include <type_traits>

#include "core/logistic.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// targets[first + i] (1 - s) + s / 2.
template <class V, class U>
struct Targets {
  typedef typename Lanes<V>::type K;
  const U* base;
  K scale, shift;

  Targets(const void* targets, double label_smoothing)
      : base((const U*)targets),
        scale((K)((1 - label_smoothing) / (sizeof(U) == 1 ? 255 : 1))),
        shift((K)(label_smoothing / 2)) {}

  template <class Part>
  FG_INLINE V load(int64_t index, Part lanes) const {
    if constexpr (sizeof(U) == 1) {
      return fma(load_bytes<V>(base, index, lanes), splat<V>(scale), splat<V>(shift));
    } else {
      return fma(FASTGEN_TARGET::load(base, index, lanes), splat<V>(scale), splat<V>(shift));
    }
  }
};

// Calls body(T{}, U{}) with the storage types of logits and targets.
template <class Body>
FG_INLINE int for_dtypes(const char* op, fg_dtype dtype, fg_dtype targets_dtype, const Body& body) {
  if (targets_dtype != dtype && targets_dtype != FG_UINT8) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: targets must be uint8 or have the dtype of logits. Received: code %d, code %d",
                op, (int)targets_dtype, (int)dtype);
  }
  return for_dtype(op, dtype, [&](auto storage) {
    return targets_dtype == FG_UINT8 ? body(storage, uint8_t{}) : body(storage, storage);
  });
}

template <class V>
FG_INLINE V slope_of(V logit, V y, V e) {
  return sigmoid_minus(logit, y, e * reciprocal(e + 1.0f));
}

int sigmoid_cross_entropy(const fg_threads* threads, fg_dtype dtype, fg_dtype targets_dtype,
                          int64_t rows, int64_t cols, const void* targets, const void* logits,
                          double label_smoothing, void* loss, void* slope) {
  constexpr const char* op = "sigmoid_cross_entropy";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    const Targets<V, decltype(target)> y(targets, label_smoothing);
    const Output<T> slope_out = output<T>(slope, rows * cols);
    const K count = (K)(cols > 0 ? cols : 1), share = 1 / count;
    const auto run = [&](auto with_slope) {
      const auto terms = [&](int64_t first, int64_t size, K* out) {
        for_vectors<T>(size, [&](int64_t i, auto lanes) {
          const V logit = load((const T*)logits + first, i, lanes), y_i = y.load(first + i, lanes);
          const V e = exp_of_minus_abs(logit);
          if constexpr (decltype(with_slope)::value) {
            store(slope_out.from(first), i, slope_of(logit, y_i, e) * share, lanes);
          }
          store(out, i, fma(-logit, y_i, larger(V{}, logit)) + log1p(e), lanes);
        });
      };
      if (cols == 1) {
        for_tiles(threads, rows, 2 * kElementCycles,
                  [&](int64_t first, int64_t size) { terms(first, size, (K*)loss + first); });
        return (int)FG_OK;
      }
      const int code =
          row_sums<V>(op, threads, rows, cols, 2 * kElementCycles, (K*)loss,
                      [&](const Tile& tile, K* out) { terms(tile.first, tile.size(), out); });
      for (int64_t row = 0; row < rows && !code; ++row) {
        put((K*)loss, row, get((const K*)loss, row) / count);
      }
      return code;
    };
    return slope ? run(std::true_type{}) : run(std::false_type{});
  });
}

// d_logits = slope(first, i, lanes) d_loss, in tiles.
template <class T, class Slope>
FG_INLINE int spread(const fg_threads* threads, int64_t rows, int64_t cols, int64_t cycles,
                     const void* d_loss, void* d_logits, const Slope& slope) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type K;
  const Output<T> out = output<T>(d_logits, rows * cols);
  const auto scale = [&](int64_t first, int64_t size, const K* upstream) {
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store(out.from(first), i, slope(first, i, lanes) * load(upstream, i, lanes), lanes);
    });
  };
  if (cols == 1) {
    for_tiles(threads, rows, cycles,
              [&](int64_t first, int64_t size) { scale(first, size, (const K*)d_loss + first); });
    return FG_OK;
  }
  for_matrix_tiles(threads, rows, cols, cycles, [&](const Tile& tile) {
    alignas(64) K upstream[kTile];
    repeat_rows((const K*)d_loss, tile, upstream);
    scale(tile.first, tile.size(), upstream);
  });
  return FG_OK;
}

int sigmoid_cross_entropy_grad(const fg_threads* threads, fg_dtype dtype, fg_dtype targets_dtype,
                               int64_t rows, int64_t cols, const void* targets, const void* logits,
                               double label_smoothing, const void* d_loss, void* d_logits) {
  constexpr const char* op = "sigmoid_cross_entropy_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtypes(op, dtype, targets_dtype, [&](auto storage, auto target) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    const Targets<V, decltype(target)> y(targets, label_smoothing);
    const K share = K(1) / (K)(cols > 0 ? cols : 1);
    return spread<T>(threads, rows, cols, 2 * kElementCycles, d_loss, d_logits,
                     [&](int64_t first, int64_t i, auto lanes) {
                       const V logit = load((const T*)logits + first, i, lanes);
                       return slope_of(logit, y.load(first + i, lanes), exp_of_minus_abs(logit)) *
                              share;
                     });
  });
}

int sigmoid_cross_entropy_from_slope_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                                          int64_t cols, const void* slope, const void* d_loss,
                                          void* d_logits) {
  constexpr const char* op = "sigmoid_cross_entropy_from_slope_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return spread<T>(threads, rows, cols, kElementCycles, d_loss, d_logits,
                     [&](int64_t first, int64_t i, auto lanes) {
                       return load((const T*)slope + first, i, lanes);
                     });
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, sigmoid_cross_entropy,
               (const fg_threads* threads, fg_dtype dtype, fg_dtype targets_dtype, int64_t rows,
                int64_t cols, const void* targets, const void* logits, double label_smoothing,
                void* loss, void* slope),
               (threads, dtype, targets_dtype, rows, cols, targets, logits, label_smoothing, loss,
                slope))
FASTGEN_EXPORT(int, sigmoid_cross_entropy_grad,
               (const fg_threads* threads, fg_dtype dtype, fg_dtype targets_dtype, int64_t rows,
                int64_t cols, const void* targets, const void* logits, double label_smoothing,
                const void* d_loss, void* d_logits),
               (threads, dtype, targets_dtype, rows, cols, targets, logits, label_smoothing, d_loss,
                d_logits))
FASTGEN_EXPORT(int, sigmoid_cross_entropy_from_slope_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const void* slope, const void* d_loss, void* d_logits),
               (threads, dtype, rows, cols, slope, d_loss, d_logits))
