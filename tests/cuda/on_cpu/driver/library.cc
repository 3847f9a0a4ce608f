// What fastgen's op library asks of CUDA's driver, on the CPU: kernels are functions that tests compile
// for the CPU and name by stand_in_kernel. PTX is read as far as its entries and their parameters go;
// machine code is an ELF's first bytes and that.
#include <stdint.h>
#include <string.h>

#include <map>
#include <mutex>
#include <regex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  INVALID_PTX = 218,
  UNSUPPORTED_PTX_VERSION = 222,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  LAUNCH_OUT_OF_RESOURCES = 701,
};
enum { JIT_ERROR_LOG_BUFFER = 5, JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6 };

typedef void (*Kernel)(int64_t thread, int64_t threads, const int64_t* parameters);

struct Module;
struct Function {
  Module* module;
  Kernel kernel;
  size_t parameters;
};
struct Module {
  void* context;
  std::map<std::string, Function> functions;
};

struct State {
  std::recursive_mutex mutex;
  std::map<std::string, Kernel> kernels;
  std::map<std::string, int64_t> counts, fails;  // by the names of the driver's functions
  void (*begin_access)() = [] {};
  void (*end_access)() = [] {};
  int64_t last[2] = {};  // blocks, threads of each
  int newest_ptx = 999, cuda = 13000;
};
State& state() {
  static State* const all = new State;
  return *all;
}
thread_local std::vector<void*> contexts;
thread_local void* asked_for;  // the stream whose context was asked for

// Counts the call; what stand_in_fail wants it to return.
int called(const char* name) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  ++state().counts[name];
  const auto found = state().fails.find(name);
  return found == state().fails.end() ? SUCCESS : (int)found->second;
}

int refuse(int result, const std::string& why, unsigned options, const int* names, void** values) {
  char* log = nullptr;
  size_t size = 0;
  for (unsigned i = 0; i < options; ++i) {
    if (names[i] == JIT_ERROR_LOG_BUFFER) log = (char*)values[i];
    if (names[i] == JIT_ERROR_LOG_BUFFER_SIZE_BYTES) size = (size_t)values[i];
  }
  if (log && size) strncpy(log, why.c_str(), size - 1);
  return result;
}

// Whether the driver can use PTX of this head, or machine code that was made of it; else why not.
int judge(const std::string& code, bool is_elf, std::string* why) {
  std::smatch found;
  if (!std::regex_search(code, found,
                         std::regex("\\.version (\\d+)\\.(\\d+)\\s+\\.target sm_(\\d+)"))) {
    *why = "neither .version nor .target";
    return INVALID_PTX;
  }
  const int version = 10 * std::stoi(found[1]) + std::stoi(found[2]);
  const int newest = state().newest_ptx;
  if (!is_elf && version > newest) {
    *why = "ptxas application ptx input, line 9; fatal   : Unsupported .version " + found[1].str() +
           "." + found[2].str() + "; current version is '" + std::to_string(newest / 10) + "." +
           std::to_string(newest % 10) + "'\n";
    return UNSUPPORTED_PTX_VERSION;
  }
  return is_elf && found[3].str()[0] != '8' ? NO_BINARY_FOR_GPU : SUCCESS;
}

bool is_current(void* context) { return !contexts.empty() && contexts.back() == context; }

}  // namespace

