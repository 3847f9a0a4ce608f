// What every op here shares that XLA calls by its foreign function interface: threads, dtypes,
// shapes, seeds, status, registration. No mathematics. On the CPU alone: on a GPU XLA would hand
// seeds and scalars over in the device's memory, which launchers do not read.
#pragma once
#include <algorithm>
#include <functional>
#include <numeric>

#include "core/scheduled_loop.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "xla/ffi/api/ffi.h"

namespace xla::ffi {

const XLA_FFI_Api* GetXlaFfiApi();  // its own header, ffi_api.h, brings the compiler's

template <>
struct CtxBinding<ThreadPool> {
  using Ctx = ThreadPool;
};

}  // namespace xla::ffi

namespace fastgen {

namespace ffi = xla::ffi;
using ffi::AnyBuffer;
typedef ffi::Result<AnyBuffer> AnyResult;

// XLA's intra-op pool in the form that kernels take.
class XlaThreads {
 public:
  explicit XlaThreads(ffi::ThreadPool& pool) : threads_{&pool, &parallel_for} {}
  operator const fg_threads*() const { return &threads_; }

 private:
  static void parallel_for(void* pool, int64_t panels, int64_t cycles_per_panel, fg_task task,
                           void* arg) {
    auto* const workers = static_cast<ffi::ThreadPool*>(pool);
    const int64_t worth = 1 + panels * cycles_per_panel / kCyclesWorthAThread;
    const int64_t threads = std::min({workers->num_threads(), worth, panels});
    ScheduledLoop::run(task, arg, panels, threads,
                       [&](auto help) { workers->Schedule(std::move(help)); });
  }

  // 50 us: scheduling costs more here than in TensorFlow's ops. A cross-entropy of 32 x 784, 45 us
  // of work, took twice as long on two threads of busy cores.
  static constexpr int64_t kCyclesWorthAThread = 100000;
  fg_threads threads_;
};

inline fg_dtype dtype_of(AnyBuffer x) {
  switch (x.element_type()) {
    case ffi::F32:
      return FG_FLOAT32;
    case ffi::F64:
      return FG_FLOAT64;
    case ffi::BF16:
      return FG_BFLOAT16;
    case ffi::F16:
      return FG_FLOAT16;
    case ffi::U8:
      return FG_UINT8;
    default:
      return -1;  // which kernels refuse
  }
}

inline int64_t size_of(AnyBuffer x) { return static_cast<int64_t>(x.element_count()); }

// A buffer of rank >= 1, which shape functions see to, as rows of its last axis.
inline int64_t cols_of(AnyBuffer x) { return x.dimensions().back(); }
inline int64_t rows_of(AnyBuffer x) {
  const auto shape = x.dimensions();
  return std::accumulate(shape.begin(), shape.end() - 1, int64_t{1}, std::multiplies<>());
}

// Both words of a seed, int32 or int64.
class SeedWords {
 public:
  explicit SeedWords(AnyBuffer seed) {
    const bool narrow = seed.element_type() == ffi::S32;
    for (int i = 0; i < 2; ++i) {
      words_[i] = narrow ? seed.typed_data<int32_t>()[i] : seed.typed_data<int64_t>()[i];
    }
  }
  operator const int64_t*() const { return words_; }

 private:
  int64_t words_[2];
};

// fg_code is numbered as ffi::ErrorCode is.
inline ffi::Error to_error(int code) {
  if (code == FG_OK) return ffi::Error::Success();
  return ffi::Error(static_cast<ffi::ErrorCode>(code), fg_last_error());
}

// The XLA kernel of an op: a call of the handler of the op's name, whose results have the shapes
// that the op's shape function finds.
tensorflow::OpKernel* make_custom_call(tensorflow::OpKernelConstruction* ctx);

}  // namespace fastgen

// Registers HANDLER with XLA on the CPU, and OP as a call of it. A BINDING follows where HANDLER's
// parameters do not tell it.
#define FASTGEN_CUSTOM_CALL(OP, HANDLER, ...)                                              \
  XLA_FFI_DEFINE_HANDLER(HANDLER##_on_cpu, HANDLER, ##__VA_ARGS__);                        \
  XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), OP, "Host", HANDLER##_on_cpu);             \
  static const tensorflow::kernel_factory::OpKernelRegistrar HANDLER##_registrar(          \
      tensorflow::KernelDefBuilder(OP).Device("XLA_CPU_JIT").Build(), "FastgenCustomCall", \
      &make_custom_call)
