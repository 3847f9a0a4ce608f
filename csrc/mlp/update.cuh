// A tile of a kernel's gradient, and of its bias's, and what the optimizer makes of them: in
// registers or, where rows are many or norms must be known first, by way of memory.
#pragma once
#include "cuda/optimizer.cuh"
#include "mlp/layer.cuh"
#include "mlp/product.cuh"
#include "mlp/sums.cuh"
#include "mlp/wide_product.cuh"

namespace fastgen {
namespace mlp {

// A rule on an element; a variable has the slots that the rule uses, and no others.
template <class Rule, class T>
__device__ __forceinline__ T stepped(const OptimizerScalars<T>& s, const DeviceVariable<T>& v,
                                     int64_t i, T gradient, T w) {
  T slots[3] = {0, 0, 0};
#pragma unroll
  for (int j = 0; j < 3; ++j) {
    if (Rule::slot(j)) slots[j] = v.slots[j][i];
  }
  Rule::step(s, gradient, &w, slots);
#pragma unroll
  for (int j = 0; j < 3; ++j) {
    if (Rule::slot(j)) v.slots[j][i] = slots[j];
  }
  return w;
}

template <class T>
__device__ __forceinline__ T stepped_by(const fg_optimizer& o, const OptimizerScalars<T>& s,
                                        const DeviceVariable<T>& v, int64_t i, T g, T w) {
  switch (o.rule) {
    case FG_SGD:
      if (!v.slots[0]) return stepped<OptimizerRule<FG_SGD, false, false>>(s, v, i, g, w);
      return o.variation ? stepped<OptimizerRule<FG_SGD, true, true>>(s, v, i, g, w)
                         : stepped<OptimizerRule<FG_SGD, false, true>>(s, v, i, g, w);
    case FG_RMSPROP:
      if (v.slots[1]) {
        return o.variation ? stepped<OptimizerRule<FG_RMSPROP, true, true>>(s, v, i, g, w)
                           : stepped<OptimizerRule<FG_RMSPROP, false, true>>(s, v, i, g, w);
      }
      return o.variation ? stepped<OptimizerRule<FG_RMSPROP, true, false>>(s, v, i, g, w)
                         : stepped<OptimizerRule<FG_RMSPROP, false, false>>(s, v, i, g, w);
    case FG_ADAM:
      return o.variation ? stepped<OptimizerRule<FG_ADAM, true, false>>(s, v, i, g, w)
                         : stepped<OptimizerRule<FG_ADAM, false, false>>(s, v, i, g, w);
    default:
      return stepped<OptimizerRule<FG_NADAM, false, false>>(s, v, i, g, w);
  }
}

// The gradient goes where it is wanted, and into the weight.
template <class T>
__device__ __forceinline__ void apply(const Plan<T>& plan, int net, const DeviceVariable<T>& v,
                                      int64_t i, T gradient, T factor) {
  const fg_optimizer& o = plan.nets[net].optimizer;
  if (v.gradient) v.gradient[i] = gradient;
  if (o.rule < 0) return;
  T w = v.w[i];
  if (o.clip == FG_CLIP_VALUE) gradient = clipped_by_value(gradient, (T)o.clip_at);
  if (o.clip == FG_CLIP_NORM) gradient = gradient * (T)o.clip_at / factor;
  if (o.clip == FG_CLIP_GLOBAL_NORM) gradient = gradient * factor;
  if (o.weight_decay != 0 && v.decays) {
    w = decayed(w, cast<T>(o.weight_decay), plan.state->rates[net]);
  }
  v.w[i] = stepped_by(o, plan.state->scalars[net], v, i, gradient, w);
}

// What a block that has a gradient does with it.
template <class T>
struct Gradient {
  const Plan<T>& plan;
  int net;
  int part;
  double squares;

