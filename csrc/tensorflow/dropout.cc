#include "kernels/dropout.h"

#include "tensorflow/glue.h"

namespace fastgen {

REGISTER_OP("FastgenDropout")
    .Input("x: T")
    .Input("rate: double")
    .Input("seed: Tseed")
    .Output("y: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &shape));
      TF_RETURN_IF_ERROR(check_scalar_shape(c, 1));
      TF_RETURN_IF_ERROR(check_seed_shape(c, 2));
      c->set_output(0, shape);
      return absl::OkStatus();
    })
    .Doc(
        "y = stateless_uniform(seed) >= rate ? x / (1 - rate) : 0, its own gradient; see "
        "csrc/kernels/dropout.h");

template <class T>
class DropoutOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &x = ctx->input(0), &rate = ctx->input(1);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("dropout", "x", x, &matrix));
    OP_REQUIRES_OK(ctx, check_scalar("dropout", "rate", rate));
    OP_REQUIRES_OK(ctx, read_seed("dropout", ctx->input(2), seed));
    Tensor* y;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(ctx, to_status(fg_dropout(IntraOpThreads(ctx), Dtype<T>::value, x.NumElements(),
                                             seed, rate.scalar<double>()(), x.data(), y->data())));
  }
};

#define DROPOUT_ON_CPU(OP, T) FASTGEN_CPU_T(OP, T).HostMemory("rate").HostMemory("seed")
FASTGEN_REGISTER_CPU("FastgenDropout", DropoutOp, DROPOUT_ON_CPU);

}  // namespace fastgen
