// csrc/cuda/intrinsics.cuh on the CPU.
#pragma once
#include "on_cpu/cuda_runtime.h"

namespace fastgen {
namespace cuda {

inline float float_of_half(uint16_t bits) { return (float)on_cpu_bits<_Float16>(bits); }
inline uint16_t half_of_float(float x) { return on_cpu_bits<uint16_t>((_Float16)x); }
inline float reciprocal(float x) { return 1 / x; }
inline double reciprocal(double x) { return 1 / x; }
inline void add_release(unsigned* counter, unsigned by) { *counter += by; }
inline unsigned load_acquire(const unsigned* counter) {
  on_cpu::let_others_run();
  return *counter;
}
inline char* dynamic_shared() { return static_cast<char*>(on_cpu::dynamic_shared()); }

}  // namespace cuda
}  // namespace fastgen
