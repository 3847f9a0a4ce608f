#include "cuda/cublaslt.h"
#include "cuda/product.cuh"
#include "cuda/product.h"

namespace fastgen {
namespace cuda {

int check_precision(const char* op, fg_cuda_precision precision) {
  if (precision == FG_CUDA_STRICT || precision == FG_CUDA_TF32) return FG_OK;
  return fail(FG_INVALID_ARGUMENT,
              "%s: precision must be FG_CUDA_STRICT or FG_CUDA_TF32. Received: %d", op, precision);
}

template <class T>
int sum_parts(const char* op, void* stream, int64_t parts, int64_t size,
              const typename Compute<T>::type* from, double scale, T* out) {
  return for_width<T>(size, {from, out}, [&](auto n) {
    const int64_t blocks = pieces_of(pieces_of(size, n), kThreads);
    return launch(op, stream, grid_of(blocks), kThreads, 0, sum_parts_kernel<T, n>, parts, size,
                  from, scale, out);
  });
}

namespace {

template <class T, class Out, class Run>
int multiply_into(const Tiling& tiling, const Operand<T>& a, const Operand<T>& b, Out* out,
                  const Run& run) {
  const bool wide = tiling.cols % kPack<Out> == 0 && (uintptr_t)out % 16 == 0;
  return run(a, b, tiling, IntoMemory<Out>{out, tiling.rows, tiling.cols, wide});
}

}  // namespace

template <class T>
int multiply(const char* op, void* stream, fg_cuda_precision precision, const Operand<T>& a,
             const Operand<T>& b, T* out) {
  typedef typename Compute<T>::type Real;
  const Multiplication sizes = {a.lines, b.lines, a.depth, precision, false};
  if (prefers_cublas<T>(sizes)) {
    const Attempt attempt = multiply_by_cublas<T>(op, stream, precision, a, b, nullptr, out);
    if (attempt.tried) return attempt.code;
  }
  return for_product<T>(op, stream, precision, a.lines, b.lines, a.depth, true,
                        [&](const Tiling& tiling, const auto& run) -> int {
                          if (tiling.parts == 1) return multiply_into(tiling, a, b, out, run);
                          const int64_t size = a.lines * b.lines;
                          Scratch parts(op, stream);
                          if (int code = parts.allocate(tiling.parts * size * sizeof(Real)))
                            return code;
                          if (int code = multiply_into(tiling, a, b, parts.as<Real>(), run))
                            return code;
                          return sum_parts<T>(op, stream, tiling.parts, size, parts.as<Real>(), 1,
                                              out);
                        });
}

#define FG_PRODUCTS(T)                                                                             \
  template int sum_parts<T>(const char*, void*, int64_t, int64_t, const Compute<T>::type*, double, \
                            T*);                                                                   \
  template int multiply<T>(const char*, void*, fg_cuda_precision, const Operand<T>&,               \
                           const Operand<T>&, T*);
FG_PRODUCTS(float)
FG_PRODUCTS(double)
FG_PRODUCTS(bfloat16)
FG_PRODUCTS(float16)

}  // namespace cuda
}  // namespace fastgen
