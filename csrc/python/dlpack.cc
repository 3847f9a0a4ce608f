#include "python/dlpack.h"

#include "python/attributes.h"

namespace fastgen::python {
namespace {

// Looked up once, and kept for as long as the process runs. No static of the function: its guard would
// be held where the look-up lets other threads have the GIL.
const py::object& from_dlpack() {
  static const py::object* function = nullptr;
  if (!function) function = new py::object(py::module_::import("numpy").attr("from_dlpack"));
  return *function;
}

// The first of a pair's numbers; no device where it is none.
int first_of(const py::object& pair) {
  const auto first = py::reinterpret_steal<py::object>(PySequence_GetItem(pair.ptr(), 0));
  const long number = first ? PyLong_AsLong(first.ptr()) : -1;
  if (PyErr_Occurred()) throw py::error_already_set();
  return static_cast<int>(number);
}

}  // namespace

int dlpack_device(py::handle value) {
  if (!has(value, names().dlpack_device)) return kNoDlpack;
  try {
    return first_of(call(get(value, names().dlpack_device)));
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;
    return kNoDlpack;
  }
}

bool exports_memory(py::handle value) {
  const int device = dlpack_device(value);
  return device == kDlpackCpu || device == kDlpackCudaHost;
}

py::array exported_memory(const char* op, const char* name, py::handle value) {
  try {
    return call(from_dlpack(), value);
  } catch (py::error_already_set& error) {
    refuse_with(error, std::string(op) + ": " + name + " must be an array that NumPy can read",
                name, value);
  }
}

py::array exported_array(const char* op, const char* name, py::handle value) {
  try {
    return exported_memory(op, name, value);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;
    auto array = py::array::ensure(value);
    if (!array || array.dtype().kind() == 'O') throw;
    return array;
  }
}

void refuse_with(py::error_already_set& error, const std::string& rule, const char* name,
                 py::handle value) {
  if (!error.matches(PyExc_Exception)) throw error;
  const std::string words = py::str(error.value());
  py::raise_from(
      error, PyExc_ValueError,
      (rule + ". Received: " + name + " of type " + type_name(value) + ": " + words).c_str());
  throw py::error_already_set();
}

}  // namespace fastgen::python
