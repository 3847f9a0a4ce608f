#include "kernels/gaussian_kl.h"

#include "tensorflow/device.h"

namespace fastgen {

REGISTER_OP("FastgenGaussianKl")
    .Input("mean: T")
    .Input("log_var: T")
    .Output("kl: K")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, rows;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 1, &shape));
      TF_RETURN_IF_ERROR(c->Subshape(shape, 0, -1, &rows));
      c->set_output(0, rows);
      return absl::OkStatus();
    })
    .Doc(
        "kl = -1/2 sum(1 + log_var - exp(log_var) - mean^2) over the last axis. K: double for "
        "double, else float; see csrc/kernels/gaussian_kl.h");

REGISTER_OP("FastgenGaussianKlGrad")
    .Input("mean: T")
    .Input("log_var: T")
    .Input("d_kl: K")
    .Output("d_mean: T")
    .Output("d_log_var: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, rows;
      TF_RETURN_IF_ERROR(merge_shapes(c, 0, 1, &shape));
      TF_RETURN_IF_ERROR(c->Subshape(shape, 0, -1, &rows));
      TF_RETURN_IF_ERROR(c->Merge(rows, c->input(2), &rows));
      c->set_output(0, shape);
      c->set_output(1, shape);
      return absl::OkStatus();
    })
    .Doc("d_mean = d_kl * mean, d_log_var = d_kl * (exp(log_var) - 1) / 2");

template <class Device, class T>
class GaussianKlOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &mean = ctx->input(0), &log_var = ctx->input(1);
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_kl", "mean", mean, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape("gaussian_kl", "mean", mean, "log_var", log_var));
    Tensor* kl;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, matrix.row_shape, &kl));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_kl), Dtype<T>::value, matrix.rows,
                                    matrix.cols, mean.data(), log_var.data(), kl->data()));
  }
};

template <class Device, class T>
class GaussianKlGradOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &mean = ctx->input(0), &log_var = ctx->input(1), &d_kl = ctx->input(2);
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("gaussian_kl_grad", "mean", mean, &matrix));
    OP_REQUIRES_OK(ctx, check_same_shape("gaussian_kl_grad", "mean", mean, "log_var", log_var));
    OP_REQUIRES_OK(ctx, check_row_shape("gaussian_kl_grad", "d_kl", d_kl, matrix));
    Tensor *d_mean, *d_log_var;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, mean.shape(), &d_mean));
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({1}, 1, mean.shape(), &d_log_var));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(gaussian_kl_grad), Dtype<T>::value,
                                    matrix.rows, matrix.cols, mean.data(), log_var.data(),
                                    d_kl.data(), d_mean->data(), d_log_var->data()));
  }
};

FASTGEN_REGISTER("FastgenGaussianKl", GaussianKlOp, FASTGEN_K);
FASTGEN_REGISTER("FastgenGaussianKlGrad", GaussianKlGradOp, FASTGEN_K);

}  // namespace fastgen
