#include "core/isa.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "core/status.h"

namespace fastgen {
namespace {

constexpr struct {
  Isa isa;
  const char* name;
} kIsas[] = {{Isa::avx512, "avx512"}, {Isa::avx2, "avx2"}, {Isa::baseline, "baseline"}};

bool runs_here(Isa isa) {
#ifdef __x86_64__
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  switch (isa) {
    case Isa::avx512:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    case Isa::avx2:
      return avx2;
    case Isa::baseline:
      return true;
  }
#endif
  return isa == Isa::baseline;
}

// The named ISA if it runs here; the best one for a null name; -1 for any other name.
int find(const char* name) {
  for (const auto& entry : kIsas) {
    if (runs_here(entry.isa) && (!name || !strcmp(name, entry.name))) {
      return static_cast<int>(entry.isa);
    }
  }
  return -1;
}

int from_environment() {
  const char* name = getenv("FASTGEN_ISA");
  if (name && !*name) name = nullptr;
  const int found = find(name);
  // A wrong name must not stop a program that only imports the library; fastgen.native warns.
  return found >= 0 ? found : find(nullptr);
}

std::atomic<int>& current() {
  static std::atomic<int> value{from_environment()};
  return value;
}

}  // namespace

Isa isa() { return static_cast<Isa>(current().load(std::memory_order_relaxed)); }

}  // namespace fastgen

using namespace fastgen;

extern "C" {

const char* fg_isa(void) {
  for (const auto& entry : kIsas) {
    if (entry.isa == isa()) return entry.name;
  }
  return "baseline";
}

const char* fg_isas(void) {
  static const char* const names = [] {
    static char text[64] = "";
    for (const auto& entry : kIsas) {
      if (!runs_here(entry.isa)) continue;
      if (*text) strcat(text, ",");
      strcat(text, entry.name);
    }
    return text;
  }();
  return names;
}

int fg_set_isa(const char* name) {
  const int found = name ? find(name) : -1;
  if (found < 0) {
    return fail(FG_INVALID_ARGUMENT, "set_isa: name must be one of %s. Received: %s", fg_isas(),
                name ? name : "null");
  }
  current().store(found, std::memory_order_relaxed);
  return FG_OK;
}

}  // extern "C"
