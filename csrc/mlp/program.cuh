// The kernel that runs the phases of networks' steps: all of them, with a barrier of all blocks
// between two, or one.
#pragma once
#include "cuda/grid.cuh"
#include "mlp/head.cuh"
#include "mlp/products.cuh"

namespace fastgen {
namespace mlp {

__device__ __forceinline__ bool is_due(const Job& job, const Order& order, const Moment& at) {
  if (job.when & kFirstCritic && at.critic > 0) return false;
  if (job.when & kLaterCritics && at.critic == 0) return false;
  if (job.when & kLastCritic && at.critic + 1 < order.n_critic) return false;
  return !(job.when & kLaterSteps && at.step == 0);
}

template <class T>
__device__ __forceinline__ void run_tile(const Plan<T>& plan, const Job& job, const Moment& at,
                                         int tile) {
  switch (job.kind) {
    case kForward:
    case kSlopes:
    case kGradient:
      return product_tile(plan, job, at, tile);
    case kHead:
      return head_tile<T>({plan, at, job.net, job.layer, job.generates != 0}, job, tile);
    case kSettle:
      return settle(plan, job, at);
    case kTop:
      return top_tile(plan, job, tile);
    case kSum:
    case kApply:
      return parts_tile(plan, job, tile);
    case kNorms:
      return norms(plan, job, at);
    case kSpread:
      return spread_tile(plan, job, at, tile);
    case kReport:
      return report(plan, job, at);
  }
}

// Tiles of a phase, job after job, to blocks in turns.
template <class T>
__device__ __forceinline__ void run_phase(const Plan<T>& plan, const Moment& at) {
  const Phase& phase = plan.phases[at.phase];
  int tile = (int)blockIdx.x;
  for (int i = 0; i < phase.jobs; ++i) {
    const Job& job = plan.jobs[phase.first + i];
    if (!is_due(job, plan.order, at)) continue;
    for (; tile < job.tiles; tile += gridDim.x) run_tile(plan, job, at, tile);
    tile -= job.tiles;
  }
}

// All phases of all steps, if `at` is the first one and the launch is cooperative; or that one, of the
// step that the state counts.
template <class T>
__global__ void __launch_bounds__(kEngineLanes, 1)
    program_kernel(const __grid_constant__ Plan<T> plan, Moment at, int all) {
  if (!all) at.step = plan.state->step;
  for (unsigned barriers = 1;; ++barriers) {
    if ((!all || plan.phases[at.phase].stops) && plan.state->stopped) return;
    run_phase(plan, at);
    if (!all || !plan.order.advance(&at)) return;
    wait_for_grid(&plan.state->arrived, barriers * gridDim.x);
  }
}

// Between the steps of launches of one phase each.
template <class T>
__global__ void next_step_kernel(DeviceState<T>* state, int64_t steps) {
  if (state->step + 1 < steps) ++state->step;
}

}  // namespace mlp
}  // namespace fastgen
