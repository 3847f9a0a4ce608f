#include "cuda/dense_layer.h"
#include "kernels/dense_transpose.cuh"
#include "kernels/dense_transpose.h"

namespace fastgen {
namespace cuda {
namespace {

// Whether packs of T, and fours of bytes, lie as they must in all of these.
template <class T>
bool are_wide(int64_t units, const void* bias, const void* targets, bool bytes, const void* slope) {
  const auto lies = [](const void* pointer, int by) { return (uintptr_t)pointer % by == 0; };
  return units % kPack<T> == 0 && lies(bias, 16) && lies(slope, 16) &&
         (bytes ? units % 4 == 0 && lies(targets, 4) : lies(targets, 16));
}

template <class T>
int cross_entropy(const DenseSizes& s, void* stream, fg_cuda_precision precision, const T* x,
                  const T* kernel, const T* bias, const void* targets, bool bytes,
                  double label_smoothing, typename Compute<T>::type* loss, T* slope) {
  typedef typename Compute<T>::type Real;
  const double count = s.units > 0 ? (double)s.units : 1;
  const bool wide = are_wide<T>(s.units, bias, targets, bytes, slope);
  const Targets<T> scaled = {targets, (Real)((1 - label_smoothing) / (bytes ? 255 : 1)),
                             (Real)(label_smoothing / 2), bytes, wide};
  return for_product<T>(
      s.op, stream, precision, s.rows, s.units, s.inputs, false,
      [&](const Tiling& tiling, const auto& run) -> int {
        Scratch sums(s.op, stream);
        if (int code = sums.allocate(tiling.slices * s.rows * sizeof(Real))) return code;
        const CrossEntropy<T> epilogue = {
            bias, scaled, slope, sums.as<Real>(), s.rows, s.units, (Real)(1 / count), wide};
        const auto of_x = rows_of(x, s.rows, s.inputs);
        if (int code = run(of_x, s.of_units(kernel), tiling, epilogue)) return code;
        return sum_parts<Real>(s.op, stream, tiling.slices, s.rows, sums.as<Real>(), 1 / count,
                               loss);
      });
}

int any_cross_entropy(const DenseSizes& s, void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                      fg_cuda_precision precision, const void* x, const void* kernel,
                      const void* bias, const void* targets, double label_smoothing, void* loss,
                      void* slope) {
  if (int code = check_precision(s.op, precision)) return code;
  if (int code = s.check()) return code;
  if (targets_dtype != dtype && targets_dtype != FG_UINT8) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: targets must be uint8 or have the dtype of logits. Received: code %d, code %d",
                s.op, (int)targets_dtype, (int)dtype);
  }
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    return cross_entropy<T>(s, stream, precision, (const T*)x, (const T*)kernel, (const T*)bias,
                            targets, targets_dtype == FG_UINT8, label_smoothing, (K*)loss,
                            (T*)slope);
  });
}

}  // namespace
}  // namespace cuda
}  // namespace fastgen

using fastgen::cuda::any_cross_entropy;
using fastgen::cuda::dense_layer;
using fastgen::cuda::dense_layer_grad;

extern "C" {

int fg_cuda_dense_transpose(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs,
                            int64_t units, fg_activation activation, fg_cuda_precision precision,
                            const void* x, const void* kernel, const void* bias, void* y, void* z) {
  return dense_layer({"dense_transpose", true, rows, inputs, units}, stream, dtype, activation,
                     precision, x, kernel, bias, y, z);
}

int fg_cuda_dense_transpose_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t inputs,
                                 int64_t units, fg_activation activation,
                                 fg_cuda_precision precision, const void* x, const void* kernel,
                                 const void* saved, const void* d_y, void* d_x, void* d_kernel,
                                 void* d_bias) {
  return dense_layer_grad({"dense_transpose_grad", true, rows, inputs, units}, stream, dtype,
                          activation, precision, x, kernel, saved, d_y, d_x, d_kernel, d_bias);
}

int fg_cuda_dense_transpose_cross_entropy(void* stream, fg_dtype dtype, fg_dtype targets_dtype,
                                          int64_t rows, int64_t inputs, int64_t units,
                                          fg_cuda_precision precision, const void* x,
                                          const void* kernel, const void* bias, const void* targets,
                                          double label_smoothing, void* loss, void* slope) {
  return any_cross_entropy({"dense_transpose_cross_entropy", true, rows, inputs, units}, stream,
                           dtype, targets_dtype, precision, x, kernel, bias, targets,
                           label_smoothing, loss, slope);
}
}
