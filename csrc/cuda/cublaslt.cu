#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <mutex>

#include "cuda/cublaslt.h"

namespace fastgen {
namespace cuda {
namespace {

// Numbers of the documentation's enumerations.
enum { CUDA_R_32F_ = 0, CUDA_R_64F_ = 1, CUDA_R_16F_ = 2, CUDA_R_16BF_ = 14 };
enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };
enum { OP_N = 0, OP_T = 1 };
enum { DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS_POINTER = 8 };
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4 };
enum { PREF_MAX_WORKSPACE_BYTES = 1, PREF_MIN_ALIGNMENT_A_BYTES = 5 };  // B, C and D: 6 to 8

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};

constexpr size_t kWorkspace = 32 << 20;  // what NVIDIA advises for Hopper

struct Library {
  int (*create)(void** handle);
  int (*desc_create)(void** desc, int compute, int scale_type);
  int (*desc_set)(void* desc, int attribute, const void* value, size_t bytes);
  int (*desc_destroy)(void* desc);
  int (*layout_create)(void** layout, int type, uint64_t rows, uint64_t cols, int64_t step);
  int (*layout_destroy)(void* layout);
  int (*preference_create)(void** preference);
  int (*preference_set)(void* preference, int attribute, const void* value, size_t bytes);
  int (*preference_destroy)(void* preference);
  int (*heuristic)(void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference,
                   int wanted, Heuristic* found, int* count);
  int (*matmul)(void* handle, void* desc, const void* alpha, const void* a, void* a_layout,
                const void* b, void* b_layout, const void* beta, const void* c, void* c_layout,
                void* d, void* d_layout, const Algorithm* algorithm, void* workspace, size_t bytes,
                cudaStream_t stream);

  bool load(void* file) {
    return find(file, "cublasLtCreate", &create) &&
           find(file, "cublasLtMatmulDescCreate", &desc_create) &&
           find(file, "cublasLtMatmulDescSetAttribute", &desc_set) &&
           find(file, "cublasLtMatmulDescDestroy", &desc_destroy) &&
           find(file, "cublasLtMatrixLayoutCreate", &layout_create) &&
           find(file, "cublasLtMatrixLayoutDestroy", &layout_destroy) &&
           find(file, "cublasLtMatmulPreferenceCreate", &preference_create) &&
           find(file, "cublasLtMatmulPreferenceSetAttribute", &preference_set) &&
           find(file, "cublasLtMatmulPreferenceDestroy", &preference_destroy) &&
           find(file, "cublasLtMatmulAlgoGetHeuristic", &heuristic) &&
           find(file, "cublasLtMatmul", &matmul);
  }
  template <class Function>
  static bool find(void* file, const char* name, Function** to) {
    return (*to = reinterpret_cast<Function*>(dlsym(file, name))) != nullptr;
  }
};

// The one that the process has, or else the newest to be found.
void* open_library() {
  const char* const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"};
  for (int there : {RTLD_NOLOAD, 0}) {
    for (const char* name : names) {
      if (void* file = dlopen(name, RTLD_LAZY | RTLD_LOCAL | there)) return file;
    }
  }
  return nullptr;
}

// NULL where there is none. It stays open.
const Library* library() {
  static const Library* const found = [] {
    static Library functions;
    void* const file = open_library();
    return file && functions.load(file) ? &functions : nullptr;
  }();
  return found;
}

// A handle for the current device.
int handle_of_device(const char* op, void** handle) {
  static std::mutex mutex;
  static std::map<int, void*> handles;
  int device = 0;
  if (int code = check(op, cudaGetDevice(&device))) return code;
  const std::lock_guard<std::mutex> lock(mutex);
  void*& known = handles[device];
  if (!known) {
    if (int status = library()->create(&known)) {
      known = nullptr;
      return fail(FG_INTERNAL, "%s: cublasLtCreate failed with status %d", op, status);
    }
  }
  *handle = known;
  return FG_OK;
}

int type_of(fg_dtype dtype) {
  return dtype == FG_FLOAT64    ? CUDA_R_64F_
         : dtype == FG_BFLOAT16 ? CUDA_R_16BF_
         : dtype == FG_FLOAT16  ? CUDA_R_16F_
                                : CUDA_R_32F_;
}
int compute_of(const CublasProduct& x) {
  if (x.dtype == FG_FLOAT64) return COMPUTE_64F;
  return x.dtype == FG_FLOAT32 && x.precision == FG_CUDA_TF32 ? COMPUTE_32F_FAST_TF32 : COMPUTE_32F;
}

uint32_t alignment_of(const void* pointer) {
  uint32_t bytes = 256;
  while ((uintptr_t)pointer % bytes) bytes /= 2;
  return bytes;
}

