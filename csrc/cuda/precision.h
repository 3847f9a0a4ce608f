// How the CUDA kernels of products multiply float32; other dtypes have one way each.
#pragma once

enum {
  FG_CUDA_STRICT = 0,  // as on the CPU, by fused multiply-adds
  FG_CUDA_TF32 = 1     // factors rounded to 11 bits, on tensor cores; sums in float32
};
typedef int fg_cuda_precision;  // an int: any value may arrive, and is refused
