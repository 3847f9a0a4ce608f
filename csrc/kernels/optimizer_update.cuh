// The kernels of optimizer_update.cu, for nvcc and for NVRTC: sums of gradients where something
// depends on all of them, what follows from the sums, and the update.
#pragma once
#include "cuda/flat.cuh"
#include "cuda/optimizer.cuh"
#include "cuda/rows.cuh"
#include "cuda/storage.cuh"

namespace fastgen {
namespace cuda {

// The arrays of a tensor, those that it does not have NULL; its blocks in a launch and in all.
template <class T>
struct TensorArrays {
  T* variable;
  const T* gradient;
  T* slots[3];
  T *average, *accumulator;
  int64_t size;
  unsigned first_block;
  int number;         // among those that have a gradient
  bool wide, decays;  // whether 16 divides its addresses; whether weight_decay applies
};

// Tensors of a launch, `chunk` elements a block. Part of a kernel's 4 KB of parameters.
constexpr int kTensorsOfLaunch = 40;
template <class T>
struct TensorTable {
  int64_t chunk;
  int count;
  TensorArrays<T> tensors[kTensorsOfLaunch];

  __device__ const TensorArrays<T>& of_block() const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (tensors[middle].first_block <= blockIdx.x) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return tensors[low];
  }
};

// body(index, Width<n>{}) for the elements of this block.
template <class T, class Body>
__device__ __forceinline__ void for_chunk(const TensorTable<T>& table, const TensorArrays<T>& of,
                                          const Body& body) {
  const int64_t begin = (blockIdx.x - of.first_block) * table.chunk;
  const int64_t end = begin + table.chunk < of.size ? begin + table.chunk : of.size;
  if (of.wide) {
    for_packs<kPack<T>>(begin, end, threadIdx.x, blockDim.x, body);
  } else {
    for_packs<1>(begin, end, threadIdx.x, blockDim.x, body);
  }
}

// What becomes of gradients before they are clipped: they are multiplied by 1 / loss_scale, and with
// what has been accumulated by `share`, or are as yet not added to it if that is 0.
template <class T>
struct GradientPlan {
  T unscale, share;

  template <int n>
  __device__ __forceinline__ void load_gradient(const TensorArrays<T>& of, int64_t i,
                                                T (&g)[n]) const {
    load(of.gradient + i, g);
#pragma unroll
    for (int j = 0; j < n; ++j) g[j] *= unscale;
    if (share == 0) return;
    T sum[n];
    load(of.accumulator + i, sum);
#pragma unroll
    for (int j = 0; j < n; ++j) g[j] = (g[j] + sum[j]) * share;
  }
};

template <class T>
FG_MATH GradientPlan<T> gradient_plan(const fg_optimizer& o, const CallPhase& phase) {
  const bool mean = phase.update && o.accumulation_steps > 1;
  return {o.loss_scale == 0 ? 1 : 1 / (T)o.loss_scale, mean ? 1 / (T)o.accumulation_steps : 0};
}

// Of a block's gradients.
struct GradientSums {
  double squares;
  double not_finite;  // how many, before anything becomes of them
};
// Where those of a tensor are.
struct GradientSumsOfTensor {
  int64_t first;
  int count;
  bool is_float64;
};

template <class T>
__global__ void __launch_bounds__(kBlockLanes)
    sum_gradients(const __grid_constant__ TensorTable<T> table,
                  const __grid_constant__ fg_optimizer o, bool with_squares, int64_t first_sum,
                  GradientSums* sums, GradientSumsOfTensor* of_tensors) {
  const TensorArrays<T>& of = table.of_block();
  const GradientPlan<T> plan = gradient_plan<T>(o, phase_of(read_on_device(o)));
  double squares = 0, not_finite = 0;
  for_chunk(table, of, [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    T g[n], sum = 0;
    load(of.gradient + i, g);
#pragma unroll
    for (int j = 0; j < n; ++j) not_finite += g[j] - g[j] == 0 ? 0 : 1;
    if (!with_squares) return;
    plan.load_gradient(of, i, g);
#pragma unroll
    for (int j = 0; j < n; ++j) sum += g[j] * g[j];
    squares += sum;
  });
  squares = sum_of_block(squares), not_finite = sum_of_block(not_finite);
  if (threadIdx.x != 0) return;
  sums[first_sum + blockIdx.x] = {squares, not_finite};
  if (blockIdx.x == of.first_block) {
    const int64_t count = (of.size + table.chunk - 1) / table.chunk;
    of_tensors[of.number] = {first_sum + blockIdx.x, (int)count, sizeof(T) == 8};
  }
}

// The numbers of a call, in a tensor's dtype.
template <class T>
struct CallNumbers {
  OptimizerScalars<T> scalars;
  GradientPlan<T> gradients;
  T learning_rate, average_momentum;
  bool update, overwrite;
};
template <class T>
FG_MATH CallNumbers<T> call_numbers(const fg_optimizer& o) {
  const CallPhase phase = phase_of(o);
  return {scalars<T>(o, phase.updates),
          gradient_plan<T>(o, phase),
          (T)o.learning_rate,
          phase.updates == 0 ? 0 : (T)o.ema_momentum,
          phase.update,
          phase.overwrite};
}

// What the update has to know of all gradients, and of what is on the device.
struct OptimizerDecision {
  int apply;
  double clip_scale;  // of FG_CLIP_GLOBAL_NORM
  double u_product;   // of Nadam, after this step
  CallNumbers<float> of_float32;
  CallNumbers<double> of_float64;

