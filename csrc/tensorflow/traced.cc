#include "tensorflow/traced.h"

#include <ctype.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensorflow/core/framework/attr_value_util.h"
#include "tensorflow/core/framework/device_attributes.pb.h"
#include "tensorflow/core/framework/resource_handle.h"

namespace fastgen {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;

// FastgenGaussianSampleKl as fastgen.gaussian_sample_kl.
std::string event_name(const std::string& op_type) {
  std::string name;
  for (char c : op_type) {
    if (isupper(c) && !name.empty()) name += name == "fastgen" ? '.' : '_';
    name += tolower(c);
  }
  return name;
}

std::string text_of(const tensorflow::AttrValue& value) {
  if (!value.has_list()) return tensorflow::SummarizeAttrValue(value);
  const auto& list = value.list();  // whole, where SummarizeAttrValue would leave out the middle
  return absl::StrCat("[", absl::StrJoin(list.i(), ","), absl::StrJoin(list.f(), ","),
                      absl::StrJoin(list.s(), ","), absl::StrJoin(list.b(), ","), "]");
}

// Those that are no dtypes, which the tensors tell: activation="relu" kernels=[0,2] need_x=true
std::string attributes_of(const tensorflow::NodeDef& node) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : node.attr()) {
    const bool dtypes = value.has_type() || value.list().type_size();
    if (name[0] != '_' && !dtypes) sorted[name] = text_of(value);
  }
  return absl::StrJoin(sorted, " ", absl::PairFormatter("="));
}

void append(const Tensor& x, std::string* text) {
  absl::StrAppend(text, text->empty() ? "" : " ", tensorflow::DataTypeString(x.dtype()),
                  x.shape().DebugString());
}

// float[32,10] int64[2] &float[784,150], the last a variable.
std::string inputs_of(OpKernelContext* ctx) {
  std::string text;
  for (int i = 0; i < ctx->num_inputs(); ++i) {
    const Tensor& x = ctx->input(i);
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

}  // namespace

std::string Description::before(const tensorflow::OpKernel& kernel, OpKernelContext* ctx) {
  std::call_once(once_, [&] { attributes_ = attributes_of(kernel.def()); });
  return tsl::profiler::TraceMeEncode(event_name(std::string(kernel.type_string())),
                                      {{"device", ctx->device()->attributes().device_type()},
                                       {"attributes", attributes_},
                                       {"inputs", inputs_of(ctx)}});
}

std::string Description::after(OpKernelContext* ctx) {
  std::string outputs;
  for (int i = 0; ctx->status().ok() && i < ctx->num_outputs(); ++i) {
    if (const Tensor* x = ctx->mutable_output(i)) append(*x, &outputs);
  }
  return tsl::profiler::TraceMeEncode({{"outputs", outputs}});
}

}  // namespace fastgen
