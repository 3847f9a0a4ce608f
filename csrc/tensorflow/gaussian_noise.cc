#include "kernels/gaussian_noise.h"

#include "tensorflow/noise_op.h"

namespace fastgen {

REGISTER_OP("FastgenGaussianNoise")
    .Input("x: T")
    .Input("stddev: double")
    .Input("seed: Tseed")
    .Output("y: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn(noise_shape_function)
    .Doc("y = x + stddev * stateless_normal(seed); see csrc/kernels/gaussian_noise.h");

struct GaussianNoise {
  static constexpr const char *op = "gaussian_noise", *scalar = "stddev";
  static constexpr auto kernel = fg_gaussian_noise;
};
template <class T>
using GaussianNoiseOp = NoiseOp<GaussianNoise, T>;

#define NOISE_ON_CPU(OP, T) FASTGEN_CPU_T(OP, T).HostMemory("stddev").HostMemory("seed")
FASTGEN_REGISTER_CPU("FastgenGaussianNoise", GaussianNoiseOp, NOISE_ON_CPU);

}  // namespace fastgen