// What cuBLASLt calls the product. It counts columns first: its result is out's transpose, b a^T.
class Call {
 public:
  explicit Call(const CublasProduct& x) : x_(x) {}
  Call(const Call&) = delete;
  ~Call() {
    if (desc_) library()->desc_destroy(desc_);
    if (preference_) library()->preference_destroy(preference_);
    for (void* layout : {b_, a_, out_}) {
      if (layout) library()->layout_destroy(layout);
    }
  }
  bool describe() {
    const bool turn_b = x_.b.step == 1, turn_a = x_.a.step != 1;
    return describe_operation(turn_b, turn_a) && layout(x_.b, turn_b, &b_) &&
           layout(x_.a, !turn_a, &a_) &&
           layout({x_.out, x_.b.lines, x_.a.lines, 1, x_.b.lines}, false, &out_) &&
           describe_preference();
  }
  bool find(void* handle) {
    int count = 0;
    return !library()->heuristic(handle, desc_, b_, a_, out_, out_, preference_, 1, &found_,
                                 &count) &&
           count > 0 && found_.status == 0;
  }
  size_t workspace_bytes() const { return found_.workspace_bytes; }
  int run(void* handle, void* workspace, void* stream) const {
    const float one = 1, zero = 0;
    const double one_64 = 1, zero_64 = 0;
    const bool wide = x_.dtype == FG_FLOAT64;
    return library()->matmul(handle, desc_, wide ? (const void*)&one_64 : &one, x_.b.data, b_,
                             x_.a.data, a_, wide ? (const void*)&zero_64 : &zero, x_.out, out_,
                             x_.out, out_, &found_.algorithm, workspace, workspace_bytes(),
                             (cudaStream_t)stream);
  }

 private:
  template <class V>
  bool set(int attribute, V value) {
    return !library()->desc_set(desc_, attribute, &value, sizeof value);
  }
  bool describe_operation(bool turn_b, bool turn_a) {
    const int scale_type = x_.dtype == FG_FLOAT64 ? CUDA_R_64F_ : CUDA_R_32F_;
    return !library()->desc_create(&desc_, compute_of(x_), scale_type) &&
           set<int32_t>(DESC_TRANSA, turn_b ? OP_T : OP_N) &&
           set<int32_t>(DESC_TRANSB, turn_a ? OP_T : OP_N) &&
           (!x_.bias || (set<uint32_t>(DESC_EPILOGUE, EPILOGUE_BIAS) &&
                         set<const void*>(DESC_BIAS_POINTER, x_.bias)));
  }
  // By depth: of neighbours in depth, the columns are lines. One column has no other after a step,
  // which an operand across, of one line, gives as 1.
  bool layout(const CublasOperand& x, bool by_depth, void** to) const {
    const int64_t rows = by_depth ? x.depth : x.lines, cols = by_depth ? x.lines : x.depth;
    const int64_t step = cols == 1 ? rows : by_depth ? x.line_step : x.step;
    return !library()->layout_create(to, type_of(x_.dtype), rows, cols, step);
  }
  bool describe_preference() {
    const uint64_t most = kWorkspace;
    if (library()->preference_create(&preference_) ||
        library()->preference_set(preference_, PREF_MAX_WORKSPACE_BYTES, &most, sizeof most)) {
      return false;
    }
    const void* const pointers[] = {x_.b.data, x_.a.data, x_.out, x_.out};
    for (int i = 0; i < 4; ++i) {
      const uint32_t bytes = alignment_of(pointers[i]);
      if (library()->preference_set(preference_, PREF_MIN_ALIGNMENT_A_BYTES + i, &bytes,
                                    sizeof bytes)) {
        return false;
      }
    }
    return true;
  }

  const CublasProduct& x_;
  void *desc_ = nullptr, *b_ = nullptr, *a_ = nullptr, *out_ = nullptr, *preference_ = nullptr;
  Heuristic found_ = {};
};

}  // namespace

int cublas_wish() {
  static const int wish = [] {
    const char* const said = getenv("FASTGEN_CUBLAS");
    return said && !strcmp(said, "0") ? 0 : said && !strcmp(said, "1") ? 1 : -1;
  }();
  return wish;
}

bool cublas_is_at_hand() { return library() != nullptr; }

Attempt multiply_by_cublas(const char* op, void* stream, const CublasProduct& product) {
  if (!library()) {
    return {true,
            fail(FG_INVALID_ARGUMENT, "%s: FASTGEN_CUBLAS=1, but there is no libcublasLt", op)};
  }
  void* handle;
  if (int code = handle_of_device(op, &handle)) return {true, code};
  Call call(product);
  if (!call.describe() || !call.find(handle)) return {false, FG_OK};
  Scratch workspace(op, stream);
  if (int code = workspace.allocate(call.workspace_bytes())) return {true, code};
  if (int status = call.run(handle, workspace.as<void>(), stream)) {
    return {true, fail(FG_INTERNAL, "%s: cublasLtMatmul failed with status %d", op, status)};
  }
  return {true, FG_OK};
}

}  // namespace cuda
}  // namespace fastgen
