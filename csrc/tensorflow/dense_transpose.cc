#include "kernels/dense_transpose.h"

#include "tensorflow/dense_op.h"

namespace fastgen {

struct DenseTranspose {
  static constexpr const char* op = "dense_transpose";
  static constexpr int inputs_axis = 1;
  static constexpr Products forward = {FASTGEN_BOTH(dense_transpose)};
  static constexpr Products backward = {FASTGEN_BOTH(dense_transpose_grad)};
};

FASTGEN_REGISTER_OPS_OF_DENSE("DenseTranspose", DenseTranspose, "x kernel^T", "dense_transpose");

}  // namespace fastgen
