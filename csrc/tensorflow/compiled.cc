#include "tensorflow/compiled.h"

namespace fastgen {

class Registry {
 public:
  void add(const std::string& key, Compiled compiled) {
    const std::lock_guard<std::mutex> lock(mutex_);
    functions_.emplace(key, std::move(compiled));
  }
  const Compiled* find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = functions_.find(key);
    return found == functions_.end() ? nullptr : &found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Compiled> functions_;  // its nodes stay where they are
};

static Registry& registry() {
  static Registry* const all = new Registry;  // outlives threads that still run an op at exit
  return *all;
}

absl::Status find_compiled(const std::string& key, const Compiled** found) {
  *found = registry().find(key);
  if (*found) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      "fastgen.jit: kernel ", key,
      " is not registered in this process: import the module that defines it and call it with "
      "these dtypes first, or export the model inside fastgen.portable()"));
}

absl::Status Compiled::check_dtypes(OpKernelContext* ctx, int count) const {
  DataTypeVector in, out;
  for (int i = 0; i < count; ++i) in.push_back(ctx->input_dtype(i));
  for (int i = 0; i < ctx->num_outputs(); ++i) out.push_back(ctx->expected_output_dtype(i));
  if (in == inputs && out == outputs) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": compiled for ", DataTypeVectorString(inputs), " -> ", DataTypeVectorString(outputs),
      ". Received: ", DataTypeVectorString(in), " -> ", DataTypeVectorString(out)));
}

}  // namespace fastgen

// Lets graphs of this process call f by key; dtypes: numbers of TensorFlow's DataType, the inputs'
// and then the outputs'. f must live as long as the process. A key that is known keeps its function.
extern "C" FG_API void fg_compiled_register(const char* key, const char* name, void* f, int inputs,
                                            int outputs, const int* dtypes) {
  fastgen::Compiled compiled = {name, f, {}, {}};
  for (int i = 0; i < inputs + outputs; ++i) {
    const auto dtype = static_cast<tensorflow::DataType>(dtypes[i]);
    (i < inputs ? compiled.inputs : compiled.outputs).push_back(dtype);
  }
  fastgen::registry().add(key, std::move(compiled));
}
