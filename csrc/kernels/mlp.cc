#include "kernels/mlp.h"

#include "mlp/check.h"
#include "mlp/passes.h"
#include "mlp/update.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class T>
static int run(const char* op, const fg_threads* threads, const fg_mlp& mlp, int64_t rows,
               const T* x, const T* d_y, T* y, T* d_x) {
  Network<T> net(mlp, Cut(rows));
  const Memory<T> memory(net.size());
  if (!memory.data) return no_memory(op, net.size());
  net.place(memory.data);
  parallel_for(threads, net.cut().panels(0), pass_cycles(net), [&](int64_t index) {
    const Panel p(net.cut(), 0, index);
    put_matrix(p, net.inputs(), x, net.values(0, p));
    forward(net, p, net.seeds(0));
    if (y) take_matrix(p, net.outputs(), net.values(net.count(), p), y);
    if (!d_y) return;
    put_matrix(p, net.outputs(), d_y, net.slopes(net.count(), p));
    backward(net, p, {true, d_x != nullptr});
    if (d_x) take_matrix(p, net.inputs(), net.slopes(0, p), d_x);
  });
  if (!d_y) return FG_OK;
  Update<T> update(net);
  if (int code = update.reserve(op)) return code;
  update.run(threads, nullptr);
  return FG_OK;
}

int mlp_forward(const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x,
                void* y) {
  if (int code = check_mlp("mlp_forward", *mlp, rows)) return code;
  return for_real("mlp_forward", mlp->dtype, [&](auto number) {
    typedef decltype(number) T;
    return run<T>("mlp_forward", threads, *mlp, rows, (const T*)x, nullptr, (T*)y, nullptr);
  });
}

int mlp_grad(const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x,
             const void* d_y, void* d_x) {
  if (int code = check_mlp("mlp_grad", *mlp, rows)) return code;
  return for_real("mlp_grad", mlp->dtype, [&](auto number) {
    typedef decltype(number) T;
    return run<T>("mlp_grad", threads, *mlp, rows, (const T*)x, (const T*)d_y, nullptr, (T*)d_x);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, mlp_forward,
               (const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x, void* y),
               (threads, mlp, rows, x, y))
FASTGEN_EXPORT(int, mlp_grad,
               (const fg_threads* threads, const fg_mlp* mlp, int64_t rows, const void* x,
                const void* d_y, void* d_x),
               (threads, mlp, rows, x, d_y, d_x))
