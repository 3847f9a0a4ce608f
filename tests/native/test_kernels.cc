// Every kernel x ISA x dtype x shape x alignment on buffers of exact size, against the reference.
#include "core/thread_pool.h"
#include "kernels/dropout.h"
#include "kernels/gaussian_kl.h"
#include "kernels/gaussian_noise.h"
#include "kernels/gaussian_sample.h"
#include "kernels/gaussian_sample_kl.h"
#include "kernels/sparsity.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr int64_t kSeed[2] = {-5, int64_t{1} << 40};

struct Case {
  fg_dtype dtype;
  int64_t rows, cols;
  const fg_threads* threads;
  const std::vector<double>& eps;

  fg_dtype kl_dtype() const { return dtype == FG_FLOAT64 ? FG_FLOAT64 : FG_FLOAT32; }
  int64_t size() const { return rows * cols; }
  Exact matrix(int64_t offset) const { return Exact(size() * kSizes[dtype], offset); }
  Exact column(int64_t offset) const { return Exact(rows * kSizes[kl_dtype()], offset); }

  // Multiples of 1/64 in [-2, 2).
  Exact drawn(Exact to, int64_t count, fg_dtype type, uint32_t state) const {
    for (int64_t i = 0; i < count; ++i) {
      state = state * 1664525 + 1013904223;
      put(type, to.data(), i, int(state >> 24) / 64.0 - 2);
    }
    return to;
  }

  void close(const Exact& actual, int64_t i, fg_dtype type, double expected, int64_t n) const {
    const double error = fabs(get(type, actual.data(), i) - expected);
    CHECK(error <= kAtol[type] * sqrt(double(n)) + kRtol[type] * fabs(expected));
  }

  void run(int64_t offset) const {
    const Exact mean = drawn(matrix(offset), size(), dtype, 1);
    const Exact log_var = drawn(matrix(offset), size(), dtype, 2);
    const Exact d_z = drawn(matrix(offset), size(), dtype, 3);
    const Exact d_kl = drawn(column(offset), rows, kl_dtype(), 4);
    const void *m = mean.data(), *v = log_var.data(), *g = d_z.data(), *d = d_kl.data();
    Exact z = matrix(offset), d_v = matrix(offset), kl = column(offset);
    Exact kl_m = matrix(offset), kl_v = matrix(offset);
    Exact both_z = matrix(offset), both_kl = column(offset);
    Exact both_m = matrix(offset), both_v = matrix(offset);
    CHECK(!fg_gaussian_sample(threads, dtype, size(), kSeed, m, v, z.data()));
    CHECK(!fg_gaussian_sample_grad(threads, dtype, size(), kSeed, v, g, d_v.data()));
    CHECK(!fg_gaussian_kl(threads, dtype, rows, cols, m, v, kl.data()));
    CHECK(!fg_gaussian_kl_grad(threads, dtype, rows, cols, m, v, d, kl_m.data(), kl_v.data()));
    CHECK(!fg_gaussian_sample_kl(threads, dtype, rows, cols, kSeed, m, v, both_z.data(),
                                 both_kl.data()));
    CHECK(!fg_gaussian_sample_kl_grad(threads, dtype, rows, cols, kSeed, m, v, g, d, both_m.data(),
                                      both_v.data()));
    CHECK(both_z == z && both_kl == kl);
    for (int64_t row = 0; row < rows; ++row) {
      double sum = 0;
      const double d_row = get(kl_dtype(), d, row);
      for (int64_t i = row * cols; i < (row + 1) * cols; ++i) {
        const double mu = get(dtype, m, i), gamma = get(dtype, v, i), up = get(dtype, g, i);
        const double spread = exp(gamma / 2) * eps[i], slope = (exp(gamma) - 1) / 2;
        sum -= 0.5 * (1 + gamma - exp(gamma) - mu * mu);
        close(z, i, dtype, mu + spread, 1);
        close(d_v, i, dtype, up * spread / 2, 1);
        close(kl_m, i, dtype, d_row * mu, 1);
        close(kl_v, i, dtype, d_row * slope, 1);
        close(both_m, i, dtype, up + d_row * mu, 1);
        close(both_v, i, dtype, up * spread / 2 + d_row * slope, 1);
      }
      close(kl, row, kl_dtype(), sum, cols);
    }
    in_place(mean, log_var, d_z, d_kl, z, both_m, both_v);
    noise(mean);
    for (int kind : {FG_SPARSITY_KL, FG_SPARSITY_L1, FG_SPARSITY_MSE}) sparsity(kind, mean, d_z);
  }

