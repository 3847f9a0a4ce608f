// Streams and graphs on the CPU: a launch runs at once or, in a stream that is captured, whenever the
// graph is launched.
#pragma once
#include <functional>
#include <map>
#include <vector>

typedef enum {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorCooperativeLaunchTooLarge = 720
} cudaError_t;

typedef std::vector<std::function<void()>>* cudaGraph_t;
typedef cudaGraph_t cudaGraphExec_t;
typedef struct OnCpuStream* cudaStream_t;  // looked up, never looked into: it may be another's

namespace on_cpu {

inline std::map<cudaStream_t, cudaGraph_t>& captures() {
  static std::map<cudaStream_t, cudaGraph_t> captures;
  return captures;
}

inline void submit(cudaStream_t stream, const std::function<void()>& launch) {
  const auto capture = captures().find(stream);
  if (capture != captures().end()) {
    capture->second->push_back(launch);
  } else {
    launch();
  }
}

}  // namespace on_cpu

enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
enum { cudaStreamNonBlocking = 1 };

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = (cudaStream_t) new char;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete (char*)stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const bool captured = on_cpu::captures().count(stream);
  *status = captured ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  on_cpu::captures()[stream] = new std::vector<std::function<void()>>;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = on_cpu::captures()[stream];
  on_cpu::captures().erase(stream);
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                        unsigned long long) {
  *exec = new std::vector<std::function<void()>>(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const auto& launch : *exec) on_cpu::submit(stream, launch);
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
