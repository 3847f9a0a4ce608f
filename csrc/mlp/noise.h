// Normal noise as a network's rows.
#pragma once
#include "core/normal.h"
#include "mlp/rows.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// A panel's rows of stateless_normal({batch, cols}, seed), feature by feature. noise: space for [batch,
// cols], of which the panel's rows are written.
template <class T>
void put_noise(const Panel& p, int64_t cols, const int64_t* seed, T* noise, const Rows<T>& to) {
  const int64_t first = p.row * cols;
  T* const rows = noise + first;
  for_noise<T>(VectorPhilox(seed), first, p.count * cols,
               [&](int64_t i, auto eps, auto lanes) { store(rows, i, eps, lanes); });
  put_matrix(p, cols, noise, to);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
