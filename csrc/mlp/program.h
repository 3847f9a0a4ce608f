// The phases of a call on networks, for the launchers: what mlp/program.cuh runs. Cut by shapes alone.
#pragma once
#include "cuda/launch.h"
#include "mlp/requirements.h"
#include "mlp/tiles.h"

namespace fastgen {
namespace mlp {

// Runs the phases on a stream: FASTGEN_CUDA_GAN says how, see csrc/kernels/gan_step.h.
int run_program(const char* op, void* stream, const Plan<float>& plan);
int run_program(const char* op, void* stream, const Plan<double>& plan);

// body(float{}) or body(double{}).
template <class Body>
int for_real(const char* op, fg_cuda_precision precision, fg_dtype dtype, const Body& body) {
  if (precision != FG_CUDA_STRICT && precision != FG_CUDA_TF32) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: precision must be FG_CUDA_STRICT or FG_CUDA_TF32. Received: code %d", op,
                precision);
  }
  if (dtype == FG_FLOAT32) return body(float{});
  if (dtype == FG_FLOAT64) return body(double{});
  return fail(FG_INVALID_ARGUMENT, "%s: dtype must be float32 or float64. Received: code %d", op,
              (int)dtype);
}

// Sets numbers of the device to 0.
template <class Number>
int clear(const char* op, void* stream, Number* numbers, int64_t count) {
  if (count == 0) return FG_OK;
  const size_t bytes = (size_t)count * sizeof *numbers;
  return check(op, cudaMemsetAsync(numbers, 0, bytes, (cudaStream_t)stream));
}

// Memory that is measured first and given out then.
class Arena {
 public:
  explicit Arena(void* base = nullptr) : base_((char*)base) {}
  template <class T>
  T* take(int64_t count) {
    char* const at = base_ ? base_ + used_ : nullptr;
    used_ += of_size(count * (int64_t)sizeof(T), 256) * 256;
    return (T*)at;
  }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

template <class T>
class Program {
 public:
  Program(const char* op, void* stream, fg_cuda_precision precision)
      : op_(op), stream_(stream), memory_(op, stream) {
    plan.precision = precision;
    plan.order = {1, 1, 0, 0, 0};
    plan.telemetry_stride = FG_DISCRIMINATOR_TELEMETRY;
    plan.batch = 1;
  }
  Plan<T> plan = {};

  // A network for a number of rows. logits: a sigmoid at the end is the loss's.
  int add_network(int net, const fg_mlp& mlp, int64_t rows, bool logits) {
    if (mlp.count > kMostLayers) {
      return fail(FG_INVALID_ARGUMENT,
                  "%s: on a GPU a network must have at most %d layers. Received: %lld", op_,
                  kMostLayers, (long long)mlp.count);
    }
    if (int code = check_sizes(mlp, rows)) return code;
    DeviceNetwork<T>& to = plan.nets[net];
    rows_[net] = rows;
    to.count = (int)mlp.count, to.seeds = mlp.seeds, to.parts = 1, to.optimizer.rule = -1;
    for (int i = 0; i < to.count; ++i) describe(&to, i, mlp.layers);
    DeviceLayer<T>& last = to.layers[to.count - 1];
    if (logits && last.activation == FG_SIGMOID) last.activation = FG_LINEAR;
    to.layers[0].packs = 0;
    return FG_OK;
  }

  int add_player(int net, const fg_player& player, int64_t rows, bool logits, const double* rates) {
    const fg_optimizer& o = player.optimizer;
    if (int code = add_network(net, player.mlp, rows, logits)) return code;
    if (o.ema_momentum != 0 || o.accumulation_steps > 1) {
      return fail(FG_INVALID_ARGUMENT,
                  "%s: on a GPU the optimizer must keep no average of weights and accumulate no "
                  "gradients. Received: ema_momentum=%g, accumulation_steps=%lld",
                  op_, o.ema_momentum, (long long)o.accumulation_steps);
    }
    plan.nets[net].optimizer = o;
    plan.nets[net].rates = rates;
    return FG_OK;
  }

