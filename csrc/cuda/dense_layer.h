// A dense layer of either kernel layout and its gradients, on a stream.
#pragma once
#include "core/activation.h"
#include "cuda/product.h"

namespace fastgen {
namespace cuda {

// kernel: [units, inputs] if transposed, else [inputs, units].
struct DenseSizes {
  const char* op;
  bool transposed;
  int64_t rows, inputs, units;

  int check() const {
    if (int code = check_shape(op, rows, inputs)) return code;
    if (int code = check_shape(op, rows, units)) return code;
    return check_shape(op, inputs, units);
  }
  // The kernel's lines of units, `inputs` deep, and its lines of inputs, `units` deep.
  template <class T>
  Operand<T> of_units(const T* kernel) const {
    return transposed ? rows_of(kernel, units, inputs) : cols_of(kernel, inputs, units);
  }
  template <class T>
  Operand<T> of_inputs(const T* kernel) const {
    return transposed ? cols_of(kernel, units, inputs) : rows_of(kernel, inputs, units);
  }
};

int dense_layer(const DenseSizes& sizes, void* stream, fg_dtype dtype, fg_activation activation,
                fg_cuda_precision precision, const void* x, const void* kernel, const void* bias,
                void* y, void* z);
int dense_layer_grad(const DenseSizes& sizes, void* stream, fg_dtype dtype,
                     fg_activation activation, fg_cuda_precision precision, const void* x,
                     const void* kernel, const void* saved, const void* d_y, void* d_x,
                     void* d_kernel, void* d_bias);

}  // namespace cuda
}  // namespace fastgen
