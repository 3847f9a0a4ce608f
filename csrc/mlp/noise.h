// Numbers of a seed as a network's rows.
#pragma once
#include "core/normal.h"
#include "mlp/rows.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// A panel's rows of stateless_normal(seed) of as many columns, feature by feature; first_row: of the
// panel's group. space: for [count, cols].
template <class T>
void put_noise(const Panel& p, int64_t cols, const int64_t* seed, int64_t first_row, T* space,
               const Rows<T>& to) {
  for_noise<T>(VectorPhilox(seed), (first_row + p.row) * cols, p.count * cols,
               [&](int64_t i, auto eps, auto lanes) { store(space, i, eps, lanes); });
  put_matrix(p.count, cols, space, to);
}

// The same of a function of stateless_uniform's bits.
template <class T, class Of>
void put_of_bits(const Panel& p, int64_t cols, const int64_t* seed, int64_t first_row, T* space,
                 const Rows<T>& to, const Of& of) {
  for_random_bits<T>(VectorPhilox(seed), (first_row + p.row) * cols, p.count * cols,
                     [&](int64_t i, auto bits, auto lanes) { store(space, i, of(bits), lanes); });
  put_matrix(p.count, cols, space, to);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
