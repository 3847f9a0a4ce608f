// Arguments that are no arrays. pybind11 would refuse those of wrong types in words of its own.
#pragma once
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fastgen::python {

namespace py = pybind11;

// Whether value is such a thing; if so, what it is.
bool read(py::handle value, double* to);
bool read(py::handle value, int64_t* to);
bool read(py::handle value, bool* to);
bool read(py::handle value, std::string* to);
bool read(py::handle value, std::vector<int64_t>* to);  // any sequence
bool read(py::handle value, py::dict* to);
bool read(py::handle value, py::sequence* to);  // a list or a tuple

inline const char* said(const double*) { return "a number"; }
inline const char* said(const int64_t*) { return "an integer"; }
inline const char* said(const bool*) { return "True or False"; }
inline const char* said(const std::string*) { return "a string"; }
inline const char* said(const py::dict*) { return "a dict"; }
inline const char* said(const py::sequence*) { return "a list or a tuple"; }

[[noreturn]] void refuse_type(const char* op, const char* name, const char* wanted,
                              py::handle value);

// An argument of any type, of which signatures say what it should be.
template <class T>
struct Given {
  py::object value;

  T get(const char* op, const char* name) const {
    T wanted;
    if (!read(value, &wanted)) refuse_type(op, name, said(&wanted), value);
    return wanted;
  }
};

}  // namespace fastgen::python

template <class T>
struct pybind11::detail::type_caster<fastgen::python::Given<T>> {
  PYBIND11_TYPE_CASTER(fastgen::python::Given<T>, make_caster<T>::name);
  bool load(handle source, bool) {
    value.value = reinterpret_borrow<object>(source);
    return true;
  }
};
