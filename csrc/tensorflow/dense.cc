#include "kernels/dense.h"

#include "tensorflow/dense_op.h"

namespace fastgen {

struct Dense {
  static constexpr const char* op = "dense";
  static constexpr int inputs_axis = 0;
  static constexpr auto forward = fg_dense;
  static constexpr auto backward = fg_dense_grad;
};

FASTGEN_REGISTER_OPS_OF_DENSE("Dense", Dense, "x kernel", "dense");

}  // namespace fastgen
