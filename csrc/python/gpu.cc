#include "python/gpu.h"

#include <stdlib.h>
#include <string.h>

#include "python/attributes.h"
#include "python/cupy.h"
#include "python/dlpack.h"

namespace fastgen::python {

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
  return cupy::is_array(value) || dlpack_device(value) == kDlpackCuda ||
         has(value, names().cuda_array_interface);
}

Array any_on_gpu(const char* op, const char* name, py::handle value) {
  return cupy::contiguous_view(op, name, value);
}

Array input_anywhere(const char* op, const char* name, py::handle value) {
  return is_on_gpu(value) ? of_dtype(op, any_on_gpu(op, name, value))
                          : numpy_input(op, name, value);
}

Array bytes_anywhere(const char* op, const char* name, py::handle value) {
  if (!is_on_gpu(value)) return numpy_input_or_bytes(op, name, value);
  Array array = any_on_gpu(op, name, value);
  return same_type(array.type, py::dtype::of<uint8_t>()) ? array : of_dtype(op, std::move(array));
}

Array in_place_anywhere(const char* op, const char* name, py::handle value) {
  if (!is_on_gpu(value)) {
    const Array array = numpy_input(op, name, value);
    return output(op, name, value, array.type, array.shape());
  }
  return of_dtype(op, in_place_on_gpu(op, name, value));
}

Array in_place_on_gpu(const char* op, const char* name, py::handle value) {
  cupy::load(op);
  if (cupy::is_array(value)) {
    Array array = cupy::array_of(name, py::reinterpret_borrow<py::object>(value));
    if (cupy::is_contiguous(array)) return array;
  }
  throw py::value_error(std::string(op) + ": " + name +
                        " must be C-contiguous, of NumPy or CuPy: it is updated in place. "
                        "Received: " +
                        name + " of type " + type_name(value));
}

Array at_place(const char* name, const py::array& value, const Place& place) {
  return place.on_gpu() ? cupy::array_of(name, cupy::copy_of(value)) : numpy_array(name, value);
}

Array new_on_gpu(const char* name, const py::dtype& dtype, const Shape& shape, const Place& place) {
  return cupy::new_array(name, dtype, shape, place.gpu());
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
  if (out.is_none()) return of_dtype(op, cupy::new_array(name, dtype, shape, place.gpu()));
  const auto wrong = [&] { return std::string(op) + ": out for " + name + " must be "; };
  if (!cupy::is_array(out)) {
    throw py::value_error(wrong() + "an array of CuPy. Received: out of type " + type_name(out));
  }
  Array result = cupy::array_of(name, py::reinterpret_borrow<py::object>(out));
  place.check(op, result);
  if (result.shape() != shape || !same_type(result.type, dtype) || !cupy::is_contiguous(result)) {
    throw py::value_error(wrong() + "C-contiguous " + text(dtype) + " of shape " + text(shape) +
                          ". Received: " + text(result.type) + " of shape " + text(result.shape()));
  }
  return of_dtype(op, std::move(result));
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
  gpu_ = cupy::current_gpu();
  for (const Array* array : arrays) check(op, *array);
  stream_ = cupy::current_stream();
}

void Place::check(const char* op, const Array& array) const {
  if (array.gpu == gpu_) return;
  throw py::value_error(std::string(op) + ": arrays must be on the current GPU, " +
                        std::to_string(gpu_) + ". Received: " + array.name + " on GPU " +
                        std::to_string(array.gpu));
}

}  // namespace fastgen::python