  __device__ void give(CallNumbers<float>* to) const { *to = of_float32; }
  __device__ void give(CallNumbers<double>* to) const { *to = of_float64; }
};

// As the dtype would have it: what overflows there is inf.
__device__ __forceinline__ double rounded(double x, bool is_float64) {
  return is_float64 ? x : (double)(float)x;
}

// Leaves each tensor's divisor of FG_CLIP_NORM; this thread's part of all squares and of how many
// gradients are not finite.
__device__ __forceinline__ GradientSums sum_tensors(double clip_at, int tensors,
                                                    const GradientSums* sums,
                                                    const GradientSumsOfTensor* of_tensors,
                                                    double* divisors) {
  GradientSums all = {0, 0};
  const int lane = threadIdx.x % 32;
  for (int i = threadIdx.x / 32; i < tensors; i += kBlockLanes / 32) {
    const GradientSumsOfTensor of = of_tensors[i];
    GradientSums mine = {0, 0};
    for (int j = lane; j < of.count; j += 32) {
      const GradientSums sum = sums[of.first + j];
      mine.squares += sum.squares, mine.not_finite += sum.not_finite;
    }
    mine.squares = rounded(sum_of_lanes(mine.squares, 32), of.is_float64);
    all.not_finite += mine.not_finite;
    if (lane != 0) continue;
    all.squares += mine.squares;
    const double norm = sqrt(mine.squares);
    divisors[i] = norm <= clip_at ? clip_at : norm;  // NaN stays
  }
  return all;
}

template <class U>
__device__ double advance_u_product(const fg_optimizer& o, int64_t updates) {
  U* const product = (U*)o.u_product;
  return *product = next_u_product(o, updates, *product);
}

// One block. `widest`: whether a tensor is of float64. applied: or NULL.
__global__ void __launch_bounds__(kBlockLanes)
    decide_update(const __grid_constant__ fg_optimizer given, bool widest, int tensors,
                  const GradientSums* sums, const GradientSumsOfTensor* of_tensors,
                  double* divisors, OptimizerDecision* decision, int* applied) {
  const GradientSums mine = sum_tensors(given.clip_at, tensors, sums, of_tensors, divisors);
  const double squares = sum_of_block(mine.squares), not_finite = sum_of_block(mine.not_finite);
  if (threadIdx.x != 0) return;
  const fg_optimizer o = read_on_device(given);
  const CallPhase phase = phase_of(o);
  OptimizerDecision& it = *decision;
  it.apply = o.loss_scale == 0 || not_finite == 0;
  if (o.clip == FG_CLIP_GLOBAL_NORM) {
    const double norm = sqrt(rounded(squares, widest));
    const double inverse = 1 / norm, limit = 1 / o.clip_at;
    it.clip_scale = o.clip_at * (inverse > limit ? limit : inverse) + (norm - norm);
  }
  if (o.rule == FG_NADAM && it.apply && phase.update) {
    it.u_product = o.u_product_dtype == FG_FLOAT64 ? advance_u_product<double>(o, phase.updates)
                                                   : advance_u_product<float>(o, phase.updates);
  }
  if (o.device_iterations || o.device_learning_rate) {
    it.of_float32 = call_numbers<float>(o);
    if (widest) it.of_float64 = call_numbers<double>(o);
  }
  if (o.device_iterations) *o.device_iterations += it.apply;
  if (applied) *applied = it.apply;
}

// What one call does to every tensor.
template <class T>
struct UpdatePlan {
  CallNumbers<T> call;  // if not `decided`: then the decision has them
  bool decided;
  int clip;
  T clip_at, weight_decay;
  const OptimizerDecision* decision;  // or NULL, where nothing has to be known of all gradients
  const double* divisors;             // of FG_CLIP_NORM
};

template <class T>
struct Clip {
  int kind;
  T at, factor;

