#include "kernels/optimizer_update.h"

#include "kernels/optimizer_gradients.h"
#include "mlp/optimizer_rules.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// What one call does to every tensor.
struct Plan {
  Gradients gradients;
  bool first_average, overwrite;
  OptimizerScalars<float> f32;
  OptimizerScalars<double> f64;
  FG_INLINE const OptimizerScalars<float>& of(float) const { return f32; }
  FG_INLINE const OptimizerScalars<double>& of(double) const { return f64; }
};

// g: NULL where a variable has no gradient.
template <class T>
FG_INLINE void accumulate_tile(const Plan& plan, const T* g, const Arrays<T>& to, int64_t size) {
  if (!g && !plan.gradients.update) return;
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    typename Compute<T>::type total = {};
    if (!plan.gradients.update) total = load(g, i, lanes) + load(to.accumulator, i, lanes);
    store(to.accumulator, i, total, lanes);
  });
}

template <class T>
FG_INLINE void average_tile(const Plan& plan, const Arrays<T>& to, int64_t size) {
  const T momentum = plan.first_average ? 0 : (T)plan.gradients.optimizer.ema_momentum;
  const T rest = 1 - momentum;
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    const auto mean = momentum * load(to.average, i, lanes) + rest * load(to.w, i, lanes);
    store(to.average, i, mean, lanes);
    if (plan.overwrite) store(to.w, i, mean, lanes);
  });
}

template <class T>
FG_INLINE void update_tile(const Plan& plan, const Piece& piece, int64_t first, int64_t size) {
  alignas(64) T scratch[kTile];
  const Gradients& gradients = plan.gradients;
  const fg_optimizer_tensor& tensor = gradients.tensors[piece.tensor];
  const Arrays<T> to(tensor, first);
  const T* g = nullptr;
  if (tensor.gradient) g = gradient_tile(gradients, tensor, first, size, scratch);
  if (g && gradients.update) {
    g = clipped_tile(gradients, piece.tensor, g, size, scratch);
    rule_tile(gradients.optimizer, plan.of(T{}), tensor.decays != 0, g, to, size);
  }
  if (to.accumulator) accumulate_tile(plan, g, to, size);
  if (to.average) average_tile(plan, to, size);
}

static void run(const fg_threads* threads, const fg_optimizer& o, const Gradients& gradients) {
  const CallPhase phase = phase_of(o);
  Plan plan = {gradients, phase.updates == 0, phase.overwrite, {}, {}};
  plan.gradients.update = phase.update;
  if (phase.update && (o.clip == FG_CLIP_NORM || o.clip == FG_CLIP_GLOBAL_NORM)) {
    find_norms(threads, &plan.gradients);
  }
  const double u_product = updated_u_product(o, phase.updates, phase.update);
  plan.f32 = scalars<float>(o, phase.updates, u_product);
  plan.f64 = scalars<double>(o, phase.updates, u_product);
  for_pieces(threads, plan.gradients, kUpdateCycles,
             [&](const Piece& piece, const fg_optimizer_tensor&, auto number) {
               for_tiles_of(piece, [&](int64_t first, int64_t size) {
                 update_tile<decltype(number)>(plan, piece, first, size);
               });
             });
}

static int check(const fg_optimizer& o, int64_t count, const fg_optimizer_tensor* tensors) {
  if (int code = check_optimizer("optimizer_update", o)) return code;
  for (int64_t i = 0; i < count; ++i) {
    if (int code = check_state("optimizer_update", o, i, tensors[i], tensors[i].gradient)) {
      return code;
    }
  }
  return FG_OK;
}

int optimizer_update(const fg_threads* threads, const fg_optimizer* optimizer, int64_t count,
                     const fg_optimizer_tensor* tensors, int* applied) {
  *applied = 0;
  if (int code = check(*optimizer, count, tensors)) return code;
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += padded(tensors[i].size);
  const int64_t pieces = (elements + kPanel - 1) / kPanel + count;
  int64_t* const starts = (int64_t*)malloc((size_t)(count + 1 + pieces) * sizeof(int64_t));
  if (!starts) {
    return fail(FG_RESOURCE_EXHAUSTED, "optimizer_update: no memory for %lld sums",
                (long long)pieces);
  }
  starts[0] = 0;
  for (int64_t i = 0; i < count; ++i) starts[i + 1] = starts[i] + padded(tensors[i].size);
  const Gradients gradients = {
      *optimizer, tensors, {count, starts}, true, (double*)(starts + count + 1), 1};
  *applied = optimizer->loss_scale == 0 || finite(threads, gradients);
  if (*applied) run(threads, *optimizer, gradients);
  free(starts);
  return FG_OK;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, optimizer_update,
               (const fg_threads* threads, const fg_optimizer* optimizer, int64_t count,
                const fg_optimizer_tensor* tensors, int* applied),
               (threads, optimizer, count, tensors, applied))
