// What a layer multiplies, as the threads of a GPU read it: images, noise, or what the layer before
// gives; in training dropped or with noise, which is made anew wherever it is read.
#pragma once
#include "cuda/normal.cuh"
#include "cuda/storage.cuh"
#include "mlp/network.cuh"

namespace fastgen {
namespace mlp {

// The pass that a row belongs to, and its place in it.
struct RowOfPass {
  int64_t pass, row;
  bool intact;  // nothing corrupts its inputs
};

template <class T>
__device__ __forceinline__ RowOfPass pass_of(const Plan<T>& plan, int net, const Moment& at,
                                             bool generates, int64_t row) {
  const int critics = plan.order.n_critic;
  const int64_t first = at.step * (critics + 1);
  if (net == kDiscriminator) return {first + (generates ? critics : at.critic), row, false};
  const int64_t batch = row / plan.batch;
  return {first + batch, row - batch * plan.batch, batch < critics && !plan.corrupts_fakes};
}

// The low bits of stateless_uniform's element, of which its mantissa is made.
__device__ __forceinline__ uint64_t bits_of(float, const PhiloxStream& stream, int64_t index) {
  const PhiloxBlock block = group_of(stream, (uint64_t)(index / 4));
  const int i = (int)(index % 4);
  const uint32_t low = i % 2 ? block.word[1] : block.word[0];
  const uint32_t high = i % 2 ? block.word[3] : block.word[2];
  return (i < 2 ? low : high) & 0x7fffff;
}
__device__ __forceinline__ uint64_t bits_of(double, const PhiloxStream& stream, int64_t index) {
  const PhiloxBlock block = group_of(stream, (uint64_t)(index / 2));
  const uint32_t high = index % 2 ? block.word[2] : block.word[0];
  const uint32_t low = index % 2 ? block.word[3] : block.word[1];
  return (uint64_t)(high & 0xfffff) << 32 | low;
}

// 1 / (1 - rate) for what dropout keeps, 0 for the rest.
template <class T>
__device__ __forceinline__ T kept_scale(const PhiloxStream& stream, int64_t index, T rate) {
  constexpr double kOne = sizeof(T) == 4 ? 0x1p23 : 0x1p52;
  const bool kept = (double)bits_of(T{}, stream, index) >= ceil((double)rate * kOne);
  return kept && rate < 1 ? 1 / (1 - rate) : 0;
}

// A row of images; NULL if there is none.
struct ImageLine {
  const void* data;
  bool bytes;
};

// The inputs of a layer, by row of its network and column.
template <class T>
struct Operand {
  const Plan<T>& plan;
  const Moment& at;
  int net, layer;
  bool generates;

  __device__ __forceinline__ const DeviceLayer<T>& of() const {
    return plan.nets[net].layers[layer];
  }

  // Whether they are drawn, wholly or in part; or else in memory as a matrix.
  __device__ __forceinline__ bool is_drawn() const {
    const bool corrupted = of().corruption != FG_INTACT && plan.nets[net].seeds;
    return corrupted || (layer == 0 && net == kGenerator);
  }
  __device__ __forceinline__ const T* matrix() const {
    return layer > 0 ? plan.nets[net].layers[layer - 1].values : nullptr;
  }
  __device__ __forceinline__ int stride() const {
    return layer > 0 ? plan.nets[net].layers[layer - 1].stride : 0;
  }

  // One of them, however it comes about.
  __device__ __forceinline__ T at_place(int64_t row, int64_t col) const {
    T x[1];
    if (layer > 0) {
      x[0] = matrix()[row * stride() + col];
    } else if (net == kGenerator) {
      const RowOfPass r = pass_of(plan, net, at, generates, row);
      normal(philox_stream(plan.noise + 2 * r.pass), r.row * of().inputs + col, x);
    } else {
      get_of_rows(row, col, x);
    }
    if (of().corruption != FG_INTACT) corrupt(row, col, x);
    return x[0];
  }

