#include "kernels/dense.h"

#include "core/dense_layer.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int dense(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs, int64_t units,
          fg_activation activation, const void* x, const void* kernel, const void* bias, void* y,
          void* z) {
  const DenseShape s{"dense", rows, inputs, units, false};
  return any_dense(s, threads, dtype, activation, x, kernel, bias, y, z);
}

int dense_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,
               int64_t units, fg_activation activation, const void* x, const void* kernel,
               const void* saved, const void* d_y, void* d_x, void* d_kernel, void* d_bias) {
  const DenseShape s{"dense_grad", rows, inputs, units, false};
  return any_dense_grad(s, threads, dtype, activation, x, kernel, saved, d_y, d_x, d_kernel,
                        d_bias);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, dense,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,
                int64_t units, fg_activation activation, const void* x, const void* kernel,
                const void* bias, void* y, void* z),
               (threads, dtype, rows, inputs, units, activation, x, kernel, bias, y, z))
FASTGEN_EXPORT(int, dense_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,
                int64_t units, fg_activation activation, const void* x, const void* kernel,
                const void* saved, const void* d_y, void* d_x, void* d_kernel, void* d_bias),
               (threads, dtype, rows, inputs, units, activation, x, kernel, saved, d_y, d_x,
                d_kernel, d_bias))
