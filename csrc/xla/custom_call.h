// What every op here shares that XLA calls by its foreign function interface: where it runs, dtypes,
// shapes, status, registration. No mathematics, and of TensorFlow's headers the interface alone.
#pragma once
#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

#include "core/scheduled_loop.h"
#include "cuda/memory.h"
#include "xla/ffi/api/ffi.h"

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

// fg_code is numbered as ffi::ErrorCode is.
inline ffi::Error to_error(int code) {
  if (code == FG_OK) return ffi::Error::Success();
  return ffi::Error(static_cast<ffi::ErrorCode>(code), fg_last_error());
}

// Where a handler runs, which it is a template of. A kernel has one C function for each, which take
// XLA's threads or its stream first and then the same; but a GPU's takes a scalar where it lies, for
// XLA has it in the device's memory, as it has seeds.
struct OnCpu {
  ffi::ThreadPool pool;

  template <class Cpu, class Gpu, class... Args>
  ffi::Error run(Cpu cpu, Gpu, Args... args) {
    return to_error(cpu(XlaThreads(pool), args...));
  }
  static double number(AnyBuffer scalar) { return *scalar.typed_data<double>(); }
};
#ifdef FASTGEN_CUDA
struct OnGpu {
  void* stream;
  ffi::ScratchAllocator scratch;  // what launches need beside their arrays is XLA's memory, too

  template <class Cpu, class Gpu, class... Args>
  ffi::Error run(Cpu, Gpu gpu, Args... args) {
    const fg_cuda_memory lent = {&scratch, allocate};
    fg_cuda_lend_memory(&lent);
    const int code = gpu(stream, args...);
    fg_cuda_lend_memory(nullptr);
    return to_error(code);
  }
  static void* allocate(void* scratch, size_t bytes) {
    constexpr size_t kAlignment = 16;
    return static_cast<ffi::ScratchAllocator*>(scratch)
        ->Allocate(bytes, kAlignment)
        .value_or(nullptr);
  }
  static const double* number(AnyBuffer scalar) { return scalar.typed_data<double>(); }
};
#endif

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

// A buffer of rank >= 1 as rows of its last axis.
inline int64_t cols_of(AnyBuffer x) { return x.dimensions().back(); }
inline int64_t rows_of(AnyBuffer x) {
  const auto shape = x.dimensions();
  return std::accumulate(shape.begin(), shape.end() - 1, int64_t{1}, std::multiplies<>());
}

// What a handler asks of its buffers. Shape functions have seen to it where TensorFlow makes the
// call; a program of XLA's that was written down may say anything.
class Fit {
 public:
  explicit Fit(const char* op) : op_(op) {}

  Fit& that(bool holds, const char* expected) {
    if (!holds && fault_.empty()) fault_ = std::string(op_) + ": " + expected;
    return *this;
  }
  Fit& like(AnyBuffer x, AnyBuffer other, const char* expected) {
    return that(x.element_type() == other.element_type(), expected).shape(x, other, expected);
  }
  Fit& shape(AnyBuffer x, AnyBuffer other, const char* expected) {
    const auto one = x.dimensions(), two = other.dimensions();
    return that(std::equal(one.begin(), one.end(), two.begin(), two.end()), expected);
  }
  Fit& seed(AnyBuffer x) {
    return that(x.element_type() == ffi::S64 && size_of(x) == 2, "seed must be two words of int64");
  }
  // A number for each row of x, or for other parts of it, in what x is computed in.
  Fit& sums(AnyBuffer of_rows, AnyBuffer x, const char* expected) {
    return that(of_rows.element_type() == (x.element_type() == ffi::F64 ? ffi::F64 : ffi::F32),
                expected);
  }
  Fit& rows(AnyBuffer of_rows, AnyBuffer x, const char* expected) {
    that(x.dimensions().size() > 0, "arrays must have an axis");
    if (!fault_.empty()) return *this;
    return sums(of_rows, x, expected).that(size_of(of_rows) == rows_of(x), expected);
  }

  // Runs the kernel, by a function that returns its ffi::Error.
  template <class Run>
  ffi::Error then(const Run& run) const {
    return fault_.empty() ? run() : ffi::Error::InvalidArgument(fault_);
  }

 private:
  const char* op_;
  std::string fault_;
};

}  // namespace fastgen

namespace xla::ffi {

template <>
struct CtxBinding<fastgen::OnCpu> {
  using Ctx = fastgen::OnCpu;
};
template <>
struct CtxDecoding<fastgen::OnCpu> {
  using Type = fastgen::OnCpu;
  static std::optional<Type> Decode(const XLA_FFI_Api* api, XLA_FFI_ExecutionContext* ctx,
                                    DiagnosticEngine& diagnostic) {
    const auto pool = CtxDecoding<ThreadPool>::Decode(api, ctx, diagnostic);
    return pool ? std::optional<Type>({*pool}) : std::nullopt;
  }
};

#ifdef FASTGEN_CUDA
template <>
struct CtxBinding<fastgen::OnGpu> {
  using Ctx = fastgen::OnGpu;
};
template <>
struct CtxDecoding<fastgen::OnGpu> {
  using Type = fastgen::OnGpu;
  static std::optional<Type> Decode(const XLA_FFI_Api* api, XLA_FFI_ExecutionContext* ctx,
                                    DiagnosticEngine& diagnostic) {
    const auto stream = CtxDecoding<PlatformStream<void*>>::Decode(api, ctx, diagnostic);
    auto scratch = CtxDecoding<ScratchAllocator>::Decode(api, ctx, diagnostic);
    if (!stream || !scratch) return std::nullopt;
    return Type{*stream, *std::move(scratch)};
  }
};
#endif

}  // namespace xla::ffi

namespace fastgen {

// The handler of a function whose parameters tell what they are bound to.
template <auto function>
XLA_FFI_Error* handle(XLA_FFI_CallFrame* frame) {
  static auto* const handler = ffi::Ffi::BindTo(function).release();
  return handler->Call(frame);
}

// Makes an op, inside XLA, a call of these handlers. cuda: NULL in builds without CUDA.
struct CustomCall {
  CustomCall(const char* op, XLA_FFI_Handler* host, XLA_FFI_Handler* cuda);
};

}  // namespace fastgen

// What is of the GPU, or NULL where that is not built.
#ifdef FASTGEN_CUDA
#define FASTGEN_ON_GPU(WHAT) WHAT
#else
#define FASTGEN_ON_GPU(WHAT) nullptr
#endif

// Makes OP a call of FUNCTION<OnCpu> or FUNCTION<OnGpu>.
#define FASTGEN_CUSTOM_CALL(OP, FUNCTION)                                \
  static const CustomCall FUNCTION##_call(OP, &handle<&FUNCTION<OnCpu>>, \
                                          FASTGEN_ON_GPU(&handle<&FUNCTION<OnGpu>>))
