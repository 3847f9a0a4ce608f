// dense and dense_transpose on buffers of exact size, against sums in double.
#include "core/thread_pool.h"
#include "kernels/dense.h"
#include "kernels/dense_transpose.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr double kSlope = 0.2f;  // leaky_relu's: a float32 in TensorFlow, in float64 too

struct Layer {
  fg_dtype dtype;
  bool transposed;
  int64_t rows, inputs, units, offset;

  Exact array(int64_t size) const { return Exact(size * kSizes[dtype], offset); }
  // Multiples of 1/16, below 2: exact in every dtype.
  Exact drawn(int64_t size, int64_t step) const {
    Exact made = array(size);
    for (int64_t i = 0; i < size; ++i) put(dtype, made.data(), i, i * step % 63 / 16.0 - 1.9375);
    return made;
  }
  double at(const Exact& x, int64_t i) const { return get(dtype, x.data(), i); }
  double weight(const Exact& kernel, int64_t input, int64_t unit) const {
    return at(kernel, transposed ? unit * inputs + input : input * units + unit);
  }
  // Terms are below 4, and half an ulp of the storage is of the sum.
  void close(const Exact& actual, int64_t i, double expected, int64_t terms) const {
    const double error = fabs(at(actual, i) - expected);
    CHECK(error <= kAtol[dtype] * (1 + sqrt(terms)) + kRtol[dtype] * fabs(expected));
  }

  void run() const {
    const fg_threads* threads = offset ? fg_pool() : nullptr;
    const Exact x = drawn(rows * inputs, 37), kernel = drawn(inputs * units, 29);
    const Exact bias = drawn(units, 11), d_y = drawn(rows * units, 41);
    Exact y = array(rows * units), d_x = array(rows * inputs);
    Exact d_kernel = array(inputs * units), d_bias = array(units);
    const auto forward = transposed ? fg_dense_transpose : fg_dense;
    const auto backward = transposed ? fg_dense_transpose_grad : fg_dense_grad;
    CHECK(!forward(threads, dtype, rows, inputs, units, FG_LEAKY_RELU, x.data(), kernel.data(),
                   bias.data(), y.data(), nullptr));
    CHECK(!backward(threads, dtype, rows, inputs, units, FG_LEAKY_RELU, x.data(), kernel.data(),
                    y.data(), d_y.data(), d_x.data(), d_kernel.data(), d_bias.data()));
    check_forward(x, kernel, bias, y);
    check_backward(x, kernel, y, d_y, d_x, d_kernel, d_bias);
  }

  void check_forward(const Exact& x, const Exact& kernel, const Exact& bias, const Exact& y) const {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < units; ++j) {
        double z = at(bias, j);
        for (int64_t k = 0; k < inputs; ++k) z += at(x, i * inputs + k) * weight(kernel, k, j);
        close(y, i * units + j, z > 0 ? z : kSlope * z, inputs);
      }
    }
  }

  void check_backward(const Exact& x, const Exact& kernel, const Exact& y, const Exact& d_y,
                      const Exact& d_x, const Exact& d_kernel, const Exact& d_bias) const {
    const auto d_z = [&](int64_t i, int64_t j) {
      return at(d_y, i * units + j) * (at(y, i * units + j) > 0 ? 1 : kSlope);
    };
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < inputs; ++k) {
        double sum = 0;
        for (int64_t j = 0; j < units; ++j) sum += d_z(i, j) * weight(kernel, k, j);
        close(d_x, i * inputs + k, sum, units);
      }
    }
    for (int64_t j = 0; j < units; ++j) {
      double total = 0;
      for (int64_t i = 0; i < rows; ++i) total += d_z(i, j);
      close(d_bias, j, total, rows);
      for (int64_t k = 0; k < inputs; ++k) {
        double sum = 0;
        for (int64_t i = 0; i < rows; ++i) sum += d_z(i, j) * at(x, i * inputs + k);
        close(d_kernel, transposed ? j * inputs + k : k * units + j, sum, rows);
      }
    }
  }
};

constexpr int64_t kShapes[][3] = {{0, 3, 2},    {3, 0, 2},    {3, 2, 0},     {1, 1, 1},
                                  {7, 17, 5},   {33, 70, 35}, {15, 300, 64}, {64, 31, 130},
                                  {5, 1024, 9}, {530, 19, 37}};

}  // namespace

TEST(dense) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : kDtypes) {
      for (const auto& s : kShapes) {
        context() = isa + " " + kNames[dtype] + " " + std::to_string(s[0]) + "x" +
                    std::to_string(s[1]) + "x" + std::to_string(s[2]);
        for (bool transposed : {false, true}) {
          Layer{dtype, transposed, s[0], s[1], s[2], transposed}.run();
        }
      }
    }
  }
  Exact x(4, 0);
  CHECK(fg_dense(nullptr, 9, 1, 1, 1, FG_RELU, x.data(), x.data(), nullptr, x.data(), nullptr) ==
        FG_INVALID_ARGUMENT);
}

}  // namespace native
