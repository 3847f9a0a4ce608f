#include "kernels/array_kernel.h"

#include <string.h>

#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// What all threads share.
struct ArrayCall {
  fg_array_function f;
  int rank;
  const int64_t* dims;
  int inputs, outputs;
  const fg_rows* arrays;
  int64_t rows, noise;
  const int64_t* seed;
};

FG_INLINE int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }

FG_INLINE char* row_of(const fg_rows& x, int64_t row) {
  return (char*)x.data + row * x.core * x.bytes;
}

// Rows [first, first + count), which follow each other along the last axis: 0, or the row, from 1,
// that f could not compute.
FG_INLINE int64_t run_of_rows(const ArrayCall& call, int64_t first, int64_t count,
                              const int64_t* sizes, void* buffer) {
  const void* inputs[FG_ELEMENTWISE_MOST_ARRAYS];
  void* outputs[FG_ELEMENTWISE_MOST_ARRAYS];
  int64_t steps[FG_ELEMENTWISE_MOST_ARRAYS];
  for (int i = 0; i < call.inputs; ++i) {
    const fg_rows& x = call.arrays[i];
    int64_t row = first, rest = first;
    steps[i] = x.core;
    if (x.strides) {
      row = 0;
      for (int axis = call.rank - 1; axis >= 0; --axis) {
        row += rest % call.dims[axis] * x.strides[axis];
        rest /= call.dims[axis];
      }
      steps[i] *= x.strides[call.rank - 1];
    }
    inputs[i] = row_of(x, row);
  }
  fg_place place;
  if (call.seed) {
    place = {{call.seed[0], call.seed[1]}, first * call.noise};
    inputs[call.inputs] = &place;
    inputs[call.inputs + 1] = buffer;
  }
  for (int i = 0; i < call.outputs; ++i) outputs[i] = row_of(call.arrays[call.inputs + i], first);
  const int64_t failed = call.f(count, sizes, steps, inputs, outputs);
  return failed ? first + failed : 0;
}

// Of rows that fail on any thread the first, which is the same every time.
FG_INLINE void note_least(int64_t* failed, int64_t row) {
  int64_t seen = __atomic_load_n(failed, __ATOMIC_RELAXED);
  while (!seen || row < seen) {
    if (__atomic_compare_exchange_n(failed, &seen, row, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      return;
    }
  }
}

int array_kernel(const fg_threads* threads, const char* name, fg_array_function f, int rank,
                 const int64_t* dims, int inputs, int outputs, const fg_rows* arrays,
                 int size_count, const int64_t* sizes, int64_t last_size, int64_t noise,
                 const int64_t* seed) {
  if (inputs < 1 || outputs < 1 || inputs + outputs > FG_ELEMENTWISE_MOST_ARRAYS - 2 || rank < 1 ||
      size_count < 0 || size_count > FG_ARRAY_KERNEL_MOST_SIZES) {
    return fail(
        FG_INVALID_ARGUMENT,
        "%s: at least one input, one output and one axis of rows, %d arrays in all, %d sizes "
        "at most. Received: inputs=%d, outputs=%d, rank=%d, size_count=%d",
        name, FG_ELEMENTWISE_MOST_ARRAYS - 2, FG_ARRAY_KERNEL_MOST_SIZES, inputs, outputs, rank,
        size_count);
  }
  ArrayCall call = {f, rank, dims, inputs, outputs, arrays, 1, noise, seed};
  for (int axis = 0; axis < rank; ++axis) call.rows *= dims[axis];
  int64_t longest = 1;
  for (int i = 0; i < inputs + outputs; ++i) longest = greatest(longest, arrays[i].core);
  const int64_t per_panel = greatest(1, kPanel / longest);
  const int64_t buffer_size = seed ? greatest(noise + 8, FG_ARRAY_KERNEL_NOISE) : 0;
  int64_t last_sizes[FG_ARRAY_KERNEL_MOST_SIZES];
  memcpy(last_sizes, sizes, size_count * sizeof(*sizes));
  if (size_count) last_sizes[0] = last_size;
  const bool cut = size_count && last_size != sizes[0];
  int64_t failed = 0;
  bool no_memory = false;
  parallel_for(threads, (call.rows + per_panel - 1) / per_panel,
               4 * kElementCycles * per_panel * longest, [&](int64_t panel) {
                 void* const buffer = seed ? malloc(buffer_size * sizeof(double)) : nullptr;
                 if (seed && !buffer) return __atomic_store_n(&no_memory, true, __ATOMIC_RELAXED);
                 const int64_t end = least(call.rows, (panel + 1) * per_panel);
                 for (int64_t first = panel * per_panel; first < end;) {
                   int64_t run = least(dims[rank - 1] - first % dims[rank - 1], end - first);
                   const bool is_last = cut && first == call.rows - 1;
                   if (cut && !is_last && first + run == call.rows) --run;
                   const int64_t row =
                       run_of_rows(call, first, run, is_last ? last_sizes : sizes, buffer);
                   if (row) note_least(&failed, row);
                   first += run;
                 }
                 free(buffer);
               });
  if (no_memory) return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for noise", name);
  if (failed) {
    return fail(FG_INVALID_ARGUMENT, "%s: an index is out of bounds. Received: row %lld", name,
                (long long)failed - 1);
  }
  return FG_OK;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, array_kernel,
               (const fg_threads* threads, const char* name, fg_array_function f, int rank,
                const int64_t* dims, int inputs, int outputs, const fg_rows* arrays, int size_count,
                const int64_t* sizes, int64_t last_size, int64_t noise, const int64_t* seed),
               (threads, name, f, rank, dims, inputs, outputs, arrays, size_count, sizes, last_size,
                noise, seed))
