#include "xla/custom_call.h"

#include <optional>

#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace xla::ffi {

const XLA_FFI_Api* GetXlaFfiApi();  // its own header, ffi_api.h, brings the compiler's

}  // namespace xla::ffi

namespace fastgen {
namespace {

using tensorflow::XlaOpKernelContext;

class EmitCall : public tensorflow::XlaOpKernel {
 public:
  explicit EmitCall(tensorflow::OpKernelConstruction* ctx) : XlaOpKernel(ctx) {
    OP_REQUIRES_OK(ctx, tensorflow::OpRegistry::Global()->LookUp(type_string(), &op_));
  }

  void Compile(XlaOpKernelContext* ctx) override {
    std::vector<xla::XlaOp> operands;
    std::vector<xla::Shape> arguments, results;
    std::optional<xla::XlaOp> length;
    OP_REQUIRES_OK(ctx, read_arguments(ctx, &operands, &arguments, &length));
    OP_REQUIRES_OK(ctx, infer_results(ctx, arguments, &results));
    std::optional<xla::XlaOp> means;
    if (length) {
      means = average_rows(*length, &operands, &arguments, &results);
      OP_REQUIRES_OK(ctx, check_lengths(arguments, results));
    }
    const xla::XlaOp call = xla::CustomCallWithLayout(
        ctx->builder(), type_string(), operands, xla::ShapeUtil::MakeTupleShape(results), arguments,
        /*opaque=*/"", /*has_side_effect=*/false, /*output_operand_aliasing=*/{},
        /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      xla::XlaOp result = xla::GetTupleElement(call, i);
      if (length) result = xla::SetDimensionSize(result, *length, 0);
      if (means) {
        const xla::PrimitiveType type = results[i].element_type();
        if (i == 0) {
          const xla::XlaComputation* add = ctx->GetOrCreateAdd(ctx->expected_output_dtype(i));
          result = xla::ReduceAll(result, xla::Zero(ctx->builder(), type), *add);
        }
        result = result / xla::ConvertElementType(*means, type);
      }
      ctx->SetOutput(i, result);
    }
  }

 private:
  // length: that of arrays of which XLA knows at run time alone how many rows are in use, as of
  // tf.boolean_mask's. Handlers get all there is room for: no row's results depend on another.
  absl::Status read_arguments(XlaOpKernelContext* ctx, std::vector<xla::XlaOp>* operands,
                              std::vector<xla::Shape>* shapes,
                              std::optional<xla::XlaOp>* length) const {
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      TF_ASSIGN_OR_RETURN(xla::Shape shape, ctx->InputXlaShape(i));
      xla::LayoutUtil::SetToDefaultLayout(&shape);
      xla::XlaOp operand = ctx->Input(i);
      if (shape.element_type() == xla::S32) {  // a seed, which handlers take in int64
        shape.set_element_type(xla::S64);
        operand = xla::ConvertElementType(operand, xla::S64);
      }
      for (size_t axis = 0; axis < shape.dimensions().size(); ++axis) {
        if (!shape.is_dynamic_dimension(axis)) continue;
        if (axis > 0) return of_other_lengths(shape);
        *length = xla::GetDimensionSize(operand, axis);
        operand = xla::RemoveDynamicDimension(operand, axis);
        shape.set_dynamic_dimension(axis, false);
      }
      operands->push_back(operand);
      shapes->push_back(std::move(shape));
    }
    return absl::OkStatus();
  }

  // Makes a cross-entropy's mean of all, or the gradient of one, that of each row; how many means
  // there then are to average, where the outputs are theirs.
  std::optional<xla::XlaOp> average_rows(xla::XlaOp length, std::vector<xla::XlaOp>* operands,
                                         std::vector<xla::Shape>* arguments,
                                         std::vector<xla::Shape>* results) const {
    const bool forward = type_string() == "FastgenSigmoidCrossEntropy";
    if (!forward && type_string() != "FastgenSigmoidCrossEntropyGrad") return std::nullopt;
    xla::Shape& loss = forward ? results->front() : arguments->back();
    if (!loss.dimensions().empty()) return std::nullopt;
    auto rows = arguments->front().dimensions();
    if (rows.size() > 1) rows.remove_suffix(1);
    int64_t means_of_a_row = 1;
    for (const int64_t size : rows.subspan(1)) means_of_a_row *= size;
    length = xla::ConvertElementType(length, xla::S64);
    const xla::XlaOp counted = length * xla::ScalarLike(length, means_of_a_row);
    const xla::XlaOp means = xla::Max(counted, xla::ScalarLike(length, 1));
    loss = xla::ShapeUtil::MakeShape(loss.element_type(), rows);
    if (forward) return means;
    const xla::XlaOp d_loss = operands->back();
    const xla::XlaOp d_mean = d_loss / xla::ConvertElementType(means, loss.element_type());
    operands->back() = xla::Broadcast(d_mean, rows);
    return std::nullopt;
  }

