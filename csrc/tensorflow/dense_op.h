// The ops on a dense layer, of which dense.cc and dense_transpose.cc register one pair each.
#pragma once
#include "core/activation.h"
#include "tensorflow/device.h"

namespace fastgen {

using tensorflow::shape_inference::DimensionHandle;

inline fg_activation activation_code(const std::string& name) {
  static const char* const names[] = FG_ACTIVATION_NAMES;
  fg_activation code = 0;  // the attribute admits no other names
  while (code + 1 < FG_ACTIVATIONS && name != names[code]) ++code;
  return code;
}

// Shapes of x [..., inputs] and kernel, whose axis inputs_axis is of inputs, and of y [..., units].
inline absl::Status dense_shapes(InferenceContext* c, int inputs_axis, ShapeHandle* y) {
  ShapeHandle x, kernel, outer;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 2, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &kernel));
  DimensionHandle inputs;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(x, -1), c->Dim(kernel, inputs_axis), &inputs));
  TF_RETURN_IF_ERROR(c->Subshape(x, 0, -1, &outer));
  return c->Concatenate(outer, c->Vector(c->Dim(kernel, 1 - inputs_axis)), y);
}

inline absl::Status needs_input(InferenceContext* c, bool* needs) {
  std::string name;
  TF_RETURN_IF_ERROR(c->GetAttr("activation", &name));
  *needs = fg_needs_input(activation_code(name));
  return absl::OkStatus();
}

inline absl::Status check_biases(const char* op, int biases) {
  if (biases <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": bias must be a list of one or none. Received: ", biases, " of them"));
}

template <class Layer>
absl::Status dense_shape_function(InferenceContext* c) {
  ShapeHandle y, bias;
  bool z;
  TF_RETURN_IF_ERROR(check_biases(Layer::op, c->num_inputs() - 2));
  TF_RETURN_IF_ERROR(dense_shapes(c, Layer::inputs_axis, &y));
  TF_RETURN_IF_ERROR(needs_input(c, &z));
  for (int i = 2; i < c->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(
        c->Merge(c->Vector(c->Dim(c->input(1), 1 - Layer::inputs_axis)), c->input(i), &bias));
  }
  c->set_output(0, y);
  c->set_output(1, z ? y : c->Vector(0));
  return absl::OkStatus();
}

template <class Layer>
absl::Status dense_grad_shape_function(InferenceContext* c) {
  ShapeHandle y;
  bool need_x, need_kernel;
  TF_RETURN_IF_ERROR(check_biases(Layer::op, c->num_inputs() - 4));
  TF_RETURN_IF_ERROR(dense_shapes(c, Layer::inputs_axis, &y));
  TF_RETURN_IF_ERROR(c->GetAttr("need_x", &need_x));
  TF_RETURN_IF_ERROR(c->GetAttr("need_kernel", &need_kernel));
  for (int i = c->num_inputs() - 2; i < c->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(c->Merge(y, c->input(i), &y));
  }
  c->set_output(0, need_x ? c->input(0) : c->Vector(0));
  c->set_output(1, need_kernel ? c->input(1) : c->Vector(0));
  for (int i = 2; i < c->num_outputs(); ++i) c->set_output(i, c->input(i));
  return absl::OkStatus();
}

// A kernel's functions for both devices, of which the GPU's takes the precision, too.
template <class Cpu, class Gpu>
struct Products {
  Cpu cpu;
  Gpu gpu;

  template <class Device, class... Args>
  absl::Status run(OpKernelContext* ctx, fg_dtype dtype, int64_t rows, int64_t inputs,
                   int64_t units, fg_activation activation, Args... args) const {
    if constexpr (Device::is_gpu) {
      return Device::run(ctx, cpu, gpu, dtype, rows, inputs, units, activation,
                         precision_of_products(), args...);
    } else {
      return Device::run(ctx, cpu, gpu, dtype, rows, inputs, units, activation, args...);
    }
  }
};
template <class Cpu, class Gpu>
Products(Cpu, Gpu) -> Products<Cpu, Gpu>;

