#include "kernels/gan_step.h"

#include "mlp/discriminator.h"
#include "mlp/noise.h"
#include "mlp/spread.h"

namespace fastgen {
namespace FASTGEN_TARGET {

static const char* const kOp = "gan_step";

template <class T>
class Gan {
 public:
  Gan(const Layers& generator, const Layers& discriminator, const fg_player& g, const fg_player& d,
      const fg_gan_feed& feed)
      : feed_(feed),
        d_(discriminator, d.optimizer, feed.batch, feed.batch),
        g_(generator, g.optimizer, Cut(feed.batch)),
        noise_(feed.batch * g_.net().inputs()),
        spread_(g_.net()) {}

  int reserve() {
    if (int code = d_.reserve(kOp)) return code;
    if (int code = g_.reserve(kOp, &d_.net())) return code;
    if (int code = spread_.reserve(kOp)) return code;
    return noise_.data ? FG_OK : no_memory(kOp, feed_.batch * g_.net().inputs());
  }

  int run(const fg_threads* threads, double* telemetry, int64_t done[2]) {
    for (int64_t step = 0; step < feed_.steps; ++step, telemetry += FG_GAN_TELEMETRY) {
      for (int i = 0; i < FG_GAN_TELEMETRY; ++i) telemetry[i] = 0;
      for (int64_t i = 0; i < feed_.n_critic; ++i) {
        if (int code = discriminate(threads, step, i, telemetry)) return code;
        ++done[0];
      }
      for (int i = 0; i < FG_DISCRIMINATOR_TELEMETRY; ++i) telemetry[i] /= feed_.n_critic;
      telemetry[FG_PAIRWISE_DISTANCE] = spread_.distance();
      if (int code = generate(threads, step, telemetry)) return code;
      ++done[1];
    }
    return FG_OK;
  }

 private:
  // The panel's noise, through the generator, into the discriminator's fake rows.
  void imagine(const Panel& p, int64_t pass, const Seeds& corruption) {
    const Network<T>& net = g_.net();
    put_noise(p, net.inputs(), feed_.seeds + 2 * pass, 0, noise_.data + p.row * net.inputs(),
              net.values(0, p));
    forward(net, p, corruption);
  }

  int discriminate(const fg_threads* threads, int64_t step, int64_t i, double* telemetry) {
    const int64_t batch = feed_.batch, critic = step * feed_.n_critic + i;
    const int64_t* const rows = feed_.rows + critic * batch;
    const int64_t pass = step * (feed_.n_critic + 1) + i;
    const Seeds corruption = feed_.corrupts_fakes ? g_.net().seeds(pass) : Seeds{};
    const T* const targets = feed_.targets ? (const T*)feed_.targets + 2 * critic * batch : nullptr;
    const bool last = i + 1 == feed_.n_critic;
    const int64_t cycles = 2 * (pass_cycles(g_.net()) + 2 * pass_cycles(d_.net()));
    // Real and fake panels by turns: two threads have as much to do.
    parallel_for(threads, 2 * d_.cut().panels(0), cycles, [&](int64_t index) {
      const bool real = index % 2;
      const Panel p(d_.cut(), real, index / 2);
      if (real) {
        put_images(
            p, d_.net().inputs(), feed_.images, [&](int64_t r) { return rows[p.row + r]; },
            d_.net().values(0, p));
      } else {
        imagine(p, pass, corruption);
        if (last) spread_.add(p, g_.net().values(g_.net().count(), p));
      }
      d_.judge(p, targets && !real ? targets + batch : targets, real, 2 * batch, pass,
               {true, false});
    });
    bool finite;
    const double rate = feed_.discriminator_rates[critic];
    if (int code = d_.step(threads, rate, telemetry, &finite)) return code;
    return finite ? FG_OK : not_finite("discriminator", step);
  }

  int generate(const fg_threads* threads, int64_t step, double* telemetry) {
    const int64_t batch = feed_.batch;
    const int64_t pass = step * (feed_.n_critic + 1) + feed_.n_critic;
    const int64_t cycles = 2 * (3 * pass_cycles(g_.net()) + 2 * pass_cycles(d_.net()));
    parallel_for(threads, d_.cut().panels(0), cycles, [&](int64_t index) {
      const Panel p(d_.cut(), 0, index);
      imagine(p, pass, g_.net().seeds(pass));
      d_.judge(p, nullptr, 1, batch, pass, {false, true});
      backward(g_.net(), p, {true, false});
    });
    const double loss = d_.sums(Discriminator<T>::kFake).loss / batch;
    if (!isfinite(loss)) return not_finite("generator", step);
    telemetry[FG_GENERATOR_LOSS] = loss;
    return g_.step(threads, feed_.generator_rates[step], telemetry + FG_GENERATOR_GRADIENT_NORM);
  }

  int not_finite(const char* phase, int64_t step) const {
    return fail(FG_INVALID_ARGUMENT,
                "%s: the loss of the %s is not finite in step %lld of %lld: its phase updated "
                "nothing, what came before stands",
                kOp, phase, (long long)step, (long long)feed_.steps);
  }

  const fg_gan_feed& feed_;
  Discriminator<T> d_;
  Training<T> g_;
  const Memory<T> noise_;
  Spread<T> spread_;
};

int gan_step(const fg_threads* threads, const fg_player* generator, const fg_player* discriminator,
             const fg_gan_feed* feed, double* telemetry, int64_t done[2]) {
  done[0] = done[1] = 0;
  if (int code = check_gan(kOp, *generator, *discriminator, *feed)) return code;
  const int64_t rows = feed->steps * feed->n_critic * feed->batch;
  if (int code = check_rows(kOp, feed->rows, rows, feed->images.count)) return code;
  return for_real(kOp, generator->mlp.dtype, [&](auto number) {
    const Layers g(generator->mlp);
    Layers d(discriminator->mlp);
    d.end_in_logits();
    Gan<decltype(number)> gan(g, d, *generator, *discriminator, *feed);
    if (int code = gan.reserve()) return code;
    return gan.run(threads, telemetry, done);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, gan_step,
               (const fg_threads* threads, const fg_player* generator,
                const fg_player* discriminator, const fg_gan_feed* feed, double* telemetry,
                int64_t done[2]),
               (threads, generator, discriminator, feed, telemetry, done))
