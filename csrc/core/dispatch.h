// One source, several instruction sets. Each csrc/kernels/NAME.cc is compiled once per ISA with
// FASTGEN_TARGET = avx512 | avx2 | baseline, its code in namespace fastgen::FASTGEN_TARGET. The
// baseline pass also defines the C function, which calls the variant that isa() names.
//
// Code of one ISA must not be linked into another's path: everything inline here and in simd.h,
// vector_math.h, normal.h and tile.h is forced inline or lives in the target's namespace.
// tests/test_repo.py checks the objects' symbols.
#pragma once
#include "core/abi.h"
#include "core/isa.h"

#ifndef FASTGEN_TARGET
#error "compile csrc/kernels with -DFASTGEN_TARGET=avx512|avx2|baseline"
#endif

// FG_TARGET is one of these numbers, for #if.
#define FG_TARGET_baseline 1
#define FG_TARGET_avx2 2
#define FG_TARGET_avx512 3
#define FG_JOIN_(a, b) a##b
#define FG_JOIN(a, b) FG_JOIN_(a, b)
#define FG_TARGET FG_JOIN(FG_TARGET_, FASTGEN_TARGET)

#define FG_INLINE inline __attribute__((always_inline))

// FASTGEN_EXPORT(int, exp, (fg_dtype dtype, ...), (dtype, ...)) defines fg_exp from the variants
// fastgen::TARGET::exp.
#if FG_TARGET == FG_TARGET_baseline && defined(__x86_64__)
#define FASTGEN_EXPORT(TYPE, NAME, PARAMS, ARGS) \
  namespace fastgen {                            \
  namespace avx512 {                             \
  TYPE NAME PARAMS;                              \
  }                                              \
  namespace avx2 {                               \
  TYPE NAME PARAMS;                              \
  }                                              \
  }                                              \
  extern "C" TYPE fg_##NAME PARAMS {             \
    switch (fastgen::isa()) {                    \
      case fastgen::Isa::avx512:                 \
        return fastgen::avx512::NAME ARGS;       \
      case fastgen::Isa::avx2:                   \
        return fastgen::avx2::NAME ARGS;         \
      default:                                   \
        return fastgen::baseline::NAME ARGS;     \
    }                                            \
  }
#elif FG_TARGET == FG_TARGET_baseline
#define FASTGEN_EXPORT(TYPE, NAME, PARAMS, ARGS) \
  extern "C" TYPE fg_##NAME PARAMS { return fastgen::baseline::NAME ARGS; }
#else
#define FASTGEN_EXPORT(TYPE, NAME, PARAMS, ARGS)
#endif