  __device__ Clip(const UpdatePlan<T>& plan, const TensorArrays<T>& of)
      : kind(plan.call.update ? plan.clip : (int)FG_CLIP_NOTHING), at(plan.clip_at), factor(1) {
    if (kind == FG_CLIP_GLOBAL_NORM) factor = (T)plan.decision->clip_scale;
    if (kind == FG_CLIP_NORM && of.gradient) factor = at / (T)plan.divisors[of.number];
  }
  __device__ T operator()(T g) const {
    return kind == FG_CLIP_VALUE ? clipped_by_value(g, at) : g * factor;
  }
};

// The rule on n elements from i on; their variables are in w.
template <class Rule, int n, class T>
__device__ __forceinline__ void step_pack(const UpdatePlan<T>& plan, const TensorArrays<T>& of,
                                          const Clip<T>& clip, int64_t i, const T (&g)[n],
                                          T (&w)[n]) {
  T slots[3][n] = {};
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    if (Rule::slot(k)) load(of.slots[k] + i, slots[k]);
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    T of_element[3] = {slots[0][j], slots[1][j], slots[2][j]};
    if (of.decays) w[j] = decayed(w[j], plan.weight_decay, plan.call.learning_rate);
    Rule::step(plan.call.scalars, clip(g[j]), &w[j], of_element);
#pragma unroll
    for (int k = 0; k < 3; ++k) slots[k][j] = of_element[k];
  }
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    if (Rule::slot(k)) store(slots[k], of.slots[k] + i);
  }
}

// A mean of what was added up begins anew; before that, this call's gradient is added.
template <int n, class T>
__device__ __forceinline__ void accumulate_pack(const UpdatePlan<T>& plan,
                                                const TensorArrays<T>& of, int64_t i,
                                                const T (&g)[n]) {
  if (!of.gradient && !plan.call.update) return;
  T sum[n] = {};
  if (!plan.call.update) {
    load(of.accumulator + i, sum);
#pragma unroll
    for (int j = 0; j < n; ++j) sum[j] += g[j];
  }
  store(sum, of.accumulator + i);
}

template <int n, class T>
__device__ __forceinline__ void average_pack(const UpdatePlan<T>& plan, const TensorArrays<T>& of,
                                             int64_t i, T (&w)[n]) {
  T mean[n];
  load(of.average + i, mean);
#pragma unroll
  for (int j = 0; j < n; ++j) {
    mean[j] = plan.call.average_momentum * mean[j] + (1 - plan.call.average_momentum) * w[j];
    if (plan.call.overwrite) w[j] = mean[j];
  }
  store(mean, of.average + i);
}

template <class T, class Rule>
__global__ void __launch_bounds__(kBlockLanes, kBlocksHeld)
    update_tensors(const __grid_constant__ TensorTable<T> table, UpdatePlan<T> plan) {
  if (plan.decision && !plan.decision->apply) return;
  if (plan.decided) plan.decision->give(&plan.call);
  const TensorArrays<T>& of = table.of_block();
  const Clip<T> clip(plan, of);
  if (Rule::is_nadam && plan.call.update)
    use_u_product(&plan.call.scalars, (T)plan.decision->u_product);
  const bool steps = of.gradient && plan.call.update;
  for_chunk(table, of, [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    T g[n] = {}, w[n] = {};
    if (of.gradient) plan.call.gradients.load_gradient(of, i, g);
    if (steps || of.average) load(of.variable + i, w);
    if (steps) step_pack<Rule>(plan, of, clip, i, g, w);
    if (of.accumulator) accumulate_pack(plan, of, i, g);
    if (of.average) average_pack(plan, of, i, w);
    if (steps || (of.average && plan.call.overwrite)) store(w, of.variable + i);
  });
}

}  // namespace cuda
}  // namespace fastgen
