// The memory that kernels on networks work in, and their dtype.
#pragma once
#include <stdlib.h>

#include "core/status.h"
#include "core/tile.h"
#include "mlp/network.h"
#include "mlp/requirements.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// 64-byte aligned, gone with its scope.
template <class T>
struct Memory {
  explicit Memory(int64_t size) {
    void* at = nullptr;
    data = posix_memalign(&at, 64, (size_t)(size + 16) * sizeof(T)) ? nullptr : (T*)at;
  }
  ~Memory() { free(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T* data;
};

FG_INLINE int no_memory(const char* op, int64_t size) {
  return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld numbers", op, (long long)size);
}

// body(float{}) or body(double{}).
template <class Body>
FG_INLINE int for_real(const char* op, fg_dtype dtype, const Body& body) {
  if (dtype == FG_FLOAT32) return body(float{});
  if (dtype == FG_FLOAT64) return body(double{});
  return fail(FG_INVALID_ARGUMENT, "%s: dtype must be float32 or float64. Received: code %d", op,
              (int)dtype);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
