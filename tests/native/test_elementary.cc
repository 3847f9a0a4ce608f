// The array forms of the vector math, and the rooflines, on buffers of exact size.
#include <float.h>

#include "core/thread_pool.h"
#include "kernels/elementary.h"
#include "kernels/roofline.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

void functions(fg_dtype dtype, int64_t size, int64_t offset) {
  const int64_t bytes = size * kSizes[dtype];
  Exact x(bytes, offset), e(bytes, offset), l(bytes, offset), s(bytes, offset), c(bytes, offset);
  for (int64_t i = 0; i < size; ++i) put(dtype, x.data(), i, (1 + i % 64) / 256.0);
  CHECK(!fg_exp(dtype, size, x.data(), e.data()));
  CHECK(!fg_log(dtype, size, x.data(), l.data()));
  CHECK(!fg_sincos2pi(dtype, size, x.data(), s.data(), c.data()));
  Exact n(bytes, offset), g(bytes, offset), p(bytes, offset);
  CHECK(!fg_log1p(dtype, size, x.data(), n.data()));
  CHECK(!fg_sigmoid(dtype, size, x.data(), g.data()));
  CHECK(!fg_softplus(dtype, size, x.data(), p.data()));
  const double tolerance = 4 * (dtype == FG_FLOAT64 ? 2e-16 : 1e-7);
  for (int64_t i = 0; i < size; ++i) {
    const double at = get(dtype, x.data(), i);
    CHECK(fabs(get(dtype, e.data(), i) - exp(at)) <= tolerance * exp(at));
    CHECK(fabs(get(dtype, l.data(), i) - log(at)) <= tolerance * (1 + fabs(log(at))));
    CHECK(fabs(get(dtype, s.data(), i) - sin(2 * M_PI * at)) <= tolerance);
    CHECK(fabs(get(dtype, c.data(), i) - cos(2 * M_PI * at)) <= tolerance);
    CHECK(fabs(get(dtype, n.data(), i) - log1p(at)) <= tolerance);
    CHECK(fabs(get(dtype, g.data(), i) - 1 / (1 + exp(-at))) <= tolerance);
    CHECK(fabs(get(dtype, p.data(), i) - log1p(exp(at))) <= tolerance);
  }
}

void roots_and_quotients(fg_dtype dtype, int64_t size, int64_t offset) {
  const int64_t bytes = size * kSizes[dtype];
  Exact x(bytes, offset), one_over(bytes, offset), over_root(bytes, offset), root(bytes, offset),
      over_x(bytes, offset);
  for (int64_t i = 0; i < size; ++i) put(dtype, x.data(), i, (1 + i % 64) / 256.0);
  CHECK(!fg_reciprocal(dtype, size, x.data(), one_over.data()));
  CHECK(!fg_inverse_sqrt(dtype, size, x.data(), over_root.data()));
  CHECK(!fg_square_root(dtype, size, x.data(), root.data()));
  CHECK(!fg_quotient(dtype, size, root.data(), x.data(), over_x.data()));
  const double tolerance = 4 * (dtype == FG_FLOAT64 ? 2e-16 : 1e-7);
  for (int64_t i = 0; i < size; ++i) {
    const double at = get(dtype, x.data(), i);
    CHECK(fabs(get(dtype, one_over.data(), i) * at - 1) <= tolerance);
    CHECK(fabs(get(dtype, over_root.data(), i) * sqrt(at) - 1) <= tolerance);
    CHECK(fabs(get(dtype, root.data(), i) / sqrt(at) - 1) <= tolerance);
    CHECK(fabs(get(dtype, over_x.data(), i) * sqrt(at) - 1) <= tolerance);
  }
}

// Specials, which integer conversions inside exp and sincos must survive.
void extremes(fg_dtype dtype) {
  const double values[] = {0,    -0.0,         INFINITY,      -INFINITY, NAN,     1e-300, -1e-300,
                           1e30, -1e30,        88.8,          -103.9,    -200,    709.9,  -745.2,
                           1,    DBL_TRUE_MIN, -DBL_TRUE_MIN, DBL_MAX,   -DBL_MAX};
  for (double value : values) {
    Exact x(kSizes[dtype]), y(kSizes[dtype]), z(kSizes[dtype]);
    if (dtype == FG_FLOAT64) {
      memcpy(x.data(), &value, 8);
    } else {
      const float narrow = fabs(value) > 1e38 && isfinite(value) ? 3e38f : float(value);
      memcpy(x.data(), &narrow, 4);
    }
    const double at = get(dtype, x.data(), 0);
    CHECK(!fg_exp(dtype, 1, x.data(), y.data()));
    const double e = get(dtype, y.data(), 0);
    CHECK(isnan(at) ? isnan(e) : e >= 0);
    CHECK(!fg_sigmoid(dtype, 1, x.data(), y.data()));
    const double g = get(dtype, y.data(), 0);
    CHECK(isnan(at) ? isnan(g) : g >= 0 && g <= 1);
    CHECK(!fg_softplus(dtype, 1, x.data(), y.data()));
    const double p = get(dtype, y.data(), 0);
    CHECK(isnan(at) ? isnan(p) : p >= 0 && p >= at);
    CHECK(!fg_log1p(dtype, 1, x.data(), y.data()));
    // Outside their range the others promise nothing but to return.
    CHECK(!fg_log(dtype, 1, x.data(), y.data()));
    CHECK(!fg_sincos2pi(dtype, 1, x.data(), y.data(), z.data()));
  }
}

}  // namespace

TEST(elementary) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_FLOAT64}) {
      context() = isa + " " + kNames[dtype];
      for (int64_t size = 0; size < 70; ++size) {
        for (int64_t offset : {0, 1}) {
          functions(dtype, size, offset);
          roots_and_quotients(dtype, size, offset);
        }
      }
      extremes(dtype);
    }
  }
}

TEST(rooflines) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int64_t size : {0, 1, 17, 1025, 40001}) {
      Exact a(4 * size, 1), b(4 * size, 1), c(4 * size, 1);
      for (int64_t i = 0; i < size; ++i) {
        put(FG_FLOAT32, b.data(), i, i % 200 / 64.0), put(FG_FLOAT32, c.data(), i, 1.5);
      }
      CHECK(!fg_triad(fg_pool(), size, 2, (float*)b.data(), (float*)c.data(), (float*)a.data()));
      for (int64_t i = 0; i < size; ++i) {
        CHECK(get(FG_FLOAT32, a.data(), i) == get(FG_FLOAT32, b.data(), i) + 3);
      }
    }
    Exact sink(4 * 7);
    double flops = 0;
    CHECK(!fg_fma_peak(fg_pool(), 7, 100, &flops, (float*)sink.data()) && flops > 0);
  }
}

}  // namespace native
