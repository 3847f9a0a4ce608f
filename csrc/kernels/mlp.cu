#include "kernels/mlp.h"
#include "mlp/program.h"

namespace fastgen {
namespace mlp {
namespace {

constexpr int kNet = kDiscriminator;

template <class T>
DeviceRows rows_of(const fg_mlp& mlp, int64_t rows, const void* x) {
  return {x, nullptr, rows, mlp.layers[0].inputs, 0};
}

template <class T>
int add_layers(Program<T>* program, const fg_mlp& mlp, int64_t rows, const void* x) {
  if (int code = program->add_network(kNet, mlp, rows, false)) return code;
  program->read(kNet, {}, rows_of<T>(mlp, rows, x));
  for (int i = 0; i < (int)mlp.count; ++i) {
    program->begin_phase();
    program->add_product(kForward, kNet, i, 0, rows);
  }
  return FG_OK;
}

template <class T>
int run(Program<T>* program) {
  program->plan.order.generator = program->plan.order.end = program->phases() - 1;
  return program->run();
}

template <class T>
int forward(const char* op, void* stream, fg_cuda_precision precision, const fg_mlp& mlp,
            int64_t rows, const void* x, T* y) {
  if (rows == 0) return FG_OK;
  Program<T> program(op, stream, precision);
  if (int code = add_layers(&program, mlp, rows, x)) return code;
  program.give_outputs(y);
  return run(&program);
}

template <class T>
int backward(const char* op, void* stream, fg_cuda_precision precision, const fg_mlp& mlp,
             int64_t rows, const void* x, const T* d_y, T* d_x) {
  Program<T> program(op, stream, precision);
  if (int code = add_layers(&program, mlp, rows, x)) return code;
  program.plan.d_y = d_y, program.plan.d_x = d_x;
  program.begin_phase();
  program.add_top(kNet, rows);
  for (int i = (int)mlp.count - 1; i >= (d_x ? 0 : 1); --i) {
    program.begin_phase();
    program.add_product(kSlopes, kNet, i, 0, rows);
  }
  program.add_update(kNet, 0, rows, false);
  return run(&program);
}

}  // namespace
}  // namespace mlp
}  // namespace fastgen

extern "C" {

int fg_cuda_mlp_forward(void* stream, fg_cuda_precision precision, const fg_mlp* mlp, int64_t rows,
                        const void* x, void* y) {
  constexpr const char* op = "mlp_forward";
  if (int code = fastgen::check_mlp(op, *mlp, rows)) return code;
  return fastgen::mlp::for_real(op, precision, mlp->dtype, [&](auto number) {
    typedef decltype(number) T;
    return fastgen::mlp::forward(op, stream, precision, *mlp, rows, x, (T*)y);
  });
}

int fg_cuda_mlp_grad(void* stream, fg_cuda_precision precision, const fg_mlp* mlp, int64_t rows,
                     const void* x, const void* d_y, void* d_x) {
  constexpr const char* op = "mlp_grad";
  if (int code = fastgen::check_mlp(op, *mlp, rows)) return code;
  return fastgen::mlp::for_real(op, precision, mlp->dtype, [&](auto number) {
    typedef decltype(number) T;
    return fastgen::mlp::backward(op, stream, precision, *mlp, rows, x, (const T*)d_y, (T*)d_x);
  });
}
}
