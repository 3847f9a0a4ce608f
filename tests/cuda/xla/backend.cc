// TensorFlow's way to XLA on a GPU, in wheels without it: stock ops have kernels there, too.
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"

static bool every(tensorflow::KernelDef*) { return true; }

REGISTER_XLA_BACKEND(tensorflow::DEVICE_GPU_XLA_JIT, tensorflow::kGpuAllTypes, every);
