// Markers for the scalar math that g++, nvcc and NVRTC compile from the same text. On the CPU it is
// forced inline, so that no copy made for one ISA can be linked into another's path.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define FG_MATH __host__ __device__ __forceinline__
#else
#define FG_MATH inline __attribute__((always_inline))
#endif