EXPORT int cuGetErrorName(int result, const char** name) {
  static const std::map<int, const char*> names = {
      {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
      {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
      {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
      {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
      {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},
      {UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
      {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
      {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
      {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
  };
  const auto found = names.find(result);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? SUCCESS : INVALID_VALUE;
}

EXPORT int cuDriverGetVersion(int* version) {
  *version = state().cuda;
  return SUCCESS;
}

EXPORT int cuStreamGetCtx(void* stream, void** context) {
  static char of_device;
  if (int failed = called("cuStreamGetCtx")) return failed;
  asked_for = stream;
  *context = &of_device;
  return SUCCESS;
}

EXPORT int cuCtxPushCurrent_v2(void* context) {
  if (int failed = called("cuCtxPushCurrent")) return failed;
  contexts.push_back(context);
  return SUCCESS;
}

EXPORT int cuCtxPopCurrent_v2(void** context) {
  if (int failed = called("cuCtxPopCurrent")) return failed;
  if (contexts.empty()) return INVALID_CONTEXT;
  *context = contexts.back();
  contexts.pop_back();
  return SUCCESS;
}

EXPORT int cuModuleLoadDataEx(Module** module, const void* image, unsigned options, int* names,
                              void** values) {
  if (int failed = called("cuModuleLoadDataEx")) return failed;
  if (contexts.empty()) return INVALID_CONTEXT;
  const std::string given = (const char*)image;
  const bool is_elf = given.find("ELF") == 1;
  const std::string code = given.substr(is_elf ? 4 : 0);
  std::string why;
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  if (int failed = judge(code, is_elf, &why)) return refuse(failed, why, options, names, values);
  std::map<std::string, Function> functions;
  const std::regex entry("\\.visible \\.entry (\\w+)\\(([^)]*)\\)"), parameter("\\.param \\.u64");
  for (std::sregex_iterator found(code.begin(), code.end(), entry), end; found != end; ++found) {
    const std::string name = (*found)[1], given = (*found)[2];
    const auto known = state().kernels.find(name);
    if (known == state().kernels.end()) {
      return refuse(INVALID_PTX, "nobody knows " + name, options, names, values);
    }
    const std::sregex_iterator first(given.begin(), given.end(), parameter);
    const size_t count = std::distance(first, std::sregex_iterator());
    functions[name] = {nullptr, known->second, count};
  }
  *module = new Module{contexts.back(), functions};
  for (auto& [name, function] : (*module)->functions) function.module = *module;
  return SUCCESS;
}

EXPORT int cuModuleUnload(Module* module) {
  if (int failed = called("cuModuleUnload")) return failed;
  delete module;
  return SUCCESS;
}

EXPORT int cuModuleGetFunction(Function** function, Module* module, const char* name) {
  if (int failed = called("cuModuleGetFunction")) return failed;
  if (!is_current(module->context)) return INVALID_CONTEXT;
  const auto found = module->functions.find(name);
  if (found == module->functions.end()) return NOT_FOUND;
  *function = &found->second;
  return SUCCESS;
}

EXPORT int cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                          void* stream, void** parameters, void** extra) {
  if (int failed = called("cuLaunchKernel")) return failed;
  if (!is_current(function->module->context)) return INVALID_CONTEXT;
  if (stream != asked_for) return INVALID_HANDLE;
  const unsigned ones[] = {grid_y, grid_z, block_y, block_z};
  for (unsigned one : ones) {
    if (one != 1) return INVALID_VALUE;
  }
  if (!grid_x || !block_x || block_x > 1024 || shared || extra) return INVALID_VALUE;
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  state().last[0] = grid_x, state().last[1] = block_x;
  std::vector<int64_t> values;
  for (size_t i = 0; i < function->parameters; ++i) values.push_back(*(int64_t*)parameters[i]);
  const int64_t threads = (int64_t)grid_x * block_x;
  state().begin_access();
  for (int64_t i = 0; i < threads; ++i) function->kernel(i, threads, values.data());
  state().end_access();
  return SUCCESS;
}

// Modules that are loaded from now on find a kernel by its name.
EXPORT void stand_in_kernel(const char* name, Kernel kernel) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  state().kernels[name] = kernel;
}

// What lets kernels touch the device's memory.
EXPORT void stand_in_access(void (*begin)(), void (*end)()) {
  state().begin_access = begin, state().end_access = end;
}

// From now on a function of the driver returns this; 0: what it should.
EXPORT void stand_in_fail(const char* name, int result) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  state().fails.erase(name);
  if (result) state().fails[name] = result;
}

// From now on it knows PTX up to a version, as 10 major + minor, and CUDA, as 1000 major + 10 minor.
EXPORT void stand_in_version(int newest_ptx, int cuda) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  state().newest_ptx = newest_ptx, state().cuda = cuda;
}

// How often a function of the driver was called.
EXPORT int64_t stand_in_count(const char* name) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  return state().counts[name];
}

// Blocks and threads of each of the last launch; contexts that this thread has left pushed.
EXPORT void stand_in_last(int64_t last[3]) {
  const std::lock_guard<std::recursive_mutex> held(state().mutex);
  for (int i = 0; i < 2; ++i) last[i] = state().last[i];
  last[2] = contexts.size();
}
