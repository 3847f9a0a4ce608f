// Where an op runs: a kernel of this project has one C function for each, which take the CPU's
// threads or the GPU's stream first and then the same.
#pragma once
#include <string.h>

#include <vector>

#include "cuda/memory.h"
#include "cuda/precision.h"
#include "tensorflow/glue.h"
#include "tsl/platform/tensor_float_32_utils.h"
#include "xla/stream_executor/stream.h"

namespace fastgen {

struct OnCpu {
  static constexpr bool is_gpu = false;
  template <class Cpu, class Gpu, class... Args>
  static absl::Status run(OpKernelContext* ctx, Cpu cpu, Gpu, Args... args) {
    return to_status(cpu(IntraOpThreads(ctx), args...));
  }
  static absl::Status copy(OpKernelContext*, const Tensor& from, Tensor* to) {
    memcpy(to->data(), from.data(), from.TotalBytes());
    return absl::OkStatus();
  }
};

#ifdef FASTGEN_CUDA
// TensorFlow's memory, for what this thread launches: by default it leaves others next to none of a
// GPU's. It is given back with work still queued that uses it: who gets it next queues behind.
class LentMemory {
 public:
  explicit LentMemory(OpKernelContext* ctx) : ctx_(ctx), memory_{this, allocate} {
    fg_cuda_lend_memory(&memory_);
  }
  LentMemory(const LentMemory&) = delete;
  ~LentMemory() { fg_cuda_lend_memory(nullptr); }

 private:
  static void* allocate(void* owner, size_t bytes) {
    LentMemory* const lent = static_cast<LentMemory*>(owner);
    Tensor tensor;
    const TensorShape shape({static_cast<int64_t>(bytes)});
    if (!lent->ctx_->allocate_temp(tensorflow::DT_INT8, shape, &tensor).ok()) return nullptr;
    lent->tensors_.push_back(tensor);
    return tensor.data();
  }

  OpKernelContext* ctx_;
  fg_cuda_memory memory_;
  std::vector<Tensor> tensors_;
};

struct OnGpu {
  static constexpr bool is_gpu = true;
  template <class Cpu, class Gpu, class... Args>
  static absl::Status run(OpKernelContext* ctx, Cpu, Gpu gpu, Args... args) {
    const LentMemory lent(ctx);
    auto* const stream = ctx->op_device_context()->stream();
    return to_status(gpu(stream->platform_specific_handle().stream, args...));
  }
  // In the order of the stream: nothing waits for it.
  static absl::Status copy(OpKernelContext* ctx, const Tensor& from, Tensor* to) {
    const size_t bytes = from.TotalBytes();
    if (bytes == 0) return absl::OkStatus();
    stream_executor::DeviceAddressBase target(to->data(), bytes);
    const stream_executor::DeviceAddressBase source(from.data(), bytes);
    return ctx->op_device_context()->stream()->Memcpy(&target, source, bytes);
  }
};
#endif

// How kernels for a GPU multiply matrices of float32: as TensorFlow's own products, by its switch.
inline fg_cuda_precision precision_of_products() {
  return tsl::tensor_float_32_execution_enabled() ? FG_CUDA_TF32 : FG_CUDA_STRICT;
}

// run() of a kernel whose function for a GPU takes that first.
template <class Device, class Cpu, class Gpu, class... Args>
absl::Status run_with_precision(OpKernelContext* ctx, Cpu cpu, Gpu gpu, Args... args) {
  if constexpr (Device::is_gpu) {
    return Device::run(ctx, cpu, gpu, precision_of_products(), args...);
  } else {
    return Device::run(ctx, cpu, gpu, args...);
  }
}

}  // namespace fastgen

// The two C functions of a kernel, for run(); the GPU's is not looked at where it is not built.
#ifdef FASTGEN_CUDA
#define FASTGEN_BOTH(NAME) fg_##NAME, fg_cuda_##NAME
#else
#define FASTGEN_BOTH(NAME) fg_##NAME, nullptr
#endif

// Registers KERNEL<where, T> for OP at every dtype, on the CPU and, where it is built, on the GPU.
// MORE(T) adds to the KernelDefBuilder.
#define FASTGEN_REGISTER_AT(DEVICE, WHERE, OP, KERNEL, MORE)                             \
  REGISTER_KERNEL_BUILDER(FASTGEN_AT(DEVICE, OP, Eigen::half) MORE(Eigen::half),         \
                          ::fastgen::Traced<KERNEL<WHERE, Eigen::half>>);                \
  REGISTER_KERNEL_BUILDER(FASTGEN_AT(DEVICE, OP, Eigen::bfloat16) MORE(Eigen::bfloat16), \
                          ::fastgen::Traced<KERNEL<WHERE, Eigen::bfloat16>>);            \
  REGISTER_KERNEL_BUILDER(FASTGEN_AT(DEVICE, OP, float) MORE(float),                     \
                          ::fastgen::Traced<KERNEL<WHERE, float>>);                      \
  REGISTER_KERNEL_BUILDER(FASTGEN_AT(DEVICE, OP, double) MORE(double),                   \
                          ::fastgen::Traced<KERNEL<WHERE, double>>)
#define FASTGEN_AT(DEVICE, OP, T) Name(OP).Device(DEVICE).TypeConstraint<T>("T")
#ifdef FASTGEN_CUDA
#define FASTGEN_REGISTER(OP, KERNEL, MORE)                                         \
  FASTGEN_REGISTER_AT(tensorflow::DEVICE_CPU, ::fastgen::OnCpu, OP, KERNEL, MORE); \
  FASTGEN_REGISTER_AT(tensorflow::DEVICE_GPU, ::fastgen::OnGpu, OP, KERNEL, MORE)
#else
#define FASTGEN_REGISTER(OP, KERNEL, MORE) \
  FASTGEN_REGISTER_AT(tensorflow::DEVICE_CPU, ::fastgen::OnCpu, OP, KERNEL, MORE)
#endif
// Likewise an op whose tensors may be of several dtypes: KERNEL<where>.
#define FASTGEN_REGISTER_OP_AT(DEVICE, WHERE, OP, KERNEL, MORE) \
  REGISTER_KERNEL_BUILDER(Name(OP).Device(DEVICE) MORE, ::fastgen::Traced<KERNEL<WHERE>>)
#ifdef FASTGEN_CUDA
#define FASTGEN_REGISTER_OP(OP, KERNEL, MORE)                                         \
  FASTGEN_REGISTER_OP_AT(tensorflow::DEVICE_CPU, ::fastgen::OnCpu, OP, KERNEL, MORE); \
  FASTGEN_REGISTER_OP_AT(tensorflow::DEVICE_GPU, ::fastgen::OnGpu, OP, KERNEL, MORE)
#else
#define FASTGEN_REGISTER_OP(OP, KERNEL, MORE) \
  FASTGEN_REGISTER_OP_AT(tensorflow::DEVICE_CPU, ::fastgen::OnCpu, OP, KERNEL, MORE)
#endif
#define FASTGEN_K(T) .TypeConstraint<typename ::fastgen::Dtype<T>::K>("K")
