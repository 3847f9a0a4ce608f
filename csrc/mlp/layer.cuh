// Activations of a layer, forwards and backwards, and where slopes go.
#pragma once
#include "cuda/activation.cuh"
#include "mlp/operand.cuh"

namespace fastgen {
namespace mlp {

template <class T>
__device__ __forceinline__ T activated(const DeviceLayer<T>& layer, T sum) {
  T y = 0;
  for_activation(layer.activation, layer.slope, [&](auto act) {
    y = act.value(sum);
    return FG_OK;
  });
  return y;
}

// An output of a layer, of its sum over the inputs.
template <class T>
__device__ __forceinline__ void give_output(const DeviceLayer<T>& layer, int64_t row, int64_t unit,
                                            T sum) {
  const int64_t index = row * layer.stride + unit;
  if (layer.bias.w) sum += layer.bias.w[unit];
  if (layer.sums) layer.sums[index] = sum;
  layer.values[index] = activated(layer, sum);
}

// The slope of what is activated, at `index` of a layer's memory, of that of its output.
template <class T>
__device__ __forceinline__ T through_activation(const DeviceLayer<T>& layer, int64_t index,
                                                T slope) {
  if (layer.activation == FG_LINEAR) return slope;
  const T x = (layer.sums ? layer.sums : layer.values)[index];
  T d = 0;
  for_activation(layer.activation, layer.slope, [&](auto act) {
    d = act.gradient(x, slope);
    return FG_OK;
  });
  return d;
}

// Puts what a layer gets of slopes where the layer below has its own; those of the first layer of a
// discriminator that judges for a generator belong to the latter's last; others to the caller.
template <class T>
__device__ __forceinline__ void give_below(const Operand<T>& x, int64_t row, int64_t col, T slope) {
  slope = x.through_corruption(row, col, slope);
  const Plan<T>& plan = x.plan;
  if (x.layer == 0 && !x.generates) {
    plan.d_x[row * x.of().inputs + col] = slope;
    return;
  }
  const DeviceNetwork<T>& g = plan.nets[kGenerator];
  const DeviceLayer<T>& below =
      x.layer > 0 ? plan.nets[x.net].layers[x.layer - 1] : g.layers[g.count - 1];
  const int64_t first = x.layer > 0 ? 0 : plan.order.n_critic * plan.batch;
  const int64_t index = (first + row) * below.stride + col;
  below.slopes[index] = through_activation(below, index, slope);
}

// The slopes of the last layer, of the caller's.
template <class T>
__device__ __forceinline__ void top_tile(const Plan<T>& plan, const Job& job, int64_t tile) {
  const DeviceLayer<T>& layer = plan.nets[job.net].layers[job.layer];
  const int64_t size = (int64_t)job.rows * layer.units;
#pragma unroll 1
  for (int64_t i = tile * kElements + threadIdx.x; i < size && i < (tile + 1) * kElements;
       i += kEngineLanes) {
    const int64_t index = i / layer.units * layer.stride + i % layer.units;
    layer.slopes[index] = through_activation(layer, index, plan.d_y[i]);
  }
}

}  // namespace mlp
}  // namespace fastgen
