// Arrays on a GPU: CuPy's and, through CuPy and without a copy, whatever has DLPack or a
// __cuda_array_interface__. Kernels run on CuPy's current stream.
#pragma once
#include <type_traits>
#include <vector>

#include "python/array.h"

namespace fastgen::python {

// Where a kernel runs: where all its arrays are.
class Place {
 public:
  Place(const char* op, const std::vector<const Array*>& arrays);
  bool on_gpu() const { return on_gpu_; }
  void* stream() const { return stream_; }
  int gpu() const { return gpu_; }

  // On a GPU: the array must be on the current one.
  void check(const char* op, const Array& array) const;

 private:
  bool on_gpu_;
  int gpu_ = 0;
  void* stream_ = nullptr;
};

// As input(), also of an array on a GPU.
Array input_anywhere(const char* op, const char* name, py::handle value);

// The same, or an array of uint8, where a kernel takes those.
Array bytes_anywhere(const char* op, const char* name, py::handle value);

// An array to be written to where it is, of one of the kernels' dtypes.
Array in_place_anywhere(const char* op, const char* name, py::handle value);

// Arrays of any dtype on a GPU: to be written to where it is; to be read; a new one.
Array in_place_on_gpu(const char* op, const char* name, py::handle value);
Array any_on_gpu(const char* op, const char* name, py::handle value);
Array new_on_gpu(const char* name, const py::dtype& dtype, const Shape& shape, const Place& place);

// NumPy's array where that is the place, else a copy of it there.
Array at_place(const char* name, const py::array& value, const Place& place);

// Refuses arrays on a GPU, as input() does, of a kernel that is for the CPU alone.
void check_in_numpy(const char* op, const std::vector<const Array*>& arrays);

// As output(), on a GPU if that is the place.
Array output(const char* op, const char* name, py::handle out, const py::dtype& dtype,
             const Shape& shape, const Place& place);

// Whether CuPy's NVRTC is to compile kernels: if nvcc has not, or FASTGEN_NVRTC=1 says so.
bool by_nvrtc();

// An argument of a C function as fastgen.nvrtc takes it.
inline uintptr_t for_nvrtc(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }
template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
Number for_nvrtc(Number value) {
  return value;
}

// Runs the kernel of the place, which takes the same after its threads or its stream.
template <class Cpu, class Gpu, class... Args>
void run_at(const Place& place, const fg_threads* threads, const char* kernel, Cpu cpu,
            [[maybe_unused]] Gpu gpu, Args... args) {
  if (!place.on_gpu()) return run([&] { return cpu(threads, args...); });
#ifdef FASTGEN_CUDA
  if (!by_nvrtc()) return run([&] { return gpu(place.stream(), args...); });
#endif
  py::module_::import("fastgen.nvrtc").attr("launch")(kernel, for_nvrtc(args)...);
}

}  // namespace fastgen::python

// A kernel's name and its two C functions; the GPU's is not looked at where it is not built.
#ifdef FASTGEN_CUDA
#define FASTGEN_ON_GPU(NAME) fg_cuda_##NAME
#else
#define FASTGEN_ON_GPU(NAME) nullptr
#endif
#define FASTGEN_BOTH(NAME) #NAME, fg_##NAME, FASTGEN_ON_GPU(NAME)
