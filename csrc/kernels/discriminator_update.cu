#include "kernels/discriminator_update.h"
#include "mlp/program.h"

namespace fastgen {
namespace mlp {
namespace {

constexpr const char* kOp = "discriminator_update";

DeviceRows rows_of(const fg_player& player, const fg_images& images) {
  return {images.data, nullptr, images.count, player.mlp.layers[0].inputs,
          images.dtype == FG_UINT8};
}

template <class T>
int run(void* stream, fg_cuda_precision precision, const fg_player& player, const fg_images& real,
        const fg_images& fake, const T* targets, double* telemetry) {
  constexpr int net = kDiscriminator;
  const int64_t rows = real.count + fake.count;
  Program<T> program(kOp, stream, precision);
  if (int code = program.add_player(net, player, rows, true, nullptr)) return code;
  program.read(net, rows_of(player, real), rows_of(player, fake));
  program.plan.targets = targets, program.plan.telemetry = telemetry;
  for (int i = 0; i + 1 < (int)player.mlp.count; ++i) {
    program.begin_phase();
    program.add_product(kForward, net, i, 0, rows);
  }
  program.add_judgement(real.count, fake.count, false, 1);
  program.add_update(net, 0, rows, false);
  program.plan.order.generator = program.plan.order.end = program.phases();
  program.begin_phase();
  program.add_single(kReport, net);
  if (int code = clear(kOp, stream, telemetry, FG_DISCRIMINATOR_TELEMETRY)) return code;
  return program.run();
}

}  // namespace
}  // namespace mlp
}  // namespace fastgen

extern "C" int fg_cuda_discriminator_update(void* stream, fg_cuda_precision precision,
                                            const fg_player* discriminator, const fg_images* real,
                                            const fg_images* fake, const void* targets,
                                            double* telemetry) {
  using namespace fastgen;
  if (int code = check_judged(mlp::kOp, *discriminator, *real, *fake)) return code;
  return mlp::for_real(mlp::kOp, precision, discriminator->mlp.dtype, [&](auto number) {
    typedef decltype(number) T;
    return mlp::run<T>(stream, precision, *discriminator, *real, *fake, (const T*)targets,
                       telemetry);
  });
}
