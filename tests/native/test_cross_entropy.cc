// sigmoid_cross_entropy on buffers of exact size, against the formula in double.
#include "core/thread_pool.h"
#include "kernels/sigmoid_cross_entropy.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr double kSmoothing = 0.125;

void close(const Exact& actual, int64_t i, fg_dtype dtype, double expected) {
  const double error = fabs(get(dtype, actual.data(), i) - expected);
  CHECK(error <= kAtol[dtype] + kRtol[dtype] * fabs(expected));
}

void cross_entropy(fg_dtype dtype, bool bytes, int64_t rows, int64_t cols, int64_t offset) {
  const fg_dtype wide = dtype == FG_FLOAT64 ? FG_FLOAT64 : FG_FLOAT32;
  const fg_dtype targets_dtype = bytes ? FG_UINT8 : dtype;
  const fg_threads* threads = offset == 1 ? fg_pool() : nullptr;
  const int64_t size = rows * cols, storage = size * kSizes[dtype];
  Exact targets(bytes ? size : storage, offset), logits(storage, offset), slope(storage, offset);
  Exact loss(rows * kSizes[wide], offset), d_loss(rows * kSizes[wide], offset);
  Exact d_logits(storage, offset);
  for (int64_t i = 0; i < size; ++i) {
    if (bytes) {
      static_cast<uint8_t*>(targets.data())[i] = uint8_t(i * 37);
    } else {
      put(dtype, targets.data(), i, i * 37 % 64 / 64.0);
    }
    put(dtype, logits.data(), i, i * 29 % 256 / 8.0 - 16);
  }
  for (int64_t row = 0; row < rows; ++row) put(wide, d_loss.data(), row, row % 5 - 1.5);
  CHECK(!fg_sigmoid_cross_entropy(threads, dtype, targets_dtype, rows, cols, targets.data(),
                                  logits.data(), kSmoothing, loss.data(), slope.data()));
  CHECK(!fg_sigmoid_cross_entropy_grad(threads, dtype, targets_dtype, rows, cols, targets.data(),
                                       logits.data(), kSmoothing, d_loss.data(), d_logits.data()));
  for (int64_t row = 0; row < rows; ++row) {
    double sum = 0;
    for (int64_t i = row * cols; i < (row + 1) * cols; ++i) {
      const double target = bytes ? uint8_t(i * 37) / 255.0 : get(dtype, targets.data(), i);
      const double y = target * (1 - kSmoothing) + kSmoothing / 2;
      const double x = get(dtype, logits.data(), i), slope_i = (1 / (1 + exp(-x)) - y) / cols;
      sum += fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
      close(slope, i, dtype, slope_i);
      close(d_logits, i, dtype, slope_i * get(wide, d_loss.data(), row));
    }
    close(loss, row, wide, cols ? sum / cols : 0);
  }
  Exact alone(rows * kSizes[wide], offset);
  CHECK(!fg_sigmoid_cross_entropy(nullptr, dtype, targets_dtype, rows, cols, targets.data(),
                                  logits.data(), kSmoothing, alone.data(), nullptr));
  CHECK(alone == loss);
  CHECK(!fg_sigmoid_cross_entropy_from_slope_grad(threads, dtype, rows, cols, slope.data(),
                                                  d_loss.data(), slope.data()));
  if (dtype == wide) CHECK(slope == d_logits);
}

constexpr int64_t kShapes[][2] = {{0, 10},   {7, 0},    {1, 1},     {3, 7},
                                  {2, 17},   {1, 33},   {103, 10},  {7, 127},
                                  {2, 1024}, {2, 1025}, {17000, 1}, {2, 16385}};

}  // namespace

TEST(cross_entropy) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : kDtypes) {
      for (const auto& shape : kShapes) {
        context() = isa + " " + kNames[dtype] + " " + std::to_string(shape[0]) + "x" +
                    std::to_string(shape[1]);
        for (bool bytes : {false, true}) cross_entropy(dtype, bytes, shape[0], shape[1], bytes);
      }
    }
  }
  Exact x(4, 0), y(8, 0);
  CHECK(fg_sigmoid_cross_entropy(nullptr, FG_FLOAT32, FG_FLOAT64, 1, 1, y.data(), x.data(), 0,
                                 x.data(), nullptr) == FG_INVALID_ARGUMENT);
}

}  // namespace native
