// Arrays of other libraries in the CPU's memory, by DLPack: no copy.
#pragma once
#include "python/array.h"

namespace fastgen::python {

// DLPack's numbers of devices.
enum { kNoDlpack = 0, kDlpackCpu = 1, kDlpackCuda = 2, kDlpackCudaHost = 3 };
int dlpack_device(py::handle value);

// Whether value exports memory that the CPU reads.
bool exports_memory(py::handle value);

// NumPy's view of that memory; read-only where its owner says so, or says nothing.
py::array exported_memory(const char* op, const char* name, py::handle value);

// The same or, of what NumPy has no dtype for, what value itself makes NumPy's.
py::array exported_array(const char* op, const char* name, py::handle value);

// Raises ValueError with the words of an error that an array's owner raised; others go on.
[[noreturn]] void refuse_with(py::error_already_set& error, const std::string& rule,
                              const char* name, py::handle value);

}  // namespace fastgen::python
