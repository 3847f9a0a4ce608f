// XLA on a GPU, as far as a custom call sees it: the handlers of csrc/xla by name, and a call of one
// through the C interface, with a stream and errors of our own.
#include <string.h>

#include <map>
#include <new>
#include <vector>

#include "core/status.h"
#include "xla/custom_call.h"

struct XLA_FFI_Error {
  std::string message;
  XLA_FFI_Error_Code code;
};

namespace fastgen {
namespace {

std::map<std::string, XLA_FFI_Handler*>& handlers() {
  static auto* const all = new std::map<std::string, XLA_FFI_Handler*>;
  return *all;
}

XLA_FFI_Error* create_error(XLA_FFI_Error_Create_Args* args) {
  return new XLA_FFI_Error{args->message, args->errc};
}
void get_message(XLA_FFI_Error_GetMessage_Args* args) {
  args->message = args->error->message.c_str();
}
void destroy_error(XLA_FFI_Error_Destroy_Args* args) { delete args->error; }

XLA_FFI_Error* get_stream(XLA_FFI_Stream_Get_Args* args) {
  args->stream = reinterpret_cast<void*>(args->ctx);
  return nullptr;
}

// Bytes of scratch memory: of the calls so far, and what none has given back.
int64_t asked = 0, kept = 0;

XLA_FFI_Error* allocate(XLA_FFI_DeviceMemory_Allocate_Args* args) {
  if (args->size > size_t{1} << 40) {
    return new XLA_FFI_Error{"out of memory", XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
  }
  args->data = ::operator new(args->size, std::align_val_t(args->alignment));
  memset(args->data, 0xff, args->size);
  asked += args->size, kept += args->size;
  return nullptr;
}
XLA_FFI_Error* give_back(XLA_FFI_DeviceMemory_Free_Args* args) {
  ::operator delete(args->data, std::align_val_t(16));
  kept -= args->size;
  return nullptr;
}

const XLA_FFI_Api* interface() {
  static const XLA_FFI_Api* const only = [] {
    auto* const api = new XLA_FFI_Api{};
    api->struct_size = XLA_FFI_Api_STRUCT_SIZE;
    api->api_version = {XLA_FFI_Api_Version_STRUCT_SIZE, nullptr, XLA_FFI_API_MAJOR,
                        XLA_FFI_API_MINOR};
    api->XLA_FFI_Error_Create = &create_error;
    api->XLA_FFI_Error_GetMessage = &get_message;
    api->XLA_FFI_Error_Destroy = &destroy_error;
    api->XLA_FFI_Stream_Get = &get_stream;
    api->XLA_FFI_DeviceMemory_Allocate = &allocate;
    api->XLA_FFI_DeviceMemory_Free = &give_back;
    return api;
  }();
  return only;
}

}  // namespace

CustomCall::CustomCall(const char* op, XLA_FFI_Handler*, XLA_FFI_Handler* cuda) {
  handlers()[op] = cuda;
}

}  // namespace fastgen

// Bytes of scratch memory that XLA has been asked for, and that it has not got back.
extern "C" FG_API int on_gpu_scratch(void*, int64_t bytes[2]) {
  bytes[0] = fastgen::asked, bytes[1] = fastgen::kept;
  return FG_OK;
}

// An array as XLA describes it; dtype: an XLA_FFI_DataType.
struct Described {
  int64_t dtype, rank;
  int64_t* dims;
  void* data;
};

// An fg_code; the first `inputs` of the arrays are arguments, the others results.
extern "C" FG_API int on_gpu_custom_call(void* stream, const char* op, int64_t inputs,
                                         int64_t outputs, Described* arrays) {
  const auto found = fastgen::handlers().find(op);
  if (found == fastgen::handlers().end()) return fastgen::fail(FG_INTERNAL, "no handler of %s", op);
  std::vector<XLA_FFI_Buffer> buffers;
  for (const Described* x = arrays; x < arrays + inputs + outputs; ++x) {
    buffers.push_back({XLA_FFI_Buffer_STRUCT_SIZE, nullptr, (XLA_FFI_DataType)x->dtype, x->data,
                       x->rank, x->dims});
  }
  std::vector<void*> places;
  for (XLA_FFI_Buffer& buffer : buffers) places.push_back(&buffer);
  std::vector<XLA_FFI_ArgType> of_args(inputs, XLA_FFI_ArgType_BUFFER);
  std::vector<XLA_FFI_RetType> of_rets(outputs, XLA_FFI_RetType_BUFFER);
  XLA_FFI_CallFrame frame = {};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = fastgen::interface();
  frame.ctx = static_cast<XLA_FFI_ExecutionContext*>(stream);
  frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  frame.args = {XLA_FFI_Args_STRUCT_SIZE, nullptr, inputs, of_args.data(), places.data()};
  frame.rets = {XLA_FFI_Rets_STRUCT_SIZE, nullptr, outputs, of_rets.data(), places.data() + inputs};
  frame.attrs = {XLA_FFI_Attrs_STRUCT_SIZE, nullptr, 0, nullptr, nullptr, nullptr};
  XLA_FFI_Error* const error = found->second(&frame);
  if (!error) return FG_OK;
  const int code = fastgen::fail((fg_code)error->code, "%s", error->message.c_str());
  delete error;
  return code;
}
