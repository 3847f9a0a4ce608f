// Functions over arrays: exact-size inputs and outputs, repeated and 16-bit ones, threads, a status.
#include "core/thread_pool.h"
#include "kernels/elementwise.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

// y = 2 a + b in float32, z = a in the dtype of a.
int32_t twice_plus(int64_t count, const void* const* inputs, void* const* outputs) {
  const float *a = static_cast<const float*>(inputs[0]), *b = static_cast<const float*>(inputs[1]);
  for (int64_t i = 0; i < count; ++i) {
    static_cast<float*>(outputs[0])[i] = 2 * a[i] + b[i];
    static_cast<float*>(outputs[1])[i] = a[i];
  }
  return 0;
}

int32_t fails(int64_t, const void* const*, void* const*) { return 5; }

// [rows, cols] a + b of strides (row, col), in dtype; whole numbers that every dtype holds.
void check_sum(fg_dtype dtype, int64_t rows, int64_t cols, int64_t row, int64_t col) {
  const int64_t size = rows * cols, repeated = (row ? rows : 1) * (col ? cols : 1);
  const int bytes = kSizes[dtype];
  Exact a(size * bytes, bytes), b(repeated * bytes, bytes);
  Exact y(size * bytes, bytes), z(size * bytes);
  for (int64_t i = 0; i < size; ++i) put(dtype, a.data(), i, i % 7);
  for (int64_t i = 0; i < repeated; ++i) put(dtype, b.data(), i, i % 11);
  const int64_t dims[] = {rows, cols}, strides[] = {row, col};
  const fg_elementwise_array arrays[] = {{a.data(), nullptr, bytes, dtype},
                                         {b.data(), strides, bytes, dtype},
                                         {y.data(), nullptr, bytes, dtype},
                                         {z.data(), nullptr, bytes, dtype}};
  CHECK(!fg_elementwise(fg_pool(), "sum", twice_plus, 2, dims, 2, 2, arrays, nullptr));
  for (int64_t i = 0; i < size; ++i) {
    const int64_t from = i / cols * row + i % cols * col;
    CHECK(get(dtype, y.data(), i) == 2 * (i % 7) + from % 11);
    CHECK(get(dtype, z.data(), i) == i % 7);
  }
}

}  // namespace

TEST(elementwise_repeats_inputs) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_BFLOAT16, FG_FLOAT16}) {
      for (int64_t cols : {1, 3, 1023, 1025, 5000}) {
        context() = isa + " " + kNames[dtype] + " " + std::to_string(cols);
        for (int64_t rows : {0, 1, 13}) {
          check_sum(dtype, rows, cols, cols, 1);
          check_sum(dtype, rows, cols, 0, 1);
          check_sum(dtype, rows, cols, 1, 0);
          check_sum(dtype, rows, cols, 0, 0);
        }
      }
    }
  }
}

TEST(elementwise_hands_on_a_status) {
  const int64_t dims[] = {100000};
  Exact x(400000), y(400000);
  const fg_elementwise_array arrays[] = {{x.data(), nullptr, 4, FG_FLOAT32},
                                         {y.data(), nullptr, 4, FG_FLOAT32}};
  CHECK(fg_elementwise(fg_pool(), "f", fails, 1, dims, 1, 1, arrays, nullptr) == FG_INTERNAL);
  CHECK(std::string(fg_last_error()) == "f: the function returned status 5");
  CHECK(fg_elementwise(fg_pool(), "f", fails, 1, dims, 1, 0, arrays, nullptr) ==
        FG_INVALID_ARGUMENT);
  CHECK(fg_elementwise(fg_pool(), "f", fails, 1, dims, 17, 1, arrays, nullptr) ==
        FG_INVALID_ARGUMENT);
}

}  // namespace native
