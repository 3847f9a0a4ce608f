// A function of scalars that the caller compiled, over whole arrays: tiles of it, broadcasting, 16-bit floats.
//
// Formula: outputs[0][i], ... = f(inputs[0][i], inputs[1][i], ...)
// Shapes: outputs of dims[rank], row-major; inputs of the same shape, or repeated along axes of stride 0.
// Dtypes: elements of 1, 2, 4 or 8 bytes, which f sees as they are, but for float16 and bfloat16: float32 to f.
// Error: f's; one rounding to nearest even where it is stored as float16 or bfloat16.
// Edges: empty arrays call f not at all; data need be aligned to its elements only; what f returns, if not 0, is an error.
// Bytes: each input and output once; inputs that are repeated or 16 bits wide go through tiles in L1, those repeated within a tile once a panel.
// Determinism: elementwise, whatever the threads. An output may be an input of its shape and size if it is the only output.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// Computes count elements of contiguous arrays; 0 if it could. With noise, an fg_place of the first
// element follows the inputs.
typedef int32_t (*fg_elementwise_function)(int64_t count, const void* const* inputs,
                                           void* const* outputs);

// An element of the noise of a seed.
typedef struct fg_place {
  int64_t seed[2], index;
} fg_place;

typedef struct fg_elementwise_array {
  void* data;              // inputs are read alone
  const int64_t* strides;  // [rank], in elements, the last 0 or 1; NULL: of the outputs' shape
  int bytes;               // of an element
  fg_dtype dtype;          // what is not FG_FLOAT16 or FG_BFLOAT16 is taken as it is
} fg_elementwise_array;

#define FG_ELEMENTWISE_MOST_ARRAYS 16
#define FG_ELEMENTWISE_MOST_AXES 254

// arrays: the inputs, then the outputs. name: of the function, for messages. seed: of its noise, or
// NULL.
FG_API int fg_elementwise(const fg_threads* threads, const char* name, fg_elementwise_function f,
                          int rank, const int64_t* dims, int inputs, int outputs,
                          const fg_elementwise_array* arrays, const int64_t* seed);

#ifdef __cplusplus
}
#endif