  void noise(const Exact& x) const {
    Exact noisy = matrix(0), dropped(x);
    CHECK(!fg_gaussian_noise(threads, dtype, size(), kSeed, 0.5, x.data(), noisy.data()));
    CHECK(!fg_dropout(threads, dtype, size(), kSeed, 0.25, dropped.data(), dropped.data()));
    for (int64_t i = 0; i < size(); ++i) {
      const double x_i = get(dtype, x.data(), i);
      const bool kept = uniform(kSeed, i, dtype == FG_FLOAT64) >= 0.25;
      close(noisy, i, dtype, x_i + 0.5 * eps[i], 1);
      close(dropped, i, dtype, kept ? x_i / 0.75 : 0, 1);
    }
  }

  void sparsity(int kind, const Exact& a, const Exact& d_passed) const {
    const double p = 0.25;
    Exact penalty(kSizes[kl_dtype()]), activity(cols * 8), d_a(a);
    const Exact d_penalty = drawn(penalty, 1, kl_dtype(), 5);
    CHECK(!fg_sparsity(threads, dtype, rows, cols, kind, p, a.data(), penalty.data(),
                       static_cast<double*>(activity.data())));
    CHECK(!fg_sparsity_grad(threads, dtype, rows, cols, kind, p, d_a.data(),
                            static_cast<double*>(activity.data()), d_penalty.data(), nullptr,
                            d_passed.data(), d_a.data()));
    const double up = get(kl_dtype(), d_penalty.data(), 0);
    double expected = 0;
    for (int64_t col = 0; col < cols; ++col) {
      double q = 0;
      for (int64_t i = col; i < size(); i += cols) {
        const double x = get(dtype, a.data(), i);
        q += (kind == FG_SPARSITY_L1 ? fabs(x) : x) / double(rows);
      }
      close(activity, col, FG_FLOAT64, q, rows);
      // From the activity given, for the slope is steep near 0 and 1.
      q = get(FG_FLOAT64, activity.data(), col);
      const double slope = fastgen::sparsity_slope(kind, q, p) * up / double(rows);
      const double r = fmin(fmax(q, 1e-7), 1 - 1e-7);
      const double kl = p * log(p / r) + (1 - p) * log((1 - p) / (1 - r));
      expected += kind == FG_SPARSITY_KL ? kl : kind == FG_SPARSITY_L1 ? q : (q - p) * (q - p);
      for (int64_t i = col; i < size(); i += cols) {
        const double x = get(dtype, a.data(), i), sign = x > 0 ? 1 : x < 0 ? -1 : 0;
        close(d_a, i, dtype,
              get(dtype, d_passed.data(), i) + slope * (kind == FG_SPARSITY_L1 ? sign : 1), 1);
      }
    }
    close(penalty, 0, kl_dtype(), rows ? expected : 0, cols + 1);
  }

  void in_place(Exact mean, Exact log_var, Exact d_z, const Exact& d_kl, const Exact& z,
                const Exact& both_m, const Exact& both_v) const {
    Exact to = mean;
    CHECK(!fg_gaussian_sample(threads, dtype, size(), kSeed, to.data(), log_var.data(), to.data()));
    CHECK(to == z);
    CHECK(!fg_gaussian_sample_kl_grad(threads, dtype, rows, cols, kSeed, mean.data(),
                                      log_var.data(), d_z.data(), d_kl.data(), d_z.data(),
                                      log_var.data()));
    CHECK(d_z == both_m && log_var == both_v);
  }
};

// Parts of vectors, tiles (1024) and panels (16384), and one element more or less.
constexpr int64_t kShapes[][2] = {
    {0, 10},   {7, 0},    {1, 1},    {5, 1},     {3, 2},     {3, 7},     {2, 15},    {2, 16},
    {2, 17},   {3, 31},   {1, 33},   {7, 63},    {1, 127},   {103, 10},  {33, 32},   {1, 1023},
    {2, 1024}, {2, 1025}, {1, 1500}, {17000, 1}, {1700, 10}, {3, 16384}, {2, 16385}, {1, 33000}};

}  // namespace

TEST(kernels) {
  for (const auto& shape : kShapes) {
    const int64_t size = shape[0] * shape[1];
    std::vector<double> eps[2];
    for (int64_t i = 0; i < size; ++i) {
      for (int wide : {0, 1}) eps[wide].push_back(normal(kSeed, i, wide));
    }
    for (const std::string& isa : isas()) {
      CHECK(!fg_set_isa(isa.c_str()));
      for (fg_dtype dtype : kDtypes) {
        for (int64_t offset : {0, 1, 7}) {
          context() = isa + " " + kNames[dtype] + " " + std::to_string(shape[0]) + "x" +
                      std::to_string(shape[1]) + " offset " + std::to_string(offset);
          const fg_threads* threads = offset == 1 ? fg_pool() : nullptr;
          Case{dtype, shape[0], shape[1], threads, eps[dtype == FG_FLOAT64]}.run(offset);
        }
      }
    }
  }
}

}  // namespace native
