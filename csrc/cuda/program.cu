#include <stdlib.h>
#include <string.h>

#include "mlp/program.cuh"
#include "mlp/program.h"

namespace fastgen {
namespace mlp {
namespace {

// FASTGEN_CUDA_GAN: how the phases of a call follow each other.
int is_persistent(const char* op, bool* persistent) {
  const char* const wish = getenv("FASTGEN_CUDA_GAN");
  *persistent = !wish || !*wish || strcmp(wish, "persistent") == 0;
  if (*persistent || strcmp(wish, "graph") == 0) return FG_OK;
  return fail(FG_INVALID_ARGUMENT, "%s: FASTGEN_CUDA_GAN must be persistent or graph. Received: %s",
              op, wish);
}

template <class T>
int64_t widest_phase(const Plan<T>& plan) {
  int64_t widest = 1;
  for (int i = 0; i <= plan.order.end; ++i) {
    int64_t tiles = 0;
    for (int j = 0; j < plan.phases[i].jobs; ++j)
      tiles += plan.jobs[plan.phases[i].first + j].tiles;
    widest = tiles > widest ? tiles : widest;
  }
  return widest;
}

// Blocks that are on multiprocessors at once; 0 where launches cannot be cooperative.
template <class T>
int resident_blocks(const char* op, int64_t* blocks) {
  int device, cooperative, multiprocessors, each;
  if (int code = check(op, cudaGetDevice(&device))) return code;
  if (int code =
          check(op, cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device))) {
    return code;
  }
  if (int code = check(
          op, cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device))) {
    return code;
  }
  if (int code = check(
          op, cudaFuncSetAttribute(program_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   kEngineShared))) {
    return code;
  }
  if (int code = check(op, cudaOccupancyMaxActiveBlocksPerMultiprocessor(
                               &each, program_kernel<T>, kEngineLanes, (size_t)kEngineShared))) {
    return code;
  }
  *blocks = cooperative ? (int64_t)each * multiprocessors : 0;
  return FG_OK;
}

template <class T>
int launch_program(const char* op, void* stream, unsigned blocks, const Plan<T>& plan,
                   const Moment& at, bool all) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = all;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks), config.blockDim = dim3(kEngineLanes);
  config.dynamicSmemBytes = kEngineShared, config.stream = (cudaStream_t)stream;
  config.attrs = &attribute, config.numAttrs = 1;
  return check(op, cudaLaunchKernelEx(&config, program_kernel<T>, plan, at, (int)all));
}

template <class T>
int launch_phase(const char* op, void* stream, const Plan<T>& plan, const Moment& at) {
  int64_t tiles = 0;
  for (int i = 0; i < plan.phases[at.phase].jobs; ++i) {
    tiles += plan.jobs[plan.phases[at.phase].first + i].tiles;
  }
  return tiles ? launch_program(op, stream, grid_of(tiles), plan, at, false) : (int)FG_OK;
}

// The phases of a step, one after the other; after the last, on to the next step.
template <class T>
int launch_step(const char* op, void* stream, const Plan<T>& plan) {
  Order once = plan.order;
  once.steps = 1;
  for (Moment at = {}; at.phase < once.end; once.advance(&at)) {
    if (int code = launch_phase(op, stream, plan, at)) return code;
  }
  return launch(op, stream, 1, 1, 0, next_step_kernel<T>, plan.state, plan.order.steps);
}

// A step as a graph; NULL where it cannot be had.
template <class T>
cudaGraphExec_t graph_of_step(const char* op, const Plan<T>& plan) {
  cudaStream_t stream;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return nullptr;
  if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
    const int code = launch_step(op, stream, plan);
    const bool captured = cudaStreamEndCapture(stream, &graph) == cudaSuccess && code == FG_OK;
    if (captured && cudaGraphInstantiate(&exec, graph, 0) != cudaSuccess) exec = nullptr;
    if (graph) cudaGraphDestroy(graph);
  }
  cudaStreamDestroy(stream);
  cudaGetLastError();
  return exec;
}

// A single step, and any in a stream that is captured itself, is launched phase by phase: a graph takes
// longer to make than that.
template <class T>
int launch_steps(const char* op, void* stream, const Plan<T>& plan) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (int code = check(op, cudaStreamIsCapturing((cudaStream_t)stream, &status))) return code;
  const bool by_graph = plan.order.steps > 1 && status == cudaStreamCaptureStatusNone;
  const cudaGraphExec_t exec = by_graph ? graph_of_step(op, plan) : nullptr;
  int code = FG_OK;
  for (int64_t step = 0; step < plan.order.steps && code == FG_OK; ++step) {
    code = exec ? check(op, cudaGraphLaunch(exec, (cudaStream_t)stream))
                : launch_step(op, stream, plan);
  }
  if (exec) cudaGraphExecDestroy(exec);  // when its last launch is done
  const Moment end = {plan.order.steps - 1, plan.order.n_critic - 1, plan.order.end};
  return code ? code : launch_phase(op, stream, plan, end);
}

template <class T>
int run_steps(const char* op, void* stream, const Plan<T>& plan) {
  bool persistent;
  if (int code = is_persistent(op, &persistent)) return code;
  int64_t blocks;
  if (int code = resident_blocks<T>(op, &blocks)) return code;
  if (!persistent || blocks == 0) return launch_steps(op, stream, plan);
  const int64_t widest = widest_phase(plan);
  return launch_program(op, stream, (unsigned)(blocks < widest ? blocks : widest), plan, Moment{},
                        true);
}

}  // namespace

int run_program(const char* op, void* stream, const Plan<float>& plan) {
  return run_steps(op, stream, plan);
}
int run_program(const char* op, void* stream, const Plan<double>& plan) {
  return run_steps(op, stream, plan);
}

}  // namespace mlp
}  // namespace fastgen
