#include "cuda/cublaslt.h"
#include "cuda/dense_layer.cuh"
#include "cuda/dense_layer.h"

namespace fastgen {
namespace cuda {
namespace {

int check_layer(const DenseSizes& s, fg_activation activation, fg_cuda_precision precision) {
  if (activation < 0 || activation >= FG_ACTIVATIONS) {
    return fail(FG_INVALID_ARGUMENT, "%s: activation must be 0 to %d. Received: %d", s.op,
                FG_ACTIVATIONS - 1, activation);
  }
  if (int code = check_precision(s.op, precision)) return code;
  return s.check();
}

// z goes where y will be if nobody asks for it.
template <class T>
Attempt forward_by_cublas(const DenseSizes& s, void* stream, fg_activation activation,
                          fg_cuda_precision precision, const T* x, const T* kernel, const T* bias,
                          T* y, T* z) {
  const bool activated = activation != FG_LINEAR || z;
  T* const first = z ? z : y;
  if (!prefers_cublas<T>({s.rows, s.units, s.inputs, precision, activated})) return {false, FG_OK};
  Attempt attempt = multiply_by_cublas<T>(s.op, stream, precision, rows_of(x, s.rows, s.inputs),
                                          s.of_units(kernel), bias, first);
  if (!attempt.tried || attempt.code || !activated) return attempt;
  const int64_t size = s.rows * s.units;
  attempt.code = for_width<T>(size, {first, y}, [&](auto n) {
    return launch(s.op, stream, grid_of(pieces_of(pieces_of(size, n), kThreads)), kThreads, 0,
                  activate_kernel<T, n>, size, activation, first, y);
  });
  return attempt;
}

template <class T>
int forward(const DenseSizes& s, void* stream, fg_activation activation,
            fg_cuda_precision precision, const T* x, const T* kernel, const T* bias, T* y, T* z) {
  const Attempt attempt =
      forward_by_cublas(s, stream, activation, precision, x, kernel, bias, y, z);
  if (attempt.tried) return attempt.code;
  return for_width<T>(s.units, {bias, y, z}, [&](auto n) {
    const ActivatedLayer<T> epilogue = {bias, y, z, s.units, activation, n > 1};
    return for_product<T>(s.op, stream, precision, s.rows, s.units, s.inputs, false,
                          [&](const Tiling& tiling, const auto& run) {
                            return run(rows_of(x, s.rows, s.inputs), s.of_units(kernel), tiling,
                                       epilogue);
                          });
  });
}

// Rows of which a block sums columns: of 64 at least, and some 256 panels at most.
int64_t panel_rows_of(int64_t rows) {
  const int64_t share = pieces_of(pieces_of(rows, 256), kPanelRows) * kPanelRows;
  return share > 64 ? share : 64;
}

// d_z, where it is not null, and d_bias.
template <class T>
int d_z_and_d_bias(const DenseSizes& s, void* stream, fg_activation activation, const T* saved,
                   const T* d_y, T* d_z, T* d_bias) {
  typedef typename Compute<T>::type Real;
  const int64_t panel_rows = panel_rows_of(s.rows), panels = pieces_of(s.rows, panel_rows);
  Scratch sums(s.op, stream);
  if (d_bias) {
    if (int code = sums.allocate(panels * s.units * sizeof(Real))) return code;
  }
  const int code = for_width<T>(s.units, {saved, d_y, d_z}, [&](auto n) {
    const int64_t tiles = pieces_of(s.units, kPanelLanes * n) * panels;
    return launch(s.op, stream, grid_of(tiles), kPanelLanes * kPanelRows, 0, d_z_kernel<T, n>,
                  s.rows, s.units, panels, panel_rows, activation, saved, d_y, d_z,
                  sums.as<Real>());
  });
  if (code || !d_bias) return code;
  return sum_parts<T>(s.op, stream, panels, s.units, sums.as<Real>(), 1, d_bias);
}

template <class T>
int backward(const DenseSizes& s, void* stream, fg_activation activation,
             fg_cuda_precision precision, const T* x, const T* kernel, const T* saved, const T* d_y,
             T* d_x, T* d_kernel, T* d_bias) {
  const bool as_it_is = activation == FG_LINEAR || !(d_x || d_kernel);
  Scratch own(s.op, stream);
  if (!as_it_is) {
    if (int code = own.allocate(s.rows * s.units * sizeof(T))) return code;
  }
  if (!as_it_is || d_bias) {
    if (int code = d_z_and_d_bias(s, stream, activation, saved, d_y, own.as<T>(), d_bias)) {
      return code;
    }
  }
  const T* const d_z = as_it_is ? d_y : own.as<T>();
  if (d_x) {
    if (int code = multiply<T>(s.op, stream, precision, rows_of(d_z, s.rows, s.units),
                               s.of_inputs(kernel), d_x)) {
      return code;
    }
  }
  if (!d_kernel) return FG_OK;
  const Operand<T> of_x = cols_of(x, s.rows, s.inputs), of_d_z = cols_of(d_z, s.rows, s.units);
  return multiply<T>(s.op, stream, precision, s.transposed ? of_d_z : of_x,
                     s.transposed ? of_x : of_d_z, d_kernel);
}

}  // namespace

int dense_layer(const DenseSizes& s, void* stream, fg_dtype dtype, fg_activation activation,
                fg_cuda_precision precision, const void* x, const void* kernel, const void* bias,
                void* y, void* z) {
  if (int code = check_layer(s, activation, precision)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return forward(s, stream, activation, precision, (const T*)x, (const T*)kernel, (const T*)bias,
                   (T*)y, (T*)z);
  });
}

int dense_layer_grad(const DenseSizes& s, void* stream, fg_dtype dtype, fg_activation activation,
                     fg_cuda_precision precision, const void* x, const void* kernel,
                     const void* saved, const void* d_y, void* d_x, void* d_kernel, void* d_bias) {
  if (int code = check_layer(s, activation, precision)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return backward(s, stream, activation, precision, (const T*)x, (const T*)kernel,
                    (const T*)saved, (const T*)d_y, (T*)d_x, (T*)d_kernel, (T*)d_bias);
  });
}

}  // namespace cuda
}  // namespace fastgen
