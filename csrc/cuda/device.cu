#include <stdio.h>

#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/rows.h"

namespace fastgen {
namespace cuda {

int check(const char* op, cudaError_t error) {
  if (error == cudaSuccess) return FG_OK;
  cudaGetLastError();  // the next call starts anew
  const fg_code code = error == cudaErrorMemoryAllocation ? FG_RESOURCE_EXHAUSTED : FG_INTERNAL;
  return fail(code, "%s: CUDA failed with %s: %s", op, cudaGetErrorName(error),
              cudaGetErrorString(error));
}

namespace {

__global__ void probe() {}

}  // namespace

int finish_row_sums(const char* op, void* stream, int64_t rows, int64_t pieces,
                    const RowSums<float>& sums) {
  return launch(op, stream, grid_of(rows), kBlockLanes, 0, sum_pieces<float>, rows, pieces, sums);
}
int finish_row_sums(const char* op, void* stream, int64_t rows, int64_t pieces,
                    const RowSums<double>& sums) {
  return launch(op, stream, grid_of(rows), kBlockLanes, 0, sum_pieces<double>, rows, pieces, sums);
}

}  // namespace cuda
}  // namespace fastgen

extern "C" {

int fg_cuda_device_count(void) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count;
}

int fg_cuda_device(int index, fg_cuda_device_info* info) {
  constexpr const char* op = "cuda_device";
  cudaDeviceProp properties;
  if (int code = fastgen::cuda::check(op, cudaGetDeviceProperties(&properties, index))) return code;
  snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->major = properties.major, info->minor = properties.minor;
  info->multiprocessors = properties.multiProcessorCount;
  info->bytes = (int64_t)properties.totalGlobalMem;
  cudaFuncAttributes attributes;
  int before = 0;
  if (int code = fastgen::cuda::check(op, cudaGetDevice(&before))) return code;
  if (int code = fastgen::cuda::check(op, cudaSetDevice(index))) return code;
  info->runs = cudaFuncGetAttributes(&attributes, fastgen::cuda::probe) == cudaSuccess;
  cudaGetLastError();
  return fastgen::cuda::check(op, cudaSetDevice(before));
}
}
