// The losses of a network with one logit, and what is told of a step.
#pragma once
#include "kernels/gan_step.h"
#include "mlp/layer.cuh"
#include "mlp/product.cuh"
#include "mlp/sums.cuh"

namespace fastgen {
namespace mlp {

// Rows of a tile: real ones or fake ones, a warp each at a time. Loss softplus(l) - target l.
template <class T>
__device__ __forceinline__ void head_tile(const Operand<T>& x, const Job& job, int64_t tile) {
  const Plan<T>& plan = x.plan;
  const DeviceLayer<T>& layer = x.of();
  const int64_t real_tiles = x.generates ? 0 : plan.real_tiles, size = plan.rows_of_head_tile;
  const bool is_real = tile < real_tiles;
  const int64_t fakes = x.generates ? 0 : plan.reals;
  const int64_t first = is_real ? tile * size : fakes + (tile - real_tiles) * size;
  const int64_t end = is_real ? plan.reals : job.rows;
  const int64_t last = first + size < end ? first + size : end;
  const int64_t critic = x.at.step * plan.order.n_critic + x.at.critic;
  const T* const targets =
      plan.targets && !x.generates ? plan.targets + critic * job.rows : nullptr;
  const int lane = threadIdx.x % 32;
  double sums[kHeadSums] = {0, 0, 0};
  for (int64_t row = first + threadIdx.x / 32; row < last; row += kEngineLanes / 32) {
    T logit = 0;
#pragma unroll 1
    for (int64_t k = lane; k < layer.inputs; k += 32) {
      logit = fused(x.at_place(row, k), layer.kernel.w[k], logit);
    }
    logit = sum_of_lanes(logit, 32);
    if (layer.bias.w) logit += layer.bias.w[0];
    const T target = targets ? targets[row] : T(x.generates || is_real);
    const T e = exp_of_minus_abs(logit), probability = gpu::sigmoid(logit, e);
    const T slope = (probability - target) * (1 / (T)job.rows);
    sums[kLossSum] += larger(T{0}, logit) + gpu::log1p(e) - target * logit;
    sums[kProbabilitySum] += probability;
    sums[kAboveHalf] += probability > (T)0.5;
    if (lane == 0) layer.slopes[row * layer.stride] = slope;
    if (x.layer == 0 && !x.generates) continue;
#pragma unroll 1
    for (int64_t k = lane; k < layer.inputs; k += 32) {
      give_below(x, row, k, slope * layer.kernel.w[k]);
    }
  }
#pragma unroll
  for (int i = 0; i < kHeadSums; ++i) {
    const double sum = sum_of_engine_block(lane == 0 ? sums[i] : 0.0);
    if (threadIdx.x == 0) plan.head_sums[tile * kHeadSums + i] = sum;
  }
}

template <class Number>
__device__ __forceinline__ double advanced_u_product(const fg_optimizer& o, int64_t updates) {
  Number* const product = static_cast<Number*>(o.u_product);
  return *product = next_u_product<Number>(o, updates, *product);
}

// The numbers of the update that follows.
template <class T>
__device__ __forceinline__ void prepare_update(const Plan<T>& plan, int net, int64_t updates) {
  const DeviceNetwork<T>& of = plan.nets[net];
  fg_optimizer o = read_on_device(of.optimizer);
  if (of.rates) o.learning_rate = of.rates[updates];
  updates = o.iterations + (o.device_iterations ? 0 : updates);
  OptimizerScalars<T> s = scalars<T>(o, updates);
  if (o.rule == FG_NADAM) {
    const bool wide = o.u_product_dtype == FG_FLOAT64;
    use_u_product(&s, (T)(wide ? advanced_u_product<double>(o, updates)
                               : advanced_u_product<float>(o, updates)));
  }
  plan.state->scalars[net] = s;
  plan.state->rates[net] = (T)o.learning_rate;
}

// Of which update of its network a moment is.
template <class T>
__device__ __forceinline__ int64_t updates_before(const Plan<T>& plan, int net, const Moment& at) {
  return net == kGenerator ? at.step : at.step * plan.order.n_critic + at.critic;
}

// After kHead: a loss that is not finite ends the steps here.
template <class T>
__device__ __forceinline__ void settle(const Plan<T>& plan, const Job& job, const Moment& at) {
  double* const sums = reinterpret_cast<double*>(dynamic_shared());
  const int64_t real_tiles = job.generates ? 0 : plan.real_tiles;
  const int warp = threadIdx.x / 32, of_fakes = warp / kHeadSums;
  __syncthreads();
  if (warp < 2 * kHeadSums) {
    const int64_t first = of_fakes ? real_tiles : 0;
    const int64_t count = of_fakes ? job.rows - real_tiles : real_tiles;
    const double sum =
        sum_of_warp(plan.head_sums + first * kHeadSums + warp % kHeadSums, count, kHeadSums);
    if (threadIdx.x % 32 == 0) sums[warp] = sum;
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  const double* const real = sums;
  const double* const fake = sums + kHeadSums;
  const double reals = (double)plan.reals, fakes = (double)(job.first - plan.reals);
  double* const told = plan.telemetry + at.step * plan.telemetry_stride;
  const double loss =
      (real[kLossSum] + fake[kLossSum]) / (job.generates ? job.first : reals + fakes);
  double* const of_loss =
      told + (job.generates ? (int)FG_GENERATOR_LOSS : (int)FG_DISCRIMINATOR_LOSS);
  if (!(loss - loss == 0)) {
    *of_loss = loss;
    plan.state->stopped = 1;
    return;
  }
  *of_loss += loss;
  const int net = job.generates ? kGenerator : kDiscriminator;
  prepare_update(plan, net, updates_before(plan, net, at));
  if (job.generates) return;
  told[FG_REAL_ACCURACY] += real[kAboveHalf] / reals;
  told[FG_FAKE_ACCURACY] += 1 - fake[kAboveHalf] / fakes;
  told[FG_REAL_PROBABILITY] += real[kProbabilitySum] / reals;
  told[FG_FAKE_PROBABILITY] += fake[kProbabilitySum] / fakes;
}

// A tile of the sums over rows of what the generator made for the last update of the discriminator:
// 32 columns, a part of the rows.
template <class T>
__device__ __forceinline__ void spread_tile(const Plan<T>& plan, const Job& job, const Moment& at,
                                            int64_t tile) {
  const DeviceNetwork<T>& g = plan.nets[kGenerator];
  const DeviceLayer<T>& layer = g.layers[g.count - 1];
  const int64_t part = tile / job.across, group = tile % job.across;
  const int64_t col = group * 32 + threadIdx.x % 32, first = part * kSpreadRows;
  const int64_t last = first + kSpreadRows < plan.batch ? first + kSpreadRows : plan.batch;
  double sum = 0, squares = 0;
  for (int64_t row = first + threadIdx.x / 32; row < last && col < layer.units;
       row += kEngineLanes / 32) {
    const double x = layer.values[(at.critic * plan.batch + row) * layer.stride + col];
    sum += x, squares += x * x;
  }
  squares = sum_of_engine_block(squares);
  double* const shared = reinterpret_cast<double*>(dynamic_shared());
  shared[threadIdx.x] = sum;
  __syncthreads();
  double* const out = plan.spread_sums + part * (layer.units + job.across);
  if (threadIdx.x < 32 && col < layer.units) {
    for (int i = 32; i < kEngineLanes; i += 32) sum += shared[threadIdx.x + i];
    out[col] = sum;
  }
  if (threadIdx.x == 0) out[layer.units + group] = squares;
  __syncthreads();
}

// The root of the mean of |x_i - x_j|^2: 2 / (n - 1) (sum |x|^2 - n |mean|^2).
template <class T>
__device__ __forceinline__ double spread_of(const Plan<T>& plan) {
  const DeviceNetwork<T>& g = plan.nets[kGenerator];
  const int64_t units = g.layers[g.count - 1].units, width = units + (units + 31) / 32;
  double rest = 0;
  for (int64_t i = threadIdx.x; i < width; i += kEngineLanes) {
    double total = 0;
    for (int64_t part = 0; part < plan.spread_parts; ++part) {
      total += plan.spread_sums[part * width + i];
    }
    rest += i < units ? -total * total / plan.batch : total;
  }
  rest = sum_of_engine_block(rest);
  return plan.batch < 2 || rest <= 0 ? 0 : sqrt(2 * rest / (plan.batch - 1));
}

// After an update: the norm of its gradients, and that it was made. After a step's last one of the
// discriminator, their means.
template <class T>
__device__ __forceinline__ void report(const Plan<T>& plan, const Job& job, const Moment& at) {
  const DeviceNetwork<T>& net = plan.nets[job.net];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < net.square_tiles; i += kEngineLanes) sum += net.squares[i];
  const double norm = sqrt(sum_of_engine_block(sum));
  const bool last = at.phase >= plan.order.generator;
  const double spread = job.net == kDiscriminator && last && plan.spread_sums ? spread_of(plan) : 0;
  if (threadIdx.x > 0) return;
  double* const told = plan.telemetry + (at.step + job.first) * plan.telemetry_stride;
  if (plan.done) ++plan.done[job.net == kGenerator];
  if (net.optimizer.device_iterations) ++*net.optimizer.device_iterations;
  if (job.net == kGenerator) {
    told[FG_GENERATOR_GRADIENT_NORM] = norm;
    return;
  }
  told[FG_DISCRIMINATOR_GRADIENT_NORM] += norm;
  if (!last) return;
  for (int i = 0; i < FG_DISCRIMINATOR_TELEMETRY; ++i) told[i] /= plan.order.n_critic;
  if (plan.spread_sums) told[FG_PAIRWISE_DISTANCE] = spread;
}

}  // namespace mlp
}  // namespace fastgen
