// The factors of a product sum_k a[i, k] b[j, k] as lines that lie anyhow, and how a block's threads
// bring a step of them into shared memory as panels for tensor cores (cuda/mma.cuh).
#pragma once
#include "cuda/mma.cuh"

namespace fastgen {
namespace cuda {

// How an operand can be read: 16 bytes of a line at once, four lines at once at one depth, or neither.
enum class Reading { along, across, singly };

// Element k of line i is at data[i * line_step + k * step].
template <class T>
struct Operand {
  const T* data;
  int64_t lines, depth, line_step, step;
  Reading reading;
};

constexpr int kSlots = 4;                // 16 bytes each, of a panel's line
constexpr int kPanelWords = 4 * kSlots;  // of 32 bits, of depth
constexpr int kPanelLineBytes = 4 * kPanelWords;
template <class T>
constexpr int kPanelDepth = kPanelLineBytes / sizeof(T);

// Where a panel has a slot of a line: so that neither 8 lanes that read two neighbouring lines nor 8
// that write every fourth one meet in a bank more than they must.
__device__ __forceinline__ uint4* slot_of(char* panel, int line, int slot) {
  const int turned = slot ^ (((line >> 1) ^ (line >> 3)) & (kSlots - 1));
  return reinterpret_cast<uint4*>(panel + line * kPanelLineBytes) + turned;
}

// A thread's share of a panel that goes through registers: a slot of four lines.
template <class T>
struct Patch {
  T of_line[4][kPack<T>];
};

template <class T>
__device__ __forceinline__ void load_four(const T* from, T (&to)[4]) {
  if constexpr (sizeof(T) == 4) {
    const uint4 words = *reinterpret_cast<const uint4*>(from);
    memcpy(to, &words, sizeof words);
  } else {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    memcpy(to, &words, sizeof words);
  }
}

// Elements of lines from `line` on and from depth k on; 0 where there are none before `end`.
template <class T>
__device__ __forceinline__ void read_patch(const Operand<T>& x, int64_t line, int64_t k,
                                           int64_t end, Patch<T>* patch) {
  const T* from = x.data + line * x.line_step + k * x.step;
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) {
    T four[4] = {};
    if (k + j < end) {
      if (x.reading == Reading::across && line + 4 <= x.lines) {
        load_four(from, four);
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (line + i < x.lines) four[i] = from[i * x.line_step];
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) patch->of_line[i][j] = four[i];
    from += x.step;
  }
}

// Tensor cores do not read the last bits of a float32: they are rounded before, here where each is
// read by several warps.
__device__ __forceinline__ void round_words(float, uint4* words) {
  *words = {tf32(words->x), tf32(words->y), tf32(words->z), tf32(words->w)};
}
template <class T>
__device__ __forceinline__ void round_words(T, uint4*) {}

// One block's way of bringing panels of `lines` (a multiple of 4) from line `first` on.
template <class T, bool rounded>
struct PanelReader {
  const Operand<T>& x;
  int64_t first, end;  // of lines, of depth
  int lines;
  Patch<T> patch;

  // Starts reading depth k on: `panel` gets it by finish_read, or when copies are waited for.
  __device__ __forceinline__ void start_read(char* panel, int64_t k) {
    if (x.reading == Reading::along) {
      for (int i = threadIdx.x; i < lines * kSlots; i += blockDim.x) copy(panel, k, i);
    } else if ((int)threadIdx.x < lines) {
      read_patch(x, first + quad() * 4, k + slot() * kPack<T>, end, &patch);
    }
  }
  __device__ __forceinline__ void finish_read(char* panel) const {
    if (x.reading == Reading::along || (int)threadIdx.x >= lines) return;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint4 words;
      memcpy(&words, patch.of_line[i], sizeof words);
      if (rounded) round_words(T{}, &words);
      *slot_of(panel, quad() * 4 + i, slot()) = words;
    }
  }
  // Rounds what this thread has copied, once it is there and before others may read it.
  __device__ __forceinline__ void round_copied(char* panel) const {
    if constexpr (rounded && sizeof(T) == sizeof(float)) {
      if (x.reading != Reading::along) return;
      for (int i = threadIdx.x; i < lines * kSlots; i += blockDim.x) {
        round_words(T{}, slot_of(panel, i / kSlots, i % kSlots));
      }
    }
  }

 private:
  // The patch of a thread, of `lines` of them: neighbouring threads take neighbouring lines. (Shifts in
  // place of the divisions cost registers that there are not.)
  __device__ __forceinline__ int quad() const { return (int)threadIdx.x % (lines / 4); }
  __device__ __forceinline__ int slot() const { return (int)threadIdx.x / (lines / 4); }

  __device__ __forceinline__ void copy(char* panel, int64_t k, int i) const {
    const int64_t line = first + i / kSlots, at = k + i % kSlots * kPack<T>;
    const int64_t left = line < x.lines && at < end ? (end - at) * (int64_t)sizeof(T) : 0;
    const T* const from = left > 0 ? x.data + line * x.line_step + at : x.data;
    copy_async(slot_of(panel, i / kSlots, i % kSlots), from, left < 16 ? (int)left : 16);
  }
};

}  // namespace cuda
}  // namespace fastgen
