#include "kernels/dropout.h"

#include "tensorflow/noise_op.h"

namespace fastgen {

REGISTER_OP("FastgenDropout")
    .Input("x: T")
    .Input("rate: double")
    .Input("seed: Tseed")
    .Output("y: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("Tseed: {int32, int64} = DT_INT64")
    .SetShapeFn(noise_shape_function)
    .Doc(
        "y = stateless_uniform(seed) >= rate ? x / (1 - rate) : 0, its own gradient; see "
        "csrc/kernels/dropout.h");

struct Dropout {
  static constexpr const char *op = "dropout", *scalar = "rate";
  static constexpr auto kernel = fg_dropout;
};
template <class T>
using DropoutOp = NoiseOp<Dropout, T>;

#define DROPOUT_ON_CPU(OP, T) FASTGEN_CPU_T(OP, T).HostMemory("rate").HostMemory("seed")
FASTGEN_REGISTER_CPU("FastgenDropout", DropoutOp, DROPOUT_ON_CPU);

}  // namespace fastgen
