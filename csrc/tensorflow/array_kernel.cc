#include "kernels/array_kernel.h"

#include <stdlib.h>
#include <string.h>

#include "tensorflow/broadcast.h"
#include "tensorflow/compiled.h"

namespace fastgen {

using tensorflow::shape_inference::DimensionHandle;

// The core axes of a kernel's arrays, the last of each: which of its sizes each is.
struct Signature {
  std::vector<std::vector<int>> axes;  // of the inputs, then of the outputs
  std::vector<int64_t> sizes;          // -1: the inputs say
  std::vector<int> noise;              // the axes of a row's

  template <class Context>
  absl::Status read(Context* ctx) {
    std::vector<int> ranks, all;
    TF_RETURN_IF_ERROR(ctx->GetAttr("ranks", &ranks));
    TF_RETURN_IF_ERROR(ctx->GetAttr("axes", &all));
    TF_RETURN_IF_ERROR(ctx->GetAttr("sizes", &sizes));
    TF_RETURN_IF_ERROR(ctx->GetAttr("noise", &noise));
    auto next = all.begin();
    for (int rank : ranks) {
      if (rank < 0 || all.end() - next < rank) return malformed();
      axes.emplace_back(next, next + rank);
      next += rank;
    }
    all.insert(all.end(), noise.begin(), noise.end());
    for (int axis : all) {
      if (axis < 0 || axis >= static_cast<int>(sizes.size())) return malformed();
    }
    return absl::OkStatus();
  }

  static absl::Status malformed() {
    return absl::InvalidArgumentError(
        "array_kernel: ranks, axes and sizes must describe the core axes of all arrays");
  }
};

// How much of an axis is one row, where it is cut: so many elements, and of several columns no more
// than leave a plain sum exact to some thousand roundings.
int64_t cut_size(int64_t columns) {
  constexpr int64_t kElements = 1 << 14, kMostRows = 1 << 10;
  if (columns <= 1) return kElements;
  return std::max<int64_t>(1, std::min(kMostRows, kElements / columns));
}

absl::Status infer_shapes(InferenceContext* c) {
  Signature signature;
  int seeds;
  bool split;
  TF_RETURN_IF_ERROR(signature.read(c));
  TF_RETURN_IF_ERROR(c->GetAttr("seeds", &seeds));
  TF_RETURN_IF_ERROR(c->GetAttr("split", &split));
  const int inputs = c->num_inputs() - seeds;
  if (static_cast<int>(signature.axes.size()) != inputs + c->num_outputs()) {
    return Signature::malformed();
  }
  std::vector<DimensionHandle> sizes;
  for (int64_t size : signature.sizes) {
    sizes.push_back(size < 0 ? c->UnknownDim() : c->MakeDim(size));
  }
  ShapeHandle rows = c->Scalar();
  for (int i = 0; i < inputs; ++i) {
    const std::vector<int>& axes = signature.axes[i];
    ShapeHandle shape, own;
    TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(i), axes.size(), &shape));
    if (!c->RankKnown(shape)) {
      rows = c->UnknownShape();
      continue;
    }
    const int first = c->Rank(shape) - axes.size();
    for (size_t a = 0; a < axes.size(); ++a) {
      TF_RETURN_IF_ERROR(c->Merge(sizes[axes[a]], c->Dim(shape, first + a), &sizes[axes[a]]));
    }
    TF_RETURN_IF_ERROR(c->Subshape(shape, 0, first, &own));
    TF_RETURN_IF_ERROR(tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(
        c, rows, own, true, &rows));
  }
  if (split) {
    int64_t columns = 1;
    bool known = true;
    for (size_t i = 0; i < sizes.size(); ++i) {
      known = known && c->ValueKnown(sizes[i]);
      if (known && i) columns *= c->Value(sizes[i]);
    }
    const int64_t size = cut_size(columns);
    rows = c->Vector(known ? c->MakeDim((c->Value(sizes[0]) + size - 1) / size) : c->UnknownDim());
  }
  for (int i = 0; i < c->num_outputs(); ++i) {
    std::vector<DimensionHandle> core;
    for (int axis : signature.axes[inputs + i]) core.push_back(sizes[axis]);
    ShapeHandle shape;
    TF_RETURN_IF_ERROR(c->Concatenate(rows, c->MakeShape(core), &shape));
    c->set_output(i, shape);
  }
  return absl::OkStatus();
}

REGISTER_OP("FastgenArrayKernel")
    .Input("inputs: In")
    .Input("seed: seeds * int64")
    .Output("outputs: Out")
    .Attr("kernel: string")
    .Attr("In: " FG_COMPILED_DTYPES " >= 1")
    .Attr("Out: " FG_COMPILED_DTYPES " >= 1")
    .Attr("ranks: list(int)")
    .Attr("axes: list(int)")
    .Attr("sizes: list(int)")
    .Attr("noise: list(int)")
    .Attr("split: bool = false")
    .Attr("seeds: int >= 0 = 0")
    .SetShapeFn(infer_shapes)
    .Doc(
        "A function of arrays, compiled in Python, for all rows of tensors that are broadcast: a "
        "row is the last axes of a tensor, ranks[i] of them, whose sizes are those of axes, one "
        "after the other. split: the first size is cut into rows, of which outputs have as many; "
        "the "
        "axes are all that tensors have. kernel: the key that it was registered under in this "
        "process; see fastgen/jit/array_kernel.py");

