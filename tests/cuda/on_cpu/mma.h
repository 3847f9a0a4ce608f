// csrc/cuda/mma.cuh on the CPU: a warp shows each other its fragments, and a copy happens when it is
// waited for, so that a kernel that does not wait reads what was there before.
#pragma once
#include "on_cpu/cuda_runtime.h"

namespace on_cpu {

// What a lane holds of the two factors.
struct Fragments {
  const uint32_t *a, *b;
};

// One word of a factor as numbers: a tf32, whose last 13 bits tensor cores do not read.
inline void numbers_of(float, uint32_t word, float (&out)[2]) {
  out[0] = on_cpu_bits<float>(word & ~0x1fffu), out[1] = 0;
}
inline void numbers_of(fastgen::cuda::bfloat16, uint32_t word, float (&out)[2]) {
  out[0] = on_cpu_bits<float>(word << 16), out[1] = on_cpu_bits<float>(word & ~0xffffu);
}
inline void numbers_of(fastgen::cuda::float16, uint32_t word, float (&out)[2]) {
  out[0] = fastgen::cuda::float_of_half((uint16_t)word);
  out[1] = fastgen::cuda::float_of_half((uint16_t)(word >> 16));
}

}  // namespace on_cpu

namespace fastgen {
namespace cuda {

template <class T>
void mma(T type, float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const on_cpu::Fragments mine = {a, b};
  on_cpu::slot(on_cpu::lane()) = (uint64_t)(uintptr_t)&mine;
  on_cpu::wait_for_lanes(~0u);
  const auto of = [](int lane) { return (const on_cpu::Fragments*)(uintptr_t)on_cpu::slot(lane); };
  const int row = on_cpu::lane() / 4, col = on_cpu::lane() % 4 * 2;
  for (int i = 0; i < 4; ++i) {
    double exact = 0;
    for (int word = 0; word < 8; ++word) {
      float x[2], y[2];
      on_cpu::numbers_of(type, of(row * 4 + word % 4)->a[word / 4 * 2 + i / 2], x);
      on_cpu::numbers_of(type, of((col + i % 2) * 4 + word % 4)->b[word / 4], y);
      exact += (double)x[0] * y[0] + (double)x[1] * y[1];
    }
    sum[i] = (float)(sum[i] + exact);
  }
  on_cpu::wait_for_lanes(~0u);
}

inline uint32_t tf32(uint32_t bits) {
  return (bits & 0x7fffffff) >= 0x7f800000 ? bits : (bits + 0x1000) & ~0x1fffu;
}

inline void copy_async(void* shared, const void* global, int bytes) {
  on_cpu::copy_later(shared, global, bytes, 16);
}
inline void copy_word_async(void* shared, const void* global, int bytes) {
  on_cpu::copy_later(shared, global, bytes, 4);
}
inline void commit_copies() { on_cpu::commit_copies(); }
template <int groups>
void wait_for_copies() {
  on_cpu::wait_for_copies(groups);
}

}  // namespace cuda
}  // namespace fastgen
