// Shapes broadcast as NumPy's, with as few axes as possible.
#pragma once
#include <vector>

#include "tensorflow/glue.h"

namespace fastgen {

// The shape of all inputs broadcast, its axes merged where no input is repeated along one alone.
class Broadcast {
 public:
  absl::Status read(const std::string& name, const std::vector<TensorShape>& inputs) {
    int rank = 0;
    for (const TensorShape& input : inputs) rank = std::max(rank, input.dims());
    std::vector<int64_t> all(rank, 1);
    for (const TensorShape& input : inputs) {
      for (int axis = 0; axis < rank; ++axis) {
        const int64_t dim = dim_of(input, rank, axis);
        if (dim != 1 && all[axis] != 1 && dim != all[axis]) {
          return absl::InvalidArgumentError(absl::StrCat(
              name, ": inputs must have shapes that broadcast. Received: ", in_words(inputs)));
        }
        if (dim != 1) all[axis] = dim;
      }
    }
    TF_RETURN_IF_ERROR(TensorShape::BuildTensorShape(all, &shape));
    merge(inputs, all);
    return absl::OkStatus();
  }

  TensorShape shape;
  std::vector<int64_t> dims;                  // at least one
  std::vector<std::vector<int64_t>> strides;  // of each input, for dims

 private:
  static int64_t dim_of(const TensorShape& shape, int rank, int axis) {
    const int own = axis - (rank - shape.dims());
    return own < 0 ? 1 : shape.dim_size(own);
  }

  static std::string in_words(const std::vector<TensorShape>& inputs) {
    std::string all;
    for (const TensorShape& input : inputs) {
      absl::StrAppend(&all, all.empty() ? "" : ", ", input.DebugString());
    }
    return all;
  }

  // From the last axis on: an axis joins the one after it if every input is whole along both, or
  // repeated along both.
  void merge(const std::vector<TensorShape>& inputs, const std::vector<int64_t>& all) {
    const int count = inputs.size(), rank = all.size();
    std::vector<int64_t> next(count, 1);  // the stride of an axis along which input i is whole
    strides.resize(count);
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (all[axis] == 1) continue;
      bool joins = !dims.empty();
      std::vector<int64_t> stride(count);
      for (int i = 0; i < count; ++i) {
        const int64_t dim = dim_of(inputs[i], rank, axis);
        stride[i] = dim == 1 ? 0 : next[i];
        next[i] *= dim;
        joins = joins && stride[i] == strides[i].front() * dims.front();
      }
      if (joins) {
        dims.front() *= all[axis];
        continue;
      }
      dims.insert(dims.begin(), all[axis]);
      for (int i = 0; i < count; ++i) strides[i].insert(strides[i].begin(), stride[i]);
    }
    if (!dims.empty()) return;
    dims.push_back(1);
    for (auto& stride : strides) stride.push_back(0);
  }
};

}  // namespace fastgen
