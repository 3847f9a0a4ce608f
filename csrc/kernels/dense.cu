#include "cuda/dense_layer.h"
#include "kernels/dense.h"

using namespace fastgen::cuda;

extern "C" {

int fg_cuda_dense(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs, int64_t units,
                  fg_activation activation, fg_cuda_precision precision, const void* x,
                  const void* kernel, const void* bias, void* y, void* z) {
  return dense_layer({"dense", false, rows, inputs, units}, stream, dtype, activation, precision, x,
                     kernel, bias, y, z);
}

int fg_cuda_dense_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs, int64_t units,
                       fg_activation activation, fg_cuda_precision precision, const void* x,
                       const void* kernel, const void* saved, const void* d_y, void* d_x,
                       void* d_kernel, void* d_bias) {
  return dense_layer_grad({"dense_grad", false, rows, inputs, units}, stream, dtype, activation,
                          precision, x, kernel, saved, d_y, d_x, d_kernel, d_bias);
}
}
