// Which instruction set the kernels run on. Chosen once, at first use: the best that this CPU and
// this build have, or the one that the environment variable FASTGEN_ISA names.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// The one in use: "avx512", "avx2" or "baseline".
FG_API const char* fg_isa(void);

// What this CPU and this build can run, comma-separated, best first.
FG_API const char* fg_isas(void);

// For tests. FG_INVALID_ARGUMENT if name is not in fg_isas(). Not while kernels run.
FG_API int fg_set_isa(const char* name);

#ifdef __cplusplus
}

namespace fastgen {
enum class Isa { baseline, avx2, avx512 };
Isa isa();
}  // namespace fastgen
#endif
