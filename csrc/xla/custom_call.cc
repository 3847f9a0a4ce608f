#include "xla/custom_call.h"

#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
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
    OP_REQUIRES_OK(ctx, read_arguments(ctx, &operands, &arguments));
    OP_REQUIRES_OK(ctx, infer_results(ctx, arguments, &results));
    const xla::XlaOp call = xla::CustomCallWithLayout(
        ctx->builder(), type_string(), operands, xla::ShapeUtil::MakeTupleShape(results), arguments,
        /*opaque=*/"", /*has_side_effect=*/false, /*output_operand_aliasing=*/{},
        /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (int i = 0; i < ctx->num_outputs(); ++i) ctx->SetOutput(i, xla::GetTupleElement(call, i));
  }

 private:
  static absl::Status read_arguments(XlaOpKernelContext* ctx, std::vector<xla::XlaOp>* operands,
                                     std::vector<xla::Shape>* shapes) {
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      TF_ASSIGN_OR_RETURN(xla::Shape shape, ctx->InputXlaShape(i));
      xla::LayoutUtil::SetToDefaultLayout(&shape);
      xla::XlaOp operand = ctx->Input(i);
      if (shape.element_type() == xla::S32) {  // a seed, which handlers take in int64
        shape.set_element_type(xla::S64);
        operand = xla::ConvertElementType(operand, xla::S64);
      }
      operands->push_back(operand);
      shapes->push_back(std::move(shape));
    }
    return absl::OkStatus();
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
