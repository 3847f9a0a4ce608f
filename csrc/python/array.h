// Arrays as the kernels see them: checked once here, then pointers and sizes.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/abi.h"
#include "python/arguments.h"

namespace fastgen::python {

namespace py = pybind11;
using Shape = std::vector<py::ssize_t>;

// An argument with the name its caller knows it by, for messages. What it is was asked once.
struct Array {
  const char* name = nullptr;
  fg_dtype dtype = FG_UINT8;
  py::object value = {};  // NumPy's array or, on a GPU, CuPy's
  py::dtype type = {};
  Shape sizes = {};
  void* memory = nullptr;
  int gpu = kNone;
  py::object given = {};  // by the caller, who has it back, where value is a view of it

  static constexpr int kNone = -1;

  bool on_gpu() const { return gpu != kNone; }
  py::object result() const { return given ? given : value; }
  // None of these needs the GIL.
  const Shape& shape() const { return sizes; }
  int64_t size() const {
    int64_t product = 1;
    for (py::ssize_t n : sizes) product *= n;
    return product;
  }
  const void* data() const { return memory; }
  void* mutable_data() { return memory; }
};

// A NumPy array, of any dtype.
Array numpy_array(const char* name, py::array value);

// NumPy's view of value, or a copy where there is none, of any dtype and layout; null of what is no
// array.
py::array numpy_view(const char* op, const char* name, py::handle value);

// value, C-contiguous (copied only if it is not) and of any alignment, in a dtype of the kernels.
Array input(const char* op, const char* name, py::handle value);

// Whether value is an array on a GPU, which input() refuses; see python/gpu.h.
bool is_on_gpu(py::handle value);

// array with the code of its dtype, which must be one of the kernels'.
Array of_dtype(const char* op, Array array);

inline bool same_type(const py::dtype& a, const py::dtype& b) { return a.is(b) || a.equal(b); }

// The same of what is known not to be on a GPU; or an array of uint8, where a kernel takes those.
Array numpy_input(const char* op, const char* name, py::handle value);
Array numpy_input_or_bytes(const char* op, const char* name, py::handle value);

// A new array, or out if the caller gave one that fits exactly: NumPy's, or what DLPack shows in the
// CPU's memory.
Array output(const char* op, const char* name, py::handle out, const py::dtype& dtype,
             const Shape& shape);

// out=None or a tuple of `count`: the pieces for output().
std::vector<py::object> outputs(const char* op, py::handle out, size_t count);

void check_shape(const char* op, const Array& a, const Shape& expected, const char* as);
void check_dtype(const char* op, const Array& a, const py::dtype& expected, const char* as);
void check_same(const char* op, const Array& a, const Array& b);

// An output may be an input (same place, same bytes) but must overlap nothing in part.
void check_overlap(const char* op, std::initializer_list<const Array*> outputs,
                   std::initializer_list<const Array*> inputs);

// Rows and columns of an array reduced over its last axis.
struct Matrix {
  int64_t rows, cols;
  Shape outer;  // the shape without its last axis
};
Matrix matrix(const char* op, const Array& a);

// The dtype of kl: float64 for float64, else float32.
py::dtype kl_dtype(fg_dtype dtype);

std::array<int64_t, 2> seed_words(const char* op, py::handle seed);

std::string text(const Shape& shape);
std::string text(const py::dtype& dtype);
std::string type_name(py::handle value);

// Raises the Python exception of an fg_code, with fg_last_error() as its message.
[[noreturn]] void raise(int code);

// Runs a kernel without the GIL.
template <class Kernel>
void run(Kernel kernel) {
  int code;
  {
    py::gil_scoped_release release;
    code = kernel();
  }
  if (code != FG_OK) raise(code);
}

}  // namespace fastgen::python
