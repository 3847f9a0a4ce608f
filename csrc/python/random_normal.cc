#include "kernels/random_normal.h"

#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::random_normal {
namespace {

constexpr const char* kDoc = R"(Standard normal noise, equal to tf.random.stateless_normal.

Philox4x32-10 keyed by the seed, then Box-Muller. Element i does not depend on the shape, so a
longer array starts with the shorter one.

Example:

>>> eps = random_normal([3, 2], seed=[1, 2])
>>> eps.shape, eps.dtype.name
((3, 2), 'float32')

Args:
    shape: tuple of sizes, or one size.
    seed: two integers of 64 bits.
    dtype: float32 or float64.
    out: array of this shape and dtype to write to.

Returns:
    Array of the given shape and dtype.

Raises:
    ValueError: dtype is not float32 or float64, a size is negative, or seed is not two integers.
    OverflowError: more elements than int64 can number.
    MemoryError: no memory for the array.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
)";

constexpr const char* kPhiloxDoc = R"(One block of the counter-based generator Philox4x32-10.

Example:

>>> [f"{word:08x}" for word in philox([0] * 4, [0] * 2)]
['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']

Args:
    counter: four integers of 32 bits, unsigned.
    key: two integers of 32 bits, unsigned.

Returns:
    uint32 array of shape [4].

Raises:
    ValueError: a word is missing or does not fit.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
)";

Shape shape_of(const char* op, py::handle value) {
  Shape shape;
  const auto wrong = [&](const char* what) {
    return std::string(op) + ": " + what + " Received: shape=" + std::string(py::repr(value));
  };
  int64_t one;
  std::vector<int64_t> all;
  if (!PySequence_Check(value.ptr()) && read(value, &one)) {
    shape = {one};
  } else if (read(value, &all)) {
    shape.assign(all.begin(), all.end());
  } else {
    throw py::value_error(wrong("shape must be a size or a sequence of sizes."));
  }
  py::ssize_t size = 1;
  for (py::ssize_t n : shape) {
    if (n < 0) throw py::value_error(wrong("sizes must not be negative."));
    if (__builtin_mul_overflow(size, n, &size)) {
      PyErr_SetString(PyExc_OverflowError, wrong("size is beyond int64 indexing.").c_str());
      throw py::error_already_set();
    }
  }
  return shape;
}

py::dtype noise_dtype(const char* op, py::handle value) {
  for (const auto& known : {py::dtype::of<float>(), py::dtype::of<double>()}) {
    try {
      const auto given = py::reinterpret_borrow<py::object>(value);
      if (!value.is_none() && py::dtype::from_args(given).equal(known)) return known;
    } catch (const py::error_already_set&) {
      break;  // NumPy knows no such dtype
    }
  }
  throw py::value_error(std::string(op) + ": dtype must be float32 or float64. Received: dtype=" +
                        std::string(py::repr(value)));
}

py::object random_normal(py::object shape, py::object seed_, py::object dtype, py::object out) {
  constexpr const char* op = "random_normal";
  const Shape sizes = shape_of(op, shape);
  const auto seed = seed_words(op, seed_);
  Array eps = output(op, "eps", out, noise_dtype(op, dtype), sizes);
  run([&, to = eps.mutable_data()] {
    return fg_random_normal(fg_pool(), eps.dtype, eps.size(), seed.data(), to);
  });
  return eps.result();
}

template <size_t N>
std::array<uint32_t, N> words(const char* name, py::handle value) {
  std::vector<int64_t> given;
  bool good = read(value, &given) && given.size() == N;
  for (size_t i = 0; good && i < N; ++i) good = given[i] == static_cast<uint32_t>(given[i]);
  if (!good) {
    throw py::value_error(std::string("philox: ") + name + " must be " + std::to_string(N) +
                          " integers of 32 bits, unsigned. Received: " + name + "=" +
                          std::string(py::repr(value)));
  }
  std::array<uint32_t, N> words;
  std::copy(given.begin(), given.end(), words.begin());
  return words;
}

py::array philox(py::object counter_, py::object key_) {
  const auto counter = words<4>("counter", counter_);
  const auto key = words<2>("key", key_);
  py::array_t<uint32_t> block(4);
  fg_philox(counter.data(), key.data(), block.mutable_data());
  return block;
}

}  // namespace

void bind(py::module_& m) {
  m.def("random_normal", random_normal, py::arg("shape"), py::arg("seed"),
        py::arg("dtype") = "float32", py::kw_only(), py::arg("out") = py::none(), kDoc);
  m.def("philox", philox, py::arg("counter"), py::arg("key"), kPhiloxDoc);
}

}  // namespace fastgen::python::random_normal
