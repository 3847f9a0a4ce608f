// How the products of a call are cut into tiles, and gradients into parts of the rows: by shapes alone,
// for a GPU of about as many multiprocessors as large ones have.
#pragma once
#include "mlp/network.cuh"

namespace fastgen {
namespace mlp {

constexpr int64_t kMultiprocessors = 120;
constexpr int64_t kManyRows = 1024;  // from there on gradients are of parts of them

constexpr int64_t of_size(int64_t size, int64_t part) { return (size + part - 1) / part; }

// The largest square of which there are enough for most multiprocessors; the smallest if none is.
inline int shape_of(int64_t rows, int64_t cols) {
  constexpr int64_t kEnough = 90;
  for (int log_side = 6; log_side > 3; --log_side) {
    const int64_t side = 1 << log_side;
    if (of_size(rows, side) * of_size(cols, side) >= kEnough) return log_side;
  }
  return 3;
}

// Tiles of a job's product.
inline void cut(Job* job, int64_t rows, int64_t cols) {
  const bool wide = job->shape == kWide;
  const int64_t side = int64_t{1} << job->shape;
  job->across = (int)of_size(cols, wide ? width_of_wide((int)cols) : side);
  job->tiles = (int)of_size(rows, wide ? kWideRows : side) * job->across;
}

template <class T>
bool may_be_wide(const Plan<T>& plan) {
  return sizeof(T) == sizeof(float) && plan.precision == FG_CUDA_TF32;
}

// Whether wide tiles leave few multiprocessors without one: each takes more than its share then.
template <class T>
bool is_wide(const Plan<T>& plan, int64_t rows, int64_t cols) {
  constexpr int64_t kEnough = 48;
  return may_be_wide(plan) &&
         of_size(rows, kWideRows) * of_size(cols, width_of_wide((int)cols)) >= kEnough;
}

// Whether a layer's inputs lie in memory as they are multiplied, 16 bytes after 16.
template <class T>
bool has_matrix(const Plan<T>& plan, int net, int layer) {
  const DeviceLayer<T>& of = plan.nets[net].layers[layer];
  if (of.corruption != FG_INTACT && plan.nets[net].seeds) return false;
  if (layer > 0) return true;
  return net == kDiscriminator && of.packs && !plan.real.bytes && !plan.fake.bytes;
}

// Whether the gradient of a kernel, and of all layers that have it, is of wide tiles.
template <class T>
bool sums_wide(const Plan<T>& plan, int net, int layer, int64_t rows) {
  if (!may_be_wide(plan) || rows < kManyRows) return false;
  for (int i = layer; i >= 0; i = plan.nets[net].layers[i].tied) {
    if (!has_matrix(plan, net, i)) return false;
  }
  return true;
}

// Parts of the rows that a network's gradients sum: as many as wide tiles need.
template <class T>
int parts_of(const Plan<T>& plan, int net, int64_t rows) {
  if (rows < kManyRows) return 1;
  int64_t wide = 0;
  for (int i = 0; i < plan.nets[net].count; ++i) {
    const DeviceLayer<T>& of = plan.nets[net].layers[i];
    if (!of.leads || !sums_wide(plan, net, i, rows)) continue;
    wide += of_size(of.lines(), kWideRows) * of_size(of.cols(), width_of_wide(of.cols()));
  }
  const int64_t most = wide ? kMultiprocessors / wide : rows / 512;
  const int64_t parts = most < rows / 256 ? most : rows / 256;
  return (int)(parts < 1 ? 1 : parts < 16 ? parts : 16);
}

}  // namespace mlp
}  // namespace fastgen
