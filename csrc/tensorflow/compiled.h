// Functions that were compiled in Python, by the keys under which graphs name them.
#pragma once
#include <map>
#include <mutex>
#include <string>

#include "tensorflow/glue.h"

namespace fastgen {

using tensorflow::DataTypeVector;

#define FG_COMPILED_DTYPES                                                                        \
  "list({bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, half, bfloat16, float, " \
  "double})"

// Never forgotten, so that graphs may keep a pointer to it.
struct Compiled {
  std::string name;
  void* f;
  DataTypeVector inputs, outputs;

  // Refuses tensors of dtypes that it was not compiled for; the op's inputs may go on with a seed.
  absl::Status check_dtypes(OpKernelContext* ctx, int inputs) const;
};

// An op's compiled function; an error where this process has none of its key.
absl::Status find_compiled(const std::string& key, const Compiled** found);

}  // namespace fastgen