  // Where the rows of a network that reads images lie.
  void read(int net, const DeviceRows& real, const DeviceRows& fake) {
    plan.real = real, plan.fake = fake;
    plan.nets[net].layers[0].packs =
        (!real.data || is_packed(real)) && (!fake.data || is_packed(fake));
  }

  // Jobs that follow run together, after those before.
  void begin_phase(bool stops = false) {
    Phase phase = {jobs_, 0, stops};
    if (phases_ < kMostPhases) plan.phases[phases_] = phase;
    ++phases_;
  }
  int phases() const { return phases_; }

  void add(const Job& job) {
    if (job.tiles == 0) return;
    if (jobs_ < kMostJobs) plan.jobs[jobs_] = job;
    ++jobs_;
    if (phases_ <= kMostPhases) ++plan.phases[phases_ - 1].jobs;
  }

  // Outputs of a layer, or slopes of the one below, for rows from `first` on.
  void add_product(int kind, int net, int layer, int64_t first, int64_t rows,
                   bool generates = false, int when = kAlways) {
    const DeviceLayer<T>& of = plan.nets[net].layers[layer];
    const int64_t cols = kind == kForward ? of.units : of.inputs;
    Job job = job_of(kind, net, layer, generates);
    const bool wide =
        is_wide(plan, rows, cols) && (kind == kSlopes || has_matrix(plan, net, layer));
    job.shape = (int8_t)(wide ? kWide : shape_of(rows, cols)), job.when = (int8_t)when;
    job.first = (int)first, job.rows = (int)rows;
    cut(&job, rows, cols);
    add(job);
  }

  // What has one tile, or as many as are said.
  void add_single(int kind, int net, bool generates = false, int when = kAlways, int64_t first = 0,
                  int64_t rows = 0, int64_t tiles = 1) {
    Job job = job_of(kind, net, plan.nets[net].count - 1, generates);
    job.when = (int8_t)when, job.first = (int)first;
    job.rows = (int)rows, job.tiles = (int)tiles;
    add(job);
  }

  // Slopes of a network's last layer, of the caller's.
  void add_top(int net, int64_t rows) {
    const DeviceLayer<T>& last = plan.nets[net].layers[plan.nets[net].count - 1];
    add_single(kTop, net, false, kAlways, 0, rows, of_size(rows * last.units, kElements));
  }

  void add_spread(int64_t batch, int64_t rows_of_tile) {
    const DeviceNetwork<T>& g = plan.nets[kGenerator];
    Job job = job_of(kSpread, kGenerator, g.count - 1, false);
    job.when = kLastCritic, job.across = (int)of_size(g.layers[g.count - 1].units, 32);
    job.tiles = (int)of_size(batch, rows_of_tile) * job.across;
    add(job);
  }

  // Outputs go there, row by row.
  void give_outputs(T* y) { outputs_ = y; }

  // The loss of a discriminator's rows after its layers but the last, and slopes from there down to
  // the layer `lowest`; `fakes` of the rows are not real.
  void add_judgement(int64_t reals, int64_t fakes, bool generates, int lowest) {
    constexpr int net = kDiscriminator;
    const int last = plan.nets[net].count - 1;
    const int64_t rows = reals + fakes, size = rows <= 256 ? 8 : 32;
    const int64_t real_tiles = of_size(reals, size), tiles = real_tiles + of_size(fakes, size);
    if (!generates) plan.reals = reals, plan.real_tiles = real_tiles, plan.head_tiles = tiles;
    if (!generates) plan.rows_of_head_tile = size;
    const int64_t of_batch = generates ? of_size(fakes, plan.rows_of_head_tile) : tiles;
    begin_phase();
    add_single(kHead, net, generates, kAlways, 0, rows, of_batch);
    begin_phase();
    add_single(kSettle, net, generates, kAlways, rows, of_batch);
    for (int i = last - 1; i >= lowest; --i) {
      if (i < last - 1) begin_phase();
      add_product(kSlopes, net, i, 0, rows, generates);
    }
  }

