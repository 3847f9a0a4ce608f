// The pool: any number of threads, callers at once, resizing under way; and any other pool.
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "core/scheduled_loop.h"
#include "core/thread_pool.h"
#include "kernels/dense.h"
#include "kernels/gaussian_kl.h"
#include "kernels/gaussian_sample_kl.h"
#include "kernels/optimizer_update.h"
#include "kernels/sigmoid_cross_entropy.h"
#include "kernels/sparsity.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

// mean, log_var and what gaussian_sample_kl and gaussian_kl make of them; float32.
struct Batch {
  int64_t rows, cols, seed[2];
  std::vector<float> mean, log_var, z, kl;

  Batch(int64_t rows, int64_t cols, int64_t seed)
      : rows(rows),
        cols(cols),
        seed{seed, -seed},
        mean(rows * cols),
        log_var(mean),
        z(mean),
        kl(rows) {
    for (size_t i = 0; i < mean.size(); ++i) {
      mean[i] = float(i * 7 % 101) / 50 - 1, log_var[i] = float(i * 13 % 103) / 50 - 1;
    }
  }
  void run(const fg_threads* threads) {
    z.assign(z.size(), NAN), kl.assign(kl.size(), NAN);
    std::vector<float> again(kl.size(), NAN);
    CHECK(!fg_gaussian_sample_kl(threads, FG_FLOAT32, rows, cols, seed, mean.data(), log_var.data(),
                                 z.data(), kl.data()));
    CHECK(!fg_gaussian_kl(threads, FG_FLOAT32, rows, cols, mean.data(), log_var.data(),
                          again.data()));
    CHECK(again == kl);
  }
  bool operator==(const Batch& other) const { return z == other.z && kl == other.kl; }
};

constexpr int64_t kShapes[][2] = {{5000, 10}, {100, 1000}, {3, 50000}};

// Panels one by one, the last first.
void backwards(void*, int64_t panels, int64_t, fg_task task, void* arg) {
  while (panels-- > 0) task(arg, panels, panels + 1);
}
// A thread for each half, neither of which is the caller.
void halves(void*, int64_t panels, int64_t, fg_task task, void* arg) {
  std::thread first(task, arg, 0, panels / 2), second(task, arg, panels / 2, panels);
  first.join(), second.join();
}

// A pool that takes tasks in and does not wait: each on a thread of its own, or left for later.
struct Scheduler {
  std::vector<std::thread> threads;
  std::vector<std::function<void()>> late;
  bool full = false;

  static void parallel_for(void* self, int64_t panels, int64_t, fg_task task, void* arg) {
    auto& pool = *static_cast<Scheduler*>(self);
    fastgen::ScheduledLoop::run(task, arg, panels, std::min<int64_t>(4, panels), [&](auto help) {
      if (pool.full) return pool.late.push_back(help);
      pool.threads.emplace_back(help);
    });
  }
  void end() {
    for (auto& thread : threads) thread.join();
    for (auto& help : late) help();
    threads.clear(), late.clear();
  }
};

// What run(threads, out) writes to `bytes` of memory: alone, and on three threads.
template <class Run>
void same_bits(const char* name, int64_t bytes, const Run& run) {
  context() = name;
  CHECK(!fg_set_pool_size(3));
  Exact alone(bytes);
  CHECK(!run(nullptr, static_cast<char*>(alone.data())));
  for (int i = 0; i < 3; ++i) {
    Exact shared(bytes);
    CHECK(!run(fg_pool(), static_cast<char*>(shared.data())) && shared == alone);
  }
}

}  // namespace

// Products share packed operands, sums over rows and norms of gradients share partial results.
TEST(threads_of_kernels_that_share) {
  const Batch x(400, 300, 1), w(300, 70, 2), g(400, 70, 3);
  same_bits("dense", 4 * 400 * 70, [&](const fg_threads* threads, char* y) {
    return fg_dense(threads, FG_FLOAT32, 400, 300, 70, FG_TANH, x.mean.data(), w.mean.data(),
                    w.log_var.data(), y, nullptr);
  });
  const int64_t d_kernel = 4 * 400 * 300, d_bias = d_kernel + 4 * 300 * 70;
  same_bits("dense_grad", d_bias + 4 * 70, [&](const fg_threads* threads, char* out) {
    return fg_dense_grad(threads, FG_FLOAT32, 400, 300, 70, FG_TANH, x.mean.data(), w.mean.data(),
                         g.log_var.data(), g.mean.data(), out, out + d_kernel, out + d_bias);
  });
  for (const auto& shape : kShapes) {
    const int64_t rows = shape[0], cols = shape[1], size = 4 * rows * cols;
    const Batch a(rows, cols, 4);
    same_bits("sparsity", 8 * cols + 4, [&](const fg_threads* threads, char* out) {
      return fg_sparsity(threads, FG_FLOAT32, rows, cols, FG_SPARSITY_L1, 0, a.mean.data(),
                         out + 8 * cols, reinterpret_cast<double*>(out));
    });
    same_bits("sigmoid_cross_entropy", size + 4 * rows, [&](const fg_threads* threads, char* out) {
      return fg_sigmoid_cross_entropy(threads, FG_FLOAT32, FG_FLOAT32, rows, cols, a.mean.data(),
                                      a.log_var.data(), 0.125, out + size, out);
    });
    same_bits("optimizer_update", size, [&](const fg_threads* threads, char* out) {
      memcpy(out, a.mean.data(), size);
      fg_optimizer sgd = {};
      sgd.rule = FG_SGD, sgd.clip = FG_CLIP_GLOBAL_NORM, sgd.clip_at = 1;
      sgd.learning_rate = sgd.accumulation_steps = 1;
      const fg_optimizer_tensor tensor = {FG_FLOAT32,       1,  rows * cols, out,
                                          a.log_var.data(), {}, nullptr,     nullptr};
      int applied = 0;
      return fg_optimizer_update(threads, &sgd, 1, &tensor, &applied) || !applied;
    });
  }
}

