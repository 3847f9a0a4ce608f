// Each kernel's file adds its functions to fastgen.core.
#pragma once
#include <pybind11/pybind11.h>

namespace fastgen::python {

void bind_gaussian_sample(pybind11::module_& m);
void bind_gaussian_kl(pybind11::module_& m);
void bind_gaussian_sample_kl(pybind11::module_& m);
void bind_random_normal(pybind11::module_& m);
void bind_elementary(pybind11::module_& m);
void bind_roofline(pybind11::module_& m);
void bind_runtime(pybind11::module_& m);

}  // namespace fastgen::python
