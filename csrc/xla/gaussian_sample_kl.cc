#include "kernels/gaussian_sample_kl.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

ffi::Error sample_kl(ffi::ThreadPool pool, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed,
                     AnyResult z, AnyResult kl) {
  return to_error(fg_gaussian_sample_kl(
      XlaThreads(pool), dtype_of(mean), rows_of(mean), cols_of(mean), SeedWords(seed),
      mean.untyped_data(), log_var.untyped_data(), z->untyped_data(), kl->untyped_data()));
}

ffi::Error sample_kl_grad(ffi::ThreadPool pool, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed,
                          AnyBuffer d_z, AnyBuffer d_kl, AnyResult d_mean, AnyResult d_log_var) {
  return to_error(fg_gaussian_sample_kl_grad(
      XlaThreads(pool), dtype_of(mean), rows_of(mean), cols_of(mean), SeedWords(seed),
      mean.untyped_data(), log_var.untyped_data(), d_z.untyped_data(), d_kl.untyped_data(),
      d_mean->untyped_data(), d_log_var->untyped_data()));
}

}  // namespace

FASTGEN_CUSTOM_CALL("FastgenGaussianSampleKl", sample_kl);
FASTGEN_CUSTOM_CALL("FastgenGaussianSampleKlGrad", sample_kl_grad);

}  // namespace fastgen