TEST(threads_do_not_change_a_bit) {
  for (const auto& shape : kShapes) {
    Batch alone(shape[0], shape[1], 1);
    alone.run(nullptr);
    Batch batch = alone;
    for (int threads : {1, 2, 3, 8}) {
      context() = std::to_string(shape[1]) + " columns, " + std::to_string(threads) + " threads";
      CHECK(!fg_set_pool_size(threads) && fg_pool_size() == threads);
      batch.run(fg_pool());
      CHECK(batch == alone);
    }
    for (auto pool : {backwards, halves}) {
      const fg_threads other = {nullptr, pool};
      batch.run(&other);
      CHECK(batch == alone);
    }
  }
}

TEST(threads_that_are_scheduled_and_not_awaited) {
  Scheduler pool;
  const fg_threads threads = {&pool, &Scheduler::parallel_for};
  for (const auto& shape : kShapes) {
    Batch alone(shape[0], shape[1], 1);
    alone.run(nullptr);
    for (int i = 0; i < 6; ++i) {
      pool.full = i % 2;  // nobody but the caller comes in time
      Batch batch = alone;
      batch.run(&threads);
      CHECK(batch == alone);
      CHECK(!pool.full || !pool.late.empty());
      batch.z.assign(batch.z.size(), NAN);
      pool.end();
      for (const float z : batch.z) CHECK(std::isnan(z));  // who comes late writes nothing
    }
  }
}

TEST(threads_may_call_at_once) {
  std::vector<std::thread> callers;
  fg_set_pool_size(3);
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([caller] {
      Batch expected(5000, 10, caller), batch = expected;
      expected.run(nullptr);
      for (int i = 0; i < 10; ++i) {
        batch.run(fg_pool());
        CHECK(batch == expected);
      }
    });
  }
  for (auto& caller : callers) caller.join();
}

TEST(threads_of_a_pool_of_one_do_not_wait_for_each_other) {
  fg_set_pool_size(1);
  std::atomic<int> inside{0};
  // Ends once both callers are inside, or after a time that only callers in turn take.
  const fg_task task = [](void* arg, int64_t, int64_t) {
    auto& count = *static_cast<std::atomic<int>*>(arg);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    count++;
    while (count < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    CHECK(count == 2);
  };
  const auto call = [&] { fg_pool()->parallel_for(fg_pool()->pool, 2, 100000, task, &inside); };
  std::thread first(call), second(call);
  first.join(), second.join();
}

TEST(threads_may_be_resized_under_way) {
  std::atomic<bool> done{false};
  std::thread caller([&done] {
    Batch expected(5000, 10, 9), batch = expected;
    expected.run(nullptr);
    for (int i = 0; i < 40; ++i) {
      batch.run(fg_pool());
      CHECK(batch == expected);
    }
    done = true;
  });
  for (int i = 0; !done; ++i) fg_set_pool_size(1 + i % 4);
  caller.join();
}

TEST(threads_get_every_panel_once) {
  fg_set_pool_size(4);
  for (int64_t panels : {0, 1, 2, 3, 31, 1000}) {
    for (int64_t cycles : {0, 1, 100000}) {
      context() = std::to_string(panels) + " panels of " + std::to_string(cycles) + " cycles";
      std::vector<std::atomic<int>> taken(panels);
      const fg_task task = [](void* arg, int64_t begin, int64_t end) {
        auto& counts = *static_cast<std::vector<std::atomic<int>>*>(arg);
        for (int64_t i = begin; i < end; ++i) counts[i]++;
      };
      fg_pool()->parallel_for(fg_pool()->pool, panels, cycles, task, &taken);
      for (auto& count : taken) CHECK(count == 1);
    }
  }
}

}  // namespace native
