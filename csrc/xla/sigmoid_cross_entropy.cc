#include "kernels/sigmoid_cross_entropy.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

// The elements of x as rows of cols, which are averaged: each to an element of loss.
struct Averaged {
  int64_t rows, cols;
  Averaged(AnyBuffer x, AnyBuffer loss) : rows(size_of(loss)), cols(1) {
    if (loss.dimensions().size() >= x.dimensions().size()) return;
    cols = loss.dimensions().size() == 0 ? size_of(x) : cols_of(x);
  }
  bool whole(AnyBuffer x) const { return rows * cols == size_of(x); }
};

// Fit, with a loss of x, or what arrives at it.
Fit averaging(const char* op, AnyBuffer x, AnyBuffer loss) {
  constexpr const char* expected = "the loss must be of the logits, their rows or all of them";
  return Fit(op).that(Averaged(x, loss).whole(x), expected).sums(loss, x, expected);
}

Fit averaging(const char* op, AnyBuffer targets, AnyBuffer logits, AnyBuffer label_smoothing,
              AnyBuffer loss) {
  return averaging(op, logits, loss)
      .shape(targets, logits, "targets must have the shape of logits")
      .that(label_smoothing.element_type() == ffi::F64 && size_of(label_smoothing) == 1,
            "label_smoothing must be a float64");
}

// slope: none, or one.
template <class Where>
ffi::Error cross_entropy(Where where, AnyBuffer targets, AnyBuffer logits,
                         AnyBuffer label_smoothing, AnyResult loss, ffi::RemainingRets slopes) {
  const bool sloped = slopes.size() > 0;
  const AnyBuffer slope = sloped ? **slopes.get<AnyBuffer>(0) : logits;
  return averaging("sigmoid_cross_entropy", targets, logits, label_smoothing, *loss)
      .like(slope, logits, "slope must be like logits")
      .then([&] {
        const Averaged of(logits, *loss);
        return where.run(&fg_sigmoid_cross_entropy,
                         FASTGEN_ON_GPU(&fg_cuda_sigmoid_cross_entropy_device_smoothing),
                         dtype_of(logits), dtype_of(targets), of.rows, of.cols,
                         targets.untyped_data(), logits.untyped_data(),
                         Where::number(label_smoothing), loss->untyped_data(),
                         sloped ? slope.untyped_data() : nullptr);
      });
}

template <class Where>
ffi::Error cross_entropy_grad(Where where, AnyBuffer targets, AnyBuffer logits,
                              AnyBuffer label_smoothing, AnyBuffer d_loss, AnyResult d_logits) {
  return averaging("sigmoid_cross_entropy_grad", targets, logits, label_smoothing, d_loss)
      .like(*d_logits, logits, "d_logits must be like logits")
      .then([&] {
        const Averaged of(logits, d_loss);
        return where.run(
            &fg_sigmoid_cross_entropy_grad,
            FASTGEN_ON_GPU(&fg_cuda_sigmoid_cross_entropy_grad_device_smoothing), dtype_of(logits),
            dtype_of(targets), of.rows, of.cols, targets.untyped_data(), logits.untyped_data(),
            Where::number(label_smoothing), d_loss.untyped_data(), d_logits->untyped_data());
      });
}

template <class Where>
ffi::Error cross_entropy_from_slope_grad(Where where, AnyBuffer slope, AnyBuffer d_loss,
                                         AnyResult d_logits) {
  return averaging("sigmoid_cross_entropy_from_slope_grad", slope, d_loss)
      .like(*d_logits, slope, "d_logits must be like slope")
      .then([&] {
        const Averaged of(slope, d_loss);
        return where.run(&fg_sigmoid_cross_entropy_from_slope_grad,
                         FASTGEN_ON_GPU(&fg_cuda_sigmoid_cross_entropy_from_slope_grad),
                         dtype_of(slope), of.rows, of.cols, slope.untyped_data(),
                         d_loss.untyped_data(), d_logits->untyped_data());
      });
}

// Parameters do not tell that there may be more results.
template <class Where>
XLA_FFI_Error* handle_cross_entropy(XLA_FFI_CallFrame* frame) {
  static auto* const handler = ffi::Ffi::Bind()
                                   .Ctx<Where>()
                                   .template Arg<AnyBuffer>()
                                   .template Arg<AnyBuffer>()
                                   .template Arg<AnyBuffer>()
                                   .template Ret<AnyBuffer>()
                                   .RemainingRets()
                                   .To(&cross_entropy<Where>)
                                   .release();
  return handler->Call(frame);
}

}  // namespace

static const CustomCall cross_entropy_call("FastgenSigmoidCrossEntropy",
                                           &handle_cross_entropy<OnCpu>,
                                           FASTGEN_ON_GPU(&handle_cross_entropy<OnGpu>));
FASTGEN_CUSTOM_CALL("FastgenSigmoidCrossEntropyGrad", cross_entropy_grad);
FASTGEN_CUSTOM_CALL("FastgenSigmoidCrossEntropyFromSlopeGrad", cross_entropy_from_slope_grad);

}  // namespace fastgen
