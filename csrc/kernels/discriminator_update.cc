#include "kernels/discriminator_update.h"

#include "mlp/discriminator.h"

namespace fastgen {
namespace FASTGEN_TARGET {

static const char* const kOp = "discriminator_update";

template <class T>
static int run(const fg_threads* threads, const fg_player& player, const fg_images& real,
               const fg_images& fake, const T* targets, double* telemetry) {
  Layers layers(player.mlp);
  layers.end_in_logits();
  Discriminator<T> d(layers, player.optimizer, fake.count, real.count);
  if (int code = d.reserve(kOp)) return code;
  const Cut& cut = d.cut();
  const int64_t fakes = cut.panels(0), panels = fakes + cut.panels(1);
  const int64_t rows = fake.count + real.count;
  parallel_for(threads, panels, 3 * pass_cycles(d.net()), [&](int64_t index) {
    const bool of_real = index >= fakes;
    const Panel p(cut, of_real, index - of_real * fakes);
    put_images(
        p, d.net().inputs(), of_real ? real : fake, [&](int64_t r) { return p.row + r; },
        d.net().values(0, p));
    const T* const of_panel = targets && !of_real ? targets + real.count : targets;
    d.judge(p, of_panel, of_real, rows, 0, {true, false});
  });
  for (int i = 0; i < FG_DISCRIMINATOR_TELEMETRY; ++i) telemetry[i] = 0;
  bool finite;
  if (int code = d.step(threads, player.optimizer.learning_rate, telemetry, &finite)) return code;
  if (finite) return FG_OK;
  return fail(FG_INVALID_ARGUMENT, "%s: the loss is not finite: nothing was updated", kOp);
}

int discriminator_update(const fg_threads* threads, const fg_player* discriminator,
                         const fg_images* real, const fg_images* fake, const void* targets,
                         double* telemetry) {
  if (int code = check_judged(kOp, *discriminator, *real, *fake)) return code;
  return for_real(kOp, discriminator->mlp.dtype, [&](auto number) {
    typedef decltype(number) T;
    return run<T>(threads, *discriminator, *real, *fake, (const T*)targets, telemetry);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, discriminator_update,
               (const fg_threads* threads, const fg_player* discriminator, const fg_images* real,
                const fg_images* fake, const void* targets, double* telemetry),
               (threads, discriminator, real, fake, targets, telemetry))
