// A dense layer and its gradients: what the kernels dense and dense_transpose share.
#pragma once
#include "core/activation.h"
#include "core/gemm.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Memory that goes with its scope.
template <class T>
struct Scratch {
  explicit Scratch(int64_t size) : data((T*)malloc(size * sizeof(T) + 64)) {}
  ~Scratch() { free(data); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* const data;
};

FG_INLINE int no_memory(const char* op, int64_t size) {
  return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld numbers", op, (long long)size);
}

// The sizes of a layer, and its kernel: [inputs, units], or [units, inputs] if transposed.
struct DenseShape {
  const char* op;
  int64_t rows, inputs, units;
  bool transposed;

  int check() const {
    if (int code = check_shape(op, rows, inputs)) return code;
    if (int code = check_shape(op, rows, units)) return code;
    return check_shape(op, inputs, units);
  }
  // The kernel's lines of units, `inputs` deep, and its lines of inputs, `units` deep.
  template <class T>
  Operand<T> of_units(const T* kernel) const {
    return {kernel, transposed ? inputs : 1, transposed ? 1 : units, units};
  }
  template <class T>
  Operand<T> of_inputs(const T* kernel) const {
    return {kernel, transposed ? 1 : units, transposed ? inputs : 1, inputs};
  }
};

// A row-major matrix as lines of its rows or of its columns.
template <class T>
FG_INLINE Operand<T> lines_of_rows(const T* x, int64_t rows, int64_t cols) {
  return {x, cols, 1, rows};
}
template <class T>
FG_INLINE Operand<T> lines_of_cols(const T* x, int64_t cols) {
  return {x, 1, cols, cols};
}

// out = finish(a b), finish(sum, row, col, lanes) on vectors of it while they are in cache.
template <class T, class A, class B, class Finish>
int product(const char* op, const fg_threads* threads, const Operand<A>& a, const Operand<B>& b,
            int64_t depth, T* out, const Finish& finish) {
  typedef typename Lanes<typename Compute<T>::type>::type C;
  constexpr bool wide = sizeof(T) == sizeof(C);
  const int64_t cols = b.lines, size = wide ? 0 : a.lines * cols;
  const Scratch<C> sums(size);
  if (!sums.data) return no_memory(op, size);
  C* const c = wide ? (C*)out : sums.data;
  const auto epilogue = [&](int64_t row, int64_t block_rows, int64_t col, int64_t block_cols) {
    for (int64_t i = row; i < row + block_rows; ++i) {
      const int64_t first = i * cols + col;
      for_vectors<T>(block_cols, [&](int64_t j, auto lanes) {
        store(out, first + j, finish(load(c, first + j, lanes), i, col + j, lanes), lanes);
      });
    }
  };
  return Gemm<A, B>(a, b, depth, c, cols, epilogue).run(op, threads);
}

// As it is; the pass over it is worth its time where it narrows.
template <class T, class A, class B>
int product(const char* op, const fg_threads* threads, const Operand<A>& a, const Operand<B>& b,
            int64_t depth, T* out) {
  typedef typename Compute<T>::type V;
  if constexpr (sizeof(T) == sizeof(typename Lanes<V>::type)) {
    const auto nothing = [](int64_t, int64_t, int64_t, int64_t) {};
    return Gemm<A, B>(a, b, depth, out, b.lines, nothing).run(op, threads);
  } else {
    return product(op, threads, a, b, depth, out, [](V x, int64_t, int64_t, auto) { return x; });
  }
}

// y = act(x W + b); z, if not null, gets x W + b.
template <class T>
int dense_forward(const DenseShape& s, const fg_threads* threads, fg_activation activation,
                  const T* x, const T* kernel, const T* bias, T* y, T* z) {
  typedef typename Compute<T>::type V;
  return for_activation(activation, [&](auto act) {
    return product(s.op, threads, lines_of_rows(x, s.rows, s.inputs), s.of_units(kernel), s.inputs,
                   y, [&](V sum, int64_t row, int64_t col, auto lanes) {
                     if (bias) sum += load(bias, col, lanes);
                     if (z) store(z, row * s.units + col, sum, lanes);
                     return act.value(sum);
                   });
  });
}

// Rows of a panel of d_z: 16 tiles, as elsewhere.
FG_INLINE int64_t panel_rows(int64_t units) {
  return units < kPanel ? kPanel / (units + 1) + 1 : 1;
}

// d_z of d_y, and in partial[panel, units] the sums of its columns within each panel of rows.
template <class T, class C>
void d_z_and_sums(const DenseShape& s, const fg_threads* threads, fg_activation activation,
                  const T* saved, const T* d_y, C* d_z, C* partial) {
  const int64_t step = panel_rows(s.units);
  for_activation(activation, [&](auto act) {
    parallel_for(threads, ceil_div(s.rows, step), step * s.units, [&](int64_t panel) {
      C* const sums = partial + panel * s.units;
      for (int64_t j = 0; j < s.units; ++j) sums[j] = 0;
      for (int64_t i = panel * step; i < least(s.rows, (panel + 1) * step); ++i) {
        const int64_t first = i * s.units;
        for_vectors<T>(s.units, [&](int64_t j, auto lanes) {
          const auto d = act.gradient(load(saved, first + j, lanes), load(d_y, first + j, lanes));
          if (d_z) store(d_z, first + j, d, lanes);
          store(sums, j, load(sums, j, lanes) + d, lanes);
        });
      }
    });
    return FG_OK;
  });
}

// The gradients; null for one that nobody wants. saved: z where fg_needs_input, else y.
template <class T>
int dense_backward(const DenseShape& s, const fg_threads* threads, fg_activation activation,
                   const T* x, const T* kernel, const T* saved, const T* d_y, T* d_x, T* d_kernel,
                   T* d_bias) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type C;
  const bool as_it_is = activation == FG_LINEAR && sizeof(T) == sizeof(C);
  const int64_t panels = ceil_div(s.rows, panel_rows(s.units));
  const int64_t size = as_it_is ? 0 : s.rows * s.units;
  const Scratch<C> own(size), partial(panels * s.units);
  if (!own.data || !partial.data) return no_memory(s.op, size + panels * s.units);
  const C* const d_z = as_it_is ? (const C*)d_y : own.data;
  if (!as_it_is || d_bias) {
    d_z_and_sums(s, threads, activation, saved, d_y, as_it_is ? nullptr : own.data, partial.data);
  }
  for (int64_t j = 0; d_bias && j < s.units; ++j) {
    double total = 0;
    for (int64_t panel = 0; panel < panels; ++panel) total += partial.data[panel * s.units + j];
    V sum = {};
    sum[0] = (C)total;
    store(d_bias, j, sum, Part{1});
  }
  if (d_x) {
    if (int code = product(s.op, threads, lines_of_rows(d_z, s.rows, s.units), s.of_inputs(kernel),
                           s.units, d_x)) {
      return code;
    }
  }
  if (!d_kernel) return FG_OK;
  const Operand<T> inputs = lines_of_cols(x, s.inputs);
  const Operand<C> units = lines_of_cols(d_z, s.units);
  return s.transposed ? product(s.op, threads, units, inputs, s.rows, d_kernel)
                      : product(s.op, threads, inputs, units, s.rows, d_kernel);
}

// Both, from the C ABI.
FG_INLINE int check_dense(const DenseShape& s, fg_activation activation) {
  if (activation < 0 || activation >= FG_ACTIVATIONS) {
    return fail(FG_INVALID_ARGUMENT, "%s: activation must be 0 to %d. Received: %d", s.op,
                FG_ACTIVATIONS - 1, activation);
  }
  return s.check();
}

inline int any_dense(const DenseShape& s, const fg_threads* threads, fg_dtype dtype,
                     fg_activation activation, const void* x, const void* kernel, const void* bias,
                     void* y, void* z) {
  if (int code = check_dense(s, activation)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return dense_forward(s, threads, activation, (const T*)x, (const T*)kernel, (const T*)bias,
                         (T*)y, (T*)z);
  });
}

inline int any_dense_grad(const DenseShape& s, const fg_threads* threads, fg_dtype dtype,
                          fg_activation activation, const void* x, const void* kernel,
                          const void* saved, const void* d_y, void* d_x, void* d_kernel,
                          void* d_bias) {
  if (int code = check_dense(s, activation)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return dense_backward(s, threads, activation, (const T*)x, (const T*)kernel, (const T*)saved,
                          (const T*)d_y, (T*)d_x, (T*)d_kernel, (T*)d_bias);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
