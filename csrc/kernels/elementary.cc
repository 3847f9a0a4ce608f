#include "kernels/elementary.h"

#include "core/load_store.h"
#include "core/status.h"
#include "core/vector_math.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Calls body(T{}) for the two dtypes that vector_math.h computes in.
template <class Body>
FG_INLINE int for_computed_dtype(const char* op, fg_dtype dtype, int64_t size, const Body& body) {
  if (int code = check_shape(op, 1, size)) return code;
  if (dtype == FG_FLOAT32) {
    body(float{});
  } else if (dtype == FG_FLOAT64) {
    body(double{});
  } else {
    return fail(FG_INVALID_ARGUMENT, "%s: dtype must be float32 or float64. Received: code %d", op,
                (int)dtype);
  }
  return FG_OK;
}

int exp(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return for_computed_dtype("exp", dtype, size, [&](auto zero) {
    typedef decltype(zero) T;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store((T*)y, i, exp(load((const T*)x, i, lanes)), lanes);
    });
  });
}

int log(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return for_computed_dtype("log", dtype, size, [&](auto zero) {
    typedef decltype(zero) T;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store((T*)y, i, log(load((const T*)x, i, lanes)), lanes);
    });
  });
}

int sincos2pi(fg_dtype dtype, int64_t size, const void* x, void* sin, void* cos) {
  return for_computed_dtype("sincos2pi", dtype, size, [&](auto zero) {
    typedef decltype(zero) T;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      typename Compute<T>::type s, c;
      sincos2pi(load((const T*)x, i, lanes), &s, &c);
      store((T*)sin, i, s, lanes);
      store((T*)cos, i, c, lanes);
    });
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, exp, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, log, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, sincos2pi, (fg_dtype dtype, int64_t size, const void* x, void* sin, void* cos),
               (dtype, size, x, sin, cos))
