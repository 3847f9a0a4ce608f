// A libcublasLt for tests, as its documentation has it: matrices count columns first; D = op(A) op(B),
// plus a bias for each of D's rows. It refuses what the real one refuses, and counts its products.
#include <stdint.h>
#include <string.h>

#include <memory>

namespace {

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14 };
enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };

struct Handle {};
struct Desc {
  int compute, scale_type;
  int32_t turn_a = 0, turn_b = 0;
  uint32_t epilogue = 1;
  const void* bias = nullptr;
};
struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t step;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
constexpr uint64_t kMine = 0xfa57;

int64_t products;

double number(int type, const void* x, int64_t i) {
  if (type == R_64F) return static_cast<const double*>(x)[i];
  if (type == R_32F) return static_cast<const float*>(x)[i];
  if (type == R_16F) return (double)static_cast<const _Float16*>(x)[i];
  const uint32_t bits = (uint32_t)static_cast<const uint16_t*>(x)[i] << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
void set(int type, void* x, int64_t i, double value) {
  if (type == R_64F) static_cast<double*>(x)[i] = value;
  if (type == R_32F) static_cast<float*>(x)[i] = (float)value;
  if (type == R_16F) static_cast<_Float16*>(x)[i] = (_Float16)value;
  if (type != R_16BF) return;
  const float rounded = (float)value;
  uint32_t bits;
  memcpy(&bits, &rounded, sizeof bits);
  static_cast<uint16_t*>(x)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// As tensor cores take a float32: of 11 bits.
double factor(const Desc& desc, int type, const void* x, int64_t i) {
  const double value = number(type, x, i);
  if (desc.compute != COMPUTE_32F_FAST_TF32) return value;
  const float whole = (float)value;
  uint32_t bits;
  memcpy(&bits, &whole, sizeof bits);
  bits = (bits + 0x1000) & ~uint32_t{0x1fff};
  float rounded;
  memcpy(&rounded, &bits, sizeof rounded);
  return rounded;
}

template <class T, class... Args>
int make(void** to, Args... args) {
  *to = new T{args...};
  return SUCCESS;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API int64_t on_cpu_products() { return products; }

API int cublasLtCreate(void** handle) { return make<Handle>(handle); }
API int cublasLtMatmulDescCreate(void** desc, int compute, int scale_type) {
  const bool wide = compute == COMPUTE_64F;
  if (!wide && compute != COMPUTE_32F && compute != COMPUTE_32F_FAST_TF32) return INVALID_VALUE;
  if (scale_type != (wide ? R_64F : R_32F)) return NOT_SUPPORTED;
  return make<Desc>(desc, compute, scale_type);
}
API int cublasLtMatmulDescSetAttribute(void* of, int attribute, const void* value, size_t bytes) {
  Desc* const desc = static_cast<Desc*>(of);
  void* const fields[] = {nullptr, nullptr, nullptr,         &desc->turn_a, &desc->turn_b,
                          nullptr, nullptr, &desc->epilogue, &desc->bias};
  if (attribute < 0 || attribute > 8 || !fields[attribute]) return INVALID_VALUE;
  if (bytes != (attribute == 8 ? sizeof(void*) : 4)) return INVALID_VALUE;
  memcpy(fields[attribute], value, bytes);
  return SUCCESS;
}
API int cublasLtMatmulDescDestroy(void* desc) { return delete static_cast<Desc*>(desc), SUCCESS; }
API int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t cols,
                                   int64_t step) {
  if (rows == 0 || cols == 0 || step < (int64_t)rows) return INVALID_VALUE;
  return make<Layout>(layout, type, rows, cols, step);
}
API int cublasLtMatrixLayoutDestroy(void* layout) {
  return delete static_cast<Layout*>(layout), SUCCESS;
}
API int cublasLtMatmulPreferenceCreate(void** preference) { return make<Preference>(preference); }
API int cublasLtMatmulPreferenceSetAttribute(void* of, int attribute, const void* value,
                                             size_t bytes) {
  Preference* const preference = static_cast<Preference*>(of);
  if (attribute == 1 && bytes == 8) return memcpy(&preference->workspace, value, 8), SUCCESS;
  if (attribute < 5 || attribute > 8 || bytes != 4) return INVALID_VALUE;
  memcpy(&preference->alignment[attribute - 5], value, 4);
  return SUCCESS;
}
API int cublasLtMatmulPreferenceDestroy(void* preference) {
  return delete static_cast<Preference*>(preference), SUCCESS;
}

// None for 16 bits at odd addresses, and a workspace where it may have one.
API int cublasLtMatmulAlgoGetHeuristic(void*, void* of, void* a_of, void* b_of, void*, void* d_of,
                                       void* preference_of, int wanted, Heuristic* found,
                                       int* count) {
  const Desc& desc = *static_cast<Desc*>(of);
  const Layout &a = *static_cast<Layout*>(a_of), &b = *static_cast<Layout*>(b_of);
  const Layout& d = *static_cast<Layout*>(d_of);
  const Preference& preference = *static_cast<Preference*>(preference_of);
  const bool turn_a = desc.turn_a == 1, turn_b = desc.turn_b == 1;
  *count = 0;
  if (wanted < 1) return INVALID_VALUE;
  if ((turn_a ? a.cols : a.rows) != d.rows || (turn_b ? b.rows : b.cols) != d.cols ||
      (turn_a ? a.rows : a.cols) != (turn_b ? b.cols : b.rows)) {
    return INVALID_VALUE;
  }
  for (uint32_t bytes : preference.alignment) {
    if (bytes < 4) return NOT_SUPPORTED;
  }
  memset(found, 0, sizeof *found);
  found->algorithm.data[0] = kMine;
  found->workspace = preference.workspace / 1024;
  *count = 1;
  return SUCCESS;
}

API int cublasLtMatmul(void*, void* of, const void* alpha, const void* a, void* a_of, const void* b,
                       void* b_of, const void* beta, const void*, void*, void* d, void* d_of,
                       const Algorithm* algorithm, void* workspace, size_t bytes, void*) {
  const Desc& desc = *static_cast<Desc*>(of);
  const Layout &x = *static_cast<Layout*>(a_of), &y = *static_cast<Layout*>(b_of);
  const Layout& to = *static_cast<Layout*>(d_of);
  if (algorithm->data[0] != kMine || !workspace || bytes == 0) return INVALID_VALUE;
  if (number(desc.scale_type, alpha, 0) != 1 || number(desc.scale_type, beta, 0) != 0) {
    return INVALID_VALUE;
  }
  memset(workspace, 0, bytes);
  const int64_t depth = desc.turn_a ? x.rows : x.cols;
  for (int64_t row = 0; row < (int64_t)to.rows; ++row) {
    const double bias = desc.epilogue == 4 ? number(to.type, desc.bias, row) : 0;
    for (int64_t col = 0; col < (int64_t)to.cols; ++col) {
      double sum = bias;
      for (int64_t k = 0; k < depth; ++k) {
        sum += factor(desc, x.type, a, desc.turn_a ? k + row * x.step : row + k * x.step) *
               factor(desc, y.type, b, desc.turn_b ? col + k * y.step : k + col * y.step);
      }
      set(to.type, d, row + col * to.step, sum);
    }
  }
  ++products;
  return SUCCESS;
}
