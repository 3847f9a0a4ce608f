#include "kernels/gan_step.h"
#include "mlp/program.h"

namespace fastgen {
namespace mlp {
namespace {

constexpr const char* kOp = "gan_step";

// A step: what the generator makes of all its noise at once, for its weights change last; updates of
// the discriminator; that of the generator. The first of these sees to its real rows while the
// generator is busy.
template <class T>
class GanProgram {
 public:
  GanProgram(void* stream, fg_cuda_precision precision, const fg_player& g, const fg_player& d,
             const fg_gan_feed& feed)
      : feed_(feed),
        batch_(feed.batch),
        first_(feed.n_critic * feed.batch),
        layers_of_g_((int)g.mlp.count),
        layers_of_d_((int)d.mlp.count),
        stream_(stream),
        program_(kOp, stream, precision) {}

  int run(const fg_player& g, const fg_player& d, double* telemetry, int64_t* done) {
    if (int code = done ? clear(kOp, stream_, done, 2) : (int)FG_OK) return code;
    if (int code = clear(kOp, stream_, telemetry, feed_.steps * FG_GAN_TELEMETRY)) return code;
    if (feed_.steps == 0) return FG_OK;
    const int64_t rows = first_ + batch_;
    if (int code = program_.add_player(kGenerator, g, rows, false, feed_.generator_rates)) {
      return code;
    }
    if (int code =
            program_.add_player(kDiscriminator, d, 2 * batch_, true, feed_.discriminator_rates)) {
      return code;
    }
    feed(g, d, telemetry, done);
    generate_all(rows);
    program_.plan.order.critic = program_.phases();
    discriminate();
    program_.plan.order.generator = program_.phases();
    generate();
    program_.plan.order.end = program_.phases();
    program_.begin_phase();
    program_.add_single(kReport, kGenerator);
    return program_.run();
  }

 private:
  void feed(const fg_player& g, const fg_player& d, double* telemetry, int64_t* done) {
    Plan<T>& plan = program_.plan;
    const int64_t inputs = d.mlp.layers[0].inputs, outputs = g.mlp.layers[g.mlp.count - 1].units;
    plan.order.steps = feed_.steps, plan.order.n_critic = (int)feed_.n_critic;
    plan.batch = batch_, plan.noise = feed_.seeds, plan.corrupts_fakes = feed_.corrupts_fakes;
    plan.targets = (const T*)feed_.targets;
    plan.telemetry = telemetry, plan.telemetry_stride = FG_GAN_TELEMETRY, plan.done = done;
    plan.spread_parts = of_size(batch_, kSpreadRows);
    program_.read(
        kDiscriminator,
        {feed_.images.data, feed_.rows, feed_.images.count, inputs, feed_.images.dtype == FG_UINT8},
        {nullptr, nullptr, first_ + batch_, of_size(outputs, 4) * 4, 0});
  }

  void generate_all(int64_t rows) {
    for (int i = 0; i < layers_of_g_; ++i) {
      program_.begin_phase();
      program_.add_product(kForward, kGenerator, i, 0, rows);
      if (i > 0) continue;
      if (layers_of_d_ > 1) {
        program_.add_product(kForward, kDiscriminator, 0, 0, batch_, false, kFirstCritic);
      }
      program_.add_single(kReport, kGenerator, false, kLaterSteps, -1);
    }
  }

  void discriminate() {
    program_.begin_phase();
    for (int i = 0; i + 1 < layers_of_d_; ++i) {
      if (i > 0) {
        program_.begin_phase();
        program_.add_product(kForward, kDiscriminator, i, 0, 2 * batch_);
      } else {
        program_.add_product(kForward, kDiscriminator, i, batch_, batch_);
        if (feed_.n_critic > 1) {
          program_.add_product(kForward, kDiscriminator, i, 0, batch_, false, kLaterCritics);
        }
      }
      if (i == 0) look_back();
    }
    if (layers_of_d_ == 1) look_back();
    program_.add_judgement(batch_, batch_, false, 1);
    program_.add_update(kDiscriminator, 0, 2 * batch_, false);
  }

  // On what the generator has made, and on the update before.
  void look_back() {
    program_.add_spread(batch_, kSpreadRows);
    if (feed_.n_critic > 1) program_.add_single(kReport, kDiscriminator, false, kLaterCritics);
  }

  void generate() {
    program_.begin_phase();
    program_.add_single(kReport, kDiscriminator);
    for (int i = 0; i + 1 < layers_of_d_; ++i) {
      if (i > 0) program_.begin_phase();
      program_.add_product(kForward, kDiscriminator, i, 0, batch_, true);
    }
    program_.add_judgement(0, batch_, true, 0);
    for (int i = layers_of_g_ - 1; i > 0; --i) {
      program_.begin_phase();
      program_.add_product(kSlopes, kGenerator, i, first_, batch_, true);
    }
    program_.add_update(kGenerator, first_, batch_, true);
  }

  const fg_gan_feed& feed_;
  const int64_t batch_, first_;
  const int layers_of_g_, layers_of_d_;
  void* const stream_;
  Program<T> program_;
};

}  // namespace
}  // namespace mlp
}  // namespace fastgen

extern "C" int fg_cuda_gan_step(void* stream, fg_cuda_precision precision,
                                const fg_player* generator, const fg_player* discriminator,
                                const fg_gan_feed* feed, double* telemetry, int64_t done[2]) {
  using namespace fastgen;
  if (int code = check_gan(mlp::kOp, *generator, *discriminator, *feed)) return code;
  return mlp::for_real(mlp::kOp, precision, generator->mlp.dtype, [&](auto number) {
    typedef decltype(number) T;
    mlp::GanProgram<T> program(stream, precision, *generator, *discriminator, *feed);
    return program.run(*generator, *discriminator, telemetry, done);
  });
}
