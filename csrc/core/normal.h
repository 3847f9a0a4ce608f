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
    const uint64_t product = (uint64_t)kPhiloxM1 * stream.counter2;
    first0_ = U64{} + ((product >> 32) ^ stream.key0), first1_ = U64{} + product;
    first2_ = U64{} + (stream.counter3 ^ stream.key1);
    // Lane 2k holds group k, lane 2k + 1 group k + kGroups / 2: interleave() then gives the groups
    // in order, without a permutation.
    for (int lane = 0; lane < kGroups; ++lane) {
      lane_group_[lane] = lane / 2 + (lane % 2) * (kGroups / 2);
    }
  }

  // The first round of groups [group, group + kGroups): one of its products is the seed's alone.
  FG_INLINE Words start(uint64_t group) const {
    const U64 counter = lane_group_ + group, p0 = mul_wide(counter, U64{} + kPhiloxM0);
    return {(counter >> 32) ^ first0_, first1_, (p0 >> 32) ^ first2_, p0};
  }

  FG_INLINE Words next(const Words& w, int round) const {
    const U64 p0 = mul_wide(w.c0, U64{} + kPhiloxM0), p1 = mul_wide(w.c2, U64{} + kPhiloxM1);
    return {(p1 >> 32) ^ w.c1 ^ key0_[round], p1, (p0 >> 32) ^ w.c3 ^ key1_[round], p0};
  }

 private:
  U64 key0_[kPhiloxRounds], key1_[kPhiloxRounds];
  U64 first0_, first1_, first2_, lane_group_;
};

// Box-Muller, sine first, of u = mantissa bits in [0, 1) and v = the same: n vectors of each, step by
// step side by side, for the latency of each step.
template <class V, int n>
FG_INLINE void box_muller(const typename Lanes<V>::Uint* u_bits,
                          const typename Lanes<V>::Uint* v_bits, typename Lanes<V>::type* out) {
  typedef typename Lanes<V>::Uint Uint;
  typedef typename Lanes<V>::type T;
  constexpr int bits = sizeof(T) * 8, mantissa = bits == 32 ? 23 : 52;
  const Uint one = (Uint)splat<V>(1), mask = Uint{} + ((1ull << mantissa) - 1), half = mask >> 1;
  const Uint top = Uint{} + ((typename Lanes<V>::Bits)1 << (bits - 1));
  V radius[n];
  for (int j = 0; j < n; ++j) {
    const V u = (V)((u_bits[j] & mask) | one) - (T)1;
    radius[j] = log(larger(u, splat<V>((T)1e-7)));
  }
  for (int j = 0; j < n; ++j) radius[j] = sqrt(radius[j] * (T)-2);
  for (int j = 0; j < n; ++j) {
    // v = h / 2 + 1/4 - t turns: (sin, cos)(2 pi v) = (-1)^h (cos, sin)(2 pi t).
    const V t = (T)1.25 - (V)((v_bits[j] & half) | one);
    const V r = (V)((Uint)radius[j] ^ ((v_bits[j] << (bits - mantissa)) & top));
    V s, c, low, high;
    sincos2pi(t, &s, &c);
    interleave(c * r, s * r, &low, &high);
    store(out, 2 * j * Lanes<V>::count, low, Whole{});
    store(out, (2 * j + 1) * Lanes<V>::count, high, Whole{});
  }
}

// u from words 0 and 2, v from words 1 and 3: a group's two pairs lie side by side.
FG_INLINE void uniforms(const VectorPhilox::Words& w, U32* u, U32* v) {
  *u = low_halves(w.c0, w.c2), *v = low_halves(w.c1, w.c3);
}
// Word 0 (2) above word 1 (3).
FG_INLINE void uniforms(const VectorPhilox::Words& w, U64* u, U64* v) {
  *u = (U64)low_halves(w.c1, w.c0);
  *v = (U64)low_halves(w.c3, w.c2);
}

// Calls body(index, value, lanes) over [0, size) with what make(u_bits, v_bits, out) makes of the
// words of elements first + index: the u and v of kBlocks vectors each, twice as many values.
template <class T, class Make, class Body>
FG_INLINE void for_random(const VectorPhilox& philox, int64_t first, int64_t size, const Make& make,
                          const Body& body) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type Real;
  // A block is what one vector of groups gives. Blocks side by side hide the latency of Philox's
  // chain of products and of Box-Muller's: one, two, four take 1.25, 1.0, 0.85 ns an element on
  // AVX-512; with 16 registers four would spill. Chunks as long as a tile leave memory idle while
  // noise is made: 4.1 ns for a gradient from DRAM in place of 2.4.
  constexpr int kBlocks = kBytes == 64 ? 4 : 2, kBlock = 2 * Lanes<V>::count;
  constexpr int kChunk = kBlocks * kBlock;
  constexpr int kPerGroup = 16 / sizeof(Real);
  alignas(64) Real values[kChunk + Lanes<V>::count];  // the last load may pass the chunk's end
  for (int64_t begin = 0; begin < size;) {
    const int64_t skip = (first + begin) % kPerGroup, count = least(kChunk - skip, size - begin);
    const uint64_t group = (uint64_t)((first + begin) / kPerGroup);
    VectorPhilox::Words w[kBlocks];
    for (int j = 0; j < kBlocks; ++j) w[j] = philox.start(group + j * VectorPhilox::kGroups);
#pragma GCC unroll 9
    for (int round = 1; round < kPhiloxRounds; ++round) {
      for (auto& words : w) words = philox.next(words, round);
    }
    typename Lanes<V>::Uint u[kBlocks], v[kBlocks];
    for (int j = 0; j < kBlocks; ++j) uniforms(w[j], &u[j], &v[j]);
    make(u, v, values);
    for_vectors<T>(count, [&](int64_t i, auto lanes) {
      body(begin + i, load(values, skip + i, Whole{}), lanes);
    });
    begin += count;
  }
}

// Philox blocks that are drawn side by side.
constexpr int kBlocks = kBytes == 64 ? 4 : 2;

// Calls body(index, eps, lanes) over [0, size) with the noise of elements first + index.
template <class T, class Body>
FG_INLINE void for_noise(const VectorPhilox& philox, int64_t first, int64_t size,
                         const Body& body) {
  typedef typename Compute<T>::type V;
  for_random<T>(
      philox, first, size,
      [](const auto* u, const auto* v, auto* out) { box_muller<V, kBlocks>(u, v, out); }, body);
}

// Likewise with the bits that tf.random.stateless_uniform makes its mantissas of: the low 23, or 52.
template <class T, class Body>
FG_INLINE void for_random_bits(const VectorPhilox& philox, int64_t first, int64_t size,
                               const Body& body) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::Uint Uint;
  for_random<T>(
      philox, first, size,
      [](const Uint* u, const Uint* v, auto* out) {
        for (int j = 0; j < kBlocks; ++j) {
          V low, high;
          interleave((V)u[j], (V)v[j], &low, &high);
          store(out, 2 * j * Lanes<V>::count, low, Whole{});
          store(out, (2 * j + 1) * Lanes<V>::count, high, Whole{});
        }
      },
      [&](int64_t i, V bits, auto lanes) { body(i, (Uint)bits, lanes); });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
