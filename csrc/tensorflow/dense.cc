#include "kernels/dense.h"

#include "tensorflow/dense_op.h"

namespace fastgen {

REGISTER_OP("FastgenDense")
    .Input("x: T")
    .Input("kernel: T")
    .Input("bias: N * T")
    .Output("y: T")
    .Output("pre_activation: T")
    .Attr(FASTGEN_ACTIVATIONS)
    .Attr("N: int >= 0")
    .Attr("T: {half, bfloat16, float, double}")
    .SetShapeFn(dense_shape_function<0>)
    .Doc(
        "y = activation(x kernel + bias), N = 0 or 1 biases. pre_activation: x kernel + bias where "
        "the gradient needs it, else empty; see csrc/kernels/dense.h");

REGISTER_OP("FastgenDenseGrad")
    .Input("x: T")
    .Input("kernel: T")
    .Input("bias: N * T")
    .Input("saved: T")
    .Input("d_y: T")
    .Output("d_x: T")
    .Output("d_kernel: T")
    .Output("d_bias: N * T")
    .Attr(FASTGEN_ACTIVATIONS)
    .Attr("need_x: bool = true")
    .Attr("need_kernel: bool = true")
    .Attr("N: int >= 0")
    .Attr("T: {half, bfloat16, float, double}")
    .SetShapeFn(dense_grad_shape_function<0>)
    .Doc(
        "Gradients of FastgenDense. saved: its pre_activation, or y where that is empty. What is "
        "not needed is empty.");

struct Dense {
  static constexpr const char* op = "dense";
  static constexpr int inputs_axis = 0;
  static constexpr auto forward = fg_dense;
  static constexpr auto backward = fg_dense_grad;
};
template <class T>
using PlainDenseOp = DenseOp<Dense, T>;
template <class T>
using PlainDenseGradOp = DenseGradOp<Dense, T>;

FASTGEN_REGISTER_CPU("FastgenDense", PlainDenseOp, FASTGEN_CPU_T);
FASTGEN_REGISTER_CPU("FastgenDenseGrad", PlainDenseGradOp, FASTGEN_CPU_T);

}  // namespace fastgen