// Layer: op, inputs_axis, and the kernels forward and backward.
template <class Layer>
class DenseBase : public tensorflow::OpKernel {
 public:
  explicit DenseBase(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    std::string name;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activation", &name));
    activation_ = activation_code(name);
    int biases;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("N", &biases));
    OP_REQUIRES_OK(ctx, check_biases(Layer::op, biases));
  }

 protected:
  struct Sizes {
    int64_t rows = 0, inputs = 0, units = 0;
    TensorShape y;
  };

  absl::Status read_sizes(OpKernelContext* ctx, Sizes* s) const {
    const Tensor &x = ctx->input(0), &kernel = ctx->input(1);
    if (x.dims() < 2 || kernel.dims() != 2 ||
        x.dim_size(x.dims() - 1) != kernel.dim_size(Layer::inputs_axis)) {
      return absl::InvalidArgumentError(absl::StrCat(
          Layer::op, ": x must have rank 2 or more and the last axis of x be as long as the ",
          Layer::inputs_axis ? "last" : "first", " of kernel. Received: x.shape=",
          x.shape().DebugString(), ", kernel.shape=", kernel.shape().DebugString()));
    }
    s->inputs = kernel.dim_size(Layer::inputs_axis);
    s->units = kernel.dim_size(1 - Layer::inputs_axis);
    s->y = x.shape();
    s->y.RemoveLastDims(1);
    s->rows = s->y.num_elements();
    s->y.AddDim(s->units);
    return absl::OkStatus();
  }

  absl::Status check_bias(const Tensor& bias, const Sizes& s) const {
    if (bias.shape() == TensorShape({s.units})) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(Layer::op, ": bias must have shape [", s.units,
                     "]. Received: bias.shape=", bias.shape().DebugString()));
  }

  fg_activation activation_;
};

template <class Layer, class Device, class T>
class DenseOp : public DenseBase<Layer> {
 public:
  using DenseBase<Layer>::DenseBase;
  void Compute(OpKernelContext* ctx) override {
    typename DenseBase<Layer>::Sizes s;
    OP_REQUIRES_OK(ctx, this->read_sizes(ctx, &s));
    const void* bias = nullptr;
    if (ctx->num_inputs() > 2) {
      OP_REQUIRES_OK(ctx, this->check_bias(ctx->input(2), s));
      bias = ctx->input(2).data();
    }
    // z is there for the gradient; a graph without one has no use for it.
    const bool z_wanted = fg_needs_input(this->activation_) && ctx->output_required(1);
    Tensor *y, *z = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, s.y, &y));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, z_wanted ? s.y : TensorShape({0}), &z));
    OP_REQUIRES_OK(ctx, Layer::forward.template run<Device>(
                            ctx, Dtype<T>::value, s.rows, s.inputs, s.units, this->activation_,
                            ctx->input(0).data(), ctx->input(1).data(), bias, y->data(),
                            z_wanted ? z->data() : nullptr));
  }
};

template <class Layer, class Device, class T>
class DenseGradOp : public DenseBase<Layer> {
 public:
  explicit DenseGradOp(tensorflow::OpKernelConstruction* ctx) : DenseBase<Layer>(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("need_x", &need_x_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("need_kernel", &need_kernel_));
  }
  void Compute(OpKernelContext* ctx) override {
    typename DenseBase<Layer>::Sizes s;
    OP_REQUIRES_OK(ctx, this->read_sizes(ctx, &s));
    const int last = ctx->num_inputs() - 1;
    const Tensor &saved = ctx->input(last - 1), &d_y = ctx->input(last);
    OP_REQUIRES(ctx, d_y.shape() == s.y && saved.shape() == s.y,
                absl::InvalidArgumentError(absl::StrCat(
                    Layer::op, "_grad: saved and d_y must have the shape of y, ", s.y.DebugString(),
                    ". Received: saved.shape=", saved.shape().DebugString(),
                    ", d_y.shape=", d_y.shape().DebugString())));
    void *d_x = nullptr, *d_kernel = nullptr, *d_bias = nullptr;
    OP_REQUIRES_OK(ctx, allocate(ctx, 0, need_x_, &d_x));
    OP_REQUIRES_OK(ctx, allocate(ctx, 1, need_kernel_, &d_kernel));
    if (last > 3) {
      OP_REQUIRES_OK(ctx, this->check_bias(ctx->input(2), s));
      OP_REQUIRES_OK(ctx, allocate(ctx, 2, true, &d_bias));
    }
    OP_REQUIRES_OK(ctx, Layer::backward.template run<Device>(
                            ctx, Dtype<T>::value, s.rows, s.inputs, s.units, this->activation_,
                            ctx->input(0).data(), ctx->input(1).data(), saved.data(), d_y.data(),
                            d_x, d_kernel, d_bias));
  }

