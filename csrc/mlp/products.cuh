// The products of a layer: its outputs, the slopes of the layer below, and its weights' gradients. All
// are a tile of rows times columns over a depth, added up and given away by the same code.
#pragma once
#include "mlp/layer.cuh"
#include "mlp/product.cuh"
#include "mlp/update.cuh"

namespace fastgen {
namespace mlp {

template <class T>
struct Factors {
  Factor<T> rows, cols;
  int depth;
};

// A kernel's elements: columns of a product are its units, or its inputs, and the depth the others.
template <class T>
__device__ __forceinline__ Factor<T> weights_of(const DeviceLayer<T>& layer, int first, int last,
                                                bool along) {
  const bool packs =
      layer.cols() % kPack<T> == 0 && reinterpret_cast<uintptr_t>(layer.kernel.w) % 16 == 0;
  return {layer.kernel.w, layer.cols(), first, last, 0, along, packs};
}

template <class T>
__device__ __forceinline__ Factor<T> inputs_of(const Operand<T>& x, int first, int last,
                                               int first_k, bool along) {
  const bool in_memory = x.layer > 0 && !x.is_drawn();
  return {
      in_memory ? x.matrix() : nullptr, x.stride(), first, last, first_k, along, x.of().packs != 0};
}

template <class T>
__device__ __forceinline__ Factor<T> slopes_of(const DeviceLayer<T>& layer, int first, int last,
                                               int first_k, bool along) {
  return {layer.slopes, layer.stride, first, last, first_k, along, true};
}

// Columns of a job's product.
template <class T>
__device__ __forceinline__ int cols_of(const DeviceLayer<T>& layer, const Job& job) {
  return job.kind == kGradient ? layer.cols() : job.kind == kForward ? layer.units : layer.inputs;
}

// Where a tile lies: rows of the batch by columns or, of a gradient, lines of a kernel by its columns
// over a part of the rows.
struct Place {
  int row, col;
  int first, depth;  // rows that a gradient sums
};

template <class T>
__device__ __forceinline__ Factors<T> factors_of(const Operand<T>& x, const Job& job,
                                                 const Place& at) {
  const DeviceLayer<T>& layer = x.of();
  const int last = job.first + job.rows;
  if (job.kind == kForward) {
    return {inputs_of(x, at.row, last, 0, true),
            weights_of(layer, at.col, layer.units, layer.transposed != 0), layer.inputs};
  }
  if (job.kind == kSlopes) {
    return {slopes_of(layer, at.row, last, 0, true),
            weights_of(layer, at.col, layer.inputs, layer.transposed == 0), layer.units};
  }
  if (layer.transposed) {
    return {slopes_of(layer, at.row, layer.units, at.first, false),
            inputs_of(x, at.col, layer.inputs, at.first, false), at.depth};
  }
  return {inputs_of(x, at.row, layer.inputs, at.first, false),
          slopes_of(layer, at.col, layer.units, at.first, false), at.depth};
}

template <class T, class Tile>
__device__ __forceinline__ Place place_of(const DeviceNetwork<T>& net, const Job& job,
                                          const Tile& size, int tile, int* part) {
  *part = 0;
  if (job.kind != kGradient) {
    return {job.first + tile / job.across * size.rows(), tile % job.across * size.cols(), 0, 0};
  }
  const int tiles = job.tiles / net.parts, of_part = tile % tiles;
  *part = tile / tiles;
  const int rows = (job.rows + net.parts - 1) / net.parts, first = *part * rows;
  const int left = job.rows - first, depth = left < rows ? left : rows;
  return {of_part / job.across * size.rows(), of_part % job.across * size.cols(), job.first + first,
          depth};
}

template <class Sums, class T, class Tile>
__device__ __forceinline__ void product_tile(const Tile& size, const Plan<T>& plan, const Job& job,
                                             const Moment& at, int tile) {
  const DeviceNetwork<T>& net = plan.nets[job.net];
  const DeviceLayer<T>& leading = net.layers[job.layer];
  Gradient<T> gradient = {plan, job.net, 0, 0};
  const Place place = place_of(net, job, size, tile, &gradient.part);
  Sums sums;
  sums.clear();
  // Of a gradient all layers that have the kernel, else one.
#pragma unroll 1
  for (int i = job.layer; i >= 0; i = job.kind == kGradient ? net.layers[i].tied : -1) {
    const Operand<T> x = {plan, at, job.net, i, job.generates != 0};
    const DeviceLayer<T>& layer = x.of();
    const Factors<T> factors = factors_of(x, job, place);
    const bool turned = layer.transposed != 0;
    const bool has_bias =
        job.kind == kGradient && layer.bias.w && (turned ? place.col : place.row) == 0;
    T of_bias = 0;
    add_product(size, x, factors.rows, factors.cols, factors.depth, &sums,
                [&](const T* rows, const T* cols, int depth) {
                  if (has_bias) of_bias += part_of_sum(size, turned, turned ? rows : cols, depth);
                });
    if (has_bias) {
      take_bias(size, turned, &gradient, layer.bias, turned ? place.row : place.col, of_bias);
    }
  }
  const int rows = job.kind == kGradient ? leading.lines() : job.first + job.rows;
  const int cols = cols_of(leading, job);
  const Operand<T> x = {plan, at, job.net, job.layer, job.generates != 0};
  finish_tile(plan, size, sums, [&](int i, int j, T sum) {
    const int row = place.row + i, col = place.col + j;
    if (row >= rows || col >= cols) return;
    if (job.kind == kForward) {
      give_output(leading, row, col, sum);
    } else if (job.kind == kSlopes) {
      give_below(x, row, col, sum);
    } else {
      gradient.take(leading.kernel, (int64_t)row * cols + col, sum);
    }
  });
  if (job.kind == kGradient) gradient.finish(job.squares < 0 ? -1 : job.squares + tile);
}

template <class T>
__device__ __forceinline__ void product_tile(const Plan<T>& plan, const Job& job, const Moment& at,
                                             int tile) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (job.shape == kWide) {
      const DeviceLayer<T>& layer = plan.nets[job.net].layers[job.layer];
      const WideTile wide = {width_of_wide(cols_of(layer, job))};
      return product_tile<WideSums>(wide, plan, job, at, tile);
    }
  }
  product_tile<TileSums<T>>(TileSize{job.shape}, plan, job, at, tile);
}

}  // namespace mlp
}  // namespace fastgen
