// What tests of cuda/launch.h, cuda/mma.cuh and cuda/tensor_product.cuh call: their pieces on their own,
// where the library's functions would take sizes that are too large for the CPU to get there.
#include "cuda/cublaslt.h"
#include "cuda/product.cuh"
#include "cuda/product.h"

namespace {

using namespace fastgen;
using namespace fastgen::cuda;

template <class T>
__global__ void multiply_fragments(const uint32_t* a, const uint32_t* b, float* sums) {
  const int lane = threadIdx.x;
  float sum[4];
  uint32_t of_a[4], of_b[2];
  memcpy(sum, sums + 4 * lane, sizeof sum);
  memcpy(of_a, a + 4 * lane, sizeof of_a);
  memcpy(of_b, b + 2 * lane, sizeof of_b);
  mma(T{}, sum, of_a, of_b);
  memcpy(sums + 4 * lane, sum, sizeof sum);
}

// Copies of 16 bytes by each thread; reads what its left neighbour has, after `groups` are waited for.
template <int groups>
__global__ void copy_past(const uint4* from, int bytes, uint4* to) {
  uint4* const shared = reinterpret_cast<uint4*>(dynamic_shared());
  copy_async(shared + threadIdx.x, from + threadIdx.x, bytes);
  commit_copies();
  commit_copies();
  wait_for_copies<groups>();
  __syncthreads();
  to[threadIdx.x] = shared[(threadIdx.x + blockDim.x - 1) % blockDim.x];
}

__global__ void nothing() {}

}  // namespace

extern "C" {

// An empty kernel with dynamic shared memory, of as much as it may have if `allowed`.
FG_API int on_cpu_launch(void* stream, int64_t blocks, int64_t threads, int64_t shared_bytes,
                         int64_t allowed) {
  int64_t most;
  if (allowed) {
    if (int code = allow_shared("launch", nothing, &most)) return code;
  }
  return launch("launch", stream, (unsigned)blocks, (unsigned)threads, shared_bytes, nothing);
}

// The bytes that the device's pool keeps.
FG_API int on_cpu_kept(void*, uint64_t* bytes) {
  cudaMemPool_t pool;
  cudaDeviceGetDefaultMemPool(&pool, 0);
  return cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, bytes);
}

// The fragments of 32 lanes, as mma.cuh numbers them.
FG_API int on_cpu_mma(void* stream, int64_t dtype, const void* a, const void* b, void* sums) {
  return for_dtype("mma", (fg_dtype)dtype, [&](auto storage) -> int {
    typedef decltype(storage) T;
    if constexpr (sizeof(T) > 4) {
      return FG_INVALID_ARGUMENT;
    } else {
      return launch("mma", stream, 1, 32, 0, multiply_fragments<T>, (const uint32_t*)a,
                    (const uint32_t*)b, (float*)sums);
    }
  });
}

FG_API int on_cpu_copy(void* stream, int64_t bytes, int64_t waits, const void* from, void* to) {
  return launch("copy", stream, 1, 64, 64 * 16, waits ? copy_past<0> : copy_past<2>,
                (const uint4*)from, (int)bytes, (uint4*)to);
}

// Whether cuBLASLt would multiply these.
FG_API int on_cpu_prefers_cublas(int64_t dtype, int64_t rows, int64_t cols, int64_t depth,
                                 int64_t precision, int64_t activated) {
  int prefers = 0;
  for_dtype("product", (fg_dtype)dtype, [&](auto storage) -> int {
    prefers = prefers_cublas<decltype(storage)>(
        {rows, cols, depth, (fg_cuda_precision)precision, activated != 0});
    return FG_OK;
  });
  return prefers;
}

// How many parts the depth of a product is cut into, and how deep they are.
FG_API int on_cpu_parts(int64_t dtype, int64_t rows, int64_t cols, int64_t depth, int64_t precision,
                        int64_t in_parts, int64_t* parts, int64_t* part_depth) {
  return for_dtype("product", (fg_dtype)dtype, [&](auto storage) -> int {
    return for_product<decltype(storage)>("product", nullptr, (fg_cuda_precision)precision, rows,
                                          cols, depth, in_parts != 0,
                                          [&](const Tiling& tiling, const auto&) -> int {
                                            *parts = tiling.parts, *part_depth = tiling.part_depth;
                                            return FG_OK;
                                          });
  });
}

// out = a b^T with a [rows, depth], or its transpose where across, and b likewise.
FG_API int on_cpu_tensor_product(void* stream, int64_t dtype, int64_t rows, int64_t cols,
                                 int64_t depth, int64_t a_across, int64_t b_across, int64_t threads,
                                 int64_t slice_cols, int64_t resident, int64_t sharing,
                                 const void* a, const void* b, void* out) {
  return for_dtype("product", (fg_dtype)dtype, [&](auto storage) -> int {
    typedef decltype(storage) T;
    if constexpr (sizeof(T) > 4) {
      return FG_INVALID_ARGUMENT;
    } else {
      const int64_t slices = pieces_of(cols, slice_cols), row_tiles = pieces_of(rows, threads);
      const Tiling tiling = {rows, cols,  row_tiles,       slices,
                             1,    depth, (int)slice_cols, resident != 0};
      const int64_t panels = resident ? pieces_of(depth, kPanelDepth<T>) : kStages;
      const IntoMemory<T> epilogue = {(T*)out, rows, cols, false};
      int64_t most;
      if (int code = allow_shared("product", tensor_product_kernel<T, IntoMemory<T>>, &most)) {
        return code;
      }
      return launch("product", stream, (unsigned)(slices * sharing), (unsigned)threads,
                    shared_of((int)threads, (int)slice_cols, panels),
                    tensor_product_kernel<T, IntoMemory<T>>,
                    operand((const T*)a, rows, depth, a_across != 0),
                    operand((const T*)b, cols, depth, b_across != 0), tiling, epilogue);
    }
  });
}

// The same by multiply-adds, in tiles of `side`; out [parts, rows, cols].
FG_API int on_cpu_fma_product(void* stream, int64_t dtype, int64_t rows, int64_t cols,
                              int64_t depth, int64_t a_across, int64_t b_across, int64_t side,
                              int64_t part_depth, const void* a, const void* b, void* out) {
  return for_dtype("product", (fg_dtype)dtype, [&](auto storage) -> int {
    typedef decltype(storage) T;
    if constexpr (sizeof(T) < 4) {
      return FG_INVALID_ARGUMENT;
    } else {
      const Tiling tiling = {rows,
                             cols,
                             pieces_of(rows, side),
                             pieces_of(cols, side),
                             pieces_of(depth, part_depth),
                             part_depth,
                             (int)side,
                             false};
      return launch_fma<T>("product", stream, operand((const T*)a, rows, depth, a_across != 0),
                           operand((const T*)b, cols, depth, b_across != 0), tiling,
                           IntoMemory<T>{(T*)out, rows, cols, false});
    }
  });
}

// The side of the tiles in which multiply-adds make a product.
FG_API int on_cpu_fma_side(int64_t dtype, int64_t rows, int64_t cols, int64_t depth,
                           int64_t in_parts) {
  return dtype == FG_FLOAT64 ? fma_tiling<double>(rows, cols, depth, in_parts != 0).slice_cols
                             : fma_tiling<float>(rows, cols, depth, in_parts != 0).slice_cols;
}
}
