#include "kernels/gaussian_noise.h"

#include "tensorflow/glue.h"

namespace fastgen {

REGISTER_OP("FastgenGaussianNoise")
    .Input("x: T")
    .Input("stddev: double")
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
    .Doc("y = x + stddev * stateless_normal(seed); see csrc/kernels/gaussian_noise.h");

template <class T>
class GaussianNoiseOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &x = ctx->input(0), &stddev = ctx->input(1);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_noise", "x", x, &matrix));
    OP_REQUIRES_OK(ctx, check_scalar("gaussian_noise", "stddev", stddev));
    OP_REQUIRES_OK(ctx, read_seed("gaussian_noise", ctx->input(2), seed));
    Tensor* y;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(
        ctx, to_status(fg_gaussian_noise(IntraOpThreads(ctx), Dtype<T>::value, x.NumElements(),
                                         seed, stddev.scalar<double>()(), x.data(), y->data())));
  }
};

#define NOISE_ON_CPU(OP, T) FASTGEN_CPU_T(OP, T).HostMemory("stddev").HostMemory("seed")
FASTGEN_REGISTER_CPU("FastgenGaussianNoise", GaussianNoiseOp, NOISE_ON_CPU);

}  // namespace fastgen
