#include "kernels/elementwise.h"

#include "core/philox.h"
#include "tensorflow/broadcast.h"
#include "tensorflow/compiled.h"
#include "tensorflow/device_code.h"

namespace fastgen {

using tensorflow::DataType;

REGISTER_OP("FastgenElementwise")
    .Input("inputs: In")
    .Input("seed: seeds * int64")
    .Output("outputs: Out")
    .Attr("kernel: string")
    .Attr("In: " FG_COMPILED_DTYPES " >= 1")
    .Attr("Out: " FG_COMPILED_DTYPES " >= 1")
    .Attr("seeds: int >= 0 = 0")
    .SetShapeFn([](InferenceContext* c) {
      int seeds;
      TF_RETURN_IF_ERROR(c->GetAttr("seeds", &seeds));
      ShapeHandle shape = c->input(0);
      for (int i = 1; i < c->num_inputs() - seeds; ++i) {
        TF_RETURN_IF_ERROR(tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(
            c, shape, c->input(i), true, &shape));
      }
      for (int i = 0; i < c->num_outputs(); ++i) c->set_output(i, shape);
      return absl::OkStatus();
    })
    .Doc(
        "A function of scalars, compiled in Python, over tensors that are broadcast. kernel: the "
        "key that it was registered under in this process; see fastgen/jit/elementwise.py");

// A call whose inputs have been checked.
struct ElementwiseCall {
  const Compiled* compiled;
  Broadcast broadcast;
  std::vector<fg_elementwise_array> arrays;  // inputs, then outputs
  int inputs = 0;
  bool noisy = false;
  int64_t seed[2] = {};

  int outputs() const { return static_cast<int>(arrays.size()) - inputs; }
};

class ElementwiseOp : public tensorflow::OpKernel {
 public:
  explicit ElementwiseOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kernel", &key_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("seeds", &seeds_));
  }

  void Compute(OpKernelContext* ctx) override {
    ElementwiseCall call;
    OP_REQUIRES_OK(ctx, read(ctx, &call));
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      Tensor* out;
      OP_REQUIRES_OK(ctx, allocate(ctx, i, call.inputs, call.broadcast.shape, &out));
      call.arrays.push_back(array_of(*out, nullptr));
    }
    OP_REQUIRES_OK(ctx, run(ctx, call));
  }

 protected:
  virtual absl::Status run(OpKernelContext* ctx, const ElementwiseCall& call) = 0;

  std::string key_;

 private:
  absl::Status read(OpKernelContext* ctx, ElementwiseCall* call) const {
    const int inputs = call->inputs = ctx->num_inputs() - seeds_;
    TF_RETURN_IF_ERROR(find_compiled(key_, &call->compiled));
    TF_RETURN_IF_ERROR(call->compiled->check_dtypes(ctx, inputs));
    const std::string& name = call->compiled->name;
    call->noisy = seeds_;
    if (seeds_) TF_RETURN_IF_ERROR(read_seed(name.c_str(), ctx->input(inputs), call->seed));
    std::vector<TensorShape> shapes;
    for (int i = 0; i < inputs; ++i) shapes.push_back(ctx->input(i).shape());
    TF_RETURN_IF_ERROR(call->broadcast.read(name, shapes));
    for (int i = 0; i < inputs; ++i) {
      call->arrays.push_back(array_of(ctx->input(i), call->broadcast.strides[i].data()));
    }
    return absl::OkStatus();
  }

  static absl::Status allocate(OpKernelContext* ctx, int i, int inputs, const TensorShape& shape,
                               Tensor** out) {
    if (ctx->num_outputs() > 1) return ctx->allocate_output(i, shape, out);
    std::vector<int> candidates(inputs);
    for (int j = 0; j < inputs; ++j) candidates[j] = j;
    return ctx->forward_input_or_allocate_output(candidates, i, shape, out);
  }

  static fg_elementwise_array array_of(const Tensor& x, const int64_t* strides) {
    const DataType type = x.dtype();
    const fg_dtype dtype = type == tensorflow::DT_HALF       ? FG_FLOAT16
                           : type == tensorflow::DT_BFLOAT16 ? FG_BFLOAT16
                                                             : FG_FLOAT32;
    return {x.data(), strides, tensorflow::DataTypeSize(type), dtype};
  }

  int seeds_;
};

class ElementwiseOnCpu : public ElementwiseOp {
 public:
  using ElementwiseOp::ElementwiseOp;

