#include "kernels/elementwise.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tensorflow/glue.h"

namespace fastgen {

using tensorflow::DataType;
using tensorflow::DataTypeVector;

// A function that Python compiled. Never forgotten, so that graphs may keep a pointer to it.
struct Compiled {
  std::string name;
  fg_elementwise_function f;
  DataTypeVector inputs, outputs;
};

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

Registry& registry() {
  static Registry* const all = new Registry;  // outlives threads that still run an op at exit
  return *all;
}

REGISTER_OP("FastgenElementwise")
    .Input("inputs: In")
    .Output("outputs: Out")
    .Attr("kernel: string")
    .Attr(
        "In: list({bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, half, bfloat16, "
        "float, double}) >= 1")
    .Attr(
        "Out: list({bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, half, "
        "bfloat16, float, double}) >= 1")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape = c->input(0);
      for (int i = 1; i < c->num_inputs(); ++i) {
        TF_RETURN_IF_ERROR(tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(
            c, shape, c->input(i), true, &shape));
      }
      for (int i = 0; i < c->num_outputs(); ++i) c->set_output(i, shape);
      return absl::OkStatus();
    })
    .Doc(
        "A function of scalars, compiled in Python, over tensors that are broadcast. kernel: the "
        "key that it was registered under in this process; see fastgen/jit/elementwise.py");

// The shape of all inputs broadcast, its axes merged where no input is repeated along one alone.
class Broadcast {
 public:
  absl::Status read(const std::string& name, OpKernelContext* ctx) {
    int rank = 0;
    for (int i = 0; i < ctx->num_inputs(); ++i) rank = std::max(rank, ctx->input(i).dims());
    std::vector<int64_t> dims(rank, 1);
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      for (int axis = 0; axis < rank; ++axis) {
        const int64_t dim = dim_of(ctx->input(i).shape(), rank, axis);
        if (dim != 1 && dims[axis] != 1 && dim != dims[axis]) {
          return absl::InvalidArgumentError(absl::StrCat(
              name, ": inputs must have shapes that broadcast. Received: ", shapes(ctx)));
        }
        if (dim != 1) dims[axis] = dim;
      }
    }
    TF_RETURN_IF_ERROR(TensorShape::BuildTensorShape(dims, &shape));
    merge(ctx, dims);
    return absl::OkStatus();
  }

  // NULL where input i has the shape of the outputs.
  const int64_t* strides_of(OpKernelContext* ctx, int i) const {
    return ctx->input(i).NumElements() == shape.num_elements() ? nullptr : strides[i].data();
  }

  TensorShape shape;
  std::vector<int64_t> dims;
  std::vector<std::vector<int64_t>> strides;  // of each input, for dims

 private:
  static int64_t dim_of(const TensorShape& shape, int rank, int axis) {
    const int own = axis - (rank - shape.dims());
    return own < 0 ? 1 : shape.dim_size(own);
  }

  static std::string shapes(OpKernelContext* ctx) {
    std::string all;
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      absl::StrAppend(&all, i ? ", " : "", ctx->input(i).shape().DebugString());
    }
    return all;
  }

  // From the last axis on: an axis joins the one after it if every input is whole along both, or
  // repeated along both.
  void merge(OpKernelContext* ctx, const std::vector<int64_t>& all) {
    const int inputs = ctx->num_inputs(), rank = all.size();
    std::vector<int64_t> next(inputs, 1);  // the stride of an axis along which input i is whole
    strides.resize(inputs);
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (all[axis] == 1) continue;
      bool joins = !dims.empty();
      std::vector<int64_t> stride(inputs);
      for (int i = 0; i < inputs; ++i) {
        const int64_t dim = dim_of(ctx->input(i).shape(), rank, axis);
        stride[i] = dim == 1 ? 0 : next[i];
        next[i] *= dim;
        joins = joins && stride[i] == strides[i].front() * dims.front();
      }
      if (joins) {
        dims.front() *= all[axis];
        continue;
      }
      dims.insert(dims.begin(), all[axis]);
      for (int i = 0; i < inputs; ++i) strides[i].insert(strides[i].begin(), stride[i]);
    }
    if (!dims.empty()) return;
    dims.push_back(1);
    for (auto& stride : strides) stride.push_back(0);
  }
};

