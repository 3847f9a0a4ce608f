// A dense layer and its gradients: what the kernels dense and dense_transpose share.
#pragma once
#include <optional>

#include "core/activation.h"
#include "core/small_gemm.h"

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
template <bool is_transposed>
struct DenseShape {
  static constexpr bool transposed = is_transposed;
  const char* op;
  int64_t rows, inputs, units;

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

// Up to so many rows, products read their operands where they lie (core/small_gemm.h); one with the
// lines of W is then computed transposed, (W x^T)^T: x is turned, once, and W is not.
constexpr int64_t kFewRows = 512;
// Storage of 16 bits, for which TensorFlow has faster ops, always takes this path.
template <class T>
constexpr bool kNarrow = sizeof(T) < sizeof(float);

// A matrix whose lines are turned: operand() has the lines of x, side by side at each depth.
template <class C>
class Turned {
 public:
  template <class T>
  Turned(const fg_threads* threads, const Operand<T>& x, int64_t depth)
      : lines_(x.lines), step_(ceil_div(x.lines, 16) * 16), memory_(step_ * depth) {
    if (!memory_.data) return;
    parallel_for(threads, ceil_div(depth, kSlice), kSlice * step_ / 2, [&](int64_t slice) {
      const int64_t k = slice * kSlice;
      pack_panels(x, 0, k, 1,
                  Panels<C>{memory_.data + k * step_, step_, least(kSlice, depth - k), 0});
    });
  }
  bool missing() const { return !memory_.data; }
  Operand<C> operand() const { return {memory_.data, 1, step_, lines_}; }

 private:
  static constexpr int64_t kSlice = 256;
  const int64_t lines_, step_;
  const Scratch<C> memory_;
};

struct AsItIs {
  template <class V, class Lanes>
  FG_INLINE V operator()(V sum, int64_t, int64_t, Lanes) const {
    return sum;
  }
};

// Epilogues of a product: out = finish(sum, row, col, lanes), on vectors of a block while it is in
// cache.
template <class T, class Finish>
auto into_rows(T* out, int64_t cols, const Finish& finish) {
  return [=](const auto& block) {
    if constexpr (std::is_same<Finish, AsItIs>::value) {
      if ((const void*)block.base == out + block.row * cols + block.col) return;
    }
    for (int64_t i = 0; i < block.rows; ++i) {
      const int64_t row = block.row + i;
      for_vectors<T>(block.cols, [&](int64_t j, auto lanes) {
        const int64_t col = block.col + j;
        store(out, row * cols + col,
              finish(load(block.base, i * block.step + j, lanes), row, col, lanes), lanes);
      });
    }
  };
}

// Of sums that become out: kept there if they can be.
template <class T>
constexpr Keep kKeep = kNarrow<T> ? Keep::none : Keep::all;
template <class T, class C = typename Lanes<typename Compute<T>::type>::type>
C* as_sums(T* out) {
  return kKeep<T> == Keep::all ? (C*)out : nullptr;
}

// The tasks of a few products, in one go.
class Products {
 public:
  template <class Product>
  void add(const Product& product) {
    Share& share = shares_[used_++];
    share = {product.tasks(), &product,
             [](const void* of, int64_t task) { ((const Product*)of)->compute(task); }};
    tasks_ += share.tasks, cycles_ += share.tasks * product.cycles();
  }
  void run(const fg_threads* threads) const {
    if (tasks_ == 0) return;
    parallel_for(threads, tasks_, cycles_ / tasks_ + 1, [&](int64_t task) {
      const Share* share = shares_;
      for (; task >= share->tasks; ++share) task -= share->tasks;
      share->run(share->product, task);
    });
  }

 private:
  struct Share {
    int64_t tasks;
    const void* product;
    void (*run)(const void* product, int64_t task);
  };
  Share shares_[2];
  int used_ = 0;
  int64_t tasks_ = 0, cycles_ = 0;
};

template <class Product>
void run_product(const fg_threads* threads, const Product& product) {
  Products one;
  one.add(product);
  one.run(threads);
}

// y = act(x W + b); z, if not null, gets x W + b.
template <class T, class Shape>
int dense_forward(const Shape& s, const fg_threads* threads, fg_activation activation, const T* x,
                  const T* kernel, const T* bias, T* y, T* z) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type C;
  const Operand<T> rows = lines_of_rows(x, s.rows, s.inputs), units = s.of_units(kernel);
  std::optional<Turned<C>> turned;
  if (Shape::transposed && s.rows <= kFewRows) {
    turned.emplace(threads, rows, s.inputs);
    if (turned->missing()) return no_memory(s.op, s.rows * s.inputs);
  }
  return for_activation(activation, kLeakySlope, [&](auto act) -> int {
    const auto finish = [=](V sum, int64_t row, int64_t col, auto lanes) {
      if (bias) sum += load(bias, col, lanes);
      if (z) store(z, row * s.units + col, sum, lanes);
      return act.value(sum);
    };
    const auto epilogue = into_rows(y, s.units, finish);
    if constexpr (!kNarrow<T>) {
      if (s.rows > kFewRows) return Gemm<T>(rows, units, s.inputs, y, epilogue).run(s.op, threads);
    }
    if (!turned) {
      run_product(threads, SmallGemm<T, T>(rows, units, s.inputs, kKeep<T>, as_sums(y), epilogue));
    } else if constexpr (Shape::transposed) {
      run_product(threads, SmallGemm<T, C>(units, turned->operand(), s.inputs, Keep::none_turned,
                                           (C*)nullptr, epilogue));
    }
    return FG_OK;
  });
}

