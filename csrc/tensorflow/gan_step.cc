#include "kernels/gan_step.h"

#include "tensorflow/player.h"

namespace fastgen {

using tensorflow::shape_inference::DimensionHandle;

REGISTER_OP("FastgenGanStep")
FASTGEN_PLAYER("generator_")
FASTGEN_PLAYER("discriminator_")
    .Input("images: I")
    .Input("rows: int64")
    .Input("seeds: int64")
    .Input("targets: T")
    .Output("telemetry: double")
    .Attr("T: {float, double}")
    .Attr("I: {uint8, float, double}")
    .Attr("corrupts_fakes: bool = true")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      std::vector<ShapeHandle> rows;
      TF_RETURN_IF_ERROR(c->input("rows", &rows));
      ShapeHandle shape;
      TF_RETURN_IF_ERROR(c->WithRank(rows[0], 3, &shape));
      c->set_output(0, c->Matrix(c->Dim(shape, 0), FG_GAN_TELEMETRY));
      return absl::OkStatus();
    })
    .Doc(
        "Steps of a dense GAN, in place: n_critic updates of the discriminator, then one of the "
        "generator. images [n, features]; rows [steps, n_critic, batch]: the images of each batch; "
        "seeds [steps, n_critic + 1, 2]; targets [steps, n_critic, 2, batch], or none. telemetry "
        "[steps, 9]: see csrc/kernels/gan_step.h. A loss that is not finite is an error on the "
        "CPU; on a GPU, which nothing waits for, telemetry tells");

template <class Device>
class GanStepOp : public tensorflow::OpKernel {
 public:
  explicit GanStepOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    PlayerInputs generator(kOp, "generator_"), discriminator(kOp, "discriminator_");
    OP_REQUIRES_OK(ctx, generator.construct(ctx));
    OP_REQUIRES_OK(ctx, discriminator.construct(ctx));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("corrupts_fakes", &corrupts_fakes_));
    generator_ = std::make_unique<PlayerInputs>(generator);
    discriminator_ = std::make_unique<PlayerInputs>(discriminator);
  }

  void Compute(OpKernelContext* ctx) override {
    PlayerInputs generator = *generator_, discriminator = *discriminator_;
    LockedVariables variables(kOp);
    OP_REQUIRES_OK(ctx, generator.add(ctx, &variables));
    OP_REQUIRES_OK(ctx, discriminator.add(ctx, &variables));
    OP_REQUIRES_OK(ctx, variables.lock());
    Feed in(ctx);
    OP_REQUIRES_OK(ctx, in.check());
    const DataType dtype = in.targets.dtype();
    const int64_t updates = in.steps() * in.n_critic(), passes = in.steps() + updates;
    OP_REQUIRES_OK(ctx, generator.check(variables, dtype, in.steps(), passes));
    OP_REQUIRES_OK(ctx, discriminator.check(variables, dtype, updates, passes));
    OP_REQUIRES_OK(ctx, variables.own_all<Device>(ctx));
    const fg_player g = generator.player(variables, Device::is_gpu);
    const fg_player d = discriminator.player(variables, Device::is_gpu);
    OP_REQUIRES(ctx, in.images.dim_size(1) == d.mlp.layers[0].inputs,
                absl::InvalidArgumentError(absl::StrCat(
                    kOp, ": images must have the discriminator's ", d.mlp.layers[0].inputs,
                    " inputs. Received: ", in.images.shape().DebugString())));
    Tensor* telemetry;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {in.steps(), FG_GAN_TELEMETRY}, &telemetry));
    const fg_gan_feed feed = in.feed(generator.rates(), discriminator.rates(), corrupts_fakes_);
    int64_t done[2];
    const absl::Status status =
        run_with_precision<Device>(ctx, FASTGEN_BOTH(gan_step), &g, &d, &feed,
                                   (double*)telemetry->data(), Device::is_gpu ? nullptr : done);
    if (!Device::is_gpu) {
      discriminator.count(variables, done[0]);  // of the phases before one that failed, too
      generator.count(variables, done[1]);
    }
    OP_REQUIRES_OK(ctx, status);
  }

 private:
  static constexpr const char* kOp = "gan_step";

  struct Feed {
    const Tensor &images, &rows, &seeds, &targets;

    explicit Feed(OpKernelContext* ctx)
        : images(ctx->input(ctx->num_inputs() - 4)),
          rows(ctx->input(ctx->num_inputs() - 3)),
          seeds(ctx->input(ctx->num_inputs() - 2)),
          targets(ctx->input(ctx->num_inputs() - 1)) {}
    int64_t steps() const { return rows.dim_size(0); }
    int64_t n_critic() const { return rows.dim_size(1); }
    int64_t batch() const { return rows.dim_size(2); }

    absl::Status check() const {
      if (images.dims() == 2 && rows.dims() == 3 &&
          seeds.NumElements() == steps() * (n_critic() + 1) * 2 &&
          (targets.NumElements() == 0 || targets.NumElements() == 2 * rows.NumElements())) {
        return absl::OkStatus();
      }
      return absl::InvalidArgumentError(absl::StrCat(
          kOp,
          ": images must be [n, features], rows [steps, n_critic, batch], seeds [steps, n_critic + "
          "1, 2], targets [steps, n_critic, 2, batch] or empty. Received: ",
          images.shape().DebugString(), ", ", rows.shape().DebugString(), ", ",
          seeds.shape().DebugString(), ", ", targets.shape().DebugString()));
    }

    fg_gan_feed feed(const double* generator_rates, const double* discriminator_rates,
                     bool corrupts_fakes) const {
      return {steps(),
              n_critic(),
              batch(),
              {image_code(images.dtype()), images.data(), images.dim_size(0)},
              (const int64_t*)rows.data(),
              (const int64_t*)seeds.data(),
              targets.NumElements() ? targets.data() : nullptr,
              discriminator_rates,
              generator_rates,
              corrupts_fakes};
    }
  };

  std::unique_ptr<const PlayerInputs> generator_, discriminator_;
  bool corrupts_fakes_;
};

FASTGEN_REGISTER_OP("FastgenGanStep", GanStepOp,
                    FASTGEN_PLAYER_ON_HOST("generator_") FASTGEN_PLAYER_ON_HOST("discriminator_"));

}  // namespace fastgen
