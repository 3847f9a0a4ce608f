// Elements [first, first + size) of a seed's noise: no array in a test is so long that a kernel would
// carry from the low counter word into the high one.
#pragma once
#include <stdint.h>

extern "C" {
void fg_far_float32(const int64_t seed[2], int64_t first, int64_t size, float* out);
void fg_far_float64(const int64_t seed[2], int64_t first, int64_t size, double* out);
}
