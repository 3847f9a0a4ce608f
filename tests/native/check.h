// As little of a test framework as these tests need.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <string>
#include <vector>

namespace native {

struct Test {
  const char* name;
  void (*run)();
};
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
inline std::atomic<int>& failures() {
  static std::atomic<int> count{0};
  return count;
}
// What is being tried, for messages: "avx2 float16 7x10 offset 1".
inline std::string& context() {
  static std::string text;
  return text;
}

struct Register {
  Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

#define TEST(NAME)                                            \
  static void NAME();                                         \
  static const native::Register register_##NAME(#NAME, NAME); \
  static void NAME()

#define CHECK(CONDITION)                                                  \
  do {                                                                    \
    if (!(CONDITION) && ++native::failures() <= 20) {                     \
      fprintf(stderr, "%s:%d: %s [%s]\n", __FILE__, __LINE__, #CONDITION, \
              native::context().c_str());                                 \
    }                                                                     \
  } while (0)

// Exactly `bytes` on the heap, `offset` bytes after an aligned address, so that AddressSanitizer
// sees one byte too many; filled with 0xff: a NaN in every dtype, for elements never written.
class Exact {
 public:
  explicit Exact(int64_t bytes, int64_t offset = 0)
      : base_(static_cast<char*>(malloc(bytes + offset))), bytes_(bytes), offset_(offset) {
    memset(base_, 0xff, bytes + offset);
  }
  Exact(const Exact& other) : Exact(other.bytes_, other.offset_) {
    memcpy(base_, other.base_, bytes_ + offset_);
  }
  Exact& operator=(const Exact&) = delete;
  ~Exact() { free(base_); }

  void* data() { return base_ + offset_; }
  const void* data() const { return base_ + offset_; }
  bool operator==(const Exact& other) const {
    return bytes_ == other.bytes_ && !memcmp(data(), other.data(), bytes_);
  }

 private:
  char* base_;
  int64_t bytes_, offset_;
};

}  // namespace native