 private:
  absl::Status run(OpKernelContext* ctx, const ElementwiseCall& call) override {
    std::vector<fg_elementwise_array> arrays = call.arrays;
    const int64_t size = call.broadcast.shape.num_elements();
    for (int i = 0; i < call.inputs; ++i) {
      if (ctx->input(i).NumElements() == size) arrays[i].strides = nullptr;
    }
    const std::vector<int64_t>& dims = call.broadcast.dims;
    return to_status(fg_elementwise(IntraOpThreads(ctx), call.compiled->name.c_str(),
                                    (fg_elementwise_function)call.compiled->f, dims.size(),
                                    dims.data(), call.inputs, call.outputs(), arrays.data(),
                                    call.noisy ? call.seed : nullptr));
  }
};

// Its parameters are those of fastgen/jit/grid_loop.py.
class ElementwiseOnGpu : public ElementwiseOp {
 public:
  using ElementwiseOp::ElementwiseOp;

 private:
  static constexpr int kAxes = 4;                        // AXES of grid_loop.py
  static constexpr int kElements = 4;                    // ELEMENTS of grid_loop.py
  static constexpr int64_t kThreadsAtOnce = 132 * 2048;  // of an H200

  // The last axes in one launch; there are so many of these as the others have elements.
  absl::Status run(OpKernelContext* ctx, const ElementwiseCall& call) override {
    if (call.broadcast.shape.num_elements() == 0) return absl::OkStatus();
    DeviceCode* code;
    TF_RETURN_IF_ERROR(find_device_code(key_, &code));
    const std::vector<int64_t>& dims = call.broadcast.dims;
    const int rank = dims.size(), outer = std::max(0, rank - kAxes);
    int64_t count = 1, launches = 1;
    for (int axis = 0; axis < rank; ++axis) (axis < outer ? launches : count) *= dims[axis];
    std::vector<int64_t> index(outer);
    for (int64_t i = 0; i < launches; ++i) {
      const int64_t first = i * count;
      TF_RETURN_IF_ERROR(
          code->launch(ctx, work(call, first, count), parameters(call, index, first, count)));
      for (int axis = outer - 1; axis >= 0 && ++index[axis] == dims[axis]; --axis) index[axis] = 0;
    }
    return absl::OkStatus();
  }

  // Threads: one for several elements, if that leaves none of the GPU idle; for a group of noise where
  // there is some.
  static int64_t work(const ElementwiseCall& call, int64_t first, int64_t count) {
    if (!call.noisy) {
      return std::max(std::min(count, kThreadsAtOnce), (count + kElements - 1) / kElements);
    }
    const auto& in = call.compiled->inputs;
    const bool doubles = std::count(in.begin(), in.end(), tensorflow::DT_DOUBLE) > 0;
    const int group = doubles ? 2 : 4;
    return (first + count + group - 1) / group - first / group;
  }

  static std::vector<int64_t> parameters(const ElementwiseCall& call,
                                         const std::vector<int64_t>& index, int64_t first,
                                         int64_t count) {
    const std::vector<int64_t>& dims = call.broadcast.dims;
    const int outer = index.size(), last = static_cast<int>(dims.size()) - 1,
              rank = last + 1 - outer;
    std::vector<int64_t> all = {count, rank, first};
    if (call.noisy) {
      const PhiloxStream stream = philox_stream(call.seed);
      for (uint32_t word : {stream.key0, stream.key1, stream.counter2, stream.counter3}) {
        all.push_back(word);
      }
    }
    for (int a = 0; a < kAxes - 1; ++a) all.push_back(a < rank - 1 ? dims[last - a] : 1);
    for (int i = 0; i < call.inputs; ++i) {
      const fg_elementwise_array& x = call.arrays[i];
      int64_t from = 0;
      for (int axis = 0; axis < outer; ++axis) from += index[axis] * x.strides[axis];
      all.push_back(address(x, from));
      for (int a = 0; a < kAxes - 1; ++a) all.push_back(a < rank - 1 ? x.strides[last - a] : 0);
      all.push_back(x.strides[outer]);
    }
    for (int i = 0; i < call.outputs(); ++i) {
      all.push_back(address(call.arrays[call.inputs + i], first));
    }
    return all;
  }

  static int64_t address(const fg_elementwise_array& x, int64_t element) {
    return reinterpret_cast<int64_t>(x.data) + element * x.bytes;
  }
};

REGISTER_KERNEL_BUILDER(Name("FastgenElementwise").Device(tensorflow::DEVICE_CPU),
                        Traced<ElementwiseOnCpu>);
REGISTER_KERNEL_BUILDER(
    Name("FastgenElementwise").Device(tensorflow::DEVICE_GPU).HostMemory("seed"),
    Traced<ElementwiseOnGpu>);

}  // namespace fastgen
