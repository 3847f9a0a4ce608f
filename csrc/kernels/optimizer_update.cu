#include <vector>

#include "cuda/launch.h"
#include "kernels/optimizer_update.cuh"
#include "kernels/optimizer_update.h"

using namespace fastgen;
using namespace fastgen::cuda;

namespace {

constexpr const char* op = "optimizer_update";
// A block's elements: one pack a thread, so that small models are on many multiprocessors; in large
// ones four, which share the search of the table.
constexpr int64_t kChunk = 1024, kLargeChunk = 4096, kLarge = int64_t{1} << 22;
// Blocks that a sum of all gradients is made of, but for those that tensors do not fill.
constexpr int64_t kSums = 2048;

// One call: its tensors and what it does to them.
struct Update {
  void* stream;
  const fg_optimizer& o;
  int64_t count;
  const fg_optimizer_tensor* tensors;

  // What is on the device is known there alone: whether this call updates, if the iterations are.
  bool decided() const { return o.device_iterations || o.device_learning_rate; }
  bool may_update() const { return o.device_iterations || phase_of(o).update; }
  bool clips_by_norm() const {
    return may_update() && (o.clip == FG_CLIP_NORM || o.clip == FG_CLIP_GLOBAL_NORM);
  }
  bool sums() const { return clips_by_norm() || o.loss_scale != 0; }
  bool summed(const fg_optimizer_tensor& x) const { return x.gradient && x.size > 0; }
  bool touched(const fg_optimizer_tensor& x) const {
    return x.size > 0 && (x.gradient || x.average || x.accumulator);
  }
  bool of_float64() const {
    for (int64_t i = 0; i < count; ++i) {
      if (tensors[i].dtype == FG_FLOAT64) return true;
    }
    return false;
  }
  int64_t elements() const {
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) total += touched(tensors[i]) ? tensors[i].size : 0;
    return total;
  }
};

template <class T>
TensorArrays<T> arrays_of(const fg_optimizer& o, const fg_optimizer_tensor& x) {
  TensorArrays<T> of = {};
  of.variable = (T*)x.variable, of.gradient = (const T*)x.gradient;
  for (int i = 0; i < 3; ++i) of.slots[i] = (T*)x.slots[i];
  of.average = (T*)x.average, of.accumulator = (T*)x.accumulator;
  of.size = x.size;
  of.decays = x.decays && o.weight_decay != 0;
  const void* const all[] = {x.variable, x.gradient, x.slots[0],   x.slots[1],
                             x.slots[2], x.average,  x.accumulator};
  of.wide = true;
  for (const void* array : all) of.wide = of.wide && (uintptr_t)array % 16 == 0;
  return of;
}

// send(table, blocks) for tensors of T that `take` wants, in as few launches as tables hold.
template <class T, class Take, class Send>
int for_tables(const Update& call, int64_t chunk, const Take& take, const Send& send) {
  TensorTable<T> table = {};
  table.chunk = chunk;
  unsigned blocks = 0;
  int number = 0;
  for (int64_t i = 0; i < call.count; ++i) {
    const fg_optimizer_tensor& x = call.tensors[i];
    const int its_number = call.summed(x) ? number++ : 0;
    if (x.dtype != (sizeof(T) == 8 ? FG_FLOAT64 : FG_FLOAT32) || !take(x)) continue;
    if (table.count == kTensorsOfLaunch) {
      if (int code = send(table, blocks)) return code;
      table.count = 0, blocks = 0;
    }
    TensorArrays<T>& of = table.tensors[table.count++] = arrays_of<T>(call.o, x);
    of.number = its_number, of.first_block = blocks;
    blocks += (unsigned)((x.size + chunk - 1) / chunk);
  }
  return table.count ? send(table, blocks) : (int)FG_OK;
}

// What is found out about all gradients, in the stream's memory.
class Decision {
 public:
  explicit Decision(void* stream) : memory_(op, stream) {}

