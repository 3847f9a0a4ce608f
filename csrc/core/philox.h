// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) and the key
// that tf.random.stateless_* derives from a seed. Scalar; core/normal.h has the vector form.
#pragma once
#include "core/host_device.h"
#include "core/integers.h"

namespace fastgen {
namespace {

constexpr uint32_t kPhiloxM0 = 0xd2511f53, kPhiloxM1 = 0xcd9e8d57;
constexpr uint32_t kPhiloxW0 = 0x9e3779b9, kPhiloxW1 = 0xbb67ae85;
constexpr int kPhiloxRounds = 10;

struct PhiloxBlock {
  uint32_t word[4];
};

FG_MATH PhiloxBlock philox(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  uint32_t* c = counter.word;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = (uint64_t)kPhiloxM0 * c[0], p1 = (uint64_t)kPhiloxM1 * c[2];
    const uint32_t c0 = (uint32_t)(p1 >> 32) ^ c[1] ^ key0;
    const uint32_t c2 = (uint32_t)(p0 >> 32) ^ c[3] ^ key1;
    c[0] = c0, c[1] = (uint32_t)p1, c[2] = c2, c[3] = (uint32_t)p0;
    key0 += kPhiloxW0, key1 += kPhiloxW1;
  }
  return counter;
}

// Group g of a seed's stream is philox({low(g), high(g), counter2, counter3}, key0, key1).
struct PhiloxStream {
  uint32_t key0, key1, counter2, counter3;
};

// As TensorFlow: one block under a fixed key mixes the seed's four words.
FG_MATH PhiloxStream philox_stream(const int64_t seed[2]) {
  const uint64_t s0 = (uint64_t)seed[0], s1 = (uint64_t)seed[1];
  const PhiloxBlock words = {
      {(uint32_t)s0, (uint32_t)(s0 >> 32), (uint32_t)s1, (uint32_t)(s1 >> 32)}};
  const PhiloxBlock mixed = philox(words, 0x3ec8f720, 0x02461e29);
  return {mixed.word[0], mixed.word[1], mixed.word[2], mixed.word[3]};
}

}  // namespace
}  // namespace fastgen
