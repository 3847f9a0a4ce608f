#include "tensorflow/device_code.h"

#include <memory>

#include "xla/stream_executor/stream.h"

namespace fastgen {
namespace {

constexpr int64_t kThreads = 256;       // of a block
constexpr int64_t kMostBlocks = 16384;  // 15 times what an H200 holds; unmeasured

class Registry {
 public:
  void add(const std::string& key, std::unique_ptr<DeviceCode> code) {
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.emplace(key, std::move(code));
  }
  DeviceCode* find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = all_.find(key);
    return found == all_.end() ? nullptr : found->second.get();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<DeviceCode>> all_;
};

Registry& registry() {
  static Registry* const all = new Registry;  // outlives threads that still run an op at exit
  return *all;
}

driver::Stream stream_of(OpKernelContext* ctx) {
  return ctx->op_device_context()->stream()->platform_specific_handle().stream;
}

}  // namespace

absl::Status DeviceCode::load(OpKernelContext* ctx) { return named(load_for(stream_of(ctx))); }

absl::Status DeviceCode::launch(OpKernelContext* ctx, int64_t work,
                                std::vector<int64_t> parameters) {
  return named(start(stream_of(ctx), work, &parameters));
}

absl::Status DeviceCode::named(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(name_, ": ", status.message()));
}

absl::Status DeviceCode::load_for(driver::Stream stream) {
  const driver::Functions* driver;
  TF_RETURN_IF_ERROR(driver::find(&driver));
  driver::Current current(*driver);
  TF_RETURN_IF_ERROR(current.enter(stream));
  driver::Function function;
  return function_in(*driver, current.context(), &function);
}

absl::Status DeviceCode::start(driver::Stream stream, int64_t work,
                               std::vector<int64_t>* parameters) {
  const driver::Functions* driver;
  TF_RETURN_IF_ERROR(driver::find(&driver));
  driver::Current current(*driver);
  TF_RETURN_IF_ERROR(current.enter(stream));
  driver::Function function;
  TF_RETURN_IF_ERROR(function_in(*driver, current.context(), &function));
  std::vector<void*> places;
  for (int64_t& value : *parameters) places.push_back(&value);
  const int64_t blocks = std::min((work + kThreads - 1) / kThreads, kMostBlocks);
  return driver::check(
      *driver, "cuLaunchKernel",
      driver->launch(function, blocks, 1, 1, kThreads, 1, 1, 0, stream, places.data(), nullptr));
}

absl::Status DeviceCode::function_in(const driver::Functions& driver, driver::Context context,
                                     driver::Function* function) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto known = functions_.find(context);
  if (known != functions_.end()) {
    *function = known->second;
    return absl::OkStatus();
  }
  TF_RETURN_IF_ERROR(driver::load(driver, code_, entry_, function));
  functions_[context] = *function;
  return absl::OkStatus();
}

absl::Status find_device_code(const std::string& key, DeviceCode** found) {
  *found = registry().find(key);
  if (*found) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("fastgen.jit: kernel ", key,
                                          " has no code for GPUs in this process: call it with "
                                          "these dtypes on a GPU first, or put what "
                                          "was made without one on the CPU, by tf.device"));
}

REGISTER_OP("FastgenLoadDeviceCode")
    .Output("refusal: string")
    .Output("driver: int32")
    .Attr("kernel: string")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape)
    .Doc(
        "Loads code that was registered under a key, for the GPU that the op is on. refusal: what "
        "the "
        "driver says where it cannot use code of this kind, else empty; driver: the CUDA that it "
        "knows, "
        "as 1000 major + 10 minor");

class LoadDeviceCode : public tensorflow::OpKernel {
 public:
  explicit LoadDeviceCode(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kernel", &key_));
  }

  void Compute(OpKernelContext* ctx) override {
    DeviceCode* code;
    OP_REQUIRES_OK(ctx, find_device_code(key_, &code));
    const absl::Status status = code->load(ctx);
    const bool refused = absl::IsUnimplemented(status);
    if (!refused) OP_REQUIRES_OK(ctx, status);
    Tensor *refusal, *version;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {}, &refusal));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {}, &version));
    if (refused) refusal->scalar<tensorflow::tstring>()() = std::string(status.message());
    const driver::Functions* driver;
    OP_REQUIRES_OK(ctx, driver::find(&driver));
    int* const number = &version->scalar<int>()();
    OP_REQUIRES_OK(ctx, driver::check(*driver, "cuDriverGetVersion", driver->get_version(number)));
  }

 private:
  std::string key_;
};

REGISTER_KERNEL_BUILDER(Name("FastgenLoadDeviceCode")
                            .Device(tensorflow::DEVICE_GPU)
                            .HostMemory("refusal")
                            .HostMemory("driver"),
                        Traced<LoadDeviceCode>);

}  // namespace fastgen

// Lets graphs of this process run code by key on GPUs. A key that is known keeps its code.
extern "C" FG_API void fg_device_code_register(const char* key, const char* name, const char* entry,
                                               const char* code, int64_t size) {
  fastgen::registry().add(
      key, std::make_unique<fastgen::DeviceCode>(name, entry, std::string(code, size)));
}
