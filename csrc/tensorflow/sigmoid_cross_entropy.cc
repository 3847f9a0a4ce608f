#include "kernels/sigmoid_cross_entropy.h"

#include <algorithm>

#include "tensorflow/device.h"

namespace fastgen {
namespace {

// The shape of the loss of logits, or of a slope, of shape x.
absl::Status loss_shape(InferenceContext* c, ShapeHandle x, ShapeHandle* loss) {
  std::string reduction;
  TF_RETURN_IF_ERROR(c->GetAttr("reduction", &reduction));
  *loss = reduction == "mean" ? c->Scalar() : x;
  return reduction == "row" ? c->Subshape(x, 0, -1, loss) : absl::OkStatus();
}

absl::Status infer_forward(InferenceContext* c) {
  ShapeHandle logits, loss, unused;
  TF_RETURN_IF_ERROR(merge_shapes(c, 1, 0, &logits));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 0, &unused));
  TF_RETURN_IF_ERROR(loss_shape(c, logits, &loss));
  c->set_output(0, loss);
  if (c->num_outputs() == 2) c->set_output(1, logits);
  return absl::OkStatus();
}

absl::Status infer_grad(InferenceContext* c) {
  ShapeHandle logits, loss, unused;
  TF_RETURN_IF_ERROR(merge_shapes(c, 1, 0, &logits));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 0, &unused));
  TF_RETURN_IF_ERROR(loss_shape(c, logits, &loss));
  TF_RETURN_IF_ERROR(c->Merge(loss, c->input(3), &loss));
  c->set_output(0, logits);
  return absl::OkStatus();
}

absl::Status infer_from_slope_grad(InferenceContext* c) {
  ShapeHandle slope, loss;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &slope));
  TF_RETURN_IF_ERROR(loss_shape(c, slope, &loss));
  TF_RETURN_IF_ERROR(c->Merge(loss, c->input(1), &loss));
  c->set_output(0, slope);
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("FastgenSigmoidCrossEntropy")
    .Input("targets: U")
    .Input("logits: T")
    .Input("label_smoothing: double")
    .Output("loss: K")
    .Output("slope: slopes * T")
    .Attr("reduction: {'none', 'row', 'mean'}")
    .Attr("slopes: int >= 0 = 0")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("U: {half, bfloat16, float, double, uint8}")
    .Attr("K: {float, double}")
    .SetShapeFn(infer_forward)
    .Doc(
        "The cross-entropy of csrc/kernels/sigmoid_cross_entropy.h, and with slopes = 1 its "
        "derivative by the logits. K: double for double, else float");

REGISTER_OP("FastgenSigmoidCrossEntropyGrad")
    .Input("targets: U")
    .Input("logits: T")
    .Input("label_smoothing: double")
    .Input("d_loss: K")
    .Output("d_logits: T")
    .Attr("reduction: {'none', 'row', 'mean'}")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("U: {half, bfloat16, float, double, uint8}")
    .Attr("K: {float, double}")
    .SetShapeFn(infer_grad)
    .Doc("d_logits = d_loss * slope, the slope computed anew");

REGISTER_OP("FastgenSigmoidCrossEntropyFromSlopeGrad")
    .Input("slope: T")
    .Input("d_loss: K")
    .Output("d_logits: T")
    .Attr("reduction: {'none', 'row', 'mean'}")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("K: {float, double}")
    .SetShapeFn(infer_from_slope_grad)
    .Doc("d_logits = d_loss * slope");

// The elements of logits as rows of cols, which are averaged.
struct Averaged {
  int64_t rows = 1, cols = 1;
  TensorShape loss_shape = {};
};

class CrossEntropyKernel : public tensorflow::OpKernel {
 public:
  explicit CrossEntropyKernel(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("reduction", &reduction_));
  }

 protected:
  absl::Status average(const char* op, const char* name, const Tensor& x, Averaged* of) const {
    Matrix matrix;
    TF_RETURN_IF_ERROR(as_matrix(op, name, x, &matrix));
    if (reduction_ == "row") {
      *of = {matrix.rows, matrix.cols, matrix.row_shape};
    } else if (reduction_ == "mean") {
      of->cols = x.NumElements();
    } else {
      *of = {x.NumElements(), 1, x.shape()};
    }
    return absl::OkStatus();
  }

  // Inputs 0 to 2.
  absl::Status read(const char* op, OpKernelContext* ctx, Averaged* of, double* smoothing) const {
    TF_RETURN_IF_ERROR(average(op, "logits", ctx->input(1), of));
    TF_RETURN_IF_ERROR(check_same_shape(op, "targets", ctx->input(0), "logits", ctx->input(1)));
    if (ctx->input(2).dims() != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          op,
          ": label_smoothing must be a scalar. Received: ", ctx->input(2).shape().DebugString()));
    }
    *smoothing = ctx->input(2).scalar<double>()();
    return absl::OkStatus();
  }

  static absl::Status check_d_loss(const char* op, const Tensor& d_loss, const Averaged& of) {
    if (d_loss.shape() == of.loss_shape) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(op, ": d_loss must have the shape of the loss, ",
                                                   of.loss_shape.DebugString(),
                                                   ". Received: ", d_loss.shape().DebugString()));
  }

 private:
  std::string reduction_;
};

