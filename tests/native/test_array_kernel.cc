// Functions of arrays: exact-size rows, rows that are repeated, an array cut into rows, noise, a failure.
#include <vector>

#include "core/thread_pool.h"
#include "kernels/array_kernel.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

float* floats(Exact& array) { return static_cast<float*>(array.data()); }

// y[j] = sum of x, plus b[j]; sizes: of x, of b and y.
int64_t sums(int64_t count, const int64_t* sizes, const int64_t* steps, const void* const* inputs,
             void* const* outputs) {
  for (int64_t row = 0; row < count; ++row) {
    const float* const x = static_cast<const float*>(inputs[0]) + row * steps[0];
    const float* const b = static_cast<const float*>(inputs[1]) + row * steps[1];
    float total = 0;
    for (int64_t i = 0; i < sizes[0]; ++i) total += x[i];
    float* const y = static_cast<float*>(outputs[0]) + row * sizes[1];
    for (int64_t j = 0; j < sizes[1]; ++j) y[j] = total + b[j];
  }
  return 0;
}

// The row whose x begins with 7.
int64_t fails_at_seven(int64_t count, const int64_t*, const int64_t* steps,
                       const void* const* inputs, void* const*) {
  const float* const x = static_cast<const float*>(inputs[0]);
  for (int64_t row = 0; row < count; ++row) {
    if (x[row * steps[0]] == 7) return row + 1;
  }
  return 0;
}

// y = where each row's noise begins; its buffer is written from end to end.
int64_t places(int64_t count, const int64_t* sizes, const int64_t*, const void* const* inputs,
               void* const* outputs) {
  const fg_place* const place = static_cast<const fg_place*>(inputs[1]);
  double* const buffer = static_cast<double*>(const_cast<void*>(inputs[2]));
  for (int64_t i = 0; i < std::max<int64_t>(FG_ARRAY_KERNEL_NOISE, sizes[0] + 8); ++i) {
    buffer[i] = 1;
  }
  for (int64_t row = 0; row < count; ++row) {
    static_cast<float*>(outputs[0])[row] =
        place->index + row * sizes[0] + place->seed[0] + place->seed[1];
  }
  return 0;
}

// x of [outer, inner] rows of `size`, b of [outer] or [inner] rows of two.
void check_rows(int64_t outer, int64_t inner, int64_t size, bool b_by_outer) {
  const int64_t rows = outer * inner, b_rows = b_by_outer ? outer : inner;
  Exact x(rows * size * 4), b(b_rows * 2 * 4), y(rows * 2 * 4);
  for (int64_t i = 0; i < rows * size; ++i) floats(x)[i] = i % 5;
  for (int64_t i = 0; i < b_rows * 2; ++i) floats(b)[i] = 100 * i;
  const int64_t dims[] = {outer, inner}, whole[] = {inner, 1};
  const int64_t strides[] = {b_by_outer, !b_by_outer}, sizes[] = {size, 2};
  const fg_rows arrays[] = {
      {x.data(), whole, size, 4}, {b.data(), strides, 2, 4}, {y.data(), nullptr, 2, 4}};
  CHECK(
      !fg_array_kernel(fg_pool(), "sums", sums, 2, dims, 2, 1, arrays, 2, sizes, size, 0, nullptr));
  for (int64_t row = 0; row < rows; ++row) {
    float total = 0;
    for (int64_t i = 0; i < size; ++i) total += (row * size + i) % 5;
    const int64_t b_row = b_by_outer ? row / inner : row % inner;
    for (int64_t j = 0; j < 2; ++j) {
      CHECK(floats(y)[row * 2 + j] == total + 100 * (b_row * 2 + j));
    }
  }
}

}  // namespace

TEST(array_kernel_rows) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int64_t size : {0, 1, 3, 20000}) {
      for (int64_t inner : {0, 1, 3, size > 3 ? 5 : 30000}) {
        context() = isa + " " + std::to_string(size) + " " + std::to_string(inner);
        check_rows(3, inner, size, true);
        check_rows(3, inner, size, false);
      }
    }
  }
}

TEST(array_kernel_cuts_an_array_into_rows) {
  for (int64_t whole : {1, 9, 10, 11, 95}) {
    const int64_t rows = (whole + 9) / 10, size = std::min<int64_t>(whole, 10);
    Exact x(whole * 4), b(4), y(rows * 4);
    for (int64_t i = 0; i < whole; ++i) floats(x)[i] = i + 1;
    floats(b)[0] = 0;
    const int64_t once[] = {1}, never[] = {0}, sizes[] = {size, 1};
    const fg_rows arrays[] = {
        {x.data(), once, size, 4}, {b.data(), never, 1, 4}, {y.data(), nullptr, 1, 4}};
    CHECK(!fg_array_kernel(fg_pool(), "sums", sums, 1, &rows, 2, 1, arrays, 2, sizes,
                           (whole - 1) % 10 + 1, 0, nullptr));
    float total = 0;
    for (int64_t row = 0; row < rows; ++row) total += floats(y)[row];
    CHECK(total == whole * (whole + 1) / 2);
  }
}

TEST(array_kernel_noise_has_a_place) {
  const int64_t seed[] = {3, 4};
  for (int64_t size : {0, 1, 5, 3000}) {
    const int64_t rows = 40, once[] = {1};
    Exact x(rows * size * 4), y(rows * 4);
    const fg_rows arrays[] = {{x.data(), once, size, 4}, {y.data(), nullptr, 1, 4}};
    CHECK(!fg_array_kernel(fg_pool(), "places", places, 1, &rows, 1, 1, arrays, 1, &size, size,
                           size, seed));
    for (int64_t row = 0; row < rows; ++row) CHECK(floats(y)[row] == row * size + 7);
  }
}

TEST(array_kernel_names_what_failed) {
  std::vector<float> x(100), y(100);
  x[37] = 7;
  const int64_t rows = 100, once[] = {1}, size = 1;
  const fg_rows arrays[] = {{x.data(), once, 1, 4}, {y.data(), nullptr, 1, 4}};
  const auto call = [&](int inputs, int sizes) {
    return fg_array_kernel(fg_pool(), "f", fails_at_seven, 1, &rows, inputs, 1, arrays, sizes,
                           &size, size, 0, nullptr);
  };
  CHECK(call(1, 1) == FG_INVALID_ARGUMENT);
  CHECK(std::string(fg_last_error()) == "f: an index is out of bounds. Received: row 37");
  CHECK(call(0, 1) == FG_INVALID_ARGUMENT);
  CHECK(call(14, 1) == FG_INVALID_ARGUMENT);
  CHECK(call(1, FG_ARRAY_KERNEL_MOST_SIZES + 1) == FG_INVALID_ARGUMENT);
}

}  // namespace native
