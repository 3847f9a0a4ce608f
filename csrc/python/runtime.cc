#include "core/isa.h"
#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::runtime {
namespace {

constexpr const char* kIsaDoc = R"(The instruction set that the kernels run on.

Chosen at the first use: the best this CPU and this build have, or what FASTGEN_ISA names.

Example:

>>> isa() in isas()
True

Returns:
    "avx512", "avx2" or "baseline".
)";

constexpr const char* kIsasDoc = R"(The instruction sets that this CPU and this build can run.

Example:

>>> isas()[-1]
'baseline'

Returns:
    Tuple of names, best first.
)";

constexpr const char* kSetIsaDoc = R"(Makes the kernels run on another instruction set.

For tests; not while kernels run. Results differ between instruction sets in their last bits.

Example:

>>> set_isa(isas()[0])

Args:
    name: one of isas().

Raises:
    ValueError: this CPU or this build lacks it.
)";

constexpr const char* kThreadsDoc = R"(How many threads work on a kernel, the caller included.

Example:

>>> threads() >= 1
True

Returns:
    A number; at start the cores that this process may use.
)";

constexpr const char* kSetThreadsDoc = R"(Sets how many threads work on a kernel.

Results do not depend on it.

Example:

>>> set_threads(threads())

Args:
    n: 1 to 1024.

Raises:
    ValueError: n is out of range.
)";

py::tuple isas() {
  py::list names = py::cast<py::list>(py::str(fg_isas()).attr("split")(","));
  return py::tuple(names);
}

// Without the GIL: set_threads waits for kernels under way, which may wait for the GIL's holder.
void set_isa(const Given<std::string>& name_) {
  const std::string name = name_.get("set_isa", "name");
  run([&] { return fg_set_isa(name.c_str()); });
}

void set_threads(const Given<int64_t>& n_) {
  const int64_t n = n_.get("set_threads", "n");
  if (n != static_cast<int>(n)) {
    throw py::value_error("set_threads: n is out of range. Received: n=" + std::to_string(n));
  }
  run([=] { return fg_set_pool_size(static_cast<int>(n)); });
}

}  // namespace

void bind(py::module_& m) {
  m.def("isa", [] { return fg_isa(); }, kIsaDoc);
  m.def("isas", isas, kIsasDoc);
  m.def("set_isa", set_isa, py::arg("name"), kSetIsaDoc);
  m.def("threads", [] { return fg_pool_size(); }, kThreadsDoc);
  m.def("set_threads", set_threads, py::arg("n"), kSetThreadsDoc);
}

}  // namespace fastgen::python::runtime
