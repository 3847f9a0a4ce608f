#include "kernels/sparsity.h"

#include "tensorflow/device.h"

namespace fastgen {

REGISTER_OP("FastgenSparsity")
    .Input("activations: T")
    .Input("target: double")
    .Output("penalty: K")
    .Output("activity: double")
    .Output("passed: N * T")
    .Attr("kind: {'kl', 'l1', 'mse'}")
    .Attr("N: int >= 0 = 0")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, units;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &shape));
      TF_RETURN_IF_ERROR(c->Subshape(shape, -1, &units));
      TF_RETURN_IF_ERROR(check_scalar_shape(c, 1));
      c->set_output(0, c->Scalar());
      c->set_output(1, units);
      for (int i = 2; i < c->num_outputs(); ++i) c->set_output(i, shape);
      return absl::OkStatus();
    })
    .Doc(
        "Sparsity penalty of the mean activity of each unit. passed: the activations, N = 0 or 1 "
        "times. K: double for double, else float; see csrc/kernels/sparsity.h");

REGISTER_OP("FastgenSparsityGrad")
    .Input("activations: T")
    .Input("target: double")
    .Input("activity: double")
    .Input("d_penalty: K")
    .Input("d_activity: double")
    .Input("d_passed: N * T")
    .Output("d_activations: T")
    .Attr("kind: {'kl', 'l1', 'mse'}")
    .Attr("N: int >= 0 = 0")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle shape, units;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &shape));
      TF_RETURN_IF_ERROR(c->Subshape(shape, -1, &units));
      TF_RETURN_IF_ERROR(check_scalar_shape(c, 1));
      TF_RETURN_IF_ERROR(c->Merge(units, c->input(2), &units));
      TF_RETURN_IF_ERROR(check_scalar_shape(c, 3));
      TF_RETURN_IF_ERROR(c->Merge(units, c->input(4), &units));
      for (int i = 5; i < c->num_inputs(); ++i) {
        TF_RETURN_IF_ERROR(c->Merge(shape, c->input(i), &shape));
      }
      c->set_output(0, shape);
      return absl::OkStatus();
    })
    .Doc("Gradient of FastgenSparsity, the gradient of the activations passed on included");

// What both ops share: kind, target and the activations as rows of units.
class SparsityBase : public tensorflow::OpKernel {
 public:
  explicit SparsityBase(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    std::string kind;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kind", &kind));
    kind_ = kind == "kl" ? FG_SPARSITY_KL : kind == "l1" ? FG_SPARSITY_L1 : FG_SPARSITY_MSE;
    int passed;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("N", &passed));
    OP_REQUIRES(ctx, passed <= 1,
                absl::InvalidArgumentError(
                    absl::StrCat("sparsity: N must be 0 or 1. Received: N=", passed)));
  }

 protected:
  int kind_;
};

template <class Device, class T>
class SparsityOp : public SparsityBase {
 public:
  using SparsityBase::SparsityBase;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &activations = ctx->input(0), &target = ctx->input(1);
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix("sparsity", "activations", activations, &matrix));
    OP_REQUIRES_OK(ctx, check_scalar("sparsity", "target", target));
    Tensor *penalty, *activity;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({}), &penalty));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({matrix.cols}), &activity));
    if (ctx->num_outputs() > 2) ctx->set_output(2, activations);
    OP_REQUIRES_OK(
        ctx, Device::run(ctx, FASTGEN_BOTH(sparsity), Dtype<T>::value, matrix.rows, matrix.cols,
                         kind_, target.scalar<double>()(), activations.data(), penalty->data(),
                         activity->flat<double>().data()));
  }
};

template <class Device, class T>
class SparsityGradOp : public SparsityBase {
 public:
  using SparsityBase::SparsityBase;
  void Compute(OpKernelContext* ctx) override {
    constexpr const char* op = "sparsity_grad";
    const Tensor &activations = ctx->input(0), &target = ctx->input(1), &activity = ctx->input(2);
    const Tensor &d_penalty = ctx->input(3), &d_activity = ctx->input(4);
    const Tensor* const d_passed = ctx->num_inputs() > 5 ? &ctx->input(5) : nullptr;
    Matrix matrix;
    OP_REQUIRES_OK(ctx, as_matrix(op, "activations", activations, &matrix));
    OP_REQUIRES_OK(ctx, check_scalar(op, "target", target));
    OP_REQUIRES_OK(ctx, check_scalar(op, "d_penalty", d_penalty));
    OP_REQUIRES_OK(ctx, check_units(op, "activity", activity, matrix.cols));
    OP_REQUIRES_OK(ctx, check_units(op, "d_activity", d_activity, matrix.cols));
    if (d_passed) {
      OP_REQUIRES_OK(ctx, check_same_shape(op, "activations", activations, "d_passed", *d_passed));
    }
    Tensor* out;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({d_passed ? 5 : 0}, 0,
                                                              activations.shape(), &out));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(sparsity_grad), Dtype<T>::value, matrix.rows,
                                    matrix.cols, kind_, target.scalar<double>()(),
                                    activations.data(), activity.flat<double>().data(),
                                    d_penalty.data(), d_activity.flat<double>().data(),
                                    d_passed ? d_passed->data() : nullptr, out->data()));
  }

 private:
  static absl::Status check_units(const char* op, const char* name, const Tensor& x, int64_t cols) {
    if (x.shape() == TensorShape({cols})) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": ", name, " must have shape [", cols,
                     "], a value per unit. Received: ", x.shape().DebugString()));
  }
};

#define SPARSITY(T) FASTGEN_K(T).HostMemory("target")
FASTGEN_REGISTER("FastgenSparsity", SparsityOp, SPARSITY);
FASTGEN_REGISTER("FastgenSparsityGrad", SparsityGradOp, SPARSITY);

}  // namespace fastgen
