// Rows of images on their way into a panel.
#pragma once
#include "kernels/discriminator_update.h"
#include "mlp/requirements.h"
#include "mlp/rows.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// at(row of the panel): the row of the images.
template <class T, class At>
void put_images(const Panel& p, int64_t cols, const fg_images& images, const At& at,
                const Rows<T>& out) {
  typedef typename Compute<T>::type V;
  if (images.dtype == FG_UINT8) {
    const uint8_t* const x = (const uint8_t*)images.data;
    put_rows(p.count, cols, out, [&](int64_t row, int64_t col, auto lanes) {
      return load_bytes<V>(x, at(row) * cols + col, lanes) / (T)255;
    });
  } else {
    const T* const x = (const T*)images.data;
    put_rows(p.count, cols, out, [&](int64_t row, int64_t col, auto lanes) {
      return load(x, at(row) * cols + col, lanes);
    });
  }
}

inline int check_rows(const char* op, const int64_t* rows, int64_t size, int64_t count) {
  for (int64_t i = 0; i < size; ++i) {
    if (rows[i] < 0 || rows[i] >= count) {
      return fail(FG_INVALID_ARGUMENT, "%s: rows must be in [0, %lld). Received: %lld", op,
                  (long long)count, (long long)rows[i]);
    }
  }
  return FG_OK;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
