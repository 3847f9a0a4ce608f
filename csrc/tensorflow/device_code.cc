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

}  // namespace

absl::Status DeviceCode::launch(OpKernelContext* ctx, int64_t work,
                                std::vector<int64_t> parameters) {
  auto* const stream = ctx->op_device_context()->stream();
  const absl::Status status = start(stream->platform_specific_handle().stream, work, &parameters);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(name_, ": ", status.message()));
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
  TF_RETURN_IF_ERROR(driver::load(driver, ptx_, entry_, function));
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

}  // namespace fastgen

// Lets graphs of this process run PTX by key on GPUs. A key that is known keeps its code.
extern "C" FG_API void fg_device_code_register(const char* key, const char* name, const char* entry,
                                               const char* ptx) {
  fastgen::registry().add(key, std::make_unique<fastgen::DeviceCode>(name, entry, ptx));
}
