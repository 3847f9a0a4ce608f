#include "python/arguments.h"

namespace fastgen::python {
namespace {

// Whether Python's C functions set no error; what ends a program goes on.
bool went_well() {
  if (!PyErr_Occurred()) return true;
  if (!PyErr_ExceptionMatches(PyExc_Exception)) throw py::error_already_set();
  PyErr_Clear();
  return false;
}

template <class Object>
bool read_object(py::handle value, Object* to) {
  *to = py::reinterpret_borrow<Object>(value);
  return true;
}

}  // namespace

bool read(py::handle value, double* to) {
  *to = PyFloat_AsDouble(value.ptr());
  return went_well();
}

// Not by pybind11, which cuts NumPy's float32 off at the point.
bool read(py::handle value, int64_t* to) {
  if (!PyNumber_Check(value.ptr()) || PyFloat_Check(value.ptr())) return false;
  const bool index = PyIndex_Check(value.ptr());  // TensorFlow's variables are none
  const auto number = py::reinterpret_steal<py::object>(index ? PyNumber_Index(value.ptr())
                                                              : PyNumber_Long(value.ptr()));
  *to = number ? PyLong_AsLongLong(number.ptr()) : 0;
  if (!went_well()) return false;
  double same;
  return index || (read(value, &same) && same == static_cast<double>(*to));
}

bool read(py::handle value, bool* to) {
  const auto* const numbers = Py_TYPE(value.ptr())->tp_as_number;
  if (value.is_none() || !numbers || !numbers->nb_bool) return false;
  *to = PyObject_IsTrue(value.ptr()) == 1;
  return went_well();
}

bool read(py::handle value, std::string* to) {
  if (!PyUnicode_Check(value.ptr())) return false;
  Py_ssize_t size;
  const char* const text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (text) to->assign(text, size);
  return went_well();
}

bool read(py::handle value, std::vector<int64_t>* to) {
  const Py_ssize_t size = PySequence_Check(value.ptr()) ? PySequence_Size(value.ptr()) : -1;
  to->clear();
  for (Py_ssize_t i = 0; i < size; ++i) {
    const auto item = py::reinterpret_steal<py::object>(PySequence_GetItem(value.ptr(), i));
    to->push_back(0);
    if (!item || !read(item, &to->back())) return went_well() && false;
  }
  return went_well() && size >= 0;
}

bool read(py::handle value, py::dict* to) {
  return PyDict_Check(value.ptr()) && read_object(value, to);
}

bool read(py::handle value, py::sequence* to) {
  return (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) && read_object(value, to);
}

void refuse_type(const char* op, const char* name, const char* wanted, py::handle value) {
  const bool shown = value.is_none() || PyNumber_Check(value.ptr()) ||
                     PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr());
  const std::string received =
      shown ? std::string("=") + std::string(py::repr(value))
            : " of type " + std::string(py::str(py::type::handle_of(value).attr("__name__")));
  throw py::value_error(std::string(op) + ": " + name + " must be " + wanted +
                        ". Received: " + name + received);
}

}  // namespace fastgen::python
