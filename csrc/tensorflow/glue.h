// What every op here shares: threads, dtypes, status, seeds, shapes. No mathematics.
#pragma once
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/panels.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/traced.h"

namespace fastgen {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// TensorFlow's intra-op pool in the form that kernels take. Its threads share panels as
// those of our own pool do: Pool::ParallelFor's cost model would keep on one thread what takes it
// less than 100 us. A kernel of one panel never calls it.
class IntraOpThreads {
 public:
  explicit IntraOpThreads(OpKernelContext* ctx)
      : threads_{ctx->device()->tensorflow_cpu_worker_threads()->workers, &parallel_for} {}
  operator const fg_threads*() const { return &threads_; }

 private:
  typedef tensorflow::thread::ThreadPool Pool;

  static void parallel_for(void* pool, int64_t panels, int64_t cycles_per_panel, fg_task task,
                           void* arg) {
    Pool* const workers = static_cast<Pool*>(pool);
    const int64_t worth = 1 + panels * cycles_per_panel / kCyclesWorthAThread;
    const int64_t threads = std::min({int64_t{workers->NumThreads()}, worth, panels});
    if (threads <= 1) return task(arg, 0, panels);
    Panels loop(task, arg, panels, threads);
    workers->ParallelFor(threads, Pool::SchedulingParams::Fixed(1),
                         [&loop](int64_t, int64_t) { loop.work(); });
  }

  static constexpr int64_t kCyclesWorthAThread = 20000;  // 10 us; waking one takes about 5
  fg_threads threads_;
};

// K: the dtype of KL divergences.
template <class T>
struct Dtype;
template <>
struct Dtype<Eigen::half> {
  static constexpr fg_dtype value = FG_FLOAT16;
  typedef float K;
};
template <>
struct Dtype<Eigen::bfloat16> {
  static constexpr fg_dtype value = FG_BFLOAT16;
  typedef float K;
};
template <>
struct Dtype<float> {
  static constexpr fg_dtype value = FG_FLOAT32;
  typedef float K;
};
template <>
struct Dtype<double> {
  static constexpr fg_dtype value = FG_FLOAT64;
  typedef double K;
};

// The kernel's code and message as TensorFlow's; fg_code is numbered as absl's codes.
inline absl::Status to_status(int code) {
  if (code == FG_OK) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(code), fg_last_error());
}

inline absl::Status read_seed(const char* op, const Tensor& seed, int64_t words[2]) {
  if (seed.shape() != TensorShape({2})) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": seed must have shape [2]. Received: ", seed.shape().DebugString()));
  }
  const bool narrow = seed.dtype() == tensorflow::DT_INT32;
  for (int i = 0; i < 2; ++i) {
    words[i] = narrow ? seed.flat<int32_t>()(i) : seed.flat<int64_t>()(i);
  }
  return absl::OkStatus();
}

inline absl::Status check_same_shape(const char* op, const char* a_name, const Tensor& a,
                                     const char* b_name, const Tensor& b) {
  if (a.shape() == b.shape()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": ", a_name, " and ", b_name, " must have the same shape. Received: ", a_name,
      ".shape=", a.shape().DebugString(), ", ", b_name, ".shape=", b.shape().DebugString()));
}

inline absl::Status check_scalar(const char* op, const char* name, const Tensor& x) {
  if (x.dims() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": ", name, " must be a scalar. Received: ", name, ".shape=", x.shape().DebugString()));
}

// A tensor of rank >= 1 as rows of its last axis; row_shape is its shape without that axis.
struct Matrix {
  int64_t rows = 1, cols = 0;
  TensorShape row_shape;
};

inline absl::Status as_matrix(const char* op, const char* name, const Tensor& x, Matrix* matrix) {
  if (x.dims() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": ", name, " must have rank 1 or more. Received: a scalar"));
  }
  matrix->row_shape = x.shape();
  matrix->row_shape.RemoveLastDims(1);
  matrix->rows = matrix->row_shape.num_elements();
  matrix->cols = x.dim_size(x.dims() - 1);
  return absl::OkStatus();
}

inline absl::Status check_row_shape(const char* op, const char* name, const Tensor& x,
                                    const Matrix& matrix) {
  if (x.shape() == matrix.row_shape) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": ", name, " must have the shape of mean without its last axis, ",
                   matrix.row_shape.DebugString(), ". Received: ", x.shape().DebugString()));
}

// Shape inference: inputs a and b are one shape of rank >= 1.
inline absl::Status merge_shapes(InferenceContext* c, int a, int b, ShapeHandle* merged) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(a), 1, &x));
  return c->Merge(x, c->input(b), merged);
}

inline absl::Status check_scalar_shape(InferenceContext* c, int input) {
  ShapeHandle unused;
  return c->WithRank(c->input(input), 0, &unused);
}

inline absl::Status check_seed_shape(InferenceContext* c, int seed) {
  ShapeHandle unused;
  return c->Merge(c->input(seed), c->Vector(2), &unused);
}

}  // namespace fastgen

// Registers KERNEL<T> for OP on the CPU at every dtype; CONSTRAINTS(T) adds to the
// KernelDefBuilder.
#define FASTGEN_REGISTER_CPU(OP, KERNEL, CONSTRAINTS)                                            \
  REGISTER_KERNEL_BUILDER(CONSTRAINTS(OP, Eigen::half), ::fastgen::Traced<KERNEL<Eigen::half>>); \
  REGISTER_KERNEL_BUILDER(CONSTRAINTS(OP, Eigen::bfloat16),                                      \
                          ::fastgen::Traced<KERNEL<Eigen::bfloat16>>);                           \
  REGISTER_KERNEL_BUILDER(CONSTRAINTS(OP, float), ::fastgen::Traced<KERNEL<float>>);             \
  REGISTER_KERNEL_BUILDER(CONSTRAINTS(OP, double), ::fastgen::Traced<KERNEL<double>>)
#define FASTGEN_CPU_T(OP, T) Name(OP).Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T")
#define FASTGEN_CPU_T_K(OP, T) \
  FASTGEN_CPU_T(OP, T).TypeConstraint<typename ::fastgen::Dtype<T>::K>("K")
