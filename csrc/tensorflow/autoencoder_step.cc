#include "kernels/autoencoder_step.h"

#include "tensorflow/player.h"

namespace fastgen {
namespace {

// How many layers have a penalty.
int64_t penalties(const std::vector<std::string>& sparsities) {
  return sparsities.size() - std::count(sparsities.begin(), sparsities.end(), "none");
}

}  // namespace

REGISTER_OP("FastgenAutoencoderStep")
FASTGEN_PLAYER("autoencoder_")
    .Input("images: I")
    .Input("targets: J")
    .Input("rows: int64")
    .Input("seeds: int64")
    .Input("kl_scales: double")
    .Input("reconstruction_scale: double")
    .Output("telemetry: double")
    .Output("activity: double")
    .Attr("T: {float, double}")
    .Attr("I: {uint8, float, double}")
    .Attr("J: {uint8, float, double}")
    .Attr("loss: {'binary_crossentropy', 'mean_squared_error'}")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      std::vector<ShapeHandle> rows;
      TF_RETURN_IF_ERROR(c->input("rows", &rows));
      ShapeHandle shape;
      TF_RETURN_IF_ERROR(c->WithRank(rows[0], 2, &shape));
      std::vector<std::string> sparsities;
      TF_RETURN_IF_ERROR(c->GetAttr("autoencoder_sparsities", &sparsities));
      c->set_output(0, c->Matrix(c->Dim(shape, 0), FG_STEP_TELEMETRY));
      c->set_output(1, c->Matrix(c->Dim(shape, 0), penalties(sparsities)));
      return absl::OkStatus();
    })
    .Doc(
        "Steps of an autoencoder, in place. images [n, inputs]; targets [n, outputs], or empty for "
        "the images; rows [steps, batch]; seeds [steps, 2] and kl_scales [steps] of a variational "
        "one. "
        "telemetry [steps, 5], activity [steps, layers with a penalty]: see "
        "csrc/kernels/autoencoder_step.h");

class AutoencoderStepOp : public tensorflow::OpKernel {
 public:
  explicit AutoencoderStepOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    PlayerInputs autoencoder(kOp, "autoencoder_");
    OP_REQUIRES_OK(ctx, autoencoder.construct(ctx));
    autoencoder_ = std::make_unique<PlayerInputs>(autoencoder);
    std::string loss;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("loss", &loss));
    std::vector<std::string> sparsities;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("autoencoder_sparsities", &sparsities));
    penalties_ = penalties(sparsities);
    loss_ = place_of(loss, {"binary_crossentropy", "mean_squared_error"});
    OP_REQUIRES_OK(ctx, ctx->GetAttr("T", &dtype_));
  }

  void Compute(OpKernelContext* ctx) override {
    PlayerInputs autoencoder = *autoencoder_;
    LockedVariables variables(kOp);
    OP_REQUIRES_OK(ctx, autoencoder.add(ctx, &variables));
    OP_REQUIRES_OK(ctx, variables.lock());
    const int first = ctx->num_inputs() - 6;
    const Tensor &images = ctx->input(first), &targets = ctx->input(first + 1);
    const Tensor &rows = ctx->input(first + 2), &seeds = ctx->input(first + 3);
    const Tensor &kl_scales = ctx->input(first + 4), &scale = ctx->input(first + 5);
    OP_REQUIRES(ctx, rows.dims() == 2 && scale.NumElements() == 1,
                absl::InvalidArgumentError(absl::StrCat(
                    kOp, ": rows must be [steps, batch], reconstruction_scale one number")));
    const int64_t steps = rows.dim_size(0);
    OP_REQUIRES_OK(ctx, autoencoder.check(variables, dtype_, steps, steps));
    OP_REQUIRES_OK(ctx, variables.own_all(ctx));
    const fg_player player = autoencoder.player(variables);
    OP_REQUIRES_OK(ctx, check(player, images, targets, steps, seeds, kl_scales));
    Tensor *telemetry, *activity;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {steps, FG_STEP_TELEMETRY}, &telemetry));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {steps, penalties_}, &activity));
    const bool own = targets.NumElements() == 0;
    const fg_autoencoder_feed feed = {
        steps,
        rows.dim_size(1),
        {image_code(images.dtype()), images.data(), images.dim_size(0)},
        {image_code(targets.dtype()), own ? nullptr : targets.data(), images.dim_size(0)},
        (const int64_t*)rows.data(),
        (const int64_t*)seeds.data(),
        loss_,
        scale.flat<double>()(0),
        kl_scales.flat<double>().data(),
        autoencoder.rates()};
    int64_t done;
    const int code =
        fg_autoencoder_step(IntraOpThreads(ctx), &player, &feed, telemetry->flat<double>().data(),
                            activity->flat<double>().data(), &done);
    autoencoder.count(variables, done);  // of the steps before one that failed, too
    OP_REQUIRES_OK(ctx, to_status(code));
  }

 private:
  static constexpr const char* kOp = "autoencoder_step";

  static absl::Status check(const fg_player& player, const Tensor& images, const Tensor& targets,
                            int64_t steps, const Tensor& seeds, const Tensor& kl_scales) {
    const fg_mlp_layer* const layers = player.mlp.layers;
    const int64_t inputs = layers[0].inputs, outputs = layers[player.mlp.count - 1].units;
    const bool images_fit = images.dims() == 2 && images.dim_size(1) == inputs;
    const bool targets_fit =
        targets.NumElements() == 0 || (targets.dims() == 2 && targets.dim_size(1) == outputs &&
                                       targets.dim_size(0) == images.dim_size(0));
    if (images_fit && targets_fit && seeds.NumElements() == 2 * steps &&
        kl_scales.NumElements() == steps) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        kOp, ": images must be [n, ", inputs, "], targets [n, ", outputs,
        "] or empty, seeds [steps, 2], kl_scales [steps]. Received: ", images.shape().DebugString(),
        ", ", targets.shape().DebugString(), ", ", seeds.shape().DebugString(), ", ",
        kl_scales.shape().DebugString(), ", ", steps, " steps"));
  }

  std::unique_ptr<const PlayerInputs> autoencoder_;
  int64_t penalties_;
  int loss_;
  DataType dtype_;
};

REGISTER_KERNEL_BUILDER(Name("FastgenAutoencoderStep").Device(tensorflow::DEVICE_CPU),
                        Traced<AutoencoderStepOp>);

}  // namespace fastgen
