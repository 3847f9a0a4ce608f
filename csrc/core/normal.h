// Normal noise of a seed, as tf.random.stateless_normal lays it out, a block of vectors at a time.
#pragma once
#include "core/load_store.h"
#include "core/philox.h"
#include "core/vector_math.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Philox on one group per 64-bit lane. The high halves of c0..c3 are not defined: mul_wide and
// even_odd look at low halves only, which saves masking every product.
class VectorPhilox {
 public:
  static constexpr int kGroups = kBytes / 8;
  struct Words {
    U64 c0, c1, c2, c3;
  };

  explicit FG_INLINE VectorPhilox(const int64_t seed[2]) {
    const PhiloxStream stream = philox_stream(seed);
    uint32_t key0 = stream.key0, key1 = stream.key1;
    for (int round = 0; round < kPhiloxRounds; ++round) {
      key0_[round] = U64{} + key0, key1_[round] = U64{} + key1;
      key0 += kPhiloxW0, key1 += kPhiloxW1;
    }
    counter2_ = U64{} + stream.counter2, counter3_ = U64{} + stream.counter3;
    // Lane 2k holds group k, lane 2k + 1 group k + kGroups / 2: interleave() then gives the groups
    // in order, without a permutation.
    for (int lane = 0; lane < kGroups; ++lane) {
      lane_group_[lane] = lane / 2 + (lane % 2) * (kGroups / 2);
    }
  }

  // The counters of groups [group, group + kGroups).
  FG_INLINE Words start(uint64_t group) const {
    const U64 counter = lane_group_ + group;
    return {counter, counter >> 32, counter2_, counter3_};
  }

  FG_INLINE Words next(const Words& w, int round) const {
    const U64 p0 = mul_wide(w.c0, U64{} + kPhiloxM0), p1 = mul_wide(w.c2, U64{} + kPhiloxM1);
    return {(p1 >> 32) ^ w.c1 ^ key0_[round], p1, (p0 >> 32) ^ w.c3 ^ key1_[round], p0};
  }

 private:
  U64 key0_[kPhiloxRounds], key1_[kPhiloxRounds];
  U64 counter2_, counter3_, lane_group_;
};

// Box-Muller, sine first, of u = mantissa bits in [0, 1) and v = the same, in elements' order.
template <class V>
FG_INLINE void box_muller(typename Lanes<V>::Uint u_bits, typename Lanes<V>::Uint v_bits, V* low,
                          V* high) {
  typedef typename Lanes<V>::Uint Uint;
  typedef typename Lanes<V>::type T;
  constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
  const Uint mask = Uint{} + ((1ull << mantissa) - 1), one = (Uint)splat<V>(1);
  V u = (V)((u_bits & mask) | one) - (T)1;
  u = larger(u, splat<V>((T)1e-7));
  const V quarters = fma((V)((v_bits & mask) | one), splat<V>(4), splat<V>(-4));
  V s, c;
  sincos_quarters(quarters, &s, &c);
  const V radius = sqrt(log(u) * (T)-2);
  interleave(s * radius, c * radius, low, high);
}

// The elements of one group per lane, from its four words.
FG_INLINE void normals(const VectorPhilox::Words& w, F32* low, F32* high) {
  // u from words 0 and 2, v from words 1 and 3: a group's two pairs lie side by side.
  const U32 u = even_odd((U32)w.c0, (U32)(w.c2 << 32)), v = even_odd((U32)w.c1, (U32)(w.c3 << 32));
  box_muller<F32>(u, v, low, high);
}
FG_INLINE void normals(const VectorPhilox::Words& w, F64* low, F64* high) {
  // Word 0 (2) above word 1 (3).
  const U64 u = (U64)even_odd((U32)w.c1, (U32)(w.c0 << 32));
  const U64 v = (U64)even_odd((U32)w.c3, (U32)(w.c2 << 32));
  box_muller<F64>(u, v, low, high);
}

// Calls body(index, eps, lanes) over [0, size) with the noise of elements first + index.
template <class T, class Body>
FG_INLINE void for_noise(const VectorPhilox& philox, int64_t first, int64_t size,
                         const Body& body) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type Real;
  // A block is what one vector of groups gives. Blocks side by side hide the latency of Philox's
  // chain of products: one, two, four take 1.45, 1.31, 1.16 ns an element on AVX-512; with 16
  // registers four would spill. Chunks as long as a tile leave memory idle while noise is made:
  // 4.1 ns for a gradient from DRAM in place of 2.4.
  constexpr int kBlocks = kBytes == 64 ? 4 : 2, kBlock = 2 * Lanes<V>::count;
  constexpr int kChunk = kBlocks * kBlock;
  constexpr int kPerGroup = 16 / sizeof(Real);
  alignas(64) Real eps[kChunk + Lanes<V>::count];  // the last load may pass the chunk's end
  for (int64_t begin = 0; begin < size;) {
    const int64_t skip = (first + begin) % kPerGroup, count = least(kChunk - skip, size - begin);
    const uint64_t group = (uint64_t)((first + begin) / kPerGroup);
    VectorPhilox::Words w[kBlocks];
    for (int j = 0; j < kBlocks; ++j) w[j] = philox.start(group + j * VectorPhilox::kGroups);
#pragma GCC unroll 10
    for (int round = 0; round < kPhiloxRounds; ++round) {
      for (auto& words : w) words = philox.next(words, round);
    }
    for (int j = 0; j < kBlocks; ++j) {
      V low, high;
      normals(w[j], &low, &high);
      store(eps, j * kBlock, low, Whole{});
      store(eps, j * kBlock + kBlock / 2, high, Whole{});
    }
    for_vectors<T>(count, [&](int64_t i, auto lanes) {
      body(begin + i, load(eps, skip + i, Whole{}), lanes);
    });
    begin += count;
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
