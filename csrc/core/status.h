// Every fallible function returns an fg_code; the message waits in fg_last_error().
#pragma once
#include "core/abi.h"

namespace fastgen {

// Keeps the message for this thread and returns code.
__attribute__((format(printf, 2, 3))) int fail(fg_code code, const char* format, ...);

// FG_OK if rows * cols elements can be addressed; rows and cols must not be negative.
int check_shape(const char* op, int64_t rows, int64_t cols);

}  // namespace fastgen
