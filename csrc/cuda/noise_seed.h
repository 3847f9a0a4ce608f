// Seeds as launchers get them, for the kernels of cuda/normal.cuh.
#pragma once
#include "cuda/launch.h"
#include "cuda/normal.cuh"

namespace fastgen {
namespace cuda {

inline NoiseSeed seed_on_host(const int64_t seed[2]) { return {philox_stream(seed), nullptr}; }

// body(seed) for two words that kernels read where they lie.
template <class Body>
int for_seed_on_device(const char* op, const int64_t* words, const Body& body) {
  if (words) return body(NoiseSeed{{}, words});
  return fail(FG_INVALID_ARGUMENT, "%s: seed must be on the device. Received: NULL", op);
}

}  // namespace cuda
}  // namespace fastgen
