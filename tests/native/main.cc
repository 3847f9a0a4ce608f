// Runs the tests whose names start with an argument; without arguments, all.
#include "native/check.h"

int main(int argc, char** argv) {
  using namespace native;
  int ran = 0;
  for (const Test& test : tests()) {
    bool chosen = argc == 1;
    for (int i = 1; i < argc; ++i) chosen |= !strncmp(test.name, argv[i], strlen(argv[i]));
    if (!chosen) continue;
    const int before = failures();
    context().clear();
    test.run();
    printf("%s %s\n", failures() == before ? "passed" : "FAILED", test.name);
    fflush(stdout);
    ++ran;
  }
  printf("%d tests, %d failed checks\n", ran, failures().load());
  return failures() != 0 || ran == 0;
}
