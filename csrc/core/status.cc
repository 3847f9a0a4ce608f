#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

namespace {
thread_local char last_error[256] = "";
}

extern "C" {
int fg_abi_version(void) { return FG_ABI_VERSION; }
const char* fg_last_error(void) { return last_error; }
}

namespace fastgen {

int fail(fg_code code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(last_error, sizeof last_error, format, args);
  va_end(args);
  return code;
}

int check_shape(const char* op, int64_t rows, int64_t cols) {
  const long long r = rows, c = cols;
  if (rows < 0 || cols < 0) {
    return fail(FG_INVALID_ARGUMENT, "%s: sizes must not be negative. Received: %lld x %lld", op, r,
                c);
  }
  // 16 bytes an element is more than any dtype needs, and leaves byte offsets within int64.
  if (cols > 0 && rows > INT64_MAX / 16 / cols) {
    return fail(FG_OUT_OF_RANGE, "%s: rows x cols is beyond int64 indexing. Received: %lld x %lld",
                op, r, c);
  }
  return FG_OK;
}

}  // namespace fastgen
