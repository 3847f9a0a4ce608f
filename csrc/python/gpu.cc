#include "python/gpu.h"

#include <pybind11/stl.h>
#include <stdlib.h>
#include <string.h>

namespace fastgen::python {
namespace {

constexpr int kCuda = 2;  // DLPack's kDLCUDA

bool speaks_dlpack_of_cuda(py::handle value) {
  if (!py::hasattr(value, "__dlpack_device__")) return false;
  const auto device = py::cast<py::tuple>(value.attr("__dlpack_device__")());
  return py::cast<int>(device[0]) == kCuda;
}

py::module_ cupy(const char* op) {
  try {
    return py::module_::import("cupy");
  } catch (py::error_already_set& error) {
    py::raise_from(error, PyExc_ImportError,
                   (std::string(op) +
                    ": arrays on a GPU need CuPy, which does not load. pip install 'fastgen[cuda]'")
                       .c_str());
    throw py::error_already_set();
  }
}

// The array's outline, for NumPy to answer what shape, dtype and address it has.
Array unchecked_outline(const char* name, const py::object& array) {
  const py::dtype dtype = py::dtype::from_args(array.attr("dtype"));
  const auto shape = py::cast<Shape>(array.attr("shape"));
  void* const data = reinterpret_cast<void*>(py::cast<uintptr_t>(array.attr("data").attr("ptr")));
  return {name, py::array(dtype, shape, data, array), FG_UINT8, array};
}
Array outline(const char* op, const char* name, const py::object& array) {
  return of_dtype(op, unchecked_outline(name, array));
}

// CuPy's array of value, contiguous; no copy if it is.
py::object on_cupy(const char* op, py::handle value) {
  py::module_ module = cupy(op);
  py::object array = py::reinterpret_borrow<py::object>(value);
  if (!py::isinstance(array, module.attr("ndarray"))) {
    array = speaks_dlpack_of_cuda(value) ? module.attr("from_dlpack")(value)
                                         : module.attr("asarray")(value);
  }
  return module.attr("ascontiguousarray")(array);
}

}  // namespace

bool by_nvrtc() {
#ifdef FASTGEN_CUDA
  const char* const wish = getenv("FASTGEN_NVRTC");
  return wish && strcmp(wish, "1") == 0;
#else
  return true;
#endif
}

bool is_on_gpu(py::handle value) {
  if (py::isinstance<py::array>(value)) return false;
  return speaks_dlpack_of_cuda(value) || py::hasattr(value, "__cuda_array_interface__");
}

Array input_anywhere(const char* op, const char* name, py::handle value) {
  return is_on_gpu(value) ? outline(op, name, on_cupy(op, value)) : input(op, name, value);
}

Array bytes_anywhere(const char* op, const char* name, py::handle value) {
  if (!is_on_gpu(value)) return input_or_bytes(op, name, value);
  const Array array = unchecked_outline(name, on_cupy(op, value));
  return array.value.dtype().equal(py::dtype::of<uint8_t>()) ? array : of_dtype(op, array);
}

Array in_place_anywhere(const char* op, const char* name, py::handle value) {
  if (!is_on_gpu(value)) {
    const Array array = input(op, name, value);
    return output(op, name, value, array.value.dtype(), array.shape());
  }
  check_in_place(op, name, value);
  return outline(op, name, py::reinterpret_borrow<py::object>(value));
}

void check_in_place(const char* op, const char* name, py::handle value) {
  if (py::isinstance(value, cupy(op).attr("ndarray")) &&
      py::cast<bool>(value.attr("flags").attr("c_contiguous"))) {
    return;
  }
  throw py::value_error(std::string(op) + ": " + name +
                        " must be C-contiguous, of NumPy or CuPy: it is updated in place. "
                        "Received: " +
                        name + " of type " +
                        std::string(py::str(py::type::handle_of(value).attr("__name__"))));
}

Array any_on_gpu(const char* op, const char* name, py::handle value) {
  return unchecked_outline(name, on_cupy(op, value));
}

Array at_place(const char* op, const char* name, const py::array& value, const Place& place) {
  if (!place.on_gpu()) return {name, value, FG_UINT8};
  return unchecked_outline(name, cupy(op).attr("array")(value));
}

Array new_on_gpu(const char* op, const char* name, const py::dtype& dtype, const Shape& shape) {
  return unchecked_outline(name, cupy(op).attr("empty")(py::cast(shape), dtype));
}

void check_in_numpy(const char* op, const std::vector<const Array*>& arrays) {
  for (const Array* array : arrays) {
    if (!array->on_gpu()) continue;
    throw py::value_error(std::string(op) + ": takes arrays of NumPy. Received: " + array->name +
                          " on a GPU");
  }
}

Array output(const char* op, const char* name, py::handle out, const py::dtype& dtype,
             const Shape& shape, const Place& place) {
  if (!place.on_gpu()) return output(op, name, out, dtype, shape);
  py::module_ module = cupy(op);
  if (out.is_none()) return outline(op, name, module.attr("empty")(py::cast(shape), dtype));
  const std::string wrong = std::string(op) + ": out for " + name + " must be ";
  if (!py::isinstance(out, module.attr("ndarray"))) {
    throw py::value_error(wrong + "an array of CuPy. Received: out of type " +
                          std::string(py::str(py::type::handle_of(out).attr("__name__"))));
  }
  Array result = outline(op, name, py::reinterpret_borrow<py::object>(out));
  place.check(op, result);
  if (result.shape() != shape || !result.value.dtype().equal(dtype) ||
      !py::cast<bool>(out.attr("flags").attr("c_contiguous"))) {
    throw py::value_error(wrong + "C-contiguous " + std::string(py::str(dtype)) + " of shape " +
                          text(shape) +
                          ". Received: " + std::string(py::str(result.value.dtype())) +
                          " of shape " + text(result.shape()));
  }
  return result;
}

Place::Place(const char* op, const std::vector<const Array*>& arrays) {
  on_gpu_ = !arrays.empty() && arrays[0]->on_gpu();
  for (const Array* array : arrays) {
    if (array->on_gpu() == on_gpu_) continue;
    const Array& first = *arrays[0];
    throw py::value_error(std::string(op) + ": arrays must be on one device. Received: " +
                          first.name + (on_gpu_ ? " on a GPU, " : " in NumPy, ") + array->name +
                          (on_gpu_ ? " in NumPy" : " on a GPU"));
  }
  if (!on_gpu_) return;
  const py::object cuda = cupy(op).attr("cuda");
  device_ = py::cast<int>(cuda.attr("Device")().attr("id"));
  for (const Array* array : arrays) check(op, *array);
  stream_ =
      reinterpret_cast<void*>(py::cast<uintptr_t>(cuda.attr("get_current_stream")().attr("ptr")));
}

void Place::check(const char* op, const Array& array) const {
  const int device = py::cast<int>(array.gpu_array.attr("device").attr("id"));
  if (device == device_) return;
  throw py::value_error(std::string(op) + ": arrays must be on the current GPU, " +
                        std::to_string(device_) + ". Received: " + array.name + " on GPU " +
                        std::to_string(device));
}

}  // namespace fastgen::python
