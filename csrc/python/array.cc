#include "python/array.h"

#include <algorithm>

#include "python/dlpack.h"

namespace fastgen::python {
namespace {

constexpr int kUnknown = -1;
constexpr int kHalf = 23;  // NPY_HALF, which pybind11 does not name

constexpr char kSwapped = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<';

bool is_bfloat16(const py::dtype& dtype) {
  // ml_dtypes numbers its types at run time; there are types without a number.
  static int known = 0;
  if (known && dtype.num() == known) return true;
  if (dtype.itemsize() != 2 || !py::str(dtype.attr("name")).equal(py::str("bfloat16"))) {
    return false;
  }
  known = std::max(dtype.num(), 0);
  return true;
}

int find_dtype(const py::dtype& dtype) {
  // A byte-swapped dtype has the type number of the native one.
  if (dtype.byteorder() == kSwapped) return kUnknown;
  switch (dtype.num()) {
    case py::detail::npy_api::NPY_FLOAT_:
      return FG_FLOAT32;
    case py::detail::npy_api::NPY_DOUBLE_:
      return FG_FLOAT64;
    case kHalf:
      return FG_FLOAT16;
  }
  return is_bfloat16(dtype) ? static_cast<int>(FG_BFLOAT16) : kUnknown;
}

std::string prefix(const char* op) { return std::string(op) + ": "; }

bool contiguous(const py::array& a) { return a.flags() & py::array::c_style; }

int64_t bytes(const Array& a) { return a.size() * a.type.itemsize(); }

// Not one of a class that is derived from NumPy's.
bool is_plain(py::handle value) {
  return Py_TYPE(value.ptr()) == py::detail::npy_api::get().PyArray_Type_;
}

Array contiguous_input(const char* op, const char* name, py::handle value) {
  py::array array = numpy_view(op, name, value);
  if (array && !contiguous(array)) array = py::array::ensure(array, py::array::c_style);
  if (!array) {
    throw py::value_error(prefix(op) + name + " must be an array. Received: " + name + " of type " +
                          type_name(value));
  }
  return numpy_array(name, std::move(array));
}

}  // namespace

std::string text(const Shape& shape) {
  std::string s = "(";
  for (size_t i = 0; i < shape.size(); ++i) {
    s += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return s + (shape.size() == 1 ? ",)" : ")");
}

std::string text(const py::dtype& dtype) { return py::str(static_cast<py::object>(dtype)); }

std::string type_name(py::handle value) {
  return py::str(py::type::handle_of(value).attr("__name__"));
}

Array of_dtype(const char* op, Array array) {
  const int dtype = find_dtype(array.type);
  if (dtype == kUnknown) {
    throw py::value_error(prefix(op) + array.name +
                          " must be float32, float64, float16 or bfloat16. Received: " +
                          array.name + ".dtype=" + text(array.type));
  }
  array.dtype = static_cast<fg_dtype>(dtype);
  return array;
}

Array numpy_array(const char* name, py::array value) {
  Array array{name};
  array.type = value.dtype();
  array.sizes.assign(value.shape(), value.shape() + value.ndim());
  array.memory = const_cast<void*>(value.data());
  array.value = std::move(value);
  return array;
}

py::array numpy_view(const char* op, const char* name, py::handle value) {
  if (is_plain(value)) return py::reinterpret_borrow<py::array>(value);
  if (!py::isinstance<py::array>(value) && exports_memory(value)) {
    return exported_array(op, name, value);
  }
  return py::array::ensure(value);
}

Array input(const char* op, const char* name, py::handle value) {
  if (is_on_gpu(value)) {
    throw py::value_error(prefix(op) + "takes arrays of NumPy. Received: " + name + " on a GPU");
  }
  return numpy_input(op, name, value);
}

Array numpy_input(const char* op, const char* name, py::handle value) {
  return of_dtype(op, contiguous_input(op, name, value));
}

Array numpy_input_or_bytes(const char* op, const char* name, py::handle value) {
  Array array = contiguous_input(op, name, value);
  return same_type(array.type, py::dtype::of<uint8_t>()) ? array : of_dtype(op, std::move(array));
}

void check_shape(const char* op, const Array& a, const Shape& expected, const char* as) {
  if (a.shape() == expected) return;
  throw py::value_error(prefix(op) + a.name + " must have " + as + ". Received: " + a.name +
                        ".shape=" + text(a.shape()) + ", expected " + text(expected));
}

void check_dtype(const char* op, const Array& a, const py::dtype& expected, const char* as) {
  if (same_type(a.type, expected)) return;
  throw py::value_error(prefix(op) + a.name + " must have " + as + ". Received: " + a.name +
                        ".dtype=" + text(a.type) + ", expected " + text(expected));
}

void check_same(const char* op, const Array& a, const Array& b) {
  const auto refuse = [&](const char* what, const std::string& x, const std::string& y) {
    throw py::value_error(prefix(op) + a.name + " and " + b.name + " must have the same " + what +
                          ". Received: " + a.name + "." + what + "=" + x + ", " + b.name + "." +
                          what + "=" + y);
  };
  if (a.shape() != b.shape()) refuse("shape", text(a.shape()), text(b.shape()));
  if (!same_type(a.type, b.type)) refuse("dtype", text(a.type), text(b.type));
}

Array output(const char* op, const char* name, py::handle out, const py::dtype& dtype,
             const Shape& shape) {
  const auto known = static_cast<fg_dtype>(find_dtype(dtype));
  if (out.is_none()) {
    Array made = numpy_array(name, py::array(dtype, shape));
    made.dtype = known;
    return made;
  }
  const auto wrong = [&] { return prefix(op) + "out for " + name + " must be "; };
  const bool exported = !py::isinstance<py::array>(out);
  if (exported && (is_on_gpu(out) || !exports_memory(out))) {
    throw py::value_error(wrong() + "a NumPy array. Received: out of type " + type_name(out));
  }
  const py::array array =
      exported ? exported_memory(op, name, out) : py::reinterpret_borrow<py::array>(out);
  Array result = numpy_array(name, array);
  result.dtype = known;
  if (exported) result.given = py::reinterpret_borrow<py::object>(out);
  if (result.shape() != shape || !same_type(result.type, dtype)) {
    throw py::value_error(wrong() + text(dtype) + " of shape " + text(shape) +
                          ". Received: " + text(result.type) + " of shape " + text(result.shape()));
  }
  if (!contiguous(array) || !array.writeable()) {
    throw py::value_error(wrong() + "C-contiguous and writeable. Received: " +
                          (contiguous(array) ? "a read-only" : "a non-contiguous") + " array");
  }
  return result;
}

std::vector<py::object> outputs(const char* op, py::handle out, size_t count) {
  if (out.is_none()) return std::vector<py::object>(count, py::none());
  if (!py::isinstance<py::tuple>(out) || py::len(out) != count) {
    throw py::value_error(prefix(op) + "out must be a tuple of " + std::to_string(count) +
                          " arrays. Received: out of type " + type_name(out));
  }
  std::vector<py::object> pieces;
  for (py::handle piece : out) pieces.push_back(py::reinterpret_borrow<py::object>(piece));
  return pieces;
}

void check_overlap(const char* op, std::initializer_list<const Array*> outputs,
                   std::initializer_list<const Array*> inputs) {
  const auto overlap = [](const Array& a, const Array& b) {
    const auto x = reinterpret_cast<uintptr_t>(a.data()), y = reinterpret_cast<uintptr_t>(b.data());
    return x < y + bytes(b) && y < x + bytes(a);
  };
  const auto refuse = [&](const Array& out, const Array& other, const char* rule) {
    throw py::value_error(prefix(op) + "out for " + out.name + rule + other.name +
                          ". Received: overlapping memory");
  };
  for (auto out = outputs.begin(); out != outputs.end(); ++out) {
    for (auto other = outputs.begin(); other != out; ++other) {
      if (overlap(**out, **other)) refuse(**out, **other, " must not overlap that for ");
    }
    for (const Array* in : inputs) {
      const bool in_place =
          (*out)->data() == in->data() && bytes(**out) == bytes(*in) && (*out)->dtype == in->dtype;
      if (!in_place && overlap(**out, *in)) {
        refuse(**out, *in, " must be the same memory as, or apart from, ");
      }
    }
  }
}

Matrix matrix(const char* op, const Array& a) {
  Shape outer = a.shape();
  if (outer.empty()) {
    throw py::value_error(prefix(op) + a.name + " must have rank >= 1. Received: " + a.name +
                          ".shape=()");
  }
  Matrix m{1, outer.back(), {}};
  outer.pop_back();
  // Not size / cols: an empty last axis still has its rows.
  for (py::ssize_t n : outer) m.rows *= n;
  m.outer = std::move(outer);
  return m;
}

py::dtype kl_dtype(fg_dtype dtype) {
  return dtype == FG_FLOAT64 ? py::dtype::of<double>() : py::dtype::of<float>();
}

std::array<int64_t, 2> seed_words(const char* op, py::handle seed) {
  std::array<int64_t, 2> words{};
  bool good = PySequence_Check(seed.ptr()) && PySequence_Size(seed.ptr()) == 2;
  for (int i = 0; good && i < 2; ++i) {
    const auto item = py::reinterpret_steal<py::object>(PySequence_GetItem(seed.ptr(), i));
    const auto word =
        py::reinterpret_steal<py::object>(item ? PyNumber_Index(item.ptr()) : nullptr);
    words[i] = word ? PyLong_AsLongLong(word.ptr()) : 0;
    good = word && !PyErr_Occurred();
  }
  if (PyErr_Occurred()) PyErr_Clear();
  if (good) return words;
  throw py::value_error(prefix(op) + "seed must be two integers of 64 bits. Received: seed=" +
                        std::string(py::repr(seed)));
}

void raise(int code) {
  const char* message = fg_last_error();
  switch (code) {
    case FG_INVALID_ARGUMENT:
      throw py::value_error(message);
    case FG_OUT_OF_RANGE:
      PyErr_SetString(PyExc_OverflowError, message);
      throw py::error_already_set();
    case FG_RESOURCE_EXHAUSTED:
      PyErr_SetString(PyExc_MemoryError, message);
      throw py::error_already_set();
  }
  throw std::runtime_error(message);
}

}  // namespace fastgen::python
