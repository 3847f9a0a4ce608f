// Resource variables that an op updates in place.
#pragma once
#include <algorithm>
#include <vector>

#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/device.h"

namespace fastgen {

using tensorflow::DataType;
using tensorflow::Var;
using tensorflow::core::RefCountPtr;

// Variables under their locks, which are taken in the order of their addresses, as TensorFlow's
// training_op_helpers.h does; each tensor is made sole owner of its memory before it is written.
class LockedVariables {
 public:
  explicit LockedVariables(const char* op) : op_(op) {}
  ~LockedVariables() {
    for (Mutex* mutex : locked_) mutex->unlock();
  }

  absl::Status add(OpKernelContext* ctx, const Tensor& handle) {
    RefCountPtr<Var> var;
    TF_RETURN_IF_ERROR(
        tensorflow::LookupResource(ctx, handle.scalar<tensorflow::ResourceHandle>()(), &var));
    vars_.push_back(std::move(var));
    return absl::OkStatus();
  }

  absl::Status lock() {
    std::vector<Mutex*> order;
    for (auto& var : vars_) order.push_back(var->mu());
    std::sort(order.begin(), order.end());
    if (std::adjacent_find(order.begin(), order.end()) != order.end()) {
      return absl::InvalidArgumentError(absl::StrCat(op_, ": a variable was given twice"));
    }
    for (Mutex* mutex : order) {
      mutex->lock();
      locked_.push_back(mutex);
    }
    for (auto& var : vars_) {
      if (!var->is_initialized || !var->tensor()->IsInitialized()) {
        return absl::FailedPreconditionError(
            absl::StrCat(op_, ": variables must be initialized before the step"));
      }
    }
    return absl::OkStatus();
  }

  int size() const { return vars_.size(); }
  const Tensor& at(int i) const { return *vars_[i]->tensor(); }

  // The values stay; their memory becomes this variable's alone. As TensorFlow's own ops, this holds
  // the locks until a GPU's work is in the order of its stream, not until it is done.
  template <class Device = OnCpu>
  absl::Status own_all(OpKernelContext* ctx) {
    for (auto& var : vars_) {
      Tensor* const tensor = var->tensor();
      if (!var->copy_on_read_mode.load() && tensor->RefCountIsOne()) continue;
      Tensor copy;
      TF_RETURN_IF_ERROR(ctx->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
      TF_RETURN_IF_ERROR(Device::copy(ctx, *tensor, &copy));
      *tensor = copy;
    }
    return absl::OkStatus();
  }

 private:
  const char* const op_;
  typedef std::remove_reference_t<decltype(*std::declval<Var>().mu())> Mutex;
  std::vector<RefCountPtr<Var>> vars_;
  std::vector<Mutex*> locked_;
};

inline fg_dtype code_of(tensorflow::DataType dtype) {
  return dtype == tensorflow::DT_DOUBLE ? FG_FLOAT64 : FG_FLOAT32;
}

// Where a name of an attribute stands among its names: its number in the C ABI.
inline int place_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) - names.begin();
}

}  // namespace fastgen