  int find(const Update& call, int* applied) {
    int tensors = 0;
    int64_t sums = 0;
    const int64_t even = (call.elements() / kSums + kChunk) / kChunk * kChunk;
    const int64_t chunk = even < kLargeChunk ? kLargeChunk : even;
    for (int64_t i = 0; call.sums() && i < call.count; ++i) {
      if (!call.summed(call.tensors[i])) continue;
      ++tensors, sums += (call.tensors[i].size + chunk - 1) / chunk;
    }
    const size_t each = sizeof(double) + sizeof(GradientSumsOfTensor);
    if (int code = memory_.allocate(sizeof(OptimizerDecision) + sums * sizeof(GradientSums) +
                                    tensors * each)) {
      return code;
    }
    decision_ = memory_.as<OptimizerDecision>();
    sums_ = (GradientSums*)(decision_ + 1);
    of_tensors_ = (GradientSumsOfTensor*)(sums_ + sums);
    divisors_ = (double*)(of_tensors_ + tensors);
    if (tensors) {
      int64_t first = 0;
      if (int code = sum<float>(call, chunk, &first)) return code;
      if (int code = sum<double>(call, chunk, &first)) return code;
    }
    return launch(op, call.stream, 1, kBlockLanes, 0, decide_update, call.o, call.of_float64(),
                  tensors, sums_, of_tensors_, divisors_, decision_, applied);
  }

  const OptimizerDecision* decision() const { return decision_; }
  const double* divisors() const { return divisors_; }

 private:
  template <class T>
  int sum(const Update& call, int64_t chunk, int64_t* first) {
    return for_tables<T>(
        call, chunk, [&](const auto& x) { return call.summed(x); },
        [&](const TensorTable<T>& table, unsigned blocks) {
          const int64_t before = *first;
          *first += blocks;
          return launch(op, call.stream, blocks, kBlockLanes, 0, sum_gradients<T>, table, call.o,
                        call.clips_by_norm(), before, sums_, of_tensors_);
        });
  }

  Scratch memory_;
  OptimizerDecision* decision_ = nullptr;
  GradientSums* sums_ = nullptr;
  GradientSumsOfTensor* of_tensors_ = nullptr;
  double* divisors_ = nullptr;
};

template <class T>
UpdatePlan<T> plan_of(const Update& call, const Decision& decision) {
  const fg_optimizer& o = call.o;
  UpdatePlan<T> plan = {};
  plan.decided = call.decided();
  if (!plan.decided) plan.call = call_numbers<T>(o);
  plan.clip = o.clip, plan.clip_at = (T)o.clip_at;
  plan.weight_decay = cast<T>(o.weight_decay);
  plan.decision = decision.decision(), plan.divisors = decision.divisors();
  return plan;
}

template <class T>
int update(const Update& call, const Decision& decision) {
  const int64_t chunk = call.elements() < kLarge ? kChunk : kLargeChunk;
  const UpdatePlan<T> plan = plan_of<T>(call, decision);
  for (bool momentum : {false, true}) {
    const auto take = [&](const fg_optimizer_tensor& x) {
      return call.touched(x) && has_momentum(call.o, x) == momentum;
    };
    const int code =
        for_tables<T>(call, chunk, take, [&](const TensorTable<T>& table, unsigned blocks) {
          return for_rule(call.o, momentum, [&](auto rule) {
            return launch(op, call.stream, blocks, kBlockLanes, 0,
                          update_tensors<T, decltype(rule)>, table, plan);
          });
        });
    if (code) return code;
  }
  return FG_OK;
}

}  // namespace

extern "C" {

int fg_cuda_optimizer_update(void* stream, const fg_optimizer* optimizer, int64_t count,
                             const fg_optimizer_tensor* tensors, int* applied) {
  if (int code = check_optimizer(op, *optimizer)) return code;
  for (int64_t i = 0; i < count; ++i) {
    if (int code = check_state(op, *optimizer, i, tensors[i], tensors[i].gradient)) return code;
  }
  const Update call = {stream, *optimizer, count, tensors};
  Decision decision(stream);
  const bool advances = optimizer->rule == FG_NADAM && call.may_update();
  if (call.sums() || advances || call.decided() || applied) {
    if (int code = decision.find(call, applied)) return code;
  }
  if (int code = update<float>(call, decision)) return code;
  return update<double>(call, decision);
}
}