  // What the slope of such a value is multiplied with, to be that of what it was before.
  __device__ __forceinline__ T through_corruption(int64_t row, int64_t col, T slope) const {
    if (of().corruption != FG_DROPOUT || !plan.nets[net].seeds) return slope;
    const RowOfPass r = pass_of(plan, net, at, generates, row);
    const T kept = r.intact ? 1 : kept_scale(stream_of(r), r.row * of().inputs + col, amount());
    return kept == 0 ? 0 : slope * kept;
  }

  // Of a discriminator's first layer: where a row starts. Real rows, then fake ones.
  __device__ __forceinline__ ImageLine line_of(int64_t row) const {
    const bool is_real = !generates && row < plan.reals;
    const void* const data = is_real ? plan.real.data : plan.fake.data;
    const int64_t stride = is_real ? plan.real.stride : plan.fake.stride;
    const int64_t count = is_real ? plan.real.count : plan.fake.count;
    const int64_t* const index = is_real ? plan.real.index : plan.fake.index;
    int64_t from = row;
    if (is_real && index) {
      from = index[(at.step * plan.order.n_critic + at.critic) * plan.batch + row];
    } else if (!is_real && plan.noise) {  // what the generator has made
      from = (generates ? plan.order.n_critic : at.critic) * plan.batch;
      from += row - (generates ? 0 : plan.reals);
    } else if (!is_real) {
      from = row - plan.reals;
    }
    const bool bytes = is_real ? plan.real.bytes : plan.fake.bytes;
    if (from < 0 || from >= count) return {nullptr, bytes};
    const int64_t size = bytes ? 1 : sizeof(T);
    return {static_cast<const char*>(data) + from * stride * size, bytes};
  }

  // Such numbers, n side by side: one, or a pack. A row that is not there is NaN, and so is its loss.
  template <int n>
  __device__ __forceinline__ void get_of_rows(int64_t row, int64_t col, T (&x)[n]) const {
    const ImageLine line = line_of(row);
    if (!line.data) {
#pragma unroll
      for (int i = 0; i < n; ++i) x[i] = (T)NAN;
    } else if (line.bytes) {
      get_bytes(static_cast<const uint8_t*>(line.data) + col, x);
    } else {
      load(static_cast<const T*>(line.data) + col, x);
    }
  }

 private:
  __device__ __forceinline__ T amount() const { return (T)of().amount; }
  __device__ __forceinline__ PhiloxStream stream_of(const RowOfPass& r) const {
    const DeviceNetwork<T>& of_net = plan.nets[net];
    return philox_stream(of_net.seeds + 2 * (r.pass * of_net.corruptions + of().drawn));
  }

  template <int n>
  __device__ __forceinline__ static void get_bytes(const uint8_t* from, T (&x)[n]) {
    uint8_t bytes[n];
    if constexpr (n == 4) {
      const uint32_t word = *reinterpret_cast<const uint32_t*>(from);
      memcpy(bytes, &word, sizeof word);
    } else {
#pragma unroll
      for (int i = 0; i < n; ++i) bytes[i] = from[i];
    }
#pragma unroll
    for (int i = 0; i < n; ++i) x[i] = (T)bytes[i] / (T)255;
  }

  __device__ __forceinline__ void corrupt(int64_t row, int64_t col, T (&x)[1]) const {
    if (!plan.nets[net].seeds) return;
    const RowOfPass r = pass_of(plan, net, at, generates, row);
    if (r.intact) return;
    const PhiloxStream stream = stream_of(r);
    const int64_t index = r.row * of().inputs + col;
    if (of().corruption == FG_DROPOUT) {
      const T kept = kept_scale(stream, index, amount());
      x[0] = kept == 0 ? 0 : x[0] * kept;
    } else {
      T eps[1];
      normal(stream, index, eps);
      x[0] += amount() * eps[0];
    }
  }
};

}  // namespace mlp
}  // namespace fastgen
