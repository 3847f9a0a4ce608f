// What profiles see of a run of an op: an event fastgen.STEM, with the device, the op's attributes
// and the dtypes and shapes of its inputs and outputs.
#pragma once
#include <mutex>
#include <string>

#include "tensorflow/core/framework/op_kernel.h"
#include "tsl/profiler/lib/traceme.h"

namespace fastgen {

// The texts of the events of a kernel.
class Description {
 public:
  std::string before(const tensorflow::OpKernel& kernel, tensorflow::OpKernelContext* ctx);
  static std::string after(tensorflow::OpKernelContext* ctx);

 private:
  std::once_flag once_;
  std::string attributes_;
};

// A kernel that is seen by profiles; where none is open, that is a load and a few branches.
template <class Kernel>
class Traced : public Kernel {
 public:
  using Kernel::Kernel;

  void Compute(tensorflow::OpKernelContext* ctx) override {
    // Before it runs: it may hand its inputs' memory on to its outputs.
    tsl::profiler::TraceMe event([&] { return description_.before(*this, ctx); });
    Kernel::Compute(ctx);
    event.AppendMetadata([&] { return Description::after(ctx); });
  }

 private:
  Description description_;
};

}  // namespace fastgen
