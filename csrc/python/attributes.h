// Attributes and calls of other libraries' objects, at the least that Python asks for them.
#pragma once
#include <pybind11/pybind11.h>

namespace fastgen::python {

namespace py = pybind11;

// Made once: to make a string for each look-up takes longer than the look-up.
struct Names {
  PyObject* dtype = PyUnicode_InternFromString("dtype");
  PyObject* shape = PyUnicode_InternFromString("shape");
  PyObject* strides = PyUnicode_InternFromString("strides");
  PyObject* data = PyUnicode_InternFromString("data");
  PyObject* ptr = PyUnicode_InternFromString("ptr");
  PyObject* device_id = PyUnicode_InternFromString("device_id");
  PyObject* dlpack_device = PyUnicode_InternFromString("__dlpack_device__");
  PyObject* cuda_array_interface = PyUnicode_InternFromString("__cuda_array_interface__");
};
inline const Names& names() {
  static const Names all;
  return all;
}

// What Python's C functions return, or the error that they set.
inline py::object checked(PyObject* object) {
  if (!object) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(object);
}

inline bool has(py::handle object, PyObject* name) { return PyObject_HasAttr(object.ptr(), name); }
inline py::object get(py::handle object, PyObject* name) {
  return checked(PyObject_GetAttr(object.ptr(), name));
}
inline py::object call(py::handle function) { return checked(PyObject_CallNoArgs(function.ptr())); }
inline py::object call(py::handle function, py::handle argument) {
  return checked(PyObject_CallOneArg(function.ptr(), argument.ptr()));
}

}  // namespace fastgen::python
