// cuBLASLt where it is at hand, found at run time: nothing here is linked with it or needs its
// headers. Types, functions and numbers as in its public documentation ("The cuBLASLt API").
#pragma once
#include "cuda/product.h"

namespace fastgen {
namespace cuda {

struct Multiplication {
  int64_t rows, cols, depth;
  fg_cuda_precision precision;
  bool activated;  // the product is worked on once more, in memory
};

// Whether FASTGEN_CUBLAS is "0" or "1", or else -1.
int cublas_wish();
bool cublas_is_at_hand();

// Where cuBLASLt is expected to win; FASTGEN_CUBLAS=0|1 overrides. None of these numbers has been
// measured yet: they assume that it multiplies 1.6 times as fast on tensor cores (by warpgroup
// instructions, which the kernels here do not use) and 1.3 times by multiply-adds, and that memory
// gives 4.3 TB/s, which a pass for an activation reads and writes: so for it to pay, a product has to
// be some 550 (or 190) deep. Below 2^30 multiply-adds, 2 us of a GPU, its launch decides.
template <class T>
bool prefers_cublas(const Multiplication& x) {
  if (x.rows == 0 || x.cols == 0 || x.depth == 0 || cublas_wish() == 0) return false;
  if (cublas_wish() == 1) return true;
  const bool tensor_cores = sizeof(T) == 2 || x.precision == FG_CUDA_TF32;
  const int64_t least_depth = !x.activated ? 128 : tensor_cores ? 768 : 256;
  return x.depth >= least_depth && x.rows >= 256 && x.cols >= 64 &&
         (double)x.rows * (double)x.cols * (double)x.depth >= 1 << 30 && cublas_is_at_hand();
}

// A row-major [rows, cols] and where its lines are.
struct CublasOperand {
  const void* data;
  int64_t lines, depth, line_step, step;
};
struct CublasProduct {
  fg_dtype dtype;
  fg_cuda_precision precision;
  CublasOperand a, b;
  const void* bias;  // of b's lines, or NULL
  void* out;
};

// Not tried: cuBLASLt has nothing for the product, and nobody insists on it.
struct Attempt {
  bool tried;
  int code;
};
Attempt multiply_by_cublas(const char* op, void* stream, const CublasProduct& product);

template <class T>
constexpr fg_dtype kDtype = FG_FLOAT32;
template <>
constexpr fg_dtype kDtype<double> = FG_FLOAT64;
template <>
constexpr fg_dtype kDtype<bfloat16> = FG_BFLOAT16;
template <>
constexpr fg_dtype kDtype<float16> = FG_FLOAT16;

// out[i, j] = sum_k a[i, k] b[j, k] + bias[j].
template <class T>
Attempt multiply_by_cublas(const char* op, void* stream, fg_cuda_precision precision,
                           const Operand<T>& a, const Operand<T>& b, const T* bias, T* out) {
  const auto plain = [](const Operand<T>& x) {
    return CublasOperand{x.data, x.lines, x.depth, x.line_step, x.step};
  };
  return multiply_by_cublas(op, stream, {kDtype<T>, precision, plain(a), plain(b), bias, out});
}

}  // namespace cuda
}  // namespace fastgen
