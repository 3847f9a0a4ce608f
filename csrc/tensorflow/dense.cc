#include "kernels/dense.h"

#include "tensorflow/dense_op.h"

namespace fastgen {

struct Dense {
  static constexpr const char* op = "dense";
  static constexpr int inputs_axis = 0;
  static constexpr Products forward = {FASTGEN_BOTH(dense)};
  static constexpr Products backward = {FASTGEN_BOTH(dense_grad)};
};

FASTGEN_REGISTER_OPS_OF_DENSE("Dense", Dense, "x kernel", "dense");

}  // namespace fastgen
