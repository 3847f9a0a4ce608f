// A function of arrays that the caller compiled, called for every row of larger ones, as a NumPy gufunc is.
//
// Formula: outputs[0][row], ... = f(inputs[0][row], inputs[1][row], ...), where a row of an array is all of its core axes
// Shapes: rows numbered by dims[rank], row-major; an output has a row for each, an input one for each or the same along axes of stride 0.
// Dtypes: f's; an array is `core` elements of `bytes` a row.
// Error: f's.
// Edges: no rows call f not at all, rows of nothing do; data need be aligned to its elements only.
// Bytes: f's; what f reads of noise is made in a buffer of a few KiB, or of one row where that is longer.
// Determinism: rows are f's alone, in panels that follow from the shape, whatever the threads.
#pragma once
#include "core/abi.h"
#include "kernels/elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

// Computes count rows: 0, or the number of the row, from 1, that it could not. steps: elements from
// an input's row to its next. With noise, an fg_place of the first row's and memory for
// FG_ARRAY_KERNEL_NOISE elements, or for a row's if that is more, follow the inputs.
typedef int64_t (*fg_array_function)(int64_t count, const int64_t* sizes, const int64_t* steps,
                                     const void* const* inputs, void* const* outputs);

typedef struct fg_rows {
  void* data;
  const int64_t* strides;  // of an input: [rank], in its rows; NULL: a row for each
  int64_t core;            // elements of a row
  int bytes;               // of an element
} fg_rows;

#define FG_ARRAY_KERNEL_MOST_SIZES 32
#define FG_ARRAY_KERNEL_NOISE 1032

// arrays: the inputs, then the outputs. sizes[size_count]: of the core axes, for f; those of the last
// row begin with last_size, for an array that was cut into rows. noise: elements of it a row; seed:
// of it, or NULL. name: of the function, for messages.
FG_API int fg_array_kernel(const fg_threads* threads, const char* name, fg_array_function f,
                           int rank, const int64_t* dims, int inputs, int outputs,
                           const fg_rows* arrays, int size_count, const int64_t* sizes,
                           int64_t last_size, int64_t noise, const int64_t* seed);

#ifdef __cplusplus
}
#endif
