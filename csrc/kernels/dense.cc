#include "kernels/dense.h"

#include "core/dense_layer.h"

FASTGEN_DENSE_LAYER(dense, false)
