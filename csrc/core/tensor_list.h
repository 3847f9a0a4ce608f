// Many tensors as one range of elements, so that small ones share panels and large ones are cut.
// Each is rounded up to whole cache lines: cuts keep its alignment.
#pragma once
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// What a panel and a tensor share. Its number, panel + tensor, is its own: a new piece starts where
// either does.
struct Piece {
  int64_t tensor, number, first, size;
};

struct TensorList {
  int64_t count;
  const int64_t* starts;  // count + 1, each the sum of padded() of the sizes before it
  int64_t panels() const { return (starts[count] + kPanel - 1) / kPanel; }
  int64_t pieces() const { return panels() + count; }

  // The first tensor that ends behind position.
  int64_t find(int64_t position) const {
    int64_t low = 0, high = count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (starts[middle + 1] > position) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
};

FG_INLINE int64_t padded(int64_t size) { return (size + 15) / 16 * 16; }

// body(piece), panels in parallel. size(tensor) is a tensor's true size.
template <class Size, class Body>
FG_INLINE void for_pieces(const fg_threads* threads, const TensorList& list, int64_t cycles,
                          const Size& size, const Body& body) {
  parallel_for(threads, list.panels(), cycles * kPanel, [&](int64_t panel) {
    const int64_t begin = panel * kPanel, end = begin + kPanel;
    for (int64_t i = list.find(begin); i < list.count && list.starts[i] < end; ++i) {
      const int64_t first = list.starts[i] < begin ? begin - list.starts[i] : 0;
      const int64_t last = least(size(i), end - list.starts[i]);
      if (first < last) body(Piece{i, panel + i, first, last - first});
    }
  });
}

// body(first, size) on the tiles of a piece, in order.
template <class Body>
FG_INLINE void for_tiles_of(const Piece& piece, const Body& body) {
  const int64_t end = piece.first + piece.size;
  for (int64_t first = piece.first; first < end; first += kTile) {
    body(first, least(kTile, end - first));
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
