#include "python/module.h"

#include "core/abi.h"

PYBIND11_MODULE(core, m) {
  using namespace fastgen::python;
  if (fg_abi_version() != FG_ABI_VERSION) {
    throw pybind11::import_error(
        "fastgen.core and libfastgen_core are of different builds: build anew");
  }
  m.doc() = R"(fastgen's kernels on NumPy arrays: no TensorFlow needed.

Arrays may be unaligned; those that are not C-contiguous are copied. Arrays of other libraries in the
CPU's memory, PyTorch's tensors and JAX's arrays among them, may stand where NumPy's may, without a copy,
if they have DLPack; results are NumPy's. What may not be written to, as JAX's, is no output. Kernels run without the GIL on
threads() threads and their results do not depend on how many.

Functions that say so also take arrays on a GPU, all of them then, and run on CuPy's current stream:
CuPy's arrays, and through CuPy whatever has DLPack or __cuda_array_interface__. They return CuPy's.)";
  gaussian_sample::bind(m);
  gaussian_kl::bind(m);
  gaussian_sample_kl::bind(m);
  optimizer_update::bind(m);
  dense_module::bind(m);
  dense_transpose_module::bind(m);
  mlp::bind(m);
  discriminator_update::bind(m);
  gan_step::bind(m);
  autoencoder_step::bind(m);
  sigmoid_cross_entropy::bind(m);
  random_normal::bind(m);
  gaussian_noise::bind(m);
  dropout::bind(m);
  sparsity::bind(m);
  elementary::bind(m);
  roofline::bind(m);
  runtime::bind(m);
}
