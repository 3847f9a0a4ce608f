// The noise stream: exact-size outputs, odd addresses, and the carry between counter words.
#include "core/thread_pool.h"
#include "kernels/random_normal.h"
#include "native/check.h"
#include "native/far_noise.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr int64_t kSeed[2] = {INT64_MIN, -1};
// What kernels/random_normal.h states.
constexpr double kError[] = {4e-7, 2e-15};

void close(double eps, double expected, int wide) {
  // The reference rounds 2 pi v to double, which costs float64 about 1e-15 more.
  CHECK(fabs(eps - expected) <= (kError[wide] + 1e-15 * wide) * (1 + fabs(expected)));
}

}  // namespace

TEST(noise_of_any_size_and_alignment) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int64_t size : {0, 1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 65, 1023, 1025, 16385, 40001}) {
      for (int wide : {0, 1}) {
        const fg_dtype dtype = wide ? FG_FLOAT64 : FG_FLOAT32;
        context() = isa + " " + kNames[dtype] + " " + std::to_string(size);
        for (int64_t offset : {0, 3}) {
          Exact out(size * kSizes[dtype], offset);
          CHECK(!fg_random_normal(offset ? fg_pool() : nullptr, dtype, size, kSeed, out.data()));
          for (int64_t i = 0; i < size; ++i) {
            close(get(dtype, out.data(), i), normal(kSeed, i, wide), wide);
          }
        }
      }
    }
  }
}

TEST(noise_carries_into_the_high_counter_word) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int wide : {0, 1}) {
      const int64_t carry = int64_t{wide ? 2 : 4} << 32;
      for (int64_t first : {carry - 101, carry - 64, carry - 1, carry, carry + 3, carry * 7 - 50}) {
        context() = isa + " from element " + std::to_string(first) + (wide ? " wide" : "");
        float narrow[200];
        double full[200];
        fg_far_float32(kSeed, first, 200, narrow);
        fg_far_float64(kSeed, first, 200, full);
        for (int i = 0; i < 200; ++i) {
          close(wide ? full[i] : narrow[i], normal(kSeed, first + i, wide), wide);
        }
      }
    }
  }
}

TEST(noise_words_are_philox) {
  for (uint32_t i = 0; i < 1000; ++i) {
    const uint32_t counter[4] = {i, ~i, i * 77, i << 20}, key[2] = {i * 3, i * 5};
    uint32_t ours[4], expected[4];
    fg_philox(counter, key, ours);
    philox(counter, key[0], key[1], expected);
    CHECK(!memcmp(ours, expected, sizeof ours));
  }
}

}  // namespace native
