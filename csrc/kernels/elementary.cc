#include "kernels/elementary.h"

#include "core/load_store.h"
#include "core/logistic.h"
#include "core/newton.h"
#include "core/status.h"

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

// y = function(x), element by element.
template <class Function>
FG_INLINE int map(const char* op, fg_dtype dtype, int64_t size, const void* x, void* y,
                  const Function& function) {
  return for_computed_dtype(op, dtype, size, [&](auto zero) {
    typedef decltype(zero) T;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store((T*)y, i, function(load((const T*)x, i, lanes)), lanes);
    });
  });
}

int exp(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("exp", dtype, size, x, y, [](auto v) { return exp(v); });
}

int log(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("log", dtype, size, x, y, [](auto v) { return log(v); });
}

int log1p(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("log1p", dtype, size, x, y, [](auto v) { return log1p(v); });
}

int sigmoid(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("sigmoid", dtype, size, x, y, [](auto v) { return sigmoid(v); });
}

int softplus(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("softplus", dtype, size, x, y, [](auto v) { return softplus(v); });
}

int reciprocal(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("reciprocal", dtype, size, x, y, [](auto v) { return reciprocal(v); });
}

int inverse_sqrt(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("inverse_sqrt", dtype, size, x, y, [](auto v) { return inverse_sqrt(v); });
}

int square_root(fg_dtype dtype, int64_t size, const void* x, void* y) {
  return map("square_root", dtype, size, x, y, [](auto v) { return square_root(v); });
}

int quotient(fg_dtype dtype, int64_t size, const void* a, const void* b, void* y) {
  return for_computed_dtype("quotient", dtype, size, [&](auto zero) {
    typedef decltype(zero) T;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      store((T*)y, i, quotient(load((const T*)a, i, lanes), load((const T*)b, i, lanes)), lanes);
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
FASTGEN_EXPORT(int, log1p, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, sigmoid, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, softplus, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, reciprocal, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, inverse_sqrt, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, square_root, (fg_dtype dtype, int64_t size, const void* x, void* y),
               (dtype, size, x, y))
FASTGEN_EXPORT(int, quotient, (fg_dtype dtype, int64_t size, const void* a, const void* b, void* y),
               (dtype, size, a, b, y))
