// Gradients on their way to the rule of optimizer_update, which alone calls this.
// Formula: g / loss_scale; (g + accumulator) / accumulation_steps; then Keras' clipping: to
//   [-at, at], g at / max(norm, at), or g at min(1 / global_norm, 1 / at).
// Shapes: see optimizer_update.h.
// Dtypes: float32, float64. Squares of a tile of 1,024 are added up in the dtype, tiles in double;
//   a tensor's norm and the global one are rounded to the dtype.
// Error: norms 8 u relative, u = 2^-24 or 2^-53; clipped gradients 12 u relative.
// Edges: NaN stays; a norm of inf makes finite gradients 0 (its tensor's) or NaN (global), as in Keras.
// Bytes: 4 an element in float32 for the norms, 4 for the search of what is not finite.
// Determinism: bit-equal for any thread count within an ISA.
#pragma once
#include "core/tensor_list.h"
#include "kernels/optimizer_update.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Tensors of one step, and what becomes of their gradients in it.
struct Gradients {
  const fg_optimizer& optimizer;
  const fg_optimizer_tensor* tensors;
  TensorList list;
  bool update;        // else gradients are accumulated
  double* sums;       // room for a number of every piece
  double clip_scale;  // of FG_CLIP_GLOBAL_NORM; FG_CLIP_NORM leaves each tensor's divisor in sums
};

// Whether all gradients are finite.
bool finite(const fg_threads* threads, const Gradients& gradients);

// Fills in what clipping by norms needs.
void find_norms(const fg_threads* threads, Gradients* gradients);

// Body runs where numbers below the smallest normal one count as 0.
template <class Body>
FG_INLINE void for_pieces(const fg_threads* threads, const Gradients& gradients, int64_t cycles,
                          const Body& body) {
  for_pieces(
      threads, gradients.list, cycles, [&](int64_t i) { return gradients.tensors[i].size; },
      [&](const Piece& piece) {
        [[maybe_unused]] const FlushedUnderflow flushed;
        if (gradients.tensors[piece.tensor].dtype == FG_FLOAT64) {
          body(piece, gradients.tensors[piece.tensor], double{});
        } else {
          body(piece, gradients.tensors[piece.tensor], float{});
        }
      });
}

// The gradient at [first, first + size), at most a tile, before clipping; in place or in scratch.
template <class T>
FG_INLINE const T* gradient_tile(const Gradients& gradients, const fg_optimizer_tensor& tensor,
                                 int64_t first, int64_t size, T* scratch) {
  const fg_optimizer& o = gradients.optimizer;
  const T* g = (const T*)tensor.gradient + first;
  if (o.loss_scale != 0) {
    const T scale = (T)o.loss_scale;
    for_vectors<T>(
        size, [&](int64_t i, auto lanes) { store(scratch, i, load(g, i, lanes) / scale, lanes); });
    g = scratch;
  }
  if (gradients.update && o.accumulation_steps > 1) {
    const T *sum = (const T*)tensor.accumulator + first, steps = (T)o.accumulation_steps;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store(scratch, i, (load(g, i, lanes) + load(sum, i, lanes)) / steps, lanes);
    });
    g = scratch;
  }
  return g;
}

// g, which may be scratch, clipped.
template <class T>
FG_INLINE const T* clipped_tile(const Gradients& gradients, int64_t tensor, const T* g,
                                int64_t size, T* scratch) {
  const fg_optimizer& o = gradients.optimizer;
  const T at = (T)o.clip_at;
  if (o.clip == FG_CLIP_NOTHING) return g;
  if (o.clip == FG_CLIP_VALUE) {
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store(scratch, i, clamp(load(g, i, lanes), -at, at), lanes);
    });
    return scratch;
  }
  const bool global = o.clip == FG_CLIP_GLOBAL_NORM;
  const T factor = global ? (T)gradients.clip_scale : at;
  const T divisor = global ? 1 : (T)gradients.sums[tensor];
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    store(scratch, i, load(g, i, lanes) * factor / divisor, lanes);
  });
  return scratch;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
