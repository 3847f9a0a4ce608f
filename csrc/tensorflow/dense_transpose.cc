#include "kernels/dense_transpose.h"

#include "tensorflow/dense_op.h"

namespace fastgen {

REGISTER_OP("FastgenDenseTranspose")
    .Input("x: T")
    .Input("kernel: T")
    .Input("bias: N * T")
    .Output("y: T")
    .Output("pre_activation: T")
    .Attr(FASTGEN_ACTIVATIONS)
    .Attr("N: int >= 0")
    .Attr("T: {half, bfloat16, float, double}")
    .SetShapeFn(dense_shape_function<1>)
    .Doc(
        "y = activation(x kernel^T + bias), N = 0 or 1 biases. pre_activation: x kernel^T + bias "
        "where "
        "the gradient needs it, else empty; see csrc/kernels/dense_transpose.h");

REGISTER_OP("FastgenDenseTransposeGrad")
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
    .SetShapeFn(dense_grad_shape_function<1>)
    .Doc(
        "Gradients of FastgenDenseTranspose. saved: its pre_activation, or y where that is empty. "
        "What is "
        "not needed is empty.");

struct DenseTranspose {
  static constexpr const char* op = "dense_transpose";
  static constexpr int inputs_axis = 1;
  static constexpr auto forward = fg_dense_transpose;
  static constexpr auto backward = fg_dense_transpose_grad;
};
template <class T>
using TransposedDenseOp = DenseOp<DenseTranspose, T>;
template <class T>
using TransposedDenseGradOp = DenseGradOp<DenseTranspose, T>;

FASTGEN_REGISTER_CPU("FastgenDenseTranspose", TransposedDenseOp, FASTGEN_CPU_T);
FASTGEN_REGISTER_CPU("FastgenDenseTransposeGrad", TransposedDenseGradOp, FASTGEN_CPU_T);

}  // namespace fastgen