  // Whether all arrays have rows, so that none is a sum of them. A slope times d_loss may be.
  absl::Status check_lengths(const std::vector<xla::Shape>& arguments,
                             const std::vector<xla::Shape>& results) const {
    for (size_t i = 0; i < arguments.size(); ++i) {
      const std::string& name = op_->op_def.input_arg(i).name();
      if (name == "seed" || name == "label_smoothing" || name == "d_loss") continue;
      if (arguments[i].dimensions().empty()) return of_other_lengths(arguments[i]);
    }
    for (const xla::Shape& result : results) {
      if (result.dimensions().empty()) return of_other_lengths(result);
    }
    return absl::OkStatus();
  }

  absl::Status of_other_lengths(const xla::Shape& shape) const {
    return absl::UnimplementedError(absl::StrCat(
        type_string(),
        ": where XLA knows the size of arrays at run time alone, it must be that of the first ",
        "axis of all of them; fastgen.portable() takes others. Received: ",
        xla::ShapeUtil::HumanString(shape)));
  }

  // By the op's own shape function, which refuses shapes that do not fit.
  absl::Status infer_results(XlaOpKernelContext* ctx, const std::vector<xla::Shape>& arguments,
                             std::vector<xla::Shape>* results) const {
    std::vector<tensorflow::PartialTensorShape> shapes;
    for (const xla::Shape& argument : arguments) shapes.emplace_back(argument.dimensions());
    const std::vector<const tensorflow::Tensor*> no_values(shapes.size());
    tensorflow::shape_inference::InferenceContext inference(
        TF_GRAPH_DEF_VERSION, def(), op_->op_def, shapes, no_values,
        std::vector<tensorflow::PartialTensorShape>(), {});
    TF_RETURN_IF_ERROR(inference.construction_status());
    TF_RETURN_IF_ERROR(inference.Run(op_->shape_inference_fn));
    for (int i = 0; i < ctx->num_outputs(); ++i) {
      tensorflow::TensorShape shape;
      tensorflow::TensorShapeProto proto;
      inference.ShapeHandleToProto(inference.output(i), &proto);
      TF_RETURN_IF_ERROR(tensorflow::TensorShape::BuildTensorShape(proto, &shape));
      TF_RETURN_IF_ERROR(tensorflow::TensorShapeToXLAShape(ctx->expected_output_dtype(i), shape,
                                                           &results->emplace_back()));
    }
    return absl::OkStatus();
  }

  const tensorflow::OpRegistrationData* op_ = nullptr;
};

tensorflow::OpKernel* make_call(tensorflow::OpKernelConstruction* ctx) { return new EmitCall(ctx); }

// What XLA has refused to register, a line each.
std::string& faults() {
  static auto* const all = new std::string;
  return *all;
}

void add(const char* op, const char* platform, XLA_FFI_Handler* handler, const char* device) {
  const XLA_FFI_Api* api = ffi::GetXlaFfiApi();
  if (XLA_FFI_Error* error = ffi::Ffi::RegisterStaticHandler(api, op, platform, handler)) {
    absl::StrAppend(&faults(), faults().empty() ? "" : "\n", op, " on ", platform, ": ",
                    ffi::internal::GetErrorMessage(api, error));
    ffi::internal::DestroyError(api, error);
    return;
  }
  tensorflow::kernel_factory::OpKernelRegistrar(
      tensorflow::KernelDefBuilder(op).Device(device).Build(), "FastgenCustomCall", &make_call);
}

}  // namespace

// On a GPU XLA hands the same buffers over, in the device's memory.
CustomCall::CustomCall(const char* op, XLA_FFI_Handler* host, XLA_FFI_Handler* cuda) {
  add(op, "Host", host, "XLA_CPU_JIT");
  if (cuda) add(op, "CUDA", cuda, "XLA_GPU_JIT");
}

}  // namespace fastgen

// Why XLA does not call some of the kernels, or NULL.
extern "C" FG_API const char* fg_xla_fault(void) {
  const std::string& faults = fastgen::faults();
  return faults.empty() ? nullptr : faults.c_str();
}