  // Gradients of a network's weights by its rows, and the optimizer's step, if there is one.
  void add_update(int net, int64_t first, int64_t rows, bool generates) {
    DeviceNetwork<T>& of = plan.nets[net];
    of.parts = parts_of(plan, net, rows);
    const bool by_norms = of.optimizer.rule >= 0 && (of.optimizer.clip == FG_CLIP_NORM ||
                                                     of.optimizer.clip == FG_CLIP_GLOBAL_NORM);
    in_memory_[net] = of.parts > 1 || by_norms, by_norms_[net] = by_norms;
    squares_ = 0;
    begin_phase(true);
    for (int i = 0; i < of.count; ++i) add_gradient(net, i, first, rows, generates);
    if (by_norms) {
      begin_phase();
      add_parts(kSum, net, of.parts);
      begin_phase();
      add_single(kNorms, net, generates);
    }
    if (in_memory_[net]) {
      begin_phase();
      add_parts(kApply, net, by_norms ? 1 : of.parts);
    }
    of.square_tiles = squares_;
  }

  // Memory, and off it goes.
  int run() {
    if (phases_ > kMostPhases || jobs_ > kMostJobs) {
      return fail(FG_INVALID_ARGUMENT,
                  "%s: on a GPU these networks are too deep. Received: %d phases of at most %d, %d "
                  "jobs of at most %d",
                  op_, phases_, kMostPhases, jobs_, kMostJobs);
    }
    Arena measure;
    place(&measure);
    if (int code = memory_.allocate((size_t)measure.used())) return code;
    Arena arena(memory_.template as<void>());
    place(&arena);
    const cudaStream_t stream = (cudaStream_t)stream_;
    if (int code = check(op_, cudaMemsetAsync(plan.state, 0, sizeof *plan.state, stream))) {
      return code;
    }
    return run_program(op_, stream_, plan);
  }

 private:
  static Job job_of(int kind, int net, int layer, bool generates) {
    Job job = {};
    job.kind = (int8_t)kind, job.net = (int8_t)net, job.layer = (int8_t)layer;
    job.generates = generates, job.squares = -1, job.across = 1;
    return job;
  }

  // Threads count rows, columns and tiles in 32 bits.
  int check_sizes(const fg_mlp& mlp, int64_t rows) const {
    constexpr int64_t kMost = int64_t{1} << 30;
    int64_t largest = rows;
    for (int64_t i = 0; i < mlp.count; ++i) {
      const fg_mlp_layer& l = mlp.layers[i];
      const int64_t wide = l.inputs > l.units ? l.inputs : l.units;
      largest = wide > largest ? wide : largest;
    }
    if (largest <= kMost && rows / 64 * largest <= kMost) return FG_OK;
    return fail(
        FG_OUT_OF_RANGE,
        "%s: on a GPU there must be at most 2^30 rows, inputs and units, and 2^36 activations "
        "of a layer. Received: %lld rows, %lld inputs or units",
        op_, (long long)rows, (long long)largest);
  }

  static bool is_packed(const DeviceRows& rows) {
    constexpr int64_t n = kPack<T>;
    return rows.stride % n == 0 && (uintptr_t)rows.data % (rows.bytes ? n : 16) == 0;
  }

  static DeviceVariable<T> variable_of(const fg_optimizer_tensor& x) {
    return {(T*)x.variable, {}, (T*)x.gradient, nullptr, x.size, x.decays};
  }

