// The panels of one loop on threads that only take tasks in and never say when they are done.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/panels.h"

namespace fastgen {

class ScheduledLoop {
 public:
  // Runs task over [0, panels) on the caller, and on up to threads - 1 others that
  // schedule(function) brings. Waits for those alone that have begun: one that the scheduler has
  // no room for comes too late, finds no panel left and goes, so that a full pool stops nobody.
  template <class Schedule>
  static void run(fg_task task, void* arg, int64_t panels, int64_t threads, Schedule&& schedule) {
    if (threads <= 1) return task(arg, 0, panels);
    const auto loop = std::make_shared<ScheduledLoop>(task, arg, panels, threads);
    for (int64_t i = 1; i < threads; ++i) schedule([loop] { loop->help(); });
    loop->panels_.work();
    loop->wait();
  }

  ScheduledLoop(fg_task task, void* arg, int64_t panels, int64_t threads)
      : panels_(task, arg, panels, threads) {}

 private:
  void help() {
    count(1);
    panels_.work();
    count(-1);
  }

  void count(int64_t change) {
    std::lock_guard<std::mutex> lock(mutex_);
    busy_ += change;
    if (busy_ == 0) idle_.notify_one();
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return busy_ == 0; });
  }

  Panels panels_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int64_t busy_ = 0;
};

}  // namespace fastgen
