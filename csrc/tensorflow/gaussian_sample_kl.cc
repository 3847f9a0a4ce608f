#include "kernels/gaussian_sample_kl.h"

#include "tensorflow/device.h"

namespace fastgen {

REGISTER_OP("FastgenGaussianSampleKl")
    .Input("mean: T")
    .Input("log_var: T")
    .Input("seed: Tseed")
    .Output("z: T")
    .Output("kl: K")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, rows;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 1, &shape));
      TF_RETURN_IF_ERROR(check_seed_shape(c, 2));
      TF_RETURN_IF_ERROR(c->Subshape(shape, 0, -1, &rows));
      c->set_output(0, shape);
      c->set_output(1, rows);
      return absl::OkStatus();
    })
    .Doc("FastgenGaussianSample and FastgenGaussianKl in one pass.");

REGISTER_OP("FastgenGaussianSampleKlGrad")
    .Input("mean: T")
    .Input("log_var: T")
    .Input("seed: Tseed")
    .Input("d_z: T")
    .Input("d_kl: K")
    .Output("d_mean: T")
    .Output("d_log_var: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, rows;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 1, &shape));
      TF_RETURN_IF_ERROR(c->Merge(shape, c->input(3), &shape));
      TF_RETURN_IF_ERROR(check_seed_shape(c, 2));
      TF_RETURN_IF_ERROR(c->Subshape(shape, 0, -1, &rows));
      TF_RETURN_IF_ERROR(c->Merge(rows, c->input(4), &rows));
      c->set_output(0, shape);
      c->set_output(1, shape);
      return absl::OkStatus();
    })
    .Doc("The sum of the gradients of FastgenGaussianSample and FastgenGaussianKl.");

template <class Device, class T>
class GaussianSampleKlOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &mean = ctx->input(0), &log_var = ctx->input(1);
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_sample_kl", "mean", mean, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape("gaussian_sample_kl", "mean", mean, "log_var", log_var));
    OP_REQUIRES_OK(ctx, read_seed("gaussian_sample_kl", ctx->input(2), seed));
    Tensor *z, *kl;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0, 1}, 0, mean.shape(), &z));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, matrix.row_shape, &kl));
    OP_REQUIRES_OK(
        ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_sample_kl), Dtype<T>::value, matrix.rows,
                         matrix.cols, seed, mean.data(), log_var.data(), z->data(), kl->data()));
  }
};

template <class Device, class T>
class GaussianSampleKlGradOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &mean = ctx->input(0), &log_var = ctx->input(1);
    const Tensor &d_z = ctx->input(3), &d_kl = ctx->input(4);
    const char* op = "gaussian_sample_kl_grad";
    int64_t seed[2];
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix(op, "mean", mean, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape(op, "mean", mean, "log_var", log_var));
    OP_REQUIRES_OK(ctx, check_same_shape(op, "mean", mean, "d_z", d_z));
    OP_REQUIRES_OK(ctx, check_row_shape(op, "d_kl", d_kl, matrix));
    OP_REQUIRES_OK(ctx, read_seed(op, ctx->input(2), seed));
    // d_z comes from the layer above and is most often free to be written over.
    Tensor *d_mean, *d_log_var;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({3, 0}, 0, mean.shape(), &d_mean));
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({1, 0}, 1, mean.shape(), &d_log_var));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_sample_kl_grad), Dtype<T>::value,
                                    matrix.rows, matrix.cols, seed, mean.data(), log_var.data(),
                                    d_z.data(), d_kl.data(), d_mean->data(), d_log_var->data()));
  }
};

#define SAMPLE_KL(T) FASTGEN_K(T).HostMemory("seed")
FASTGEN_REGISTER("FastgenGaussianSampleKl", GaussianSampleKlOp, SAMPLE_KL);
FASTGEN_REGISTER("FastgenGaussianSampleKlGrad", GaussianSampleKlGradOp, SAMPLE_KL);

}  // namespace fastgen
