#include "kernels/optimizer_gradients.h"

namespace fastgen {
namespace FASTGEN_TARGET {

bool finite(const fg_threads* threads, const Gradients& gradients) {
  for (int64_t i = 0; i < gradients.list.pieces(); ++i) gradients.sums[i] = 0;
  for_pieces(threads, gradients, kElementCycles,
             [&](const Piece& piece, const fg_optimizer_tensor& tensor, auto number) {
               typedef decltype(number) T;
               typedef typename Compute<T>::type V;
               if (!tensor.gradient) return;
               const T* const g = (const T*)tensor.gradient + piece.first;
               V total = {};
               for_vectors<T>(piece.size, [&](int64_t i, auto lanes) {
                 const V x = load(g, i, lanes);
                 total += x - x;  // 0, or NaN for good
               });
               gradients.sums[piece.number] = sum(total);
             });
  for (int64_t i = 0; i < gradients.list.pieces(); ++i) {
    if (gradients.sums[i] != 0) return false;
  }
  return true;
}

// Leaves each tensor's sum of squares in sums[tensor].
static void sum_squares(const fg_threads* threads, const Gradients& gradients) {
  double* const sums = gradients.sums;
  for (int64_t i = 0; i < gradients.list.pieces(); ++i) sums[i] = 0;
  for_pieces(threads, gradients, kElementCycles,
             [&](const Piece& piece, const fg_optimizer_tensor& tensor, auto number) {
               typedef decltype(number) T;
               if (!tensor.gradient) return;
               double total = 0;
               for_tiles_of(piece, [&](int64_t first, int64_t size) {
                 alignas(64) T scratch[kTile];
                 const T* g = gradient_tile(gradients, tensor, first, size, scratch);
                 for_vectors<T>(size, [&](int64_t i, auto lanes) {
                   const auto x = load(g, i, lanes);
                   store(scratch, i, x * x, lanes);
                 });
                 total += sum<typename Compute<T>::type>(scratch, size);
               });
               sums[piece.number] = total;
             });
  for (int64_t i = 0; i < gradients.list.count; ++i) {
    const int64_t from = gradients.list.starts[i], to = gradients.list.starts[i + 1];
    double total = 0;
    // Piece panel + i, never before place i: what is read has not been overwritten.
    for (int64_t panel = from / kPanel; panel * kPanel < to; ++panel) total += sums[panel + i];
    sums[i] = total;
  }
}

// As the dtype would have it: what overflows there is inf.
static double rounded(double x, fg_dtype dtype) {
  return dtype == FG_FLOAT64 ? x : (double)(float)x;
}

void find_norms(const fg_threads* threads, Gradients* gradients) {
  const double clip_at = gradients->optimizer.clip_at;
  const fg_optimizer_tensor* const tensors = gradients->tensors;
  double* const sums = gradients->sums;
  const int64_t count = gradients->list.count;
  sum_squares(threads, *gradients);
  for (int64_t i = 0; i < count; ++i) sums[i] = rounded(sums[i], tensors[i].dtype);
  if (gradients->optimizer.clip == FG_CLIP_NORM) {
    for (int64_t i = 0; i < count; ++i) {
      const double norm = __builtin_sqrt(sums[i]);
      sums[i] = norm <= clip_at ? clip_at : norm;  // NaN stays
    }
    return;
  }
  double total = 0;
  fg_dtype widest = FG_FLOAT32;
  for (int64_t i = 0; i < count; ++i) {
    total += sums[i];
    if (tensors[i].dtype == FG_FLOAT64) widest = FG_FLOAT64;
  }
  const double norm = __builtin_sqrt(rounded(total, widest));
  const double inverse = 1 / norm, limit = 1 / clip_at;
  gradients->clip_scale = clip_at * (inverse > limit ? limit : inverse) + (norm - norm);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