template <class T>
fg_dtype targets_dtype(const Tensor& targets) {
  return targets.dtype() == tensorflow::DT_UINT8 ? (fg_dtype)FG_UINT8 : Dtype<T>::value;
}

template <class Device, class T>
class SigmoidCrossEntropyOp : public CrossEntropyKernel {
 public:
  using CrossEntropyKernel::CrossEntropyKernel;
  void Compute(OpKernelContext* ctx) override {
    const Tensor &targets = ctx->input(0), &logits = ctx->input(1);
    Averaged of;
    double smoothing;
    OP_REQUIRES_OK(ctx, read("sigmoid_cross_entropy", ctx, &of, &smoothing));
    OP_REQUIRES(
        ctx, ctx->num_outputs() <= 2,
        absl::InvalidArgumentError(absl::StrCat(
            "sigmoid_cross_entropy: slopes must be 0 or 1. Received: ", ctx->num_outputs() - 1)));
    Tensor *loss, *slope = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, of.loss_shape, &loss));
    if (ctx->num_outputs() == 2) {
      OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({1}, 1, logits.shape(), &slope));
    }
    OP_REQUIRES_OK(
        ctx, Device::run(ctx, FASTGEN_BOTH(sigmoid_cross_entropy), Dtype<T>::value,
                         targets_dtype<T>(targets), of.rows, of.cols, targets.data(), logits.data(),
                         smoothing, loss->data(), slope ? slope->data() : nullptr));
  }
};

template <class Device, class T>
class SigmoidCrossEntropyGradOp : public CrossEntropyKernel {
 public:
  using CrossEntropyKernel::CrossEntropyKernel;
  void Compute(OpKernelContext* ctx) override {
    constexpr const char* op = "sigmoid_cross_entropy_grad";
    const Tensor &targets = ctx->input(0), &logits = ctx->input(1), &d_loss = ctx->input(3);
    Averaged of;
    double smoothing;
    OP_REQUIRES_OK(ctx, read(op, ctx, &of, &smoothing));
    OP_REQUIRES_OK(ctx, check_d_loss(op, d_loss, of));
    Tensor* d_logits;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({1}, 0, logits.shape(), &d_logits));
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(sigmoid_cross_entropy_grad), Dtype<T>::value,
                                    targets_dtype<T>(targets), of.rows, of.cols, targets.data(),
                                    logits.data(), smoothing, d_loss.data(), d_logits->data()));
  }
};

template <class Device, class T>
class SigmoidCrossEntropyFromSlopeGradOp : public CrossEntropyKernel {
 public:
  using CrossEntropyKernel::CrossEntropyKernel;
  void Compute(OpKernelContext* ctx) override {
    constexpr const char* op = "sigmoid_cross_entropy_from_slope_grad";
    const Tensor &slope = ctx->input(0), &d_loss = ctx->input(1);
    Averaged of;
    OP_REQUIRES_OK(ctx, average(op, "slope", slope, &of));
    OP_REQUIRES_OK(ctx, check_d_loss(op, d_loss, of));
    // 1 is what arrives at a loss that is minimised: the slope is the gradient as it stands. (Not
    // worth a look through an upstream that is as large, nor one into the memory of a GPU.)
    typedef typename Dtype<T>::K K;
    if constexpr (std::is_same_v<Device, OnCpu>) {
      const K* upstream = static_cast<const K*>(d_loss.data());
      if (of.cols > 1 &&
          std::all_of(upstream, upstream + d_loss.NumElements(), [](K x) { return x == K(1); })) {
        ctx->set_output(0, slope);
        return;
      }
    }
    Tensor* d_logits;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, slope.shape(), &d_logits));
    OP_REQUIRES_OK(
        ctx, Device::run(ctx, FASTGEN_BOTH(sigmoid_cross_entropy_from_slope_grad), Dtype<T>::value,
                         of.rows, of.cols, slope.data(), d_loss.data(), d_logits->data()));
  }
};

#define SMOOTHED(T) FASTGEN_K(T).HostMemory("label_smoothing")
#define OF_FLOATS(T) SMOOTHED(T).TypeConstraint<T>("U")
#define OF_BYTES(T) SMOOTHED(T).TypeConstraint<uint8_t>("U")
FASTGEN_REGISTER("FastgenSigmoidCrossEntropy", SigmoidCrossEntropyOp, OF_FLOATS);
FASTGEN_REGISTER("FastgenSigmoidCrossEntropy", SigmoidCrossEntropyOp, OF_BYTES);
FASTGEN_REGISTER("FastgenSigmoidCrossEntropyGrad", SigmoidCrossEntropyGradOp, OF_FLOATS);
FASTGEN_REGISTER("FastgenSigmoidCrossEntropyGrad", SigmoidCrossEntropyGradOp, OF_BYTES);
FASTGEN_REGISTER("FastgenSigmoidCrossEntropyFromSlopeGrad", SigmoidCrossEntropyFromSlopeGradOp,
                 FASTGEN_K);

}  // namespace fastgen
