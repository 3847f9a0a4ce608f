#include "kernels/gaussian_sample_kl.h"

#include "xla/custom_call.h"

namespace fastgen {
namespace {

template <class Where>
ffi::Error sample_kl(Where where, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed, AnyResult z,
                     AnyResult kl) {
  return Fit("gaussian_sample_kl")
      .like(log_var, mean, "log_var must be like mean")
      .like(*z, mean, "z must be like mean")
      .rows(*kl, mean, "kl must be a number for each row of mean")
      .seed(seed)
      .then([&] {
        return where.run(
            &fg_gaussian_sample_kl, FASTGEN_ON_GPU(&fg_cuda_gaussian_sample_kl_device_seed),
            dtype_of(mean), rows_of(mean), cols_of(mean), seed.typed_data<int64_t>(),
            mean.untyped_data(), log_var.untyped_data(), z->untyped_data(), kl->untyped_data());
      });
}

template <class Where>
ffi::Error sample_kl_grad(Where where, AnyBuffer mean, AnyBuffer log_var, AnyBuffer seed,
                          AnyBuffer d_z, AnyBuffer d_kl, AnyResult d_mean, AnyResult d_log_var) {
  return Fit("gaussian_sample_kl_grad")
      .like(log_var, mean, "log_var must be like mean")
      .like(d_z, mean, "d_z must be like mean")
      .rows(d_kl, mean, "d_kl must be a number for each row of mean")
      .like(*d_mean, mean, "d_mean must be like mean")
      .like(*d_log_var, mean, "d_log_var must be like mean")
      .seed(seed)
      .then([&] {
        return where.run(&fg_gaussian_sample_kl_grad,
                         FASTGEN_ON_GPU(&fg_cuda_gaussian_sample_kl_grad_device_seed),
                         dtype_of(mean), rows_of(mean), cols_of(mean), seed.typed_data<int64_t>(),
                         mean.untyped_data(), log_var.untyped_data(), d_z.untyped_data(),
                         d_kl.untyped_data(), d_mean->untyped_data(), d_log_var->untyped_data());
      });
}

}  // namespace

FASTGEN_CUSTOM_CALL("FastgenGaussianSampleKl", sample_kl);
FASTGEN_CUSTOM_CALL("FastgenGaussianSampleKlGrad", sample_kl_grad);

}  // namespace fastgen
