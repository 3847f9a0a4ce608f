// What is refused, with which code and message.
#include <thread>

#include "core/isa.h"
#include "core/thread_pool.h"
#include "kernels/elementary.h"
#include "kernels/gaussian_kl.h"
#include "kernels/gaussian_sample.h"
#include "kernels/gaussian_sample_kl.h"
#include "kernels/random_normal.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr int64_t kSeed[2] = {1, 2};

bool says(const char* text) { return strstr(fg_last_error(), text) != nullptr; }

// No pointer is touched when the sizes are refused.
int sample(int64_t size) {
  return fg_gaussian_sample(nullptr, FG_FLOAT32, size, kSeed, nullptr, nullptr, nullptr);
}
int kl(int64_t rows, int64_t cols) {
  return fg_gaussian_kl(nullptr, FG_FLOAT32, rows, cols, nullptr, nullptr, nullptr);
}

}  // namespace

TEST(status_of_sizes) {
  CHECK(sample(-1) == FG_INVALID_ARGUMENT && says("gaussian_sample: ") && says("Received: "));
  CHECK(sample(INT64_MIN) == FG_INVALID_ARGUMENT);
  CHECK(sample(INT64_MAX) == FG_OUT_OF_RANGE && says("Received: "));
  CHECK(kl(-1, 3) == FG_INVALID_ARGUMENT && says("gaussian_kl: ") && says("-1 x 3"));
  CHECK(kl(int64_t{1} << 32, int64_t{1} << 32) == FG_OUT_OF_RANGE);
  CHECK(kl(INT64_MAX, 1) == FG_OUT_OF_RANGE);
  CHECK(kl(0, INT64_MAX) == FG_OK && kl(0, 0) == FG_OK && sample(0) == FG_OK);
}

TEST(status_of_every_kernel) {
  int64_t n = -1;
  CHECK(fg_gaussian_sample_grad(nullptr, FG_FLOAT32, n, kSeed, nullptr, nullptr, nullptr) == 3);
  CHECK(says("gaussian_sample_grad: "));
  CHECK(fg_gaussian_kl_grad(nullptr, FG_FLOAT32, n, 1, nullptr, nullptr, nullptr, nullptr,
                            nullptr) == 3);
  CHECK(says("gaussian_kl_grad: "));
  CHECK(fg_gaussian_sample_kl(nullptr, FG_FLOAT32, 1, n, kSeed, nullptr, nullptr, nullptr,
                              nullptr) == 3);
  CHECK(says("gaussian_sample_kl: "));
  CHECK(fg_gaussian_sample_kl_grad(nullptr, FG_FLOAT32, 1, n, kSeed, nullptr, nullptr, nullptr,
                                   nullptr, nullptr, nullptr) == 3);
  CHECK(says("gaussian_sample_kl_grad: "));
  CHECK(fg_random_normal(nullptr, FG_FLOAT32, n, kSeed, nullptr) == 3 && says("random_normal: "));
  CHECK(fg_exp(FG_FLOAT32, n, nullptr, nullptr) == 3 && says("exp: "));
}

TEST(status_of_dtypes) {
  CHECK(fg_random_normal(nullptr, FG_FLOAT16, 1, kSeed, nullptr) == FG_INVALID_ARGUMENT);
  CHECK(says("random_normal: dtype must be") && says("Received: "));
  CHECK(fg_log(FG_BFLOAT16, 1, nullptr, nullptr) == FG_INVALID_ARGUMENT && says("log: dtype"));
}

TEST(status_of_memory) {
  // A petabyte of partial sums: more than addresses reach.
  CHECK(kl(int64_t{1} << 47, 1025) == FG_RESOURCE_EXHAUSTED && says("gaussian_kl: no memory"));
}

TEST(status_of_settings) {
  CHECK(fg_abi_version() == FG_ABI_VERSION);
  CHECK(fg_set_isa("sse9") == FG_INVALID_ARGUMENT && says("Received: sse9"));
  CHECK(fg_set_isa("") == FG_INVALID_ARGUMENT && fg_set_isa(nullptr) == FG_INVALID_ARGUMENT);
  CHECK(fg_set_pool_size(0) == FG_INVALID_ARGUMENT && says("Received: 0"));
  CHECK(fg_set_pool_size(1025) == FG_INVALID_ARGUMENT);
}

TEST(status_messages_belong_to_their_thread) {
  CHECK(sample(-7) && says("-7"));
  std::thread([] { CHECK(!says("-7") && sample(-8) && says("-8")); }).join();
  CHECK(says("-7"));
}

}  // namespace native
