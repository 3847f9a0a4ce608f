// Each file adds its functions to fastgen.core. setup.py compiles the files of this folder together,
// so what a file keeps to itself lives in a namespace of its own name.
#pragma once
#include <pybind11/pybind11.h>

namespace fastgen::python::gaussian_sample {
void bind(pybind11::module_& m);
}
namespace fastgen::python::gaussian_kl {
void bind(pybind11::module_& m);
}
namespace fastgen::python::gaussian_sample_kl {
void bind(pybind11::module_& m);
}
namespace fastgen::python::optimizer_update {
void bind(pybind11::module_& m);
}
namespace fastgen::python::dense_module {
void bind(pybind11::module_& m);
}
namespace fastgen::python::dense_transpose_module {
void bind(pybind11::module_& m);
}
namespace fastgen::python::mlp {
void bind(pybind11::module_& m);
}
namespace fastgen::python::discriminator_update {
void bind(pybind11::module_& m);
}
namespace fastgen::python::gan_step {
void bind(pybind11::module_& m);
}
namespace fastgen::python::autoencoder_step {
void bind(pybind11::module_& m);
}
namespace fastgen::python::sigmoid_cross_entropy {
void bind(pybind11::module_& m);
}
namespace fastgen::python::random_normal {
void bind(pybind11::module_& m);
}
namespace fastgen::python::gaussian_noise {
void bind(pybind11::module_& m);
}
namespace fastgen::python::dropout {
void bind(pybind11::module_& m);
}
namespace fastgen::python::sparsity {
void bind(pybind11::module_& m);
}
namespace fastgen::python::elementary {
void bind(pybind11::module_& m);
}
namespace fastgen::python::roofline {
void bind(pybind11::module_& m);
}
namespace fastgen::python::runtime {
void bind(pybind11::module_& m);
}