// d_z is worked on in panels of whole rows: 16 tiles, as elsewhere, but no more than 64 panels, whose
// sums are soon added up.
FG_INLINE int64_t panel_rows(int64_t rows, int64_t units) {
  const int64_t full = units < kPanel ? kPanel / (units + 1) + 1 : 1, share = ceil_div(rows, 64);
  return full > share ? full : share;
}

// d_z of d_y, where d_z is not null, and where partial is not null, the sums of the columns of each
// panel in partial[panel, units].
template <class T, class C, class Shape>
void d_z_and_sums(const Shape& s, const fg_threads* threads, fg_activation activation,
                  const T* saved, const T* d_y, C* d_z, C* partial) {
  const int64_t step = panel_rows(s.rows, s.units);
  for_activation(activation, kLeakySlope, [&](auto act) {
    parallel_for(threads, ceil_div(s.rows, step), step * s.units, [&](int64_t panel) {
      C* const sums = partial ? partial + panel * s.units : nullptr;
      const int64_t begin = panel * step;
      for (int64_t i = begin; i < least(s.rows, begin + step); ++i) {
        const int64_t first = i * s.units;
        for_vectors<T>(s.units, [&](int64_t j, auto lanes) {
          const auto d = act.gradient(load(saved, first + j, lanes), load(d_y, first + j, lanes));
          if (d_z) store(d_z, first + j, d, lanes);
          if (sums) store(sums, j, i == begin ? d : load(sums, j, lanes) + d, lanes);
        });
      }
    });
    return FG_OK;
  });
}

// The sum of what d_z_and_sums found for each panel.
template <class T, class C>
void sum_of_panels(int64_t panels, int64_t units, const C* partial, T* d_bias) {
  typedef typename Compute<T>::type V;
  for (int64_t j = 0; j < units; ++j) {
    double total = 0;
    for (int64_t panel = 0; panel < panels; ++panel) total += partial[panel * units + j];
    V sum = {};
    sum[0] = (C)total;
    store(d_bias, j, sum, Part{1});
  }
}

// d_x and d_kernel of d_z, whichever are not null.
template <class T, class C, class Shape>
int products_of_gradients(const Shape& s, const fg_threads* threads, const T* x, const T* kernel,
                          const C* d_z, T* d_x, T* d_kernel) {
  const auto into_x = into_rows(d_x, s.inputs, AsItIs{});
  const auto into_kernel = into_rows(d_kernel, s.transposed ? s.inputs : s.units, AsItIs{});
  const Operand<C> rows = lines_of_rows(d_z, s.rows, s.units), units = lines_of_cols(d_z, s.units);
  const Operand<T> inputs = lines_of_cols(x, s.inputs);
  if constexpr (!kNarrow<T>) {
    if (s.rows > kFewRows) {
      int code = FG_OK;
      if (d_x) {
        code = Gemm<T>(rows, s.of_inputs(kernel), s.units, d_x, into_x).run(s.op, threads);
      }
      if (code || !d_kernel) return code;
      const Operand<T>&a = s.transposed ? units : inputs, &b = s.transposed ? inputs : units;
      return Gemm<T>(a, b, s.rows, d_kernel, into_kernel).run(s.op, threads);
    }
  }
  std::optional<Turned<C>> turned;
  std::optional<SmallGemm<C, T>> of_d_z, of_d_z_too;
  std::optional<SmallGemm<T, C>> of_kernel, of_x;
  Products products;
  if (d_x && (Shape::transposed || s.rows > kFewRows)) {
    of_d_z.emplace(rows, s.of_inputs(kernel), s.units, kKeep<T>, as_sums(d_x), into_x);
    products.add(*of_d_z);
  } else if (d_x) {
    turned.emplace(threads, rows, s.units);
    if (turned->missing()) return no_memory(s.op, s.rows * s.units);
    of_kernel.emplace(s.of_inputs(kernel), turned->operand(), s.units, Keep::none_turned, nullptr,
                      into_x);
    products.add(*of_kernel);
  }
  if (d_kernel && Shape::transposed) {
    of_d_z_too.emplace(units, inputs, s.rows, kKeep<T>, as_sums(d_kernel), into_kernel);
    products.add(*of_d_z_too);
  } else if (d_kernel) {
    of_x.emplace(inputs, units, s.rows, kKeep<T>, as_sums(d_kernel), into_kernel);
    products.add(*of_x);
  }
  products.run(threads);
  return FG_OK;
}