 private:
  // Output i, of the shape of input i. What no node of the graph takes (the weights of a frozen
  // layer, say) is not computed.
  static absl::Status allocate(OpKernelContext* ctx, int i, bool needed, void** data) {
    needed = needed && ctx->output_required(i);
    Tensor* out = nullptr;
    TF_RETURN_IF_ERROR(
        ctx->allocate_output(i, needed ? ctx->input(i).shape() : TensorShape({0}), &out));
    if (needed) *data = out->data();
    return absl::OkStatus();
  }

  bool need_x_, need_kernel_;
};

}  // namespace fastgen

// Registers Fastgen##NAME and Fastgen##NAME##Grad, of a Layer; PRODUCT and STEM are for their texts.
#define FASTGEN_REGISTER_OPS_OF_DENSE(NAME, LAYER, PRODUCT, STEM)                                  \
  REGISTER_OP("Fastgen" NAME)                                                                      \
      .Input("x: T")                                                                               \
      .Input("kernel: T")                                                                          \
      .Input("bias: N * T")                                                                        \
      .Output("y: T")                                                                              \
      .Output("pre_activation: T")                                                                 \
      .Attr(FASTGEN_ACTIVATIONS)                                                                   \
      .Attr("N: int >= 0")                                                                         \
      .Attr("T: {half, bfloat16, float, double}")                                                  \
      .SetShapeFn(dense_shape_function<LAYER>)                                                     \
      .Doc("y = activation(" PRODUCT " + bias), N = 0 or 1 biases. pre_activation: " PRODUCT       \
           " + bias where the gradient needs it, else empty; see csrc/kernels/" STEM ".h");        \
  REGISTER_OP("Fastgen" NAME "Grad")                                                               \
      .Input("x: T")                                                                               \
      .Input("kernel: T")                                                                          \
      .Input("bias: N * T")                                                                        \
      .Input("saved: T")                                                                           \
      .Input("d_y: T")                                                                             \
      .Output("d_x: T")                                                                            \
      .Output("d_kernel: T")                                                                       \
      .Output("d_bias: N * T")                                                                     \
      .Attr(FASTGEN_ACTIVATIONS)                                                                   \
      .Attr("need_x: bool = true")                                                                 \
      .Attr("need_kernel: bool = true")                                                            \
      .Attr("N: int >= 0")                                                                         \
      .Attr("T: {half, bfloat16, float, double}")                                                  \
      .SetShapeFn(dense_grad_shape_function<LAYER>)                                                \
      .Doc("Gradients of Fastgen" NAME                                                             \
           ". saved: its pre_activation, or y where that is empty. What is not needed is empty."); \
  template <class Device, class T>                                                                 \
  using Forward##LAYER = DenseOp<LAYER, Device, T>;                                                \
  template <class Device, class T>                                                                 \
  using Backward##LAYER = DenseGradOp<LAYER, Device, T>;                                           \
  FASTGEN_REGISTER("Fastgen" NAME, Forward##LAYER, FASTGEN_NO_MORE);                               \
  FASTGEN_REGISTER("Fastgen" NAME "Grad", Backward##LAYER, FASTGEN_NO_MORE)

#define FASTGEN_NO_MORE(T)
#define FASTGEN_ACTIVATIONS                                                   \
  "activation: {'linear', 'relu', 'selu', 'elu', 'gelu_tanh', 'leaky_relu', " \
  "'sigmoid', 'tanh', 'softplus', 'silu'} = 'linear'"