class ArrayKernelOp : public tensorflow::OpKernel {
 public:
  explicit ArrayKernelOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("kernel", &key_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("seeds", &seeds_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("split", &split_));
    const char* const debug = getenv("FASTGEN_DEBUG");
    debug_ = debug && std::string(debug) == "1";
    OP_REQUIRES_OK(ctx, signature_.read(ctx));
    const int arrays = ctx->num_inputs() - seeds_ + ctx->num_outputs();
    OP_REQUIRES(
        ctx,
        static_cast<int>(signature_.axes.size()) == arrays && !(split_ && signature_.sizes.empty()),
        Signature::malformed());  // an eager op has not been through infer_shapes
  }

  void Compute(OpKernelContext* ctx) override {
    const int inputs = ctx->num_inputs() - seeds_;
    const Compiled* compiled;
    OP_REQUIRES_OK(ctx, find_compiled(key_, &compiled));
    OP_REQUIRES_OK(ctx, compiled->check_dtypes(ctx, inputs));
    const char* const name = compiled->name.c_str();
    int64_t seed[2];
    if (seeds_) OP_REQUIRES_OK(ctx, read_seed(name, ctx->input(inputs), seed));
    std::vector<int64_t> sizes = signature_.sizes;
    std::vector<TensorShape> rows(inputs);
    for (int i = 0; i < inputs; ++i) {
      OP_REQUIRES_OK(ctx, bind(name, ctx->input(i).shape(), i, &sizes, &rows[i]));
    }
    Broadcast broadcast;
    OP_REQUIRES_OK(ctx, broadcast.read(name, rows));
    int64_t last = sizes.empty() ? 0 : sizes[0];
    if (split_) last = cut(&sizes, &broadcast);
    std::vector<fg_rows> arrays;
    for (int i = 0; i < inputs; ++i) {
      const Tensor& x = ctx->input(i);
      arrays.push_back({x.data(), broadcast.strides[i].data(), elements(signature_.axes[i], sizes),
                        tensorflow::DataTypeSize(x.dtype())});
    }
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      TensorShape shape = broadcast.shape;
      for (int axis : signature_.axes[inputs + i]) {
        OP_REQUIRES_OK(ctx, shape.AddDimWithStatus(sizes[axis]));
      }
      Tensor* y;
      OP_REQUIRES_OK(ctx, ctx->allocate_output(i, shape, &y));
      const bool floating =
          y->dtype() == tensorflow::DT_FLOAT || y->dtype() == tensorflow::DT_DOUBLE;
      if (debug_ && floating) memset(y->data(), 0xff, y->TotalBytes());  // NaN
      arrays.push_back({y->data(), nullptr, elements(signature_.axes[inputs + i], sizes),
                        tensorflow::DataTypeSize(y->dtype())});
    }
    OP_REQUIRES_OK(
        ctx, to_status(fg_array_kernel(
                 IntraOpThreads(ctx), name, (fg_array_function)compiled->f, broadcast.dims.size(),
                 broadcast.dims.data(), inputs, ctx->num_outputs(), arrays.data(), sizes.size(),
                 sizes.data(), last, elements(signature_.noise, sizes), seeds_ ? seed : nullptr)));
  }

 private:
  // What a shape says of the sizes, and what is left of it: rows.
  absl::Status bind(const char* name, const TensorShape& shape, int i, std::vector<int64_t>* sizes,
                    TensorShape* rows) const {
    const std::vector<int>& axes = signature_.axes[i];
    const int first = shape.dims() - static_cast<int>(axes.size());
    if (first < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": input ", i, " must have ", axes.size(),
                       " axes or more. Received: ", shape.DebugString()));
    }
    for (size_t a = 0; a < axes.size(); ++a) {
      int64_t& size = (*sizes)[axes[a]];
      const int64_t dim = shape.dim_size(first + a);
      if (size >= 0 && size != dim) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": axis ", static_cast<int>(a) - static_cast<int>(axes.size()),
                         " of input ", i, " must be ", size, ". Received: ", shape.DebugString()));
      }
      size = dim;
    }
    *rows = shape;
    rows->RemoveLastDims(axes.size());
    return absl::OkStatus();
  }

  // The first size into rows, the last of the size that is returned: inputs that begin with it go
  // on from one to the next, others repeat.
  int64_t cut(std::vector<int64_t>* sizes, Broadcast* broadcast) const {
    int64_t columns = 1;
    for (size_t i = 1; i < sizes->size(); ++i) columns *= (*sizes)[i];
    const int64_t whole = (*sizes)[0], size = std::min(whole, cut_size(columns));
    const int64_t rows = size ? (whole + size - 1) / size : 0;
    broadcast->shape = TensorShape({rows});
    broadcast->dims = {rows};
    for (size_t i = 0; i < broadcast->strides.size(); ++i) {
      const std::vector<int>& axes = signature_.axes[i];
      broadcast->strides[i] = {!axes.empty() && axes[0] == 0};
    }
    (*sizes)[0] = size;
    return rows ? whole - (rows - 1) * size : 0;
  }

  static int64_t elements(const std::vector<int>& axes, const std::vector<int64_t>& sizes) {
    int64_t count = 1;
    for (int axis : axes) count *= sizes[axis];
    return count;
  }

  std::string key_;
  int seeds_;
  bool split_, debug_;
  Signature signature_;
};

REGISTER_KERNEL_BUILDER(Name("FastgenArrayKernel").Device(tensorflow::DEVICE_CPU),
                        Traced<ArrayKernelOp>);

}  // namespace fastgen
