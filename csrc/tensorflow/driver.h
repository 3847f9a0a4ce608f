// CUDA's driver, found at run time: nothing here is linked with it, or needs CUDA to be compiled. Types,
// functions and numbers as in its public documentation ("CUDA Driver API").
#pragma once
#include <stddef.h>

#include <string>

#include "absl/status/status.h"

namespace fastgen {
namespace driver {

typedef void* Context;
typedef void* Stream;
typedef void* Module;
typedef void* Function;

struct Functions {
  int (*get_version)(int* version);
  int (*get_error_name)(int result, const char** name);
  int (*stream_get_context)(Stream stream, Context* context);
  int (*push)(Context context);
  int (*pop)(Context* context);
  int (*load)(Module* module, const void* image, unsigned options, int* names, void** values);
  int (*unload)(Module module);
  int (*get_function)(Function* function, Module module, const char* name);
  int (*launch)(Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                Stream stream, void** parameters, void** extra);
};

// The driver, or why there is none; asked once.
absl::Status find(const Functions** found);

// OK, or what the driver calls the error that a function of this name had.
absl::Status check(const Functions& driver, const char* function, int result);

// The context of a stream, this thread's for as long as it lives.
class Current {
 public:
  explicit Current(const Functions& driver) : driver_(driver) {}
  Current(const Current&) = delete;
  ~Current();
  absl::Status enter(Stream stream);
  Context context() const { return context_; }

 private:
  const Functions& driver_;
  Context context_ = nullptr;
  bool pushed_ = false;
};

// The function of this name in PTX or in machine code, for the current context. It stays there. Code that
// the driver cannot use, of a compiler that is newer than it, say, is Unimplemented.
absl::Status load(const Functions& driver, const std::string& code, const std::string& name,
                  Function* function);

}  // namespace driver
}  // namespace fastgen
