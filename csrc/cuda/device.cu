#include <stdio.h>

#include <mutex>
#include <set>

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

// Bytes, of a pool that would give all back to the driver otherwise, and wait for it at the next call:
// what steps of small networks need, not what large products do. Unmeasured.
constexpr uint64_t kKept = 64 << 20;

__global__ void probe() {}

thread_local const fg_cuda_memory* lent = nullptr;

}  // namespace

// Once a device, and not if the program has said how much. What fails here is said by what follows.
void keep_scratch() {
  static std::mutex mutex;
  static std::set<int> seen;
  int device;
  if (cudaGetDevice(&device) != cudaSuccess) return;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!seen.insert(device).second) return;
  cudaMemPool_t pool;
  uint64_t kept = 0, most = kKept;
  if (cudaDeviceGetDefaultMemPool(&pool, device) != cudaSuccess ||
      cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept) != cudaSuccess ||
      (kept == 0 &&
       cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &most) != cudaSuccess)) {
    cudaGetLastError();
  }
}

const fg_cuda_memory* lent_memory() { return lent; }

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

void fg_cuda_lend_memory(const fg_cuda_memory* memory) { fastgen::cuda::lent = memory; }

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