  void describe(DeviceNetwork<T>* to, int i, const fg_mlp_layer* layers) {
    const fg_mlp_layer& l = layers[i];
    DeviceLayer<T>& d = to->layers[i];
    d = {};
    d.kernel = variable_of(l.kernel), d.bias = variable_of(l.bias);
    for (int j = 0; j < 3; ++j) {
      d.kernel.slots[j] = (T*)l.kernel.slots[j], d.bias.slots[j] = (T*)l.bias.slots[j];
    }
    d.inputs = (int)l.inputs, d.units = (int)l.units, d.stride = (int)of_size(l.units, 4) * 4;
    d.slope = l.slope, d.amount = l.amount;
    d.activation = l.activation, d.transposed = l.transposed, d.packs = 1;
    d.corruption = l.corruption;
    d.drawn = l.corruption == FG_INTACT ? 0 : to->corruptions++;
    d.tied = -1, d.leads = 1;
    for (int j = i - 1; j >= 0 && d.leads; --j) {
      if (layers[j].kernel.variable != l.kernel.variable) continue;
      to->layers[j].tied = i, d.leads = 0;
    }
  }

  void add_gradient(int net, int layer, int64_t first, int64_t rows, bool generates) {
    const DeviceLayer<T>& of = plan.nets[net].layers[layer];
    if (!of.leads) return;
    Job job = job_of(kGradient, net, layer, generates);
    const int parts = plan.nets[net].parts;
    job.shape = (int8_t)(sums_wide(plan, net, layer, rows) ? kWide : parts > 1 ? 6 : 5);
    job.first = (int)first, job.rows = (int)rows;
    cut(&job, of.lines(), of.cols());
    job.tiles *= parts;
    if (!in_memory_[net]) job.squares = (int)squares_, squares_ += job.tiles;
    add(job);
  }

  // Every variable of a network, from its gradient's parts.
  void add_parts(int kind, int net, int parts) {
    const DeviceNetwork<T>& of = plan.nets[net];
    for (int i = 0; i < of.count; ++i) {
      for (int bias = 0; bias < 2; ++bias) {
        const DeviceVariable<T>& v = bias ? of.layers[i].bias : of.layers[i].kernel;
        if (bias ? !v.w : !of.layers[i].leads) continue;
        Job job = job_of(kind, net, i, false);
        job.shape = (int8_t)bias, job.rows = parts;
        job.tiles = (int)of_size(v.size, kElements);
        const bool counts = kind == kSum || !by_norms_[net];
        if (counts) job.squares = (int)squares_, squares_ += job.tiles;
        add(job);
      }
    }
  }

  void place(Arena* arena) {
    plan.state = arena->take<DeviceState<T>>(1);
    for (int net = 0; net < 2; ++net) {
      DeviceNetwork<T>& of = plan.nets[net];
      const bool updated = of.square_tiles > 0;
      for (int i = 0; i < of.count; ++i) {
        DeviceLayer<T>& l = of.layers[i];
        const int64_t size = rows_[net] * l.stride;
        const bool is_given = outputs_ && i + 1 == of.count;
        if (is_given) l.stride = l.units;
        l.values = is_given ? outputs_ : arena->take<T>(size);
        l.sums = fg_needs_input(l.activation) ? arena->take<T>(size) : nullptr;
        l.slopes = arena->take<T>(size);
        if (!in_memory_[net]) continue;
        if (l.leads) l.kernel.partials = arena->take<T>(of.parts * l.kernel.size);
        if (l.bias.w) l.bias.partials = arena->take<T>(of.parts * l.bias.size);
      }
      of.squares = updated ? arena->take<double>(of.square_tiles) : nullptr;
      of.factors = by_norms_[net] ? arena->take<T>(2 * kMostLayers) : nullptr;
    }
    plan.head_sums = arena->take<double>(plan.head_tiles * 3);
    if (!plan.noise) return;
    const DeviceNetwork<T>& g = plan.nets[kGenerator];
    const DeviceLayer<T>& last = g.layers[g.count - 1];
    plan.fake.data = last.values;
    plan.spread_sums =
        arena->take<double>(plan.spread_parts * (last.units + of_size(last.units, 32)));
  }

  const char* const op_;
  void* const stream_;
  Scratch memory_;
  int jobs_ = 0, phases_ = 0;
  int64_t rows_[2] = {0, 0}, squares_ = 0;
  bool in_memory_[2] = {false, false}, by_norms_[2] = {false, false};
  T* outputs_ = nullptr;
};

}  // namespace mlp
}  // namespace fastgen