  __device__ __forceinline__ void take(const DeviceVariable<T>& v, int64_t i, T gradient) {
    if (v.partials) {
      v.partials[part * v.size + i] = gradient;
    } else {
      squares += (double)gradient * gradient;
      apply(plan, net, v, i, gradient, T{1});
    }
  }
  // Of the whole block.
  __device__ __forceinline__ void finish(int64_t place) {
    const double sum = sum_of_engine_block(squares);
    if (place >= 0 && threadIdx.x == 0) plan.nets[net].squares[place] = sum;
  }
};

// The sum of a bias's gradient over rows: threads add those that shared memory holds, in turns.
template <class T>
__device__ __forceinline__ T part_of_sum(const TileSize& size, bool, const T* staged, int depth) {
  T sum = 0;
#pragma unroll 4
  for (int k = threadIdx.x >> size.log_side; k < depth; k += kEngineLanes >> size.log_side) {
    sum += staged[k * size.lead() + (threadIdx.x & (size.side() - 1))];
  }
  return sum;
}

template <class T>
__device__ __forceinline__ void take_bias(const TileSize& size, bool, Gradient<T>* to,
                                          const DeviceVariable<T>& bias, int64_t first, T sum) {
  T* const shared = reinterpret_cast<T*>(dynamic_shared());
  __syncthreads();
  shared[threadIdx.x] = sum;
  __syncthreads();
  if ((int)threadIdx.x >= size.side() || first + threadIdx.x >= bias.size) return;
  for (int i = size.side(); i < kEngineLanes; i += size.side()) sum += shared[threadIdx.x + i];
  to->take(bias, first + threadIdx.x, sum);
}
__device__ __forceinline__ void take_bias(const WideTile& tile, bool turned, Gradient<float>* to,
                                          const DeviceVariable<float>& bias, int64_t first,
                                          float sum) {
  if ((int)threadIdx.x >= lines_of(tile, turned) || first + threadIdx.x >= bias.size) return;
  to->take(bias, first + threadIdx.x, sum);
}

// A tile of a variable's gradient from its parts: summed, or given to the optimizer.
template <class T>
__device__ __forceinline__ void parts_tile(const Plan<T>& plan, const Job& job, int64_t tile) {
  const DeviceNetwork<T>& net = plan.nets[job.net];
  const DeviceLayer<T>& layer = net.layers[job.layer];
  const DeviceVariable<T>& v = job.shape ? layer.bias : layer.kernel;
  const T factor = net.factors ? net.factors[2 * job.layer + job.shape] : T{1};
  double squares = 0;
  const int64_t end = (tile + 1) * kElements < v.size ? (tile + 1) * kElements : v.size;
  for (int64_t i = tile * kElements + threadIdx.x; i < end; i += kEngineLanes) {
    T sum = v.partials[i];
#pragma unroll 4
    for (int64_t part = 1; part < job.rows; ++part) sum += v.partials[part * v.size + i];
    squares += (double)sum * sum;
    if (job.kind == kSum) {
      v.partials[i] = sum;
    } else {
      apply(plan, job.net, v, i, sum, factor);
    }
  }
  if (job.squares < 0) return;
  squares = sum_of_engine_block(squares);
  if (threadIdx.x == 0) net.squares[job.squares + tile] = squares;
}

// After kSum of all: what gradients are divided by, the larger of their tensor's norm and the limit,
// or what they are multiplied with, the same for all. NaN stays; inf makes the global factor NaN.
template <class T>
__device__ __forceinline__ void norms(const Plan<T>& plan, const Job& job, const Moment& at) {
  const DeviceNetwork<T>& net = plan.nets[job.net];
  const Phase& before = plan.phases[at.phase - 1];
  double total = 0;
  for (int64_t i = threadIdx.x; i < net.square_tiles; i += kEngineLanes) total += net.squares[i];
  const double norm = (double)(T)sqrt(sum_of_engine_block(total));
  const double at_most = net.optimizer.clip_at, inverse = 1 / norm, limit = 1 / at_most;
  const double global = at_most * (inverse > limit ? limit : inverse) + (norm - norm);
  for (int i = threadIdx.x / 32; i < before.jobs; i += kEngineLanes / 32) {
    const Job& of = plan.jobs[before.first + i];
    const double sum = sum_of_warp(net.squares + of.squares, of.tiles, 1);
    const double own = (double)(T)sqrt(sum);
    if (threadIdx.x % 32 > 0) continue;
    net.factors[2 * of.layer + of.shape] = (T)(net.optimizer.clip == FG_CLIP_GLOBAL_NORM ? global
                                               : own <= at_most                          ? at_most
                                                                                         : own);
  }
}

}  // namespace mlp
}  // namespace fastgen
