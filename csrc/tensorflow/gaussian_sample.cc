#include "kernels/gaussian_sample.h"

#include "tensorflow/device.h"

namespace fastgen {

REGISTER_OP("FastgenGaussianSample")
    .Input("mean: T")
    .Input("log_var: T")
    .Input("seed: Tseed")
    .Output("z: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 1, &shape));
      TF_RETURN_IF_ERROR(check_seed_shape(c, 2));
      c->set_output(0, shape);
      return absl::OkStatus();
    })
    .Doc(
        "z = mean + exp(log_var / 2) * stateless_normal(seed); see csrc/kernels/gaussian_sample.h");

REGISTER_OP("FastgenGaussianSampleGrad")
    .Input("log_var: T")
    .Input("seed: Tseed")
    .Input("d_z: T")
    .Output("d_log_var: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 2, &shape));
      TF_RETURN_IF_ERROR(check_seed_shape(c, 1));
      c->set_output(0, shape);
      return absl::OkStatus();
    })
    .Doc("d_log_var = d_z * exp(log_var / 2) * stateless_normal(seed) / 2; d_mean is d_z itself.");

template <class Device, class T>
class GaussianSampleOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &mean = ctx->input(0), &log_var = ctx->input(1);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_sample", "mean", mean, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape("gaussian_sample", "mean", mean, "log_var", log_var));
    OP_REQUIRES_OK(ctx, read_seed("gaussian_sample", ctx->input(2), seed));
    Tensor* z;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0, 1}, 0, mean.shape(), &z));
    OP_REQUIRES_OK(
        ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_sample), Dtype<T>::value, mean.NumElements(),
                         seed, mean.data(), log_var.data(), z->data()));
  }
};

template <class Device, class T>
class GaussianSampleGradOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &log_var = ctx->input(0), &d_z = ctx->input(2);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_sample_grad", "log_var", log_var, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape("gaussian_sample_grad", "log_var", log_var, "d_z", d_z));
    OP_REQUIRES_OK(ctx, read_seed("gaussian_sample_grad", ctx->input(1), seed));
    Tensor* d_log_var;
    OP_REQUIRES_OK(ctx,
                   ctx->forward_input_or_allocate_output({2, 0}, 0, log_var.shape(), &d_log_var));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_sample_grad), Dtype<T>::value,
                                    log_var.NumElements(), seed, log_var.data(), d_z.data(),
                                    d_log_var->data()));
  }
};

#define SAMPLE(T) .HostMemory("seed")
FASTGEN_REGISTER("FastgenGaussianSample", GaussianSampleOp, SAMPLE);
FASTGEN_REGISTER("FastgenGaussianSampleGrad", GaussianSampleGradOp, SAMPLE);

}  // namespace fastgen
