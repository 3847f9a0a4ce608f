#include "kernels/gaussian_sample.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

ffi::Error sample(ffi::ThreadPool pool, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed,
                  AnyResult z) {
  return to_error(fg_gaussian_sample(XlaThreads(pool), dtype_of(mean), size_of(mean),
                                     SeedWords(seed), mean.untyped_data(), log_var.untyped_data(),
                                     z->untyped_data()));
}

ffi::Error sample_grad(ffi::ThreadPool pool, AnyBuffer log_var, AnyBuffer seed, AnyBuffer d_z,
                       AnyResult d_log_var) {
  return to_error(fg_gaussian_sample_grad(XlaThreads(pool), dtype_of(log_var), size_of(log_var),
                                          SeedWords(seed), log_var.untyped_data(),
                                          d_z.untyped_data(), d_log_var->untyped_data()));
}

}  // namespace

FASTGEN_CUSTOM_CALL("FastgenGaussianSample", sample);
FASTGEN_CUSTOM_CALL("FastgenGaussianSampleGrad", sample_grad);

}  // namespace fastgen
