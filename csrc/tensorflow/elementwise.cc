#include "kernels/elementwise.h"

#include "tensorflow/broadcast.h"
#include "tensorflow/compiled.h"

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

class ElementwiseOp : public tensorflow::OpKernel {
 public:
  explicit ElementwiseOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kernel", &key_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("seeds", &seeds_));
  }

  void Compute(OpKernelContext* ctx) override {
    const int inputs = ctx->num_inputs() - seeds_;
    const Compiled* compiled;
    OP_REQUIRES_OK(ctx, find_compiled(key_, &compiled));
    OP_REQUIRES_OK(ctx, compiled->check_dtypes(ctx, inputs));
    const char* const name = compiled->name.c_str();
    int64_t seed[2];
    if (seeds_) OP_REQUIRES_OK(ctx, read_seed(name, ctx->input(inputs), seed));
    std::vector<TensorShape> shapes;
    for (int i = 0; i < inputs; ++i) shapes.push_back(ctx->input(i).shape());
    Broadcast broadcast;
    OP_REQUIRES_OK(ctx, broadcast.read(name, shapes));
    std::vector<fg_elementwise_array> arrays;
    for (int i = 0; i < inputs; ++i) {
      const bool whole = ctx->input(i).NumElements() == broadcast.shape.num_elements();
      arrays.push_back(array_of(ctx->input(i), whole ? nullptr : broadcast.strides[i].data()));
    }
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      Tensor* out;
      OP_REQUIRES_OK(ctx, allocate(ctx, i, inputs, broadcast.shape, &out));
      arrays.push_back(array_of(*out, nullptr));
    }
    OP_REQUIRES_OK(ctx, to_status(fg_elementwise(
                            IntraOpThreads(ctx), name, (fg_elementwise_function)compiled->f,
                            broadcast.dims.size(), broadcast.dims.data(), inputs,
                            ctx->num_outputs(), arrays.data(), seeds_ ? seed : nullptr)));
  }

 private:
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

  std::string key_;
  int seeds_;
};

REGISTER_KERNEL_BUILDER(Name("FastgenElementwise").Device(tensorflow::DEVICE_CPU),
                        Traced<ElementwiseOp>);

}  // namespace fastgen
