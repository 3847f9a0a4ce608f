// Ops on x, a scalar and a seed that give an array like x: gaussian_noise.cc and dropout.cc.
#pragma once
#include "tensorflow/glue.h"

namespace fastgen {

inline absl::Status noise_shape_function(InferenceContext* c) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &shape));
  TF_RETURN_IF_ERROR(check_scalar_shape(c, 1));
  TF_RETURN_IF_ERROR(check_seed_shape(c, 2));
  c->set_output(0, shape);
  return absl::OkStatus();
}

// Noise: op, the name of its scalar, and the kernel.
template <class Noise, class T>
class NoiseOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &x = ctx->input(0), &scalar = ctx->input(1);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix(Noise::op, "x", x, &matrix));
    OP_REQUIRES_OK(ctx, check_scalar(Noise::op, Noise::scalar, scalar));
    OP_REQUIRES_OK(ctx, read_seed(Noise::op, ctx->input(2), seed));
    Tensor* y;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(
        ctx, to_status(Noise::kernel(IntraOpThreads(ctx), Dtype<T>::value, x.NumElements(), seed,
                                     scalar.scalar<double>()(), x.data(), y->data())));
  }
};

}  // namespace fastgen
