#include "kernels/sigmoid_cross_entropy.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

// The elements of x as rows of cols, which are averaged: each to an element of loss.
struct Averaged {
  int64_t rows, cols;
  Averaged(AnyBuffer x, AnyBuffer loss) : rows(size_of(loss)), cols(1) {
    if (loss.dimensions().size() == x.dimensions().size()) return;
    cols = loss.dimensions().size() == 0 ? size_of(x) : cols_of(x);
  }
};

double number(AnyBuffer scalar) { return *scalar.typed_data<double>(); }

// slope: none, or one.
ffi::Error cross_entropy(ffi::ThreadPool pool, AnyBuffer targets, AnyBuffer logits,
                         AnyBuffer label_smoothing, AnyResult loss, ffi::RemainingRets slope) {
  const Averaged of(logits, *loss);
  void* const slope_data = slope.size() ? (*slope.get<AnyBuffer>(0))->untyped_data() : nullptr;
  return to_error(fg_sigmoid_cross_entropy(XlaThreads(pool), dtype_of(logits), dtype_of(targets),
                                           of.rows, of.cols, targets.untyped_data(),
                                           logits.untyped_data(), number(label_smoothing),
                                           loss->untyped_data(), slope_data));
}

ffi::Error cross_entropy_grad(ffi::ThreadPool pool, AnyBuffer targets, AnyBuffer logits,
                              AnyBuffer label_smoothing, AnyBuffer d_loss, AnyResult d_logits) {
  const Averaged of(logits, d_loss);
  return to_error(fg_sigmoid_cross_entropy_grad(
      XlaThreads(pool), dtype_of(logits), dtype_of(targets), of.rows, of.cols,
      targets.untyped_data(), logits.untyped_data(), number(label_smoothing), d_loss.untyped_data(),
      d_logits->untyped_data()));
}

ffi::Error cross_entropy_from_slope_grad(ffi::ThreadPool pool, AnyBuffer slope, AnyBuffer d_loss,
                                         AnyResult d_logits) {
  const Averaged of(slope, d_loss);
  return to_error(fg_sigmoid_cross_entropy_from_slope_grad(
      XlaThreads(pool), dtype_of(slope), of.rows, of.cols, slope.untyped_data(),
      d_loss.untyped_data(), d_logits->untyped_data()));
}

}  // namespace

FASTGEN_CUSTOM_CALL("FastgenSigmoidCrossEntropy", cross_entropy,
                    ffi::Ffi::Bind()
                        .Ctx<ffi::ThreadPool>()
                        .Arg<AnyBuffer>()
                        .Arg<AnyBuffer>()
                        .Arg<AnyBuffer>()
                        .Ret<AnyBuffer>()
                        .RemainingRets());
FASTGEN_CUSTOM_CALL("FastgenSigmoidCrossEntropyGrad", cross_entropy_grad);
FASTGEN_CUSTOM_CALL("FastgenSigmoidCrossEntropyFromSlopeGrad", cross_entropy_from_slope_grad);

}  // namespace fastgen
