#include "kernels/gaussian_sample.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

template <class Where>
ffi::Error sample(Where where, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed, AnyResult z) {
  return Fit("gaussian_sample")
      .like(log_var, mean, "log_var must be like mean")
      .like(*z, mean, "z must be like mean")
      .seed(seed)
      .then([&] {
        return where.run(&fg_gaussian_sample, FASTGEN_ON_GPU(&fg_cuda_gaussian_sample_device_seed),
                         dtype_of(mean), size_of(mean), seed.typed_data<int64_t>(),
                         mean.untyped_data(), log_var.untyped_data(), z->untyped_data());
      });
}

template <class Where>
ffi::Error sample_grad(Where where, AnyBuffer log_var, AnyBuffer seed, AnyBuffer d_z,
                       AnyResult d_log_var) {
  return Fit("gaussian_sample_grad")
      .like(d_z, log_var, "d_z must be like log_var")
      .like(*d_log_var, log_var, "d_log_var must be like log_var")
      .seed(seed)
      .then([&] {
        return where.run(&fg_gaussian_sample_grad,
                         FASTGEN_ON_GPU(&fg_cuda_gaussian_sample_grad_device_seed),
                         dtype_of(log_var), size_of(log_var), seed.typed_data<int64_t>(),
                         log_var.untyped_data(), d_z.untyped_data(), d_log_var->untyped_data());
      });
}

}  // namespace

FASTGEN_CUSTOM_CALL("FastgenGaussianSample", sample);
FASTGEN_CUSTOM_CALL("FastgenGaussianSampleGrad", sample_grad);

}  // namespace fastgen
