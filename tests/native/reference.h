// The kernels' formulas in scalar double, one element at a time, and the storage of four dtypes.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <string>
#include <vector>

#include "core/abi.h"
#include "core/isa.h"

namespace native {

constexpr fg_dtype kDtypes[] = {FG_FLOAT32, FG_FLOAT64, FG_BFLOAT16, FG_FLOAT16};
constexpr const char* kNames[] = {"float32", "float64", "bfloat16", "float16"};
constexpr int64_t kSizes[] = {4, 8, 2, 2};
// From tests/tolerances.py, through run.py.
constexpr double kRtol[] = FASTGEN_RTOL, kAtol[] = FASTGEN_ATOL;

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
#ifdef FASTGEN_ONE_ISA
  std::string all = fg_isa();
#else
  std::string all = fg_isas();
#endif
  for (size_t comma; (comma = all.find(',')) != std::string::npos; all.erase(0, comma + 1)) {
    names.push_back(all.substr(0, comma));
  }
  names.push_back(all);
  return names;
}

inline double get(fg_dtype dtype, const void* base, int64_t i) {
  const char* at = static_cast<const char*>(base) + i * kSizes[dtype];
  float f = 0;
  double d = 0;
  uint32_t bits = 0;
  switch (dtype) {
    case FG_FLOAT32:
      memcpy(&f, at, 4);
      return f;
    case FG_FLOAT64:
      memcpy(&d, at, 8);
      return d;
    case FG_BFLOAT16:
      memcpy(reinterpret_cast<char*>(&bits) + 2, at, 2);
      memcpy(&f, &bits, 4);
      return f;
    case FG_FLOAT16:
      memcpy(&bits, at, 2);
  }
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

// x must be a multiple of 1/64 below 4: all four dtypes hold it.
inline void put(fg_dtype dtype, void* base, int64_t i, double x) {
  char* at = static_cast<char*>(base) + i * kSizes[dtype];
  const float f = static_cast<float>(x);
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if (dtype == FG_FLOAT64) {
    memcpy(at, &x, 8);
  } else if (dtype == FG_FLOAT32) {
    memcpy(at, &f, 4);
  } else if (dtype == FG_BFLOAT16) {
    memcpy(at, reinterpret_cast<char*>(&bits) + 2, 2);
  } else {
    const uint32_t half =
        x == 0 ? 0 : ((bits & 0x7fffffff) - (112u << 23)) >> 13 | bits >> 31 << 15;
    memcpy(at, &half, 2);
  }
}

inline void philox(const uint32_t counter[4], uint32_t k0, uint32_t k1, uint32_t out[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  for (int round = 0; round < 10; ++round, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
    const uint64_t p = uint64_t{0xd2511f53} * c[0], q = uint64_t{0xcd9e8d57} * c[2];
    const uint32_t next[4] = {uint32_t(q >> 32) ^ c[1] ^ k0, uint32_t(q),
                              uint32_t(p >> 32) ^ c[3] ^ k1, uint32_t(p)};
    memcpy(c, next, sizeof c);
  }
  memcpy(out, c, sizeof c);
}

// The words of the group of element i of tf.random.stateless_*: two elements to a group if wide,
// as float64's layout is, else four.
inline void words(const int64_t seed[2], uint64_t i, bool wide, uint32_t w[4]) {
  uint32_t seed_words[4], mixed[4];
  memcpy(seed_words, seed, 16);
  philox(seed_words, 0x3ec8f720, 0x02461e29, mixed);
  const uint64_t group = i / (wide ? 2 : 4);
  const uint32_t counter[4] = {uint32_t(group), uint32_t(group >> 32), mixed[2], mixed[3]};
  philox(counter, mixed[0], mixed[1], w);
}

// The uniform of a word, if wide of a word and the next.
inline double uniform_of(const uint32_t* w, bool wide) {
  return wide ? ldexp(double(uint64_t(w[0] & 0xfffff) << 32 | w[1]), -52)
              : ldexp(w[0] & 0x7fffff, -23);
}

// Element i of tf.random.stateless_uniform.
inline double uniform(const int64_t seed[2], uint64_t i, bool wide) {
  uint32_t w[4];
  words(seed, i, wide, w);
  return uniform_of(w + (wide ? i % 2 * 2 : i % 4), wide);
}

// Element i of tf.random.stateless_normal.
inline double normal(const int64_t seed[2], uint64_t i, bool wide) {
  uint32_t w[4];
  words(seed, i, wide, w);
  const int pair = wide ? 0 : i % 4 / 2 * 2;
  const double u = uniform_of(w + pair, wide), v = uniform_of(w + pair + (wide ? 2 : 1), wide);
  const double least = wide ? 1e-7 : double(1e-7f), angle = 2 * M_PI * v;
  const double radius = sqrt(-2 * log(u > least ? u : least));
  return radius * (i % 2 ? cos(angle) : sin(angle));
}

}  // namespace native
