// CuPy, which is imported when the first array on a GPU comes.
#pragma once
#include "python/array.h"

namespace fastgen::python::cupy {

// ImportError where there is none.
void load(const char* op);

bool is_array(py::handle value);

// A CuPy array, of any dtype, as it is.
Array array_of(const char* name, py::object array);
bool is_contiguous(const Array& array);

// The array that value is, or shares its memory with; contiguous, which may take a copy.
Array contiguous_view(const char* op, const char* name, py::handle value);

// A copy of an array of NumPy's; an array not written yet.
py::object copy_of(const py::array& value);
Array new_array(const char* name, const py::dtype& dtype, const Shape& shape, int gpu);

int current_gpu();
void* current_stream();

}  // namespace fastgen::python::cupy
