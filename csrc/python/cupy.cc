#include "python/cupy.h"

#include "python/attributes.h"
#include "python/dlpack.h"

namespace fastgen::python::cupy {
namespace {

// What is asked of it, looked up once.
struct Library {
  py::module_ module = py::module_::import("cupy");
  py::object ndarray = module.attr("ndarray");
  py::object ascontiguousarray = module.attr("ascontiguousarray");
  py::object asarray = module.attr("asarray");
  py::object from_dlpack = module.attr("from_dlpack");
  py::object array = module.attr("array");
  py::object get_device = module.attr("cuda").attr("runtime").attr("getDevice");
  py::object get_stream = module.attr("cuda").attr("get_current_stream");
};
const Library* library = nullptr;  // kept for as long as the process runs

PyTypeObject* type_of_arrays() { return reinterpret_cast<PyTypeObject*>(library->ndarray.ptr()); }

void* pointer(const py::object& number) {
  void* const address = PyLong_AsVoidPtr(number.ptr());
  if (!address && PyErr_Occurred()) throw py::error_already_set();
  return address;
}

int small(const py::object& number) {
  const long value = PyLong_AsLong(number.ptr());
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return static_cast<int>(value);
}

Shape numbers(const py::tuple& tuple) {
  Shape all(tuple.size());
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple.ptr(), i));
  }
  return all;
}

py::tuple tuple_of(const Shape& shape) {
  py::tuple all(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) all[i] = py::int_(shape[i]);
  return all;
}

py::object view(const char* op, const char* name, py::handle value) {
  if (is_array(value)) return py::reinterpret_borrow<py::object>(value);
  try {
    const bool exported = dlpack_device(value) == kDlpackCuda;
    return call(exported ? library->from_dlpack : library->asarray, value);
  } catch (py::error_already_set& error) {
    refuse_with(error, std::string(op) + ": " + name + " must be an array that CuPy can read", name,
                value);
  }
}

}  // namespace

void load(const char* op) {
  if (library) return;
  try {
    library = new Library;
  } catch (py::error_already_set& error) {
    py::raise_from(error, PyExc_ImportError,
                   (std::string(op) +
                    ": arrays on a GPU need CuPy, which does not load. pip install 'fastgen[cuda]'")
                       .c_str());
    throw py::error_already_set();
  }
}

bool is_array(py::handle value) {
  return library && PyObject_TypeCheck(value.ptr(), type_of_arrays());
}

Array array_of(const char* name, py::object array) {
  Array x{name};
  x.type = py::dtype(get(array, names().dtype));
  x.sizes = numbers(get(array, names().shape));
  const py::object data = get(array, names().data);
  x.memory = pointer(get(data, names().ptr));
  x.gpu = small(get(data, names().device_id));
  x.value = std::move(array);
  return x;
}

bool is_contiguous(const Array& x) {
  if (x.size() == 0) return true;
  const Shape strides = numbers(get(x.value, names().strides));
  py::ssize_t dense = x.type.itemsize();
  for (size_t i = strides.size(); i-- > 0; dense *= x.sizes[i]) {
    if (x.sizes[i] != 1 && strides[i] != dense) return false;
  }
  return true;
}

Array contiguous_view(const char* op, const char* name, py::handle value) {
  load(op);
  Array x = array_of(name, view(op, name, value));
  return is_contiguous(x) ? x : array_of(name, call(library->ascontiguousarray, x.value));
}

py::object copy_of(const py::array& value) { return call(library->array, value); }

Array new_array(const char* name, const py::dtype& dtype, const Shape& shape, int gpu) {
  // Its class sooner than empty(), a function of Python that calls the class.
  PyObject* const arguments[] = {tuple_of(shape).release().ptr(), dtype.ptr()};
  const auto sizes = py::reinterpret_steal<py::object>(arguments[0]);
  Array x{name};
  x.value = checked(PyObject_Vectorcall(library->ndarray.ptr(), arguments, 2, nullptr));
  x.type = dtype, x.sizes = shape, x.gpu = gpu;
  x.memory = pointer(get(get(x.value, names().data), names().ptr));
  return x;
}

int current_gpu() { return small(call(library->get_device)); }

void* current_stream() { return pointer(get(call(library->get_stream), names().ptr)); }

}  // namespace fastgen::python::cupy
