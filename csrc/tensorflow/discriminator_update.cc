#include "kernels/discriminator_update.h"

#include "tensorflow/player.h"

namespace fastgen {

REGISTER_OP("FastgenDiscriminatorUpdate")
FASTGEN_PLAYER("discriminator_")
    .Input("real: R")
    .Input("fake: T")
    .Input("targets: T")
    .Output("telemetry: double")
    .Attr("T: {float, double}")
    .Attr("R: {uint8, float, double}")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Vector(FG_DISCRIMINATOR_TELEMETRY));
      return absl::OkStatus();
    })
    .Doc(
        "An update of a discriminator, in place, on real [m, features] and fake [n, features]. "
        "targets: of m + n rows, or of none: 1 and 0. telemetry: see "
        "csrc/kernels/discriminator_update.h. A loss that is not finite is an error on the CPU; on "
        "a GPU, which nothing waits for, telemetry tells");

template <class Device>
class DiscriminatorUpdateOp : public tensorflow::OpKernel {
 public:
  explicit DiscriminatorUpdateOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    PlayerInputs attributes(kOp, kPrefix);
    OP_REQUIRES_OK(ctx, attributes.construct(ctx));
    attributes_ = std::make_unique<PlayerInputs>(attributes);
  }

  void Compute(OpKernelContext* ctx) override {
    PlayerInputs player = *attributes_;  // calls may run side by side
    LockedVariables variables(kOp);
    OP_REQUIRES_OK(ctx, player.add(ctx, &variables));
    OP_REQUIRES_OK(ctx, variables.lock());
    const int first = ctx->num_inputs() - 3;
    const Tensor &real = ctx->input(first), &fake = ctx->input(first + 1);
    const Tensor& targets = ctx->input(first + 2);
    OP_REQUIRES_OK(ctx, player.check(variables, fake.dtype(), 1, 1));
    OP_REQUIRES_OK(ctx, variables.own_all<Device>(ctx));
    const fg_player d = player.player(variables, Device::is_gpu);
    OP_REQUIRES_OK(ctx, check(d, real, fake, targets));
    Tensor* telemetry;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {FG_DISCRIMINATOR_TELEMETRY}, &telemetry));
    const fg_images of_real = {image_code(real.dtype()), real.data(), real.dim_size(0)};
    const fg_images of_fake = {image_code(fake.dtype()), fake.data(), fake.dim_size(0)};
    OP_REQUIRES_OK(
        ctx, run_with_precision<Device>(ctx, FASTGEN_BOTH(discriminator_update), &d, &of_real,
                                        &of_fake, targets.NumElements() ? targets.data() : nullptr,
                                        (double*)telemetry->data()));
    if (!Device::is_gpu) player.count(variables, 1);
  }

 private:
  static constexpr const char *kOp = "discriminator_update", *kPrefix = "discriminator_";

  static absl::Status check(const fg_player& d, const Tensor& real, const Tensor& fake,
                            const Tensor& targets) {
    const int64_t features = d.mlp.layers[0].inputs;
    for (const Tensor* x : {&real, &fake}) {
      if (x->dims() != 2 || x->dim_size(1) != features) {
        return absl::InvalidArgumentError(absl::StrCat(
            kOp, ": real and fake must be matrices of the discriminator's ", features,
            " inputs. Received: ", real.shape().DebugString(), ", ", fake.shape().DebugString()));
      }
    }
    const int64_t rows = real.dim_size(0) + fake.dim_size(0);
    if (targets.NumElements() != 0 && targets.NumElements() != rows) {
      return absl::InvalidArgumentError(
          absl::StrCat(kOp, ": targets must be none or one a row, ", rows,
                       ". Received: ", targets.shape().DebugString()));
    }
    return absl::OkStatus();
  }

  std::unique_ptr<const PlayerInputs> attributes_;
};

FASTGEN_REGISTER_OP("FastgenDiscriminatorUpdate", DiscriminatorUpdateOp,
                    FASTGEN_PLAYER_ON_HOST("discriminator_"));

}  // namespace fastgen
