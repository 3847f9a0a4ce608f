#include "core/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/panels.h"
#include "core/status.h"

namespace fastgen {
namespace {

// Waking a sleeping thread takes 5 to 10 us; less work than that stays on the caller.
constexpr int64_t kCyclesWorthAThread = 20000;

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return cores > 0 ? cores : 1;
}

// One loop at a time.
class Pool {
 public:
  explicit Pool(int size) : size_(size) {}

  int size() const { return size_; }

  void resize(int size) {
    std::lock_guard<std::mutex> turn(turn_);
    stop();
    size_ = size;
  }

  void run(int64_t panels, int64_t cycles_per_panel, fg_task task, void* arg) {
    const int64_t worth = 1 + panels * cycles_per_panel / kCyclesWorthAThread;
    std::unique_lock<std::mutex> turn(turn_, std::defer_lock);
    if (panels <= 1 || worth <= 1 || !(turn.lock(), size_ > 1) || !start()) {
      if (turn.owns_lock()) turn.unlock();  // no other thread takes part: callers need not wait
      if (panels > 0) task(arg, 0, panels);
      return;
    }
    const int64_t helpers =
        std::min({static_cast<int64_t>(threads_.size()), worth - 1, panels - 1});
    Panels loop(task, arg, panels, helpers + 1);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      panels_ = &loop;
      places_ = busy_ = helpers;
    }
    for (int64_t i = 0; i < helpers; ++i) wake_.notify_one();
    loop.work();
    std::unique_lock<std::mutex> lock(mutex_);
    busy_ -= places_;  // no panel is left for those that have not woken yet
    places_ = 0;
    done_.wait(lock, [this] { return busy_ == 0; });
  }

  std::mutex& turn() { return turn_; }

 private:
  bool start() {
    try {
      while (static_cast<int>(threads_.size()) < size_ - 1) {
        threads_.emplace_back([this] { work(); });
      }
    } catch (const std::exception&) {
      // Fewer threads than asked for still do all the work.
    }
    return !threads_.empty();
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    stopping_ = false;
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || places_ > 0; });
      if (stopping_) return;
      --places_;
      lock.unlock();
      panels_->work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex turn_;  // held by the one caller whose loop runs
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  std::atomic<int> size_;
  bool stopping_ = false;
  int64_t places_ = 0;        // for helpers that have not joined the loop yet
  int64_t busy_ = 0;          // helpers that have not left it yet
  Panels* panels_ = nullptr;  // of the loop that runs
};

// Never destroyed: kernels may still run while the process exits.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  static const bool made = [] {
    current_pool = new Pool(usable_cores());
    // A forked child has this memory but none of the threads: it gets a pool of its own.
    pthread_atfork([] { current_pool.load()->turn().lock(); },
                   [] { current_pool.load()->turn().unlock(); },
                   [] { current_pool = new Pool(current_pool.load()->size()); });
    return true;
  }();
  (void)made;
  return *current_pool;
}

}  // namespace
}  // namespace fastgen

using namespace fastgen;

extern "C" {

const fg_threads* fg_pool(void) {
  static const fg_threads threads = {
      nullptr, [](void*, int64_t panels, int64_t cycles, fg_task task, void* arg) {
        pool().run(panels, cycles, task, arg);
      }};
  return &threads;
}

int fg_pool_size(void) { return pool().size(); }

int fg_set_pool_size(int threads) {
  if (threads < 1 || threads > 1024) {
    return fail(FG_INVALID_ARGUMENT, "set_threads: threads must be 1 to 1024. Received: %d",
                threads);
  }
  pool().resize(threads);
  return FG_OK;
}

}  // extern "C"
