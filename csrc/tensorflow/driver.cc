#include "tensorflow/driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace fastgen {
namespace driver {
namespace {

// Numbers of the documentation's CUjit_option.
enum { JIT_ERROR_LOG_BUFFER = 5, JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6 };
constexpr size_t kLogBytes = 8192;

// Its CUresults that tell of the code and of the driver, not of what went wrong while it ran.
enum {
  INVALID_IMAGE = 200,
  NO_BINARY_FOR_GPU = 209,
  INVALID_PTX = 218,
  JIT_COMPILER_NOT_FOUND = 221,
  UNSUPPORTED_PTX_VERSION = 222,
  JIT_COMPILATION_DISABLED = 223,
};
constexpr int kRefusals[] = {
    INVALID_IMAGE,          NO_BINARY_FOR_GPU,       INVALID_PTX,
    JIT_COMPILER_NOT_FOUND, UNSUPPORTED_PTX_VERSION, JIT_COMPILATION_DISABLED};

// The driver as it was found, or why there is none.
struct Search {
  Functions functions;
  std::string why;

  Search() {
    void* const file = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);  // stays open
    if (!file) {
      why = dlerror();
      return;
    }
    take(file, "cuDriverGetVersion", &functions.get_version);
    take(file, "cuGetErrorName", &functions.get_error_name);
    take(file, "cuStreamGetCtx", &functions.stream_get_context);
    take(file, "cuCtxPushCurrent_v2", &functions.push);
    take(file, "cuCtxPopCurrent_v2", &functions.pop);
    take(file, "cuModuleLoadDataEx", &functions.load);
    take(file, "cuModuleUnload", &functions.unload);
    take(file, "cuModuleGetFunction", &functions.get_function);
    take(file, "cuLaunchKernel", &functions.launch);
  }

  template <class F>
  void take(void* file, const char* name, F** to) {
    *to = reinterpret_cast<F*>(dlsym(file, name));
    if (!*to) why = absl::StrCat("libcuda.so.1 has no ", name);
  }
};

absl::Status loaded(const Functions& driver, const char* function, int result, const char* log) {
  const absl::Status status = check(driver, function, result);
  if (status.ok()) return status;
  const absl::string_view said = absl::StripAsciiWhitespace(log);
  const bool refused = std::count(std::begin(kRefusals), std::end(kRefusals), result);
  return absl::Status(refused ? absl::StatusCode::kUnimplemented : status.code(),
                      absl::StrCat(status.message(), said.empty() ? "" : ": ", said));
}

}  // namespace

absl::Status find(const Functions** found) {
  static const Search* const search = new Search;  // outlives threads that still run an op at exit
  if (!search->why.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("no CUDA driver: ", search->why));
  }
  *found = &search->functions;
  return absl::OkStatus();
}

absl::Status check(const Functions& driver, const char* function, int result) {
  if (result == 0) return absl::OkStatus();
  const char* name = nullptr;
  if (driver.get_error_name(result, &name) || !name) name = "an error without a name";
  return absl::InternalError(absl::StrCat(function, " failed: ", name, " (", result, ")"));
}

absl::Status Current::enter(Stream stream) {
  if (int result = driver_.stream_get_context(stream, &context_)) {
    return check(driver_, "cuStreamGetCtx", result);
  }
  const int result = driver_.push(context_);
  pushed_ = result == 0;
  return check(driver_, "cuCtxPushCurrent", result);
}

Current::~Current() {
  Context popped;
  if (pushed_) driver_.pop(&popped);
}

absl::Status load(const Functions& driver, const std::string& code, const std::string& name,
                  Function* function) {
  std::string log(kLogBytes, '\0');
  int options[] = {JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log.data(), reinterpret_cast<void*>(kLogBytes)};
  Module module;
  if (int result = driver.load(&module, code.c_str(), 2, options, values)) {
    return loaded(driver, "cuModuleLoadDataEx", result, log.c_str());
  }
  // A driver that loads lazily may see only now what it was given.
  const int result = driver.get_function(function, module, name.c_str());
  if (result) driver.unload(module);
  return loaded(driver, "cuModuleGetFunction", result, "");
}

}  // namespace driver
}  // namespace fastgen