class ElementwiseOp : public tensorflow::OpKernel {
 public:
  explicit ElementwiseOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kernel", &key_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Compiled* const compiled = registry().find(key_);
    OP_REQUIRES(
        ctx, compiled,
        absl::NotFoundError(absl::StrCat(
            "elementwise: kernel ", key_,
            " is not registered in this process: import the module "
            "that defines it and call it with these dtypes first, or export the model inside "
            "fastgen.portable()")));
    OP_REQUIRES_OK(ctx, check_dtypes(*compiled, ctx));
    Broadcast broadcast;
    OP_REQUIRES_OK(ctx, broadcast.read(compiled->name, ctx));
    std::vector<fg_elementwise_array> arrays;
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      arrays.push_back(array_of(ctx->input(i), broadcast.strides_of(ctx, i)));
    }
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      Tensor* out;
      OP_REQUIRES_OK(ctx, allocate(ctx, i, broadcast.shape, &out));
      arrays.push_back(array_of(*out, nullptr));
    }
    OP_REQUIRES_OK(
        ctx, to_status(fg_elementwise(IntraOpThreads(ctx), compiled->name.c_str(), compiled->f,
                                      broadcast.dims.size(), broadcast.dims.data(),
                                      ctx->num_inputs(), ctx->num_outputs(), arrays.data())));
  }

 private:
  static absl::Status allocate(OpKernelContext* ctx, int i, const TensorShape& shape,
                               Tensor** out) {
    if (ctx->num_outputs() > 1) return ctx->allocate_output(i, shape, out);
    std::vector<int> inputs(ctx->num_inputs());
    for (int j = 0; j < ctx->num_inputs(); ++j) inputs[j] = j;
    return ctx->forward_input_or_allocate_output(inputs, i, shape, out);
  }

  static absl::Status check_dtypes(const Compiled& compiled, OpKernelContext* ctx) {
    DataTypeVector inputs, outputs;
    for (int i = 0; i < ctx->num_inputs(); ++i) inputs.push_back(ctx->input_dtype(i));
    for (int i = 0; i < ctx->num_outputs(); ++i) outputs.push_back(ctx->expected_output_dtype(i));
    if (inputs == compiled.inputs && outputs == compiled.outputs) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        compiled.name, ": compiled for ", DataTypeVectorString(compiled.inputs), " -> ",
        DataTypeVectorString(compiled.outputs), ". Received: ", DataTypeVectorString(inputs),
        " -> ", DataTypeVectorString(outputs)));
  }

  static fg_elementwise_array array_of(const Tensor& x, const int64_t* strides) {
    const DataType type = x.dtype();
    const fg_dtype dtype = type == tensorflow::DT_HALF       ? FG_FLOAT16
                           : type == tensorflow::DT_BFLOAT16 ? FG_BFLOAT16
                                                             : FG_FLOAT32;
    return {x.data(), strides, tensorflow::DataTypeSize(type), dtype};
  }

  std::string key_;
};

REGISTER_KERNEL_BUILDER(Name("FastgenElementwise").Device(tensorflow::DEVICE_CPU), ElementwiseOp);

}  // namespace fastgen

// Lets graphs of this process call f by key; dtypes: numbers of TensorFlow's DataType, the inputs'
// and then the outputs'. f must live as long as the process. A key that is known keeps its function.
extern "C" FG_API void fg_elementwise_register(const char* key, const char* name,
                                               fg_elementwise_function f, int inputs, int outputs,
                                               const int* dtypes) {
  fastgen::Compiled compiled = {name, f, {}, {}};
  for (int i = 0; i < inputs; ++i) {
    compiled.inputs.push_back(static_cast<fastgen::DataType>(dtypes[i]));
  }
  for (int i = inputs; i < inputs + outputs; ++i) {
    compiled.outputs.push_back(static_cast<fastgen::DataType>(dtypes[i]));
  }
  fastgen::registry().add(key, std::move(compiled));
}
