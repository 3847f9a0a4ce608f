// What profiles see of a run of an op: an event fastgen.STEM, with the op's attributes and the dtypes
// and shapes of its inputs and outputs.
#pragma once
#include <ctype.h>

#include <map>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensorflow/core/framework/attr_value_util.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_handle.h"
#include "tsl/profiler/lib/traceme.h"

namespace fastgen {

// FastgenGaussianSampleKl as fastgen.gaussian_sample_kl.
inline std::string event_name(const std::string& op_type) {
  std::string name;
  for (char c : op_type) {
    if (isupper(c) && !name.empty()) name += name == "fastgen" ? '.' : '_';
    name += tolower(c);
  }
  return name;
}

inline std::string text_of(const tensorflow::AttrValue& value) {
  if (!value.has_list()) return tensorflow::SummarizeAttrValue(value);
  const auto& list = value.list();  // whole, where SummarizeAttrValue would leave out the middle
  return absl::StrCat("[", absl::StrJoin(list.i(), ","), absl::StrJoin(list.f(), ","),
                      absl::StrJoin(list.s(), ","), absl::StrJoin(list.b(), ","), "]");
}

// Those that are no dtypes, which the tensors tell: activation="relu" kernels=[0,2] need_x=true
inline std::string attributes_of(const tensorflow::NodeDef& node) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : node.attr()) {
    const bool dtypes = value.has_type() || value.list().type_size();
    if (name[0] != '_' && !dtypes) sorted[name] = text_of(value);
  }
  std::string text;
  for (const auto& [name, value] : sorted) {
    absl::StrAppend(&text, text.empty() ? "" : " ", name, "=", value);
  }
  return text;
}

inline void append(const tensorflow::Tensor& x, std::string* text) {
  absl::StrAppend(text, text->empty() ? "" : " ", tensorflow::DataTypeString(x.dtype()),
                  x.shape().DebugString());
}

// float[32,10] int64[2] &float[784,150], the last a variable.
inline std::string inputs_of(tensorflow::OpKernelContext* ctx) {
  std::string text;
  for (int i = 0; i < ctx->num_inputs(); ++i) {
    const tensorflow::Tensor& x = ctx->input(i);
    if (x.dtype() != tensorflow::DT_RESOURCE) {
      append(x, &text);
      continue;
    }
    for (const auto& held : x.scalar<tensorflow::ResourceHandle>()().dtypes_and_shapes()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", "&", tensorflow::DataTypeString(held.dtype),
                      held.shape.DebugString());
    }
  }
  return text;
}

inline std::string outputs_of(tensorflow::OpKernelContext* ctx) {
  std::string text;
  for (int i = 0; ctx->status().ok() && i < ctx->num_outputs(); ++i) {
    if (const tensorflow::Tensor* x = ctx->mutable_output(i)) append(*x, &text);
  }
  return text;
}

// A kernel that is seen by profiles; where none is open this is one load and one branch.
template <class Kernel>
class Traced : public Kernel {
 public:
  using Kernel::Kernel;

  void Compute(tensorflow::OpKernelContext* ctx) override {
    // Before it runs: it may hand its inputs' memory on to its outputs.
    tsl::profiler::TraceMe event([&] {
      std::call_once(described_, [&] { attributes_ = attributes_of(this->def()); });
      return tsl::profiler::TraceMeEncode(
          event_name(this->type_string()),
          {{"attributes", attributes_}, {"inputs", inputs_of(ctx)}});
    });
    Kernel::Compute(ctx);
    event.AppendMetadata(
        [&] { return tsl::profiler::TraceMeEncode({{"outputs", outputs_of(ctx)}}); });
  }

 private:
  std::once_flag described_;
  std::string attributes_;
};

}  // namespace fastgen
