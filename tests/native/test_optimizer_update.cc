// Every rule x ISA x dtype on buffers of exact size, with all that goes around a rule: no element
// beyond, the same bits with and without threads, and Adam's first step as it is in double.
#include <math.h>

#include "core/thread_pool.h"
#include "kernels/optimizer_update.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

// Parts of vectors, tiles (1024) and panels (16384), and one element more or less.
const std::vector<int64_t> kCounts = {0, 1, 15, 16, 17, 1023, 1025, 16383, 16385, 33000};

// A model's tensors and their state; the last variable has no gradient.
struct Model {
  fg_dtype dtype;
  std::vector<Exact> arrays;  // seven a tensor
  std::vector<fg_optimizer_tensor> tensors;
  Exact u_product;

  Model(fg_dtype dtype, int64_t offset, bool all) : dtype(dtype), u_product(kSizes[dtype], offset) {
    put(dtype, u_product.data(), 0, 1);
    arrays.reserve(7 * kCounts.size());
    for (int64_t size : kCounts) {
      for (int j = 0; j < 7; ++j) {
        arrays.emplace_back(size * kSizes[dtype], offset);
        for (int64_t i = 0; i < size; ++i) {
          put(dtype, arrays.back().data(), i, j < 2 ? (i * (j + 3) % 17 - 8) / 8.0 : 0);
        }
      }
      Exact* const x = &arrays[arrays.size() - 7];
      const bool last = size == kCounts.back();
      tensors.push_back({dtype,
                         1,
                         size,
                         x[0].data(),
                         last && all ? nullptr : x[1].data(),
                         {x[2].data(), x[3].data(), x[4].data()},
                         all ? x[5].data() : nullptr,
                         all ? x[6].data() : nullptr});
    }
  }

  void step(const fg_threads* threads, fg_optimizer optimizer, int64_t iterations) {
    optimizer.iterations = iterations;
    optimizer.u_product = u_product.data();
    optimizer.u_product_dtype = dtype;
    int applied = 0;
    CHECK(!fg_optimizer_update(threads, &optimizer, tensors.size(), tensors.data(), &applied));
    CHECK(applied);
  }
};

fg_optimizer optimizer(int rule, int variation, int clip, bool all) {
  fg_optimizer o = {};
  o.rule = rule, o.variation = variation, o.clip = clip;
  o.learning_rate = 0.01, o.momentum = 0.5, o.rho = 0.75, o.epsilon = 1e-3, o.clip_at = 2;
  o.weight_decay = 0.125, o.loss_scale = 2, o.accumulation_steps = 1;
  if (all) o.ema_momentum = 0.5, o.ema_overwrite_frequency = 2, o.accumulation_steps = 2;
  return o;
}

}  // namespace

TEST(optimizer_rules) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_FLOAT64}) {
      for (int number = 0; number < 4 * 2 * 4 * 2; ++number) {
        const int rule = number % 4, variation = number / 4 % 2, clip = number / 8 % 4;
        const bool all = number / 32;
        const int64_t offset = number % 3 ? 0 : kSizes[dtype];
        context() = isa + " optimizer " + std::to_string(number);
        const fg_optimizer o = optimizer(rule, variation, clip, all);
        Model one(dtype, offset, all), many(dtype, offset, all);
        for (int64_t i = 0; i < 3; ++i) one.step(nullptr, o, i), many.step(fg_pool(), o, i);
        for (size_t i = 0; i < one.arrays.size(); ++i) CHECK(one.arrays[i] == many.arrays[i]);
      }
    }
  }
}

TEST(optimizer_adam) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_FLOAT64}) {
      context() = isa + " Adam";
      fg_optimizer o = optimizer(FG_ADAM, 0, FG_CLIP_NOTHING, false);
      o.weight_decay = 0;
      const Model before(dtype, 0, false);
      Model after(dtype, 0, false);
      after.step(fg_pool(), o, 0);
      for (size_t t = 0; t < kCounts.size(); ++t) {
        for (int64_t i = 0; i < kCounts[t]; ++i) {
          const double w = get(dtype, before.arrays[7 * t].data(), i);
          const double g = get(dtype, before.arrays[7 * t + 1].data(), i) / 2;
          // m = g / 2, v = g^2 / 4; the bias corrections are 1/2 and sqrt(1/4).
          const double expected = w - 0.01 * (g / 2) / (fabs(g) / 2 + 1e-3);
          CHECK(fabs(get(dtype, after.arrays[7 * t].data(), i) - expected) <=
                kAtol[dtype] + kRtol[dtype] * fabs(expected));
        }
      }
    }
  }
}

TEST(optimizer_refuses) {
  Model model(FG_FLOAT32, 0, false);
  int applied = 1;
  fg_optimizer o = optimizer(FG_ADAM, 0, FG_CLIP_NOTHING, false);
  o.rule = 4;
  CHECK(fg_optimizer_update(nullptr, &o, 1, model.tensors.data(), &applied) == FG_INVALID_ARGUMENT);
  CHECK(!applied);
  o.rule = FG_NADAM;  // without its u_product
  CHECK(fg_optimizer_update(nullptr, &o, 1, model.tensors.data(), &applied) == FG_INVALID_ARGUMENT);
  o.rule = FG_ADAM;
  model.tensors[1].slots[1] = nullptr;
  CHECK(fg_optimizer_update(nullptr, &o, 2, model.tensors.data(), &applied) == FG_INVALID_ARGUMENT);
  model.tensors[0].dtype = FG_FLOAT16;
  CHECK(fg_optimizer_update(nullptr, &o, 1, model.tensors.data(), &applied) == FG_INVALID_ARGUMENT);
}

}  // namespace native