// The gradients; null for one that nobody wants. saved: z where fg_needs_input, else y.
template <class T, class Shape>
int dense_backward(const Shape& s, const fg_threads* threads, fg_activation activation, const T* x,
                   const T* kernel, const T* saved, const T* d_y, T* d_x, T* d_kernel, T* d_bias) {
  typedef typename Compute<T>::type V;
  typedef typename Lanes<V>::type C;
  const bool as_it_is = activation == FG_LINEAR && sizeof(T) == sizeof(C);
  const int64_t panels = ceil_div(s.rows, panel_rows(s.rows, s.units));
  const int64_t size = as_it_is ? 0 : s.rows * s.units, sums = d_bias ? panels * s.units : 0;
  const Scratch<C> own(size), partial(sums);
  if (!own.data || !partial.data) return no_memory(s.op, size + sums);
  if (!as_it_is || d_bias) {
    d_z_and_sums(s, threads, activation, saved, d_y, as_it_is ? nullptr : own.data,
                 d_bias ? partial.data : nullptr);
  }
  if (d_bias) sum_of_panels(panels, s.units, partial.data, d_bias);
  const C* const d_z = as_it_is ? (const C*)d_y : own.data;
  return products_of_gradients(s, threads, x, kernel, d_z, d_x, d_kernel);
}

// Both, from the C ABI.
template <class Shape>
int check_dense(const Shape& s, fg_activation activation) {
  if (activation < 0 || activation >= FG_ACTIVATIONS) {
    return fail(FG_INVALID_ARGUMENT, "%s: activation must be 0 to %d. Received: %d", s.op,
                FG_ACTIVATIONS - 1, activation);
  }
  return s.check();
}

template <class Shape>
int any_dense(const Shape& s, const fg_threads* threads, fg_dtype dtype, fg_activation activation,
              const void* x, const void* kernel, const void* bias, void* y, void* z) {
  if (int code = check_dense(s, activation)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return dense_forward(s, threads, activation, (const T*)x, (const T*)kernel, (const T*)bias,
                         (T*)y, (T*)z);
  });
}

template <class Shape>
int any_dense_grad(const Shape& s, const fg_threads* threads, fg_dtype dtype,
                   fg_activation activation, const void* x, const void* kernel, const void* saved,
                   const void* d_y, void* d_x, void* d_kernel, void* d_bias) {
  if (int code = check_dense(s, activation)) return code;
  return for_dtype(s.op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return dense_backward(s, threads, activation, (const T*)x, (const T*)kernel, (const T*)saved,
                          (const T*)d_y, (T*)d_x, (T*)d_kernel, (T*)d_bias);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

// Defines and exports the functions of kernels/NAME.h.
#define FASTGEN_DENSE_LAYER(NAME, TRANSPOSED)                                                      \
  namespace fastgen {                                                                              \
  namespace FASTGEN_TARGET {                                                                       \
  int NAME(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs, int64_t units, \
           fg_activation activation, const void* x, const void* kernel, const void* bias, void* y, \
           void* z) {                                                                              \
    const DenseShape<TRANSPOSED> s{#NAME, rows, inputs, units};                                    \
    return any_dense(s, threads, dtype, activation, x, kernel, bias, y, z);                        \
  }                                                                                                \
  int NAME##_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,         \
                  int64_t units, fg_activation activation, const void* x, const void* kernel,      \
                  const void* saved, const void* d_y, void* d_x, void* d_kernel, void* d_bias) {   \
    const DenseShape<TRANSPOSED> s{#NAME "_grad", rows, inputs, units};                            \
    return any_dense_grad(s, threads, dtype, activation, x, kernel, saved, d_y, d_x, d_kernel,     \
                          d_bias);                                                                 \
  }                                                                                                \
  }                                                                                                \
  }                                                                                                \
  FASTGEN_EXPORT(int, NAME,                                                                        \
                 (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,         \
                  int64_t units, fg_activation activation, const void* x, const void* kernel,      \
                  const void* bias, void* y, void* z),                                             \
                 (threads, dtype, rows, inputs, units, activation, x, kernel, bias, y, z))         \
  FASTGEN_EXPORT(int, NAME##_grad,                                                                 \
                 (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t inputs,         \
                  int64_t units, fg_activation activation, const void* x, const void* kernel,      \
                  const void* saved, const void* d_y, void* d_x, void* d_kernel, void* d_bias),    \
                 (threads, dtype, rows, inputs, units, activation, x, kernel, saved, d_y, d_x,     \
                  d_kernel, d_bias))
